"""How a STIX object lies in a MISP object: one attribute for each property, and the way back.

Why:    MISP has no template for a campaign of accounts, and its `user-account` wants a name or an id, which never
        leaves. One rule for all types needs no change when a type gains a property, and loses nothing.
Misses: an analyst who edits an attribute by hand into something we would not write; reading refuses the file then.
"""

import json
import math
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from stillwatch.errors import SharingError
from stillwatch.sharing.objects import EXTENSION_ID, NAMESPACE, stix_time
from stillwatch.sharing.outside import parsed

TEMPLATE_PREFIX: Final = "stillwatch-"  # then the STIX type
TEMPLATE_VERSION: Final = "1"
EXTENSION_PREFIX: Final = "extension."  # then a property of our extension
VALUE: Final = "value"  # one shared value of an indicator
INCLUDES: Final = "includes"  # from an indicator to the ja4-plus object of one of its values
PATTERN: Final = "pattern"
MOST_CHARACTERS: Final = 65_535  # of one attribute: MISP's column holds so many bytes

_LISTS: Final = frozenset({"aliases", "authors", "goals", "labels", "roles"})
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z")
_TO_THE_MILLISECOND: Final = frozenset({"created", "modified"})  # STIX wants it of these, and whole seconds as such
_HELD_BY: Final = re.compile(r"([1-9]\d{0,8}) accounts")
_QUOTED: Final = re.compile(r"'([0-9A-Za-z_]{16,64})'")


@dataclass(frozen=True, slots=True)
class Cell:
    """One attribute: what it says of the object, in which of MISP's types, and the value as text."""

    relation: str
    type: str
    value: str
    comment: str = ""


def uuid_of(*about: str) -> str:
    """The UUID of what these words name within MISP; the same words give the same."""
    return str(uuid.uuid5(NAMESPACE, json.dumps(["misp", *about])))


def cells(object_: Mapping[str, Any]) -> Iterator[Cell]:
    """The attributes of a STIX object; its type and id stand elsewhere.

    Raises:
        SharingError: a property is longer than MISP keeps.
    """
    for name, value in object_.items():
        if name in ("type", "id") or (name == "spec_version" and "created" in object_):
            continue
        if name == "extensions" and set(value) == {EXTENSION_ID}:
            for inner, stated in value[EXTENSION_ID].items():
                if inner != "extension_type":
                    yield from _of_property(EXTENSION_PREFIX + inner, stated)
        else:
            yield from _of_property(name, value)


def _of_property(relation: str, value: object) -> Iterator[Cell]:
    if relation == f"{EXTENSION_PREFIX}values" and _are_counted(value):
        yield from (Cell(VALUE, "text", one["value"], f"{one['account_count']} accounts") for one in value)  # type: ignore[attr-defined]
    elif isinstance(value, list) and _is_list(relation) and all(isinstance(one, str) for one in value):
        yield from (Cell(relation, "text", one) for one in value)
    else:
        yield Cell(relation, *_written(relation, value))


def _are_counted(values: object) -> bool:
    return isinstance(values, list) and all(set(one) == {"value", "account_count"} for one in values)


def _is_list(relation: str) -> bool:
    return relation in _LISTS or relation.endswith(("_refs", "_types"))


def _written(relation: str, value: object) -> tuple[str, str]:
    """MISP's type for the value, and the value as text."""
    if isinstance(value, str) and not _is_list(relation):
        kind = "datetime" if _TIME.fullmatch(value) else "stix2-pattern" if relation == PATTERN else "text"
        text = value
    else:
        kinds = {bool: "boolean", int: "integer", float: "float"}
        kind, text = kinds.get(type(value), "other"), json.dumps(value, separators=(",", ":"))
    if len(text.encode()) > MOST_CHARACTERS:
        raise SharingError(f"{relation}: longer than MISP keeps. Share the campaign as a STIX bundle.")
    return kind, text


def object_of(stix_id: str, found: Sequence[Cell]) -> dict[str, Any]:
    """The STIX object of that id from its attributes.

    Raises:
        SharingError: an attribute is not in the form that `cells` gives it.
    """
    properties: dict[str, Any] = {"type": stix_id.partition("--")[0], "id": stix_id}
    inner: dict[str, Any] = {}
    for cell in found:
        place = inner if cell.relation.startswith(EXTENSION_PREFIX) or cell.relation == VALUE else properties
        name = cell.relation.removeprefix(EXTENSION_PREFIX)
        if cell.relation == VALUE:
            place.setdefault("values", []).append(_counted(cell))
        elif _is_list(cell.relation) and cell.type == "text":
            place.setdefault(name, []).append(cell.value)
        elif name in place:
            raise SharingError("an attribute stands twice")
        else:
            place[name] = _read(cell)
            if cell.type == "datetime" and name not in _TO_THE_MILLISECOND:
                place[name] = str(place[name]).replace(".000Z", "Z")
    if "created" in properties:
        properties["spec_version"] = "2.1"
    if inner:
        _order(inner, properties.get(PATTERN, ""))
        properties["extensions"] = {EXTENSION_ID: {"extension_type": "property-extension", **inner}}
    return properties


def _counted(cell: Cell) -> dict[str, Any]:
    held = _HELD_BY.fullmatch(cell.comment)
    if held is None:
        raise SharingError("a value does not say how many accounts hold it")
    return {"value": cell.value, "account_count": int(held[1])}


def _read(cell: Cell) -> object:
    try:
        return _READERS[cell.type](cell.value)
    except (KeyError, ValueError) as error:
        raise SharingError("an attribute has not the form of its type") from error


def _moment(text: str) -> str:
    return stix_time(datetime.fromisoformat(text))


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise ValueError("no whole number")
    return int(text)


def _number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("no number")
    return number


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "text": str,
    "stix2-pattern": str,
    "datetime": _moment,
    "integer": _whole_number,
    "float": _number,
    "boolean": lambda text: {"true": True, "1": True, "false": False, "0": False}[text.lower()],
    "other": parsed,
}


def _order(inner: dict[str, Any], pattern: object) -> None:
    """Put the values into the order of the pattern, strongest first; MISP promises none.

    Raises:
        SharingError: the pattern names other values or another kind than the attributes.
    """
    if "values" not in inner:
        return
    kind = str(inner.get("kind"))
    named = [literal for literal in _QUOTED.findall(str(pattern)) if literal != kind]
    try:
        stated = [str(one["value"]) for one in inner["values"]]
    except (TypeError, KeyError) as error:
        raise SharingError("the values are no list of values") from error
    if sorted(named) != sorted(stated) or f"'{kind}'" not in str(pattern):
        raise SharingError("the pattern differs from the kind and the values")
    inner["values"].sort(key=lambda one: named.index(one["value"]))
