"""Whether an object can be kept: its form, its size, its text, and for a partner's also whether it is STIX 2.1.

Nothing in it is believed, rendered or run; that is why a pattern is measured here, but not parsed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import stix2
from stix2 import registry
from stix2.exceptions import STIXError

from stillwatch.server.taxii.clearance import place_of
from stillwatch.server.taxii.moments import at_us, us_of, version_of

SPEC_VERSION: Final = "2.1"
MOST_OBJECT_BYTES: Final = 256 << 10
MOST_DEPTH: Final = 20
MOST_PATTERN_CHARS: Final = 32_000
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_ID = re.compile(rf"([a-z][a-z0-9-]{{1,70}})--{_UUID}")
_OBSERVABLES: Final = frozenset(registry.STIX2_OBJ_MAPS[SPEC_VERSION]["observables"])
KINDS: Final = (frozenset(registry.STIX2_OBJ_MAPS[SPEC_VERSION]["objects"]) | _OBSERVABLES) - {"bundle"}
# Controls but for tabs and ends of lines, and marks that reorder text: nobody needs them, and they deceive readers.
_DECEIVING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_PATTERN_IN_PLACE: Final = "[file:size = 1]"  # of any pattern, so that its parser has no work
# What its parser raises over objects that are wrong in some way it did not think of.
_BREAKS: Final = (STIXError, ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError)


class Unfit(Exception):  # noqa: N818 - becomes a line of a status
    """An object cannot be kept; the words say why and quote nothing of it."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An object with what is kept beside it; no version: when it is added is its version."""

    object_id: str
    kind: str
    version: str | None
    tlp: int
    ended_at: datetime | None  # when it expires
    is_revoked: bool
    document: str


def prepared(object_: object) -> Prepared:
    """An object as it is kept.

    Raises:
        Unfit: it has no form that could be kept.
    """
    if not isinstance(object_, dict):
        raise Unfit("this is no object")
    object_id, kind, expires = object_.get("id"), object_.get("type"), object_.get("valid_until")
    found = _ID.fullmatch(object_id) if isinstance(object_id, str) else None
    if found is None or found[1] != kind:
        raise Unfit("id: its type, two dashes and a UUID are needed")
    if object_.get("spec_version", SPEC_VERSION if kind in _OBSERVABLES else None) != SPEC_VERSION:
        raise Unfit(f"spec_version: only STIX {SPEC_VERSION} is kept here")
    return Prepared(
        object_id=found[0],
        kind=found[1],
        version=_version(object_, found[1]),
        tlp=place_of(object_),
        ended_at=None if expires is None else at_us(_expiry(expires)),
        is_revoked=object_.get("revoked") is True,
        document=_document(object_),
    )


def checked(object_: object) -> Prepared:
    """A partner's object as it is kept: also known by its type, free of deceiving text, and STIX 2.1.

    Raises:
        Unfit: it is not.
    """
    found = prepared(object_)
    told: Any = object_
    if found.kind not in KINDS:
        raise Unfit("type: only the types of STIX 2.1 are taken")
    for text in _texts(told, MOST_DEPTH):
        if _DECEIVING.search(text):
            raise Unfit("it holds control characters, or marks that reorder text")
    try:
        stix2.parse(_without_pattern(told), allow_custom=True)
    except _BREAKS as error:
        raise Unfit(f"it breaks STIX 2.1 ({type(error).__name__})") from error
    return found


def named(object_: object) -> tuple[str | None, str | None]:
    """The id and the version of an object that may be anything; None where it has none that could be repeated."""
    if not isinstance(object_, dict):
        return None, None
    object_id = object_.get("id")
    is_id = isinstance(object_id, str) and _ID.fullmatch(object_id) is not None
    return object_id if is_id else None, version_of(object_.get("modified", object_.get("created")))


def _version(object_: Mapping[str, Any], kind: str) -> str | None:
    """The version an object has; None for an observable, which has none of its own."""
    if kind in _OBSERVABLES and not {"created", "modified"} & set(object_):
        return None
    names = ["created"] if kind == "marking-definition" and "modified" not in object_ else ["created", "modified"]
    versions = [version_of(object_.get(name)) for name in names]
    if versions[-1] is None or versions[0] is None:
        raise Unfit(f"{', '.join(names)}: moments are needed, written YYYY-MM-DDTHH:MM:SS.sssZ")
    return versions[-1]


def _expiry(given: object) -> int:
    found = us_of(given) if isinstance(given, str) else None
    if found is None:
        raise Unfit("valid_until: moments are written YYYY-MM-DDTHH:MM:SS.sssZ")
    return found


def _document(object_: Mapping[str, Any]) -> str:
    try:
        content = orjson.dumps(object_)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise Unfit("it lies too deep, or holds what JSON cannot say") from error
    if len(content) > MOST_OBJECT_BYTES:
        raise Unfit(f"it is longer than {MOST_OBJECT_BYTES} bytes")
    return content.decode()


def _texts(value: Any, depth: int) -> Iterator[str]:
    """Every text in a value, names included."""
    if depth == 0:
        raise Unfit(f"it lies deeper than {MOST_DEPTH}")
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for part in value.values():
            yield from _texts(part, depth - 1)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, depth - 1)
    elif value is None:
        raise Unfit("it holds a null, which STIX does not know")


def _without_pattern(object_: Mapping[str, Any]) -> dict[str, Any]:
    pattern = object_.get("pattern")
    if object_["type"] != "indicator" or object_.get("pattern_type") != "stix":
        return dict(object_)
    if not isinstance(pattern, str) or not 0 < len(pattern) <= MOST_PATTERN_CHARS:
        raise Unfit(f"pattern: give a text of at most {MOST_PATTERN_CHARS} characters")
    return {**object_, "pattern": _PATTERN_IN_PLACE}
