"""The last look before an object leaves: known fields, known words, numbers of two digits, no account id.

Why:    objects are built so that nothing private can get in; this check does not trust the builder. It knows every
        field of every type by its shape (`shapes`), and what a shape cannot say it asks here.
Misses: an identifier in the shape of a hash that is not an account id of these campaigns.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jsonschema import Draft202012Validator

from stillwatch.errors import SharingError
from stillwatch.sharing.intrusion_sets import Alias, set_name
from stillwatch.sharing.marking import may_leave, may_tell_method, tlp_of
from stillwatch.sharing.objects import measures, pattern, producer, two_digits
from stillwatch.sharing.shapes import RELATIONS, SHAPES
from stillwatch.sharing.traits import CONTENT_KINDS, JA4, JA4_KIND, KEYED, LEAST_HOLDERS

# Equal to one constant each, and longer or finer than what a number or a text of ours may be.
CONSTANT_TYPES: Final = frozenset({"marking-definition", "extension-definition"})
MOST_CHARACTERS: Final = 20_000  # of one text: the pattern of a full sketch has some ten thousand

_EPOCH = "epoch"  # a number that is counted up; its shape bounds it

_HEX = re.compile(r"[0-9a-f]{12,}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What this check was told beside the objects."""

    aliases: frozenset[str]
    authors: frozenset[str]
    groups: frozenset[str] | None
    least: int


def check_egress(
    objects: Sequence[Mapping[str, Any]],
    *,
    account_ids: Iterable[str] = (),
    unkeyed: Iterable[str] = (),
    aliases: Sequence[Alias] = (),
    groups: Collection[str] | None = None,
    least: int = LEAST_HOLDERS,
) -> None:
    """Refuse the objects unless every field of every one may leave.

    `unkeyed` are fingerprints that must not stand there without a key, `aliases` those that a person gave and another
    approved; every other one is refused. `groups` are ids of sharing groups that may be named; null when whoever calls
    knows them better. A value leaves when at least so many accounts hold it.

    Raises:
        SharingError: naming the object and the field, never its value.
    """
    allowed = _Allowed(
        frozenset(alias.name for alias in aliases),
        frozenset(alias.author_id for alias in aliases),
        None if groups is None else frozenset(groups),
        least,
    )
    told: set[str] = set()
    for object_ in objects:
        _check(object_, allowed)
        told.update(_telling(object_))
    if not told.isdisjoint(account_ids):
        raise SharingError("A value equals an account id. Nothing was written; report this as a fault.")
    if not told.isdisjoint(unkeyed):
        raise SharingError("A value is a fingerprint without a key. Nothing was written; report this as a fault.")


def _check(object_: Mapping[str, Any], allowed: _Allowed) -> None:
    if not isinstance(object_, Mapping) or object_.get("type") not in tuple(SHAPES):
        raise _refusal(object_, "type", "objects of this type do not leave")
    kind = str(object_["type"])
    if kind in CONSTANT_TYPES:
        if not _validator(kind).is_valid(object_):
            raise _refusal(object_, "type", "it is not the one object of its kind that may leave")
        return
    properties = SHAPES[kind]["properties"]
    for field, value in object_.items():
        if field not in properties:
            raise _refusal(object_, field, "this field does not leave")
        if not _is_plain(value) or not _validator(kind, field).is_valid(value):
            raise _refusal(object_, field, "its value is none that may leave")
    if missing := next((field for field in SHAPES[kind]["required"] if field not in object_), None):
        raise _refusal(object_, missing, "it is missing")
    for field, rule in _RULES.get(kind, ()):
        if not rule(object_, allowed):
            raise _refusal(object_, field, "it may not leave with the rest of this object")


@cache
def _validator(kind: str, field: str | None = None) -> Draft202012Validator:
    return Draft202012Validator(SHAPES[kind] if field is None else SHAPES[kind]["properties"][field])


def _is_plain(value: object) -> bool:
    """Whether texts are printable ASCII and numbers too short to be somebody's."""
    if isinstance(value, str):
        return len(value) <= MOST_CHARACTERS and value.isascii() and value.isprintable()
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) < 10**16 and two_digits(value) == value
    if isinstance(value, float):
        return math.isfinite(value) and (round(value, 2) == value or float(f"{value:.1e}") == value)
    if isinstance(value, Mapping):
        return all(key == _EPOCH or (_is_plain(key) and _is_plain(inner)) for key, inner in value.items())
    return isinstance(value, list) and all(map(_is_plain, value))


