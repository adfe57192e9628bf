"""Versions of objects: what says the same keeps its time, what says more is newer, what was wrong is taken back.

Source: OASIS, "STIX Version 2.1", 2021, section 3.6 (versioning): `created` never changes, `modified` grows with every
        change, and a revoked object has no later version.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from stillwatch.errors import SharingError
from stillwatch.sharing.objects import hour, stix_id, stix_time
from stillwatch.sharing.words import REVOCATIONS

# Objects that many campaigns rest on stay when one is taken back; accounts have no versions.
STANDING_TYPES: Final = frozenset(
    {"identity", "marking-definition", "extension-definition", "attack-pattern", "course-of-action", "user-account"}
)

MOST_NOTED: Final = 100  # objects that one note is about


def renewed(objects: Iterable[Mapping[str, Any]], sent: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The objects as versions of what was sent before: unchanged ones as they were, changed ones newer.

    What was revoked stays revoked: its id has no later version, and it is left out.
    """
    before = {str(object_["id"]): object_ for object_ in sent}
    return [
        _renewed(object_, before.get(object_["id"])) for object_ in objects if not _is_revoked(before, object_["id"])
    ]


def revoked(objects: Sequence[Mapping[str, Any]], *, now: datetime, because: str) -> list[dict[str, Any]]:
    """What was sent, as the versions that take it back, and notes that say why; `because` is one of `REVOCATIONS`.

    Raises:
        SharingError: the reason is none of ours.
    """
    if because not in REVOCATIONS:
        raise SharingError(f"because: say one of {', '.join(REVOCATIONS)}.")
    standing = [one for one in objects if one["type"] not in STANDING_TYPES and not one.get("revoked")]
    taken = [{**one, "modified": _later(now, one["modified"]), "revoked": True} for one in standing]
    notes = [_note(first, ids, now, because) for first, ids in _origins(taken)]
    frames = [dict(one) for one in objects if one["type"] in STANDING_TYPES] if taken else []
    return [*frames, *taken, *notes]


def _is_revoked(before: Mapping[str, Mapping[str, Any]], object_id: str) -> bool:
    return bool(before.get(object_id, {}).get("revoked"))


def _renewed(object_: Mapping[str, Any], held: Mapping[str, Any] | None) -> dict[str, Any]:
    if held is None or "modified" not in object_:
        return dict(object_)
    fresh = {**object_, "created": held["created"]}
    if {**fresh, "modified": None} == {**held, "modified": None}:
        return dict(held)
    return fresh | {"modified": max(str(fresh["modified"]), _after(held["modified"]))}


def _later(now: datetime, modified: str) -> str:
    return max(stix_time(now), _after(modified))


def _after(modified: str) -> str:
    """The millisecond after: a version must be newer than the one it replaces."""
    return stix_time(datetime.fromisoformat(modified).astimezone(UTC) + timedelta(milliseconds=1))


def _origins(taken: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], list[str]]]:
    """The objects of each producer and marking, so many at a time: the first, and the ids of all."""
    origins: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for one in taken:
        origins.setdefault((str(one["created_by_ref"]), *map(str, one["object_marking_refs"])), []).append(one)
    for _, members in sorted(origins.items()):
        ids = sorted(str(one["id"]) for one in members)
        yield from ((members[0], ids[start : start + MOST_NOTED]) for start in range(0, len(ids), MOST_NOTED))


def _note(first: Mapping[str, Any], ids: list[str], now: datetime, because: str) -> dict[str, Any]:
    return {
        "type": "note",
        "spec_version": "2.1",
        "id": stix_id("note", str(first["created_by_ref"]), because, *ids),
        "created_by_ref": first["created_by_ref"],
        "created": stix_time(hour(now)),
        "modified": stix_time(now),
        "object_marking_refs": list(first["object_marking_refs"]),
        "content": REVOCATIONS[because],
        "object_refs": ids,
    }
