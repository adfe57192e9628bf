"""Which objects stand in which event: one event for each campaign, and one for what belongs to none.

Why:    MISP correlates, tags and distributes by event, so an event is what an analyst acts upon: a campaign.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stillwatch.sharing.outside import CARRIED, plain_relationship
from stillwatch.sharing.versions import STANDING_TYPES

Object = Mapping[str, Any]

# Several campaigns share these, so a walk from one campaign stops at them and does not reach the next campaign.
_SHARED_BY_CAMPAIGNS: Final = STANDING_TYPES | {"campaign", "intrusion-set"}
_ABOUT_THE_OBJECT: Final = frozenset({"created_by_ref", "object_marking_refs"})


@dataclass(slots=True)
class Membership:
    """The objects of one event; `campaign` is None for the event of what belongs to no campaign."""

    campaign: Object | None
    objects: list[Object] = field(default_factory=list)
    references: list[Object] = field(default_factory=list)


def memberships(objects: Sequence[Object]) -> list[Membership]:
    """The events to make of these objects, campaigns first, by id."""
    carried = {one["id"]: one for one in objects if one["type"] in CARRIED}
    edges = [one for one in carried.values() if one["type"] == "relationship"]
    things = {key: one for key, one in carried.items() if one["type"] != "relationship"}
    near = _neighbours(things, edges)
    campaigns = sorted(key for key, one in things.items() if one["type"] == "campaign")
    found = [Membership(things[key], [things[one] for one in _reached(key, things, near)]) for key in campaigns]
    held = {one["id"] for membership in found for one in membership.objects}
    rest = Membership(None, [one for key, one in sorted(things.items()) if key not in held])
    every = [*found, rest]
    homes: defaultdict[str, list[int]] = defaultdict(list)
    for number, membership in enumerate(every):
        for one in membership.objects:
            homes[one["id"]].append(number)
    for edge in sorted(edges, key=lambda one: str(one["id"])):
        _place(edge, every, homes, things)
    return every if rest.objects else found


def _neighbours(things: Mapping[str, Object], edges: Sequence[Object]) -> Mapping[str, set[str]]:
    near: defaultdict[str, set[str]] = defaultdict(set)
    pairs = [(edge["source_ref"], edge["target_ref"]) for edge in edges]
    pairs += [(one["id"], other) for one in things.values() for other in _named(one)]
    for here, there in pairs:
        if here in things and there in things:
            near[here].add(there)
            near[there].add(here)
    return near


def _named(one: Object) -> Iterator[str]:
    for name, value in one.items():
        if name in _ABOUT_THE_OBJECT:
            continue
        if name.endswith("_ref"):
            yield value
        elif name.endswith("_refs"):
            yield from value


def _reached(start: str, things: Mapping[str, Object], near: Mapping[str, set[str]]) -> list[str]:
    """The campaign and what a walk from it reaches without passing through what campaigns share."""
    found, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        if here != start and things[here]["type"] in _SHARED_BY_CAMPAIGNS:
            continue
        fresh = {one for one in near.get(here, ()) if one not in found and things[one]["type"] != "campaign"}
        found |= fresh
        waiting.extend(sorted(fresh))
    return [start, *sorted(found - {start})]


def _place(
    edge: Object, found: Sequence[Membership], homes: Mapping[str, list[int]], things: Mapping[str, Object]
) -> None:
    """Put a relationship where both its ends stand; as an object of its own where MISP's reference would lose some."""
    source, target = edge["source_ref"], edge["target_ref"]
    starts, stops = homes.get(source, []), homes.get(target, [])
    both = sorted(set(starts) & set(stops))
    if both and edge == plain_relationship(things[source], edge["relationship_type"], target):
        found[both[0]].references.append(edge)
    else:
        found[min(both or [*starts, *stops], default=len(found) - 1)].objects.append(edge)