def _is_keyed(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    """Whether values of content are under a group's key, and others under none."""
    told = measures(object_)
    by_group = "group_id" in told and "epoch" in told and "key_id" not in told
    if told["kind"] in CONTENT_KINDS:
        return by_group and _all_values(told, KEYED)
    by_none = "group_id" not in told and "epoch" not in told and "sampled_from" not in told
    if told["kind"] == JA4_KIND:
        return by_none and "key_id" not in told and _all_values(told, JA4)
    return by_none and not any(re.fullmatch(JA4, row["value"]) for row in told["values"])


def _names_a_group(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    group_id = measures(object_).get("group_id")
    return group_id is None or allowed.groups is None or group_id in allowed.groups


def _is_its_makers_key(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    """Whether the key is the one that tells this deployment from others: digits alone could be anybody's."""
    key_id = measures(object_).get("key_id")
    return key_id is None or object_["created_by_ref"] == producer(key_id)["id"]


def _all_values(told: Mapping[str, Any], shape: str) -> bool:
    return all(re.fullmatch(shape, row["value"]) for row in told["values"])


def _repeats_its_values(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    told = measures(object_)
    return bool(object_["pattern"] == pattern(told["kind"], [row["value"] for row in told["values"]]))


def _fits_its_marking(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    tlp = tlp_of(object_)
    return tlp is not None and may_leave(measures(object_)["kind"], tlp)


def _tells_no_method(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    tlp = tlp_of(object_)
    return (tlp is not None and may_tell_method(tlp)) or not {"timing", "evidence"} & measures(object_).keys()


def _enough_hold_it(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    told = measures(object_)
    rows = [*told.get("values", ()), *told.get("evidence", ())]
    return all(row["account_count"] >= allowed.least for row in rows)


def _habits_are_of_many(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    told = measures(object_)
    habits = {"timing", "evidence", "capability_shares", "intent_shares"} & told.keys()
    return not habits or told["account_count"] >= allowed.least


def _names_its_kind(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    return bool(object_["name"].endswith(f": {measures(object_)['kind']}"))


def _has_its_name(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    return bool(object_["name"] == set_name(object_["id"]))


def _was_given(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    return allowed.aliases.issuperset(object_.get("aliases", ()))


def _is_signed(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    return allowed.authors.issuperset(object_.get("authors", ()))


def _joins_what_belongs_together(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    source, target = (object_[end].partition("--")[0] for end in ("source_ref", "target_ref"))
    return (source, object_["relationship_type"], target) in RELATIONS


def _counts_enough(object_: Mapping[str, Any], allowed: _Allowed) -> bool:
    """Whether a sighting of a partner's indicator tells numbers only of enough accounts."""
    told = measures(object_)
    if "outcome" not in told:
        return bool(object_["sighting_of_ref"].startswith("campaign--"))
    if told["outcome"] == "miss":
        return object_.get("count") == 0 and "account_count" not in told
    if "account_count" in told:
        return bool(told["account_count"] >= allowed.least)
    return "count" not in object_


_Rule = Callable[[Mapping[str, Any], _Allowed], bool]
_RULES: Final[Mapping[str, tuple[tuple[str, _Rule], ...]]] = {
    "campaign": (
        ("extensions", _tells_no_method),
        ("extensions", _enough_hold_it),
        ("extensions", _habits_are_of_many),
    ),
    "indicator": (
        ("extensions", _is_keyed),
        ("extensions", _names_a_group),
        ("extensions", _is_its_makers_key),
        ("extensions", _fits_its_marking),
        ("extensions", _enough_hold_it),
        ("pattern", _repeats_its_values),
        ("name", _names_its_kind),
    ),
    "intrusion-set": (("name", _has_its_name), ("aliases", _was_given)),
    "note": (("authors", _is_signed),),
    "relationship": (("relationship_type", _joins_what_belongs_together),),
    "sighting": (("extensions", _counts_enough),),
}


def _telling(object_: Mapping[str, Any]) -> Iterator[str]:
    """Every part of the object that could be an identifier: hashes, ids, names a person gave. Closed words are none."""
    yield from (row["value"] for row in measures(object_).get("values", ()))
    yield from object_.get("aliases", ())
    yield from object_.get("authors", ())
    for text in _texts([value for field, value in object_.items() if field != "schema"]):
        yield from _HEX.findall(text)
        yield from _UUID.findall(text)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _refusal(object_: object, field: str, why: str) -> SharingError:
    # An unknown field's own name could be private too, so it is named only when it looks like a field.
    shown = field if re.fullmatch(r"[a-z_]{1,40}", field) else "a field"
    told = object_.get("type") if isinstance(object_, Mapping) else None
    kind = told if told in tuple(SHAPES) else "object"
    return SharingError(f"{kind}: {shown}: {why}. Nothing was written; remove the field.")
