"""Traits of a campaign as values that may leave: hashed, held by enough accounts, of a known kind.

Why:    what leaves is built from a closed vocabulary and from values of a recognisable shape; anything else stays.
        What an account sent leaves only under a sharing group's key: its fingerprint is a public function of its
        words, and whoever has a list of likely words could look them up.
Misses: a value in the shape of a hash that is none. Account ids in that shape are caught; other identifiers are not.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stillwatch.records import TEMPLATE_KINDS
from stillwatch.sharing.keyed import GroupKey, keyed, keyed_name
from stillwatch.sharing.objects import rounded

# A value leaves only when this many accounts hold it: fewer could point at a person.
LEAST_HOLDERS: Final = 5

NETWORK_KINDS: Final = frozenset({"ip", "ip_prefix"})
SKETCH_KINDS: Final = ("wording", "item")
CONTENT_KINDS: Final = frozenset({*TEMPLATE_KINDS, "system_prompt", "metadata", *SKETCH_KINDS})
CLIENT_KINDS: Final = frozenset({"client"})
ACCOUNT_KINDS: Final = frozenset(
    {
        "payment",
        "device",
        "email",
        "phone",
        "email_domain",
        "email_pattern",
        "signup_cohort",
        "artefact",
        "session_starts",
    }
)
JA4_KIND: Final = "ja4"  # what is left of a client when its own words are taken away
KINDS: Final = NETWORK_KINDS | CONTENT_KINDS | CLIENT_KINDS | ACCOUNT_KINDS
# The kinds an indicator may be of: nothing is left of a client but its JA4.
INDICATOR_KINDS: Final = tuple(sorted((KINDS - CLIENT_KINDS) | {JA4_KIND}))

# At least one letter: digits alone could be a card. One real hash of 16 digits in 2,000 stays behind for it.
HASH: Final = r"(?=[0-9]*[a-f])[0-9a-f]{16,64}"
JA4: Final = r"[tqd][0-9]{2}[di][0-9]{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}"
KEYED: Final = r"(?=[0-9]*[a-f])[0-9a-f]{16}"
_HASH = re.compile(HASH)
_JA4 = re.compile(JA4)
_KEYED = re.compile(KEYED)
# Our own 64-bit fingerprints are decimal numbers, or hexadecimal where a campaign writes a template.
_FINGERPRINT = re.compile(r"-?[1-9][0-9]{0,18}|0")
_TEMPLATE = re.compile(r"t-([0-9a-f]{16})")
_CLIENT_SEPARATOR = "\x1f"  # between user agent and JA4


@dataclass(frozen=True, slots=True)
class SharedTrait:
    """A value that may leave, under the kind a partner knows it by."""

    kind: str
    value: str
    account_count: int
    weight_bits: float
    durability: str


def shared_traits(
    campaign: Mapping[str, Any], *, group: GroupKey | None = None, least: int = LEAST_HOLDERS
) -> list[SharedTrait]:
    """The evidence and templates of a campaign that may leave, strongest first; content only under the group's key."""
    own = frozenset(campaign["account_ids"])
    shared = [_shared(evidence, own, group) for evidence in campaign["evidence"]]
    traits = [trait for trait in shared if trait is not None]
    seen = {fingerprint(row["value"]) for row in campaign["evidence"] if row["kind"] in TEMPLATE_KINDS}
    for template in campaign["templates"]:
        value = shareable_value("template", template["template_id"], own, group)
        if value is not None and fingerprint(template["template_id"]) not in seen:
            traits.append(SharedTrait("template", value, template["accounts"], 0.0, "high"))
    held = [trait for trait in traits if trait.account_count >= least]
    return sorted(held, key=lambda trait: (-trait.weight_bits, trait.kind, trait.value))


def _shared(evidence: Mapping[str, Any], own: Collection[str], group: GroupKey | None) -> SharedTrait | None:
    kind = evidence["kind"]
    value = shareable_value(kind, evidence["value"], own, group) if kind in KINDS else None
    if value is None:
        return None
    name = JA4_KIND if kind in CLIENT_KINDS else kind
    bits = rounded(evidence["weight_bits"], 1) or 0.0
    return SharedTrait(name, value, evidence["account_count"], bits, evidence["durability"])


def shareable_value(kind: str, value: str, account_ids: Collection[str], group: GroupKey | None = None) -> str | None:
    """The value as it may leave, or None when it has not the shape of a hash, is an account id, or has no key to go."""
    if value in account_ids:
        return None
    if kind in CLIENT_KINDS:  # the user agent is the client's own words and stays; its TLS fingerprint is not
        tail = value.rpartition(_CLIENT_SEPARATOR)[2]
        return tail if _JA4.fullmatch(tail) else None
    if kind in CONTENT_KINDS:
        number = fingerprint(value)
        return None if number is None or group is None else keyed_value(number, kind, group)
    return value if _HASH.fullmatch(value) else None


def fingerprint(value: str) -> int | None:
    """The 64-bit number that a value of content is; None when it is none."""
    if template := _TEMPLATE.fullmatch(value):
        number = int(template[1], 16)
        return number - 2**64 if number >= 2**63 else number
    if not _FINGERPRINT.fullmatch(value):
        return None
    number = int(value)
    return number if -(2**63) <= number < 2**63 else None


def keyed_value(number: int, kind: str, group: GroupKey) -> str | None:
    """The number under the group's key; None for the one in 2,000 that has no letter and could pass for a card."""
    name = keyed_name(int(keyed(np.array([number], np.int64), kind, group)[0]))
    return name if _KEYED.fullmatch(name) else None


def unkeyed_values(campaign: Mapping[str, Any]) -> set[str]:
    """Every value of content the campaign holds, as it must never leave: in hexadecimal and as written."""
    written = {row["value"] for row in campaign["evidence"] if row["kind"] in CONTENT_KINDS}
    written |= {template["template_id"] for template in campaign["templates"]}
    sketch = campaign.get("sketch") or {}
    written |= {row["value"] for rows in sketch.values() for row in rows}
    numbers = {number for value in written if (number := fingerprint(value)) is not None}
    return written | {keyed_name(number & (2**64 - 1)) for number in numbers}
