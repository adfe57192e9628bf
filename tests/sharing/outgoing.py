"""From campaigns to what would leave for a recipient, for the tests of the gate."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stillwatch import sharing
from stillwatch.partners.outbound import private
from stillwatch.sharing import GroupKey
from stillwatch.sharing.gate import Considered, Released, considered, released
from stillwatch.sharing.recipients import Limits, Recipient

NOW = datetime(2026, 2, 24, 8, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 2, 25, 9, tzinfo=UTC)
KEY_ID = "0f3c9a1155aa77cc"
GROUP = GroupKey("g-frontier", 1, bytes(range(32)))
FRIEND = Recipient("northern-lab", "red", "named", frozenset({GROUP.group_id}))
STRANGER = Recipient("southern-lab", "red", "named")

Campaigns = list[dict[str, Any]]
Objects = Mapping[str, Mapping[str, Any]]


def would(
    campaigns: Campaigns,
    recipient: Recipient = FRIEND,
    *,
    tlp: str = "amber",
    before: Objects | None = None,
    limits: Limits | None = None,
    now: datetime = NOW,
    group: GroupKey | None = GROUP,
) -> Considered:
    """What of the campaigns would leave."""
    objects = sharing.objects_of(campaigns, now=now, tlp=tlp, key_id=KEY_ID, group=group)
    return through(objects, recipient, campaigns, before=before, limits=limits)


def through(
    objects: Sequence[Mapping[str, Any]],
    recipient: Recipient,
    campaigns: Campaigns,
    *,
    before: Objects | None = None,
    limits: Limits | None = None,
) -> Considered:
    """What of the objects would leave."""
    return considered(objects, recipient, limits=limits or Limits(), before=before or {}, private=private(campaigns))


def let_go(passed: Considered, now: datetime = NOW) -> Released:
    """It leaves, approved by somebody."""
    return released(passed, approver="A. Analyst", proposer=None, now=now)


def of_type(passed: Considered, kind: str) -> list[dict[str, Any]]:
    return [one for one in passed.objects if one["type"] == kind]


def measures(one: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sharing.objects.measures(one))


def kinds(passed: Considered) -> set[str]:
    """Kinds of trait whose values would leave."""
    return {measures(one)["kind"] for one in of_type(passed, "indicator")}


def references_resolve(passed: Considered) -> bool:
    """Whether every id that an object names is there, but for the indicators of others."""
    there = {one["id"] for one in passed.objects}
    named = {
        name
        for one in json.loads(passed.text)["objects"]
        for field, value in one.items()
        if field.endswith(("_ref", "_refs"))
        for name in (value if isinstance(value, list) else [value])
    }
    return named <= there
