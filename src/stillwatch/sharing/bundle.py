"""A STIX 2.1 bundle of campaigns that names no customer and quotes no prompt.

Why:    another provider recognises the same operator by templates, tooling and infrastructure without seeing whose
        data flowed. Every field is built from numbers, a closed vocabulary and hashes; no text of a campaign is copied.
Misses: keyed hashes match only where the key is the same; templates only where both runs know the same wordings.
Source: OASIS, "STIX Version 2.1", 2021.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import stix2
from jsonschema import Draft202012Validator
from stix2.exceptions import STIXError

from stillwatch.errors import SharingError
from stillwatch.records import CAPABILITIES, INTENTS, TEMPLATE_KINDS
from stillwatch.schemas import schema
from stillwatch.sharing.egress import check_egress
from stillwatch.sharing.marking import marking_definition, may_leave
from stillwatch.sharing.objects import (
    Stamp,
    extension,
    extension_definition,
    hours,
    pattern,
    producer,
    stix_id,
    stix_time,
    two_digits,
)
from stillwatch.sharing.techniques import attack_pattern, has_network, is_mixed, techniques
from stillwatch.sharing.traits import JA4_KIND, NETWORK_KINDS, SharedTrait, shared_traits
from stillwatch.sharing.words import CAMPAIGN_DESCRIPTIONS, INDICATOR_DESCRIPTION, NETWORK_DESCRIPTION

# What holds an innocent population together, or cannot be judged, is nobody else's business.
SHARED_VERDICTS: Final = frozenset({"distillation", "coordinated"})

# How long after it was last seen a trait still recognises its operator, by cost to replace it. [days]
LIFETIME_DAYS: Final = {"low": 14, "low-medium": 30, "medium": 90, "high": 180, "very high": 365}

# Keys an error may name; keys of free-form tables are the attacker's words.
_KEYS: Final = frozenset(schema("campaigns")["$defs"]["campaign"]["properties"])

MOST_VALUES: Final = 100  # of one kind in one indicator: the strongest; a pattern must stay readable


def bundle(
    campaigns: Sequence[Mapping[str, Any]], *, now: datetime, tlp: str = "amber", key_id: str | None = None
) -> str:
    """The campaigns that may leave, as the JSON text of a STIX bundle under that TLP 2.0 marking.

    Explained campaigns and those with too little data stay. `key_id` names the key of the hashes, for partners who
    hold it too.

    Raises:
        SharingError: the marking is unknown, a campaign is malformed, or an object must not leave.
    """
    marking = marking_definition(tlp)
    _refuse_malformed(campaigns)
    maker = producer(key_id)
    stamp = Stamp(maker["id"], marking["id"], now)
    leaving = sorted(
        (campaign for campaign in campaigns if campaign["verdict"] in SHARED_VERDICTS),
        key=lambda campaign: str(campaign["campaign_id"]),
    )
    made = {object_["id"]: object_ for campaign in leaving for object_ in _objects(campaign, stamp, tlp, key_id)}
    made |= {object_["id"]: object_ for object_ in _lineage(leaving, stamp)}
    definition = extension_definition() if made else []
    objects = [maker, marking, *definition, *made.values()]
    check_egress(objects, account_ids=(account for campaign in campaigns for account in campaign["account_ids"]))
    return _text(objects)


def _refuse_malformed(campaigns: Sequence[Mapping[str, Any]]) -> None:
    # Two accounts stand for all: their form is the same, and there may be tens of thousands.
    slim = [
        {**campaign, "account_ids": campaign["account_ids"][:2], "recommended_decisions": []} for campaign in campaigns
    ]
    fault = next(Draft202012Validator(schema("campaigns")).iter_errors(slim), None)
    if fault is not None:
        key = next((part for part in reversed(fault.absolute_path) if str(part) in _KEYS), "a campaign")
        raise SharingError(f"{key}: breaks the schema of campaigns. Nothing was written; share what a scan wrote.")


def _objects(campaign: Mapping[str, Any], stamp: Stamp, tlp: str, key_id: str | None) -> Iterator[dict[str, Any]]:
    since, until = hours(campaign["first_seen_at"], campaign["last_seen_at"])
    subject = _campaign(campaign, stamp, since, until)
    yield subject
    for atlas_id in techniques(campaign):
        technique = attack_pattern(atlas_id, stamp)
        yield technique
        yield _relationship(subject, "uses", technique, since, stamp)
    pool = _infrastructure(campaign, stamp, since, until) if has_network(campaign) else None
    if pool:
        yield pool
        yield _relationship(subject, "uses", pool, since, stamp)
    for traits in _by_kind(campaign, tlp):
        indicator = _indicator(campaign, traits, stamp, (since, until), key_id)
        yield indicator
        yield _relationship(indicator, "indicates", subject, since, stamp)
        if pool and traits[0].kind in NETWORK_KINDS:
            yield _relationship(indicator, "indicates", pool, since, stamp)


def _campaign(campaign: Mapping[str, Any], stamp: Stamp, since: datetime, until: datetime) -> dict[str, Any]:
    exposure, probability = campaign["exposure"], campaign["probability"]
    counted = sum(exposure["by_capability"].values())
    capabilities = {name: exposure["by_capability"].get(name, 0) / counted for name in CAPABILITIES if counted}
    intents = {name: campaign["intents"].get(name, 0.0) for name in INTENTS}
    confidence = {} if probability is None else {"confidence": round(100 * probability)}
    return stamp.changing(
        "campaign",
        _subject_id(campaign, stamp),
        since,
        name=f"{campaign['verdict'].capitalize()} campaign {campaign['campaign_id']}",
        description=CAMPAIGN_DESCRIPTIONS[campaign["verdict"]],
        first_seen=stix_time(since),
        last_seen=stix_time(until),
        **confidence,
        extensions=extension(
            verdict=campaign["verdict"],
            account_count=two_digits(len(campaign["account_ids"])),
            exchange_count=two_digits(exposure["exchanges"]),
            output_tokens=two_digits(exposure["output_tokens"]),
            reasoning_tokens=two_digits(exposure["reasoning_tokens"]),
            capability_shares=_stated(capabilities),
            intent_shares=_stated(intents),
            template_share=_rounded(exposure["template_share"], 2),
            coordination_bits=_rounded(campaign["coordination"]["bits"], 1),
            harvest_bits=_rounded(campaign["harvest"]["bits"], 1),
            evidence_families=len({evidence["family"] for evidence in campaign["evidence"]}),
        ),
    )


def _subject_id(campaign: Mapping[str, Any], stamp: Stamp) -> str:
    return stix_id("campaign", stamp.producer_id, str(campaign["campaign_id"]))


def _stated(shares: Mapping[str, float]) -> dict[str, float] | None:
    return {name: round(share, 2) for name, share in shares.items() if round(share, 2) > 0} or None


def _rounded(number: float | None, digits: int) -> float | None:
    return None if number is None else round(float(number), digits)


def _infrastructure(campaign: Mapping[str, Any], stamp: Stamp, since: datetime, until: datetime) -> dict[str, Any]:
    return stamp.changing(
        "infrastructure",
        stix_id("infrastructure", stamp.producer_id, str(campaign["campaign_id"])),
        since,
        name=f"Network of campaign {campaign['campaign_id']}",
        description=NETWORK_DESCRIPTION,
        infrastructure_types=["anonymization" if is_mixed(campaign) else "unknown"],
        first_seen=stix_time(since),
        last_seen=stix_time(until),
    )


def _by_kind(campaign: Mapping[str, Any], tlp: str) -> list[list[SharedTrait]]:
    kinds: dict[str, list[SharedTrait]] = {}
    for trait in shared_traits(campaign):
        if may_leave(trait.kind, tlp):
            kinds.setdefault(trait.kind, []).append(trait)
    return [kinds[kind][:MOST_VALUES] for kind in sorted(kinds)]


def _indicator(
    campaign: Mapping[str, Any],
    traits: list[SharedTrait],
    stamp: Stamp,
    seen: tuple[datetime, datetime],
    key_id: str | None,
) -> dict[str, Any]:
    since, until = seen
    strongest = traits[0]
    return stamp.changing(
        "indicator",
        stix_id("indicator", stamp.producer_id, str(campaign["campaign_id"]), strongest.kind),
        since,
        name=f"Traits of campaign {campaign['campaign_id']}: {strongest.kind}",
        description=INDICATOR_DESCRIPTION,
        indicator_types=["anomalous-activity", "attribution"],
        pattern_type="stix",
        pattern_version="2.1",
        pattern=pattern(strongest.kind, [trait.value for trait in traits]),
        valid_from=stix_time(since),
        valid_until=stix_time(until + timedelta(days=LIFETIME_DAYS[strongest.durability])),
        extensions=extension(
            kind=strongest.kind,
            durability=strongest.durability,
            weight_bits=strongest.weight_bits,
            key_id=None if strongest.kind in (*TEMPLATE_KINDS, JA4_KIND) else key_id,
            values=[{"value": trait.value, "account_count": two_digits(trait.account_count)} for trait in traits],
        ),
    )


def _relationship(
    source: Mapping[str, Any], verb: str, target: Mapping[str, Any], since: datetime, stamp: Stamp
) -> dict[str, Any]:
    return stamp.changing(
        "relationship",
        stix_id("relationship", source["id"], verb, target["id"]),
        since,
        source_ref=source["id"],
        relationship_type=verb,
        target_ref=target["id"],
    )


def _lineage(leaving: Sequence[Mapping[str, Any]], stamp: Stamp) -> Iterator[dict[str, Any]]:
    # Only between campaigns of this bundle: a reference to one that stays would dangle.
    subjects = {campaign["campaign_id"]: {"id": _subject_id(campaign, stamp)} for campaign in leaving}
    for campaign in leaving:
        since, _ = hours(campaign["first_seen_at"], campaign["last_seen_at"])
        for kin in campaign["lineage"]:
            if kin["campaign_id"] in subjects and kin["campaign_id"] != campaign["campaign_id"]:
                other = subjects[kin["campaign_id"]]
                yield _relationship(subjects[campaign["campaign_id"]], "related-to", other, since, stamp)


def _text(objects: Sequence[Mapping[str, Any]]) -> str:
    bundle_id = stix_id("bundle", json.dumps(objects, sort_keys=True))
    whole = {"type": "bundle", "id": bundle_id, "objects": list(objects)}
    try:
        stix2.parse(whole, allow_custom=True)
    except (STIXError, ValueError) as error:
        raise SharingError("The bundle breaks STIX 2.1. Nothing was written; report this as a fault.") from error
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
