"""Indicators as Sigma rules: what a log search can find, and from how many accounts on it is worth a look.

Why:    most who keep logs search them with something that takes Sigma. Each indicator becomes a rule that finds the
        value and a correlation that counts the accounts which bear it: one account that bears it says nothing.
Misses: similarity, populations, times and everything innocent; a rule knows a value and a number. docs/rules.md.
Source: SigmaHQ, "Sigma Rules Specification" and "Sigma Correlation Rules Specification", 2.0 (2024).
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from stillwatch.sharing.matchable import Matchable, matchable
from stillwatch.sharing.objects import stix_id
from stillwatch.sharing.traits import JA4_KIND, LEAST_HOLDERS
from stillwatch.sharing.words import DEPLOYMENT

TIMESPAN: Final = "7d"  # an operator's accounts work in the same week; longer windows gather strangers
ACCOUNT_FIELD: Final = "account_id"
DURABLE: Final = frozenset({"high", "very high"})

LOGSOURCE: Final = {
    "category": "llm_api",
    "service": "requests",
    "definition": (
        "One record for each request to an inference API, with the field account_id. ja4 is the JA4 of the client's "
        "TLS handshake. Every other field holds the keyed value that the description of the rule names; whoever does "
        "not hold the key cannot fill it."
    ),
}

# The innocent twins of each kind: who else bears such a value. A kind that is not here gets the last one alone.
INNOCENT_TWINS: Final[Mapping[str, tuple[str, ...]]] = {
    "artefact": ("People who work through one published data set or benchmark",),
    "device": ("A computer room, a lab, or a machine image that many people start from",),
    "email": ("One person with several accounts",),
    "email_domain": ("Colleagues of one company or students of one school",),
    "email_pattern": ("An organisation that builds all its addresses by one scheme",),
    "ip": ("Customers behind one carrier, VPN exit, campus or office",),
    "ip_prefix": ("Customers of one cloud region or one carrier",),
    "item": ("People who run one public benchmark or one set of exercises",),
    JA4_KIND: ("Every customer whose client uses the same library in the same version",),
    "metadata": ("Users of one tool that labels its requests alike",),
    "payment": ("A team, a family or a company that pays with one card",),
    "phone": ("One person or one office with several accounts",),
    "rewording": ("Users of one public prompt in several versions",),
    "session_starts": ("Jobs that start by the clock, such as builds at the full hour",),
    "signup_cohort": ("A class, a hackathon or a workshop whose members sign up together",),
    "system_prompt": ("Users of one public tool, who all send its system prompt",),
    "template": ("Users of one popular public prompt", "Builds that repeat the same requests"),
    "wording": ("Users of one popular public prompt", "Builds that repeat the same requests"),
}
ALWAYS: Final = "A partner's mistake: the value is a lead and proves nothing by itself"

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_RESERVED: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def to_sigma(objects: Sequence[Mapping[str, Any]], *, now: datetime) -> str:
    """The indicators that are valid now as YAML documents, two for each: the rule and its correlation."""
    documents = [document for one in matchable(objects, now) for document in (_rule(one), _correlation(one))]
    return "".join(f"---\n{yaml(document)}" for document in documents)


def _rule(one: Matchable) -> dict[str, Any]:
    field = _field(one.kind)
    return {
        "title": f"Trait of a campaign in requests: {one.kind}",
        "id": _id(one, "rule"),
        "name": _name(one),
        "status": "experimental",
        "description": f"Requests that bear a value of kind {one.kind} of campaign {one.campaign}. {_key(one)}",
        "author": DEPLOYMENT,
        "date": one.indicator["valid_from"][:10],
        "modified": one.indicator["modified"][:10],
        "tags": _tags(one),
        "logsource": LOGSOURCE,
        "detection": {"selection": {field: [value["value"] for value in one.values]}, "condition": "selection"},
        "fields": [ACCOUNT_FIELD, field],
        "falsepositives": _falsepositives(one.kind),
        "level": "informational",
    }


def _correlation(one: Matchable) -> dict[str, Any]:
    return {
        "title": f"Accounts that share a trait of a campaign: {one.kind}",
        "id": _id(one, "correlation"),
        "status": "experimental",
        "description": (
            f"At least {LEAST_HOLDERS} accounts bear one value within {TIMESPAN}. Worth matching until "
            f"{one.indicator['valid_until'][:10]}, then delete the rule."
        ),
        "author": DEPLOYMENT,
        "date": one.indicator["valid_from"][:10],
        "modified": one.indicator["modified"][:10],
        "tags": _tags(one),
        "correlation": {
            "type": "value_count",
            "rules": [_name(one)],
            "group-by": [_field(one.kind)],
            "timespan": TIMESPAN,
            "condition": {"gte": LEAST_HOLDERS, "field": ACCOUNT_FIELD},
        },
        "falsepositives": _falsepositives(one.kind),
        # A person looks, whatever fires: common clients show one JA4, and a cheap trait changes hands.
        "level": "medium" if one.measures.get("durability") in DURABLE and one.kind != JA4_KIND else "low",
    }


def _field(kind: str) -> str:
    return kind if kind == JA4_KIND else f"{kind}_keyed"


def _name(one: Matchable) -> str:
    return f"stillwatch_{_id(one, 'rule').replace('-', '')[:12]}_{one.kind}"


def _id(one: Matchable, part: str) -> str:
    return stix_id(part, one.indicator["id"]).partition("--")[2]


def _key(one: Matchable) -> str:
    measures = one.measures
    if one.kind == JA4_KIND:
        return "No key is needed."
    if "group_id" in measures:
        return f"Keyed by the sharing group {measures['group_id']}, epoch {measures.get('epoch')}."
    return f"Keyed by the deployment's key {measures['key_id']}." if "key_id" in measures else "Keyed."


def _tags(one: Matchable) -> list[str]:
    return [f"tlp.{one.tlp.replace('+', '-')}"]


def _falsepositives(kind: str) -> list[str]:
    return [*INNOCENT_TWINS.get(kind, ()), ALWAYS]


def yaml(value: Mapping[str, Any] | Sequence[Any], indent: int = 0) -> str:
    """Mappings and sequences of text and whole numbers as block YAML; text is quoted unless it is one plain word."""
    pad = " " * indent
    if isinstance(value, Mapping):
        return "".join(f"{pad}{_scalar(key)}:{_nested(inner, indent)}" for key, inner in value.items())
    return "".join(f"{pad}-{_nested(inner, indent)}" for inner in value)


def _nested(value: object, indent: int) -> str:
    if isinstance(value, Mapping | list | tuple):
        return "\n" + yaml(value, indent + 4)
    return f" {_scalar(value)}\n"


def _scalar(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    text = str(value)
    # JSON's escapes are YAML's; digits such as 1e10 or 2026-01-01 and words such as no are not text to YAML.
    return text if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED else json.dumps(text)
