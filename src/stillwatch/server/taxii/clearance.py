"""Which TLP an object has, and who is cleared for it.

An object without a marking counts as amber: its author has not said, and amber is what we share under unless told
otherwise. Definitions of markings and of extensions, and identities, count as clear unless they are marked: every
reader needs them to read anything else. Of several markings the strictest counts, those of single fields included. A
marking that is no TLP (a copyright, say) neither lifts nor lowers.

Source: FIRST, "Traffic Light Protocol (TLP) Version 2.0", 2022; STIX 2.1, section 7.2.1.4 for the markings of TLP 1.0.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from stillwatch.sharing.marking import TLP_MARKINGS

LEVELS: Final = tuple(TLP_MARKINGS)  # from what all may see to what hardly anybody may
UNMARKED: Final = "amber"
FREE: Final = frozenset({"marking-definition", "extension-definition", "identity"})
_OF_TLP_1: Final = {
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "clear",  # called white there
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "green",
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "amber",
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "red",
}
_PLACES: Final = {marking: LEVELS.index(tlp) for tlp, marking in TLP_MARKINGS.items()} | {
    marking: LEVELS.index(tlp) for marking, tlp in _OF_TLP_1.items()
}


def place_of(object_: Mapping[str, Any]) -> int:
    """The place of an object's strictest marking in `LEVELS`."""
    found = [_PLACES[marking] for marking in _markings(object_) if marking in _PLACES]
    if found:
        return max(found)
    return 0 if object_.get("type") in FREE else LEVELS.index(UNMARKED)


def _markings(object_: Mapping[str, Any]) -> Iterator[str]:
    whole, parts = object_.get("object_marking_refs"), object_.get("granular_markings")
    for marking in whole if isinstance(whole, list) else []:
        if isinstance(marking, str):
            yield marking
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict) and isinstance(part.get("marking_ref"), str):
            yield part["marking_ref"]
