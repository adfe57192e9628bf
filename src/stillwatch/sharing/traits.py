"""Traits of a campaign as values that may leave: hashed, held by enough accounts, of a known kind.

Why:    what leaves is built from a closed vocabulary and from values of a recognisable shape; anything else stays.
Misses: a value in the shape of a hash that is none. Account ids in that shape are caught; other identifiers are not.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stillwatch.records import TEMPLATE_KINDS

# A value leaves only when this many accounts hold it: fewer could point at a person.
LEAST_HOLDERS: Final = 5

NETWORK_KINDS: Final = frozenset({"ip", "ip_prefix"})
CONTENT_KINDS: Final = frozenset({*TEMPLATE_KINDS, "system_prompt", "metadata"})
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

# At least one letter: digits alone could be a card. One real hash of 16 digits in 2,000 stays behind for it.
_HASH = re.compile(r"(?=[0-9]*[a-f])[0-9a-f]{16,64}")
_JA4 = re.compile(r"[tqd]\d{2}[di]\d{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}")
# Our own 64-bit fingerprints are decimal. Shorter numbers could be a telephone or a card (at most 16 digits).
_FINGERPRINT = re.compile(r"-?[1-9]\d{16,18}")
_TEMPLATE_PREFIX = "t-"  # how campaigns write a template
_CLIENT_SEPARATOR = "\x1f"  # between user agent and JA4


@dataclass(frozen=True, slots=True)
class SharedTrait:
    """A value that may leave, under the kind a partner knows it by."""

    kind: str
    value: str
    account_count: int
    weight_bits: float
    durability: str


def shared_traits(campaign: Mapping[str, Any]) -> list[SharedTrait]:
    """The evidence and templates of a campaign that may leave, strongest first."""
    own = frozenset(campaign["account_ids"])
    traits = [trait for evidence in campaign["evidence"] if (trait := _shared(evidence, own)) is not None]
    seen = {trait.value for trait in traits if trait.kind in TEMPLATE_KINDS}
    for template in campaign["templates"]:
        value = shareable_value("template", template["template_id"], own)
        if value and value not in seen and template["accounts"] >= LEAST_HOLDERS:
            traits.append(SharedTrait("template", value, template["accounts"], 0.0, "high"))
    return sorted(traits, key=lambda trait: (-trait.weight_bits, trait.kind, trait.value))


def _shared(evidence: Mapping[str, Any], own: Collection[str]) -> SharedTrait | None:
    kind = evidence["kind"]
    if kind not in KINDS or evidence["account_count"] < LEAST_HOLDERS:
        return None
    value = shareable_value(kind, evidence["value"], own)
    if value is None:
        return None
    name = JA4_KIND if _JA4.fullmatch(value) else kind
    bits = round(float(evidence["weight_bits"]), 1)
    return SharedTrait(name, value, evidence["account_count"], bits, evidence["durability"])


def shareable_value(kind: str, value: str, account_ids: Collection[str]) -> str | None:
    """The value as it may leave, or None when it has not the shape of a hash, or is an account id."""
    if kind in CLIENT_KINDS:  # the user agent is the client's own words and stays; its TLS fingerprint is not
        tail = value.rpartition(_CLIENT_SEPARATOR)[2]
        return tail if _JA4.fullmatch(tail) else None
    if value in account_ids:
        return None
    if kind in TEMPLATE_KINDS:
        value = value.removeprefix(_TEMPLATE_PREFIX)
    if kind in CONTENT_KINDS and _FINGERPRINT.fullmatch(value) and -(2**63) <= int(value) < 2**63:
        value = f"{int(value) & (2**64 - 1):016x}"
    return value if _HASH.fullmatch(value) else None
