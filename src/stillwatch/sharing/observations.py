"""What was observed of a campaign, as counts: observed-data, the sighting of it, and its network.

Why:    STIX hangs sightings on observed data, and observed data on an account. Ours stands for any account of an API:
        it is the same object for every campaign and bears no id, name or address of anybody.
"""

from collections.abc import Iterator
from typing import Any

from stillwatch.sharing.objects import Stamp, Subject, counted, extension, stix_hour, two_digits
from stillwatch.sharing.techniques import has_network, is_mixed
from stillwatch.sharing.words import ACCOUNT_TYPE, NETWORK_DESCRIPTION


def observation_objects(subject: Subject) -> Iterator[dict[str, Any]]:
    """The accounts as one object, how often they were observed, and that the campaign was sighted here."""
    exchanges = counted(subject.campaign["exposure"]["exchanges"])
    counts = extension(account_count=two_digits(len(subject.campaign["account_ids"])))
    since, until = stix_hour(subject.since), stix_hour(subject.until)
    account = any_account(subject.stamp)
    yield account
    yield subject.changing(
        "observed-data",
        subject.observed_id,
        first_observed=since,
        last_observed=until,
        number_observed=max(1, exchanges),
        object_refs=[account["id"]],
        extensions=counts,
    )
    yield subject.changing(
        "sighting",
        subject.stamp.id("sighting", subject.campaign_id),
        first_seen=since,
        last_seen=until,
        count=exchanges,
        sighting_of_ref=subject.id,
        observed_data_refs=[subject.observed_id],
        where_sighted_refs=[subject.stamp.producer_id],
        extensions=counts,
    )


def any_account(stamp: Stamp) -> dict[str, Any]:
    """An account of an API, whosoever: what observed data must refer to, and all that is said of it."""
    return {
        "type": "user-account",
        "spec_version": "2.1",
        "id": stamp.id("user-account", stamp.marking_id),
        "object_marking_refs": [stamp.marking_id],
        "account_type": ACCOUNT_TYPE,
    }


def network_objects(subject: Subject) -> Iterator[dict[str, Any]]:
    """The campaign's infrastructure and that it uses it; nothing where no network is among the evidence."""
    if not has_network(subject.campaign):
        return
    pool = subject.changing(
        "infrastructure",
        subject.stamp.id("infrastructure", subject.campaign_id),
        name=f"Network of campaign {subject.campaign_id}",
        description=NETWORK_DESCRIPTION,
        infrastructure_types=["anonymization" if is_mixed(subject.campaign) else "unknown"],
        first_seen=stix_hour(subject.since),
        last_seen=stix_hour(subject.until),
    )
    yield pool
    yield subject.relationship(subject.id, "uses", pool["id"])
