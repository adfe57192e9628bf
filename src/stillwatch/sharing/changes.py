"""What is new to a recipient beside what it was sent before, object by object and property by property."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stillwatch.sharing.versions import STANDING_TYPES

# Says when an object last changed, and so differs whenever anything else does; alone it is no change.
_CLOCK: Final = "modified"
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One property: its path, and what it says before and after; null where it does not stand."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Differences:
    """Ids of objects by what became of them; `gone` were sent before and are not among those that leave now."""

    new: tuple[str, ...]
    changed: Mapping[str, tuple[Change, ...]]
    revoked: tuple[str, ...]
    unchanged: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the recipient would learn nothing."""
        return not (self.new or self.changed or self.revoked)


INDICATOR: Final = "indicator--"


def differences(objects: Sequence[Mapping[str, Any]], before: Mapping[str, Mapping[str, Any]]) -> Differences:
    """What these objects tell to somebody who was sent those before, by id."""
    now = {object_["id"]: object_ for object_ in objects}
    changed = {
        object_id: tuple(changes(before[object_id], object_))
        for object_id, object_ in now.items()
        if object_id in before and not is_revoked(object_)
    }
    revoked = [name for name, one in now.items() if is_revoked(one) and not is_revoked(before.get(name, {}))]
    gone = [
        name
        for name, one in before.items()
        if name not in now and not is_revoked(one) and one["type"] not in STANDING_TYPES and not _is_feedback(one)
    ]
    return Differences(
        new=tuple(name for name in now if name not in before and name not in revoked),
        changed={name: found for name, found in changed.items() if found},
        revoked=tuple(revoked),
        unchanged=tuple(name for name, found in changed.items() if not found),
        gone=tuple(gone),
    )


def changes(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterator[Change]:
    """The properties in which two versions of an object differ, nested ones by path."""
    for name in sorted({*before, *after} - ({_CLOCK} if not path else set())):
        old, new = before.get(name, _MISSING), after.get(name, _MISSING)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from changes(old, new, f"{path}{name}.")
        elif old != new:
            yield Change(f"{path}{name}", *(None if one is _MISSING else one for one in (old, new)))


def is_revoked(object_: Mapping[str, Any]) -> bool:
    """Whether its maker has taken it back."""
    return object_.get("revoked") is True


def _is_feedback(one: Mapping[str, Any]) -> bool:
    """Whether it is about what others sent: no scan finds that, so no scan can miss it.

    A campaign has a sighting of its own; feedback is a sighting of somebody's indicator.
    """
    return one["type"] == "opinion" or str(one.get("sighting_of_ref", "")).startswith(INDICATOR)
