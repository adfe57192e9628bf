"""Which objects of a bundle name which, and what hangs on a campaign.

Why:    what is taken out of a bundle must not stay behind in what pointed to it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

Object = Mapping[str, Any]

# Say who made an object and how it is marked; they frame it, and are no part of what it tells.
_FRAMING: Final = frozenset({"created_by_ref", "object_marking_refs"})
FRAMES: Final = frozenset({"identity", "marking-definition", "extension-definition"})
# Many campaigns may rest on one of these.
GENERAL: Final = frozenset({"attack-pattern", "course-of-action", "intrusion-set", "user-account"})


def references(object_: Object) -> Iterator[tuple[str, str]]:
    """Each property that names other objects, and an id it names."""
    for field, value in object_.items():
        if field in _FRAMING:
            continue
        if field.endswith("_ref") and isinstance(value, str):
            yield field, value
        elif field.endswith("_refs") and isinstance(value, list):
            yield from ((field, one) for one in value)


def without(object_: Object, missing: Iterable[str]) -> dict[str, Any] | None:
    """The object without references to what is missing; None when it would name nothing any more."""
    gone = frozenset(missing)
    kept: dict[str, Any] = {}
    for field, value in object_.items():
        if field in _FRAMING or not field.endswith(("_ref", "_refs")):
            kept[field] = value
        elif isinstance(value, list):
            kept[field] = [one for one in value if one not in gone]
            if value and not kept[field]:
                return None
        elif value in gone:
            return None
        else:
            kept[field] = value
    return kept


def tied_to_campaigns(objects: Sequence[Object]) -> set[str]:
    """Ids of campaigns and of everything that hangs on one, however far, through objects that are there.

    What many campaigns rest on ties none of them to another.
    """
    there = {object_["id"]: object_ for object_ in objects if object_["type"] not in FRAMES}
    neighbours: dict[str, set[str]] = {name: set() for name in there}
    for name, object_ in there.items():
        for _, other in references(object_):
            if other in there:
                neighbours[name].add(other)
                neighbours[other].add(name)
    reached = {name for name, object_ in there.items() if object_["type"] == "campaign"}
    edge = set(reached)
    while edge:
        edge = {other for name in edge if there[name]["type"] not in GENERAL for other in neighbours[name]} - reached
        reached |= edge
    return reached


def framed(objects: Sequence[Object], frames: Sequence[Object]) -> list[Object]:
    """The objects after those of the frames that one of them needs: who made it, its marking, its extensions."""
    by_id = {frame["id"]: frame for frame in frames}
    needed: set[str] = set()
    edge = {name for object_ in objects for name in _frame_ids(object_)}
    while edge := (edge & by_id.keys()) - needed:
        needed |= edge
        edge = {name for one in edge for name in _frame_ids(by_id[one])}
    return [*(frame for frame in frames if frame["id"] in needed), *objects]


def _frame_ids(object_: Object) -> Iterator[str]:
    for field in _FRAMING:
        value = object_.get(field, ())
        yield from [value] if isinstance(value, str) else value
    yield from object_.get("extensions", ())
    yield from (name for _, name in references(object_))
