"""What the tests of sharing share: a group, an alias, matches of leads, secrets, and places to plant them."""

import copy
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stillwatch.sharing import Alias, GroupKey, Practice, objects_of
from stillwatch.sharing.objects import measures

SAMPLES = Path(__file__).parent.parent / "golden" / "sample_campaigns.json"
NOW = datetime(2026, 2, 24, 8, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
KEY_ID = "0f3c9a1155aa77cc"
GROUP = GroupKey("g-0123456789ab", 3, hashlib.sha256(b"a group").digest())
CAMPAIGN = "c-7692c3ad3540"
ALIAS = Alias(CAMPAIGN, "Amber Heron", "analyst-7", "public report", datetime(2026, 2, 23, 17, 44, tzinfo=UTC))
ADVICE = [
    {
        "action": action,
        "check": None,
        "account_ids": ["acct-0048d7e7"],
        "because": "The rule of canaries fits.",
        "approvals": 1,
        "expires_after_days": 14,
    }
    for action in ("suspend", "throttle", "observe")
]


def lead(number: int) -> str:
    """The id of a partner's indicator; another product made it, so its id is random."""
    return f"indicator--{number:08x}-1111-4111-8111-111111111111"


def match(number: int, verdict: str | None, accounts: int, exchanges: int, **other: Any) -> dict[str, Any]:
    """A row as in `records.LEAD_MATCHES`."""
    return {
        "lead_id": lead(number),
        "sender": "identity--00000000-0000-4000-8000-000000000001",
        "campaign_id": None if verdict is None else CAMPAIGN,
        "verdict": verdict,
        "accounts": accounts,
        "exchanges": exchanges,
        "first_seen_at": datetime(2026, 2, 20, 3, tzinfo=UTC),
        "last_seen_at": datetime(2026, 2, 21, 7, tzinfo=UTC),
        **other,
    }


MATCHES = [
    match(1, "distillation", 37, 1234),
    match(2, "explained", 180, 60_210),
    match(3, None, 2, 7),
    match(4, None, 0, 0),
]


def everything(campaigns: list[dict[str, Any]], tlp: str = "amber") -> list[dict[str, Any]]:
    """The objects of these campaigns with a group, an alias, leads that matched, and something that was done."""
    return objects_of(
        campaigns,
        now=NOW,
        tlp=tlp,
        key_id=KEY_ID,
        group=GROUP,
        aliases=[ALIAS],
        matches=MATCHES,
        practice=Practice(taken={CAMPAIGN: ["throttle", "shape"]}),
    )


def of(objects: list[dict[str, Any]], kind: str, **fields: Any) -> list[dict[str, Any]]:
    """The objects of that type whose fields say so."""
    return [one for one in objects if one["type"] == kind and all(one.get(k) == v for k, v in fields.items())]


def indicators(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The indicators by their kind."""
    return {measures(one)["kind"]: one for one in objects if one["type"] == "indicator"}


# Secrets of every kind we know how to leak. None has the shape of a hash: such a value may be one.
SECRETS = (
    "Write the quarterly letter to Ms Canary about the merger",  # a prompt
    "Dear Ms Canary,\nthe merger is off.",  # a completion
    "203.0.113.77",
    "2001:db8::77:1",
    "canary.person@example.org",
    "acct-canary-7731",
    "canary-works-gmbh",
    "openai-python/2.8 (canary)",  # a user agent
    "canary-opus-5",  # a model
    "/srv/logs/canary-2026.jsonl",  # a file
    "4111111111111111",
    "+15550100777",
    "</svg><script>canary()</script>",
)


def text_places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Where text stands in a campaign, as values and as the keys of free-form tables."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from text_places(inner, (*path, key))
        if path and path[-1] in ("by_model", "by_capability", "intents"):
            yield (*path, "*key*")
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield from text_places(inner, (*path, index))
    elif isinstance(value, str):
        yield path


def places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Every place of an object: each value and list in it, at any depth."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def planted(whole: Any, path: tuple[object, ...], secret: Any) -> Any:
    """A copy with the secret at that place."""
    changed: Any = copy.deepcopy(whole)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[secret if path[-1] == "*key*" else path[-1]] = 1 if path[-1] == "*key*" else secret
    return changed
