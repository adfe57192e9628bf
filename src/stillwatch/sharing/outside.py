"""Text from outside as values: bounded, strict, and never quoted in an error.

Why:    whoever writes a file writes for the parser too; sizes, doubled keys and numbers that are none end here.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import stix2
from stix2.exceptions import STIXError

from stillwatch.errors import SharingError
from stillwatch.sharing.egress import check_egress
from stillwatch.sharing.intrusion_sets import Alias
from stillwatch.sharing.marking import TLP_MARKINGS, marking_definition
from stillwatch.sharing.objects import EXTENSION_ID, extension_definition, identity, stix_id
from stillwatch.sharing.shapes import RELATIONS, SHAPES
from stillwatch.sharing.words import DEPLOYMENT, is_alias, is_author

MOST_BYTES: Final = 64 * 2**20  # of one file
MOST_OBJECTS: Final = 20_000  # in one file

# What every bundle repeats: who made it, its markings, our extension. Other formats need not carry it.
SURROUNDINGS: Final = frozenset({"identity", "marking-definition", "extension-definition"})
CARRIED: Final = frozenset(SHAPES) - SURROUNDINGS

# Relationships that say no more than which two objects they join. `related-to` carries measures with us, and in other
# hands it means anything.
_LOOSE: Final[str] = "related-to"
_PLAIN: Final = frozenset(one for one in RELATIONS if one[1] != _LOOSE)
_STAMPED: Final = ("created_by_ref", "created", "modified", "object_marking_refs")

_MARKINGS: Final = {marking_id: tlp for tlp, marking_id in TLP_MARKINGS.items()}


def parsed(text: str) -> Any:  # noqa: ANN401  JSON holds anything
    """The value of a JSON text.

    Raises:
        SharingError: it is too long, is no JSON, nests too deeply, or writes a key twice.
    """
    refuse_long(text)
    try:
        return json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise SharingError("The text is no JSON that can be read. Ask the sender for it again.") from error


def refuse_long(text: str) -> None:
    """Refuse text beyond the limit.

    Raises:
        SharingError: it is too long.
    """
    if len(text) > MOST_BYTES or len(text.encode(errors="replace")) > MOST_BYTES:
        raise SharingError(f"The text is longer than {MOST_BYTES // 2**20} MiB. Ask the sender for smaller parts.")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is written twice")
    return found


def _no_number(_: str) -> float:
    raise ValueError("no number")


def whole(objects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The objects with the surroundings they name, checked as strictly as what leaves.

    Raises:
        SharingError: one of them is nothing that stillwatch would have written.
    """
    newest: dict[str, dict[str, Any]] = {}
    for one in objects:
        known = newest.get(one["id"])
        if known is None or known.get("modified", "") < one.get("modified", ""):
            newest[one["id"]] = dict(one)
    try:
        everything = [*_surroundings(list(newest.values())), *newest.values()]
        check_egress(everything, aliases=_aliases(everything))
        stix2.parse({"type": "bundle", "id": stix_id("bundle"), "objects": everything}, allow_custom=True)
    except SharingError as error:
        raise SharingError(f"Not in the form that stillwatch writes: {str(error).partition(' Nothing')[0]}") from error
    except (STIXError, ValueError, TypeError) as error:
        raise SharingError("Not in the form that stillwatch writes: an object breaks STIX 2.1.") from error
    return everything


def _surroundings(made: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    definition = extension_definition() if any(EXTENSION_ID in one.get("extensions", {}) for one in made) else []
    known = {one["id"] for one in (*made, *definition)}
    makers = {str(one["created_by_ref"]) for one in made if "created_by_ref" in one} - known
    markings = {str(ref) for one in made for ref in one.get("object_marking_refs", ())}
    if not markings <= _MARKINGS.keys():
        raise SharingError("a marking is none of TLP 2.0.")
    if not all(maker.startswith("identity--") for maker in makers):
        raise SharingError("created_by_ref is no identity.")
    return [
        *({**identity(DEPLOYMENT), "id": maker} for maker in sorted(makers)),
        *(marking_definition(_MARKINGS[ref]) for ref in sorted(markings)),
        *definition,
    ]


def _aliases(objects: Sequence[Mapping[str, Any]]) -> list[Alias]:
    """The aliases and authors that the objects name: a person at the sender gave them, and only their form is known."""
    names = [name for one in objects for name in one.get("aliases", ()) if isinstance(name, str) and is_alias(name)]
    authors = [name for one in objects for name in one.get("authors", ()) if isinstance(name, str) and is_author(name)]
    moment = datetime.min.replace(tzinfo=UTC)
    return [Alias("", name, "", "", moment) for name in names] + [Alias("", "", name, "", moment) for name in authors]


def plain_relationship(source: Mapping[str, Any], verb: str, target: str) -> dict[str, Any] | None:
    """The relationship that starts at the object and says nothing of its own; None when ours would say more."""
    joined = (source["type"], verb, target.partition("--")[0])
    if joined not in _PLAIN or not source.keys() >= set(_STAMPED):
        return None
    return {
        "type": "relationship",
        "spec_version": "2.1",
        "id": stix_id("relationship", source["id"], verb, target),
        **{name: source[name] for name in _STAMPED},
        "source_ref": source["id"],
        "relationship_type": verb,
        "target_ref": target,
    }


def strictest(tlps: Iterable[str]) -> str | None:
    """The strictest of TLP names, or None of none."""
    return max(tlps, key=list(TLP_MARKINGS).index, default=None)
