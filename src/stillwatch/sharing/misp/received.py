"""MISP events back as STIX objects: bounded, strict, and only what stillwatch itself would have written.

Why:    a MISP server passes on what anybody on it typed. Nothing of an event comes back but properties of a known form;
        free text is compared with the closed list of sentences, and what an analyst added beside is named and left.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stillwatch.errors import SharingError
from stillwatch.sharing.marking import TLP_MARKINGS, tlp_of
from stillwatch.sharing.misp.layout import INCLUDES, MOST_CHARACTERS, TEMPLATE_PREFIX, VALUE, Cell, object_of
from stillwatch.sharing.misp.tags import marking_tag
from stillwatch.sharing.misp.written import JA4_TEMPLATE
from stillwatch.sharing.outside import CARRIED, MOST_OBJECTS, parsed, plain_relationship, strictest, whole

MOST_EVENTS: Final = 1_000
MOST_PARTS: Final = 5_000  # attributes, references or tags of one thing

_STIX_ID: Final = re.compile(r"([a-z-]{4,30})--[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

_Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Received:
    """The objects of a file, and how much of what was left, in our own words."""

    objects: list[dict[str, Any]]
    left_out: Mapping[str, int] = field(default_factory=dict)


def from_misp(source: str | Mapping[str, Any]) -> list[dict[str, Any]]:
    """The STIX objects of MISP events, as text or as parsed JSON.

    Raises:
        SharingError: as `received`.
    """
    return received(source).objects


def received(source: str | Mapping[str, Any]) -> Received:
    """The STIX objects of MISP events, and what was left because stillwatch did not write it.

    Raises:
        SharingError: it is no MISP export, or what stillwatch wrote in it was changed into what it would not write.
    """
    left: Counter[str] = Counter()
    found: list[dict[str, Any]] = []
    for number, event in enumerate(_events(parsed(source) if isinstance(source, str) else source), start=1):
        try:
            found += _objects(event, left)
        except SharingError as error:
            raise SharingError(f"MISP event {number} of the file: {error}. Ask the sender for it again.") from error
        if len(found) > MOST_OBJECTS:
            raise SharingError(f"The file holds more than {MOST_OBJECTS} objects. Ask the sender for smaller parts.")
    return Received(whole(found) if found else [], dict(left))


def _events(value: object) -> Iterator[_Fields]:
    if isinstance(value, Mapping) and "response" in value:
        value = value["response"]
    events = value if isinstance(value, list) else [value]
    if len(events) > MOST_EVENTS:
        raise SharingError(f"The file holds more than {MOST_EVENTS} events. Ask the sender for smaller parts.")
    for one in events:
        if not isinstance(one, Mapping) or not isinstance(one.get("Event"), Mapping):
            raise SharingError("The file is no export of MISP events. Export them as MISP JSON.")
        yield one["Event"]


def _objects(event: _Fields, left: Counter[str]) -> list[dict[str, Any]]:
    left.update({"attribute of another origin": len(_parts(event, "Attribute"))} if _parts(event, "Attribute") else {})
    ours, prints = {}, {}
    for one in _parts(event, "Object"):
        name = _text(one, "name")
        if _is_deleted(one):
            left["object deleted in MISP"] += 1
        elif name == JA4_TEMPLATE["name"]:
            prints[_text(one, "uuid")] = one
        elif name.startswith(TEMPLATE_PREFIX) and name.removeprefix(TEMPLATE_PREFIX) in CARRIED:
            ours[_text(one, "uuid")] = one
        else:
            left["object of another template"] += 1
    tightest = marking_tag([_text(tag, "name") for tag in _parts(event, "Tag")])
    ids = {object_uuid: _stix_id(one) for object_uuid, one in ours.items()}
    made = {ids[key]: _tightened(_made(one, ids[key], prints), tightest) for key, one in ours.items()}
    edges = [edge for key, one in ours.items() for edge in _edges(one, made[ids[key]], ids, left)]
    return [*made.values(), *edges]


def _parts(thing: _Fields, name: str) -> Sequence[_Fields]:
    parts = thing.get(name) or []
    if not isinstance(parts, list) or len(parts) > MOST_PARTS or not all(isinstance(one, Mapping) for one in parts):
        raise SharingError("a list in it is none, or is too long")
    return parts


def _is_deleted(thing: _Fields) -> bool:
    return thing.get("deleted") in (True, "1", "true")


def _text(thing: _Fields, name: str) -> str:
    value = thing.get(name, "")
    value = "" if value is None else str(value) if isinstance(value, int | float) else value
    if not isinstance(value, str) or len(value) > MOST_CHARACTERS:
        raise SharingError("a text in it is none, or is too long")
    return value


def _stix_id(one: _Fields) -> str:
    found = _STIX_ID.fullmatch(_text(one, "comment"))
    if found is None or TEMPLATE_PREFIX + found[1] != one["name"]:
        raise SharingError("an object's comment is not the STIX id that stillwatch wrote there")
    return found[0]


def _made(one: _Fields, stix_id: str, prints: Mapping[str, _Fields]) -> dict[str, Any]:
    stated = [_cell(attribute) for attribute in _parts(one, "Attribute") if not _is_deleted(attribute)]
    for reference in _parts(one, "ObjectReference"):
        if reference.get("relationship_type") == INCLUDES and _text(reference, "referenced_uuid") in prints:
            stated.append(_print(prints[_text(reference, "referenced_uuid")]))
    return object_of(stix_id, stated)


def _cell(attribute: _Fields) -> Cell:
    relation, kind, value, comment = (
        _text(attribute, name) for name in ("object_relation", "type", "value", "comment")
    )
    return Cell(relation, kind, value, comment)


def _print(one: _Fields) -> Cell:
    found = next((a for a in _parts(one, "Attribute") if a.get("object_relation") == "ja4-fingerprint"), None)
    if found is None:
        raise SharingError("a ja4-plus object holds no fingerprint")
    return Cell(VALUE, "text", _text(found, "value"), _text(found, "comment"))


def _tightened(made: dict[str, Any], tlp: str | None) -> dict[str, Any]:
    """The object under the stricter of its own marking and the event's: an analyst may tighten, not loosen."""
    own = tlp_of(made)
    if "object_marking_refs" in made and tlp and own and strictest([own, tlp]) != own:
        made["object_marking_refs"] = [TLP_MARKINGS[tlp]]
    return made


def _edges(one: _Fields, source: _Fields, ids: Mapping[str, str], left: Counter[str]) -> Iterator[dict[str, Any]]:
    for reference in _parts(one, "ObjectReference"):
        verb, target = _text(reference, "relationship_type"), ids.get(_text(reference, "referenced_uuid"))
        edge = plain_relationship(source, verb, target) if target else None
        if edge is not None and not _is_deleted(reference):
            yield edge
        elif verb != INCLUDES:
            left["reference of another origin"] += 1
