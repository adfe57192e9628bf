"""TLP 2.0 markings, and what may leave under each.

Source: FIRST, "Traffic Light Protocol (TLP) Version 2.0", 2022; OASIS CTI, "TLP 2.0 marking definitions for STIX 2.1"
        (the ids and the extension are theirs and the same everywhere).
"""

from collections.abc import Mapping
from typing import Any, Final

from stillwatch.errors import SharingError
from stillwatch.records import TEMPLATE_KINDS

TLP_EXTENSION: Final = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
TLP_CREATED: Final = "2022-10-01T00:00:00.000Z"

TLP_MARKINGS: Final = {
    "clear": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "green": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "amber": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "amber+strict": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "red": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}

# What a reader of the marking may see of traits. A keyed hash of a customer's address or card tells a stranger nothing
# that helps, so it stays among those who work together; what an operator has its accounts send is the operator's alone.
KINDS_FREE_TO_ALL: Final = frozenset[str]()
KINDS_FREE_TO_COMMUNITY: Final = frozenset({*TEMPLATE_KINDS, "wording", "item"})


def marking_definition(tlp: str) -> dict[str, Any]:
    """The marking of that name as a STIX object.

    Raises:
        SharingError: there is no such marking.
    """
    if tlp not in TLP_MARKINGS:
        raise SharingError(f"TLP {tlp!r} is not known. Use one of {', '.join(TLP_MARKINGS)}.")
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": TLP_MARKINGS[tlp],
        "created": TLP_CREATED,
        "name": f"TLP:{tlp.upper()}",
        "extensions": {TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": tlp}},
    }


def tlp_of(object_: Mapping[str, Any]) -> str | None:
    """The TLP 2.0 marking of an object; None when it has none, several, or one we do not know."""
    references = object_.get("object_marking_refs")
    return next((tlp for tlp, marking_id in TLP_MARKINGS.items() if references == [marking_id]), None)


def may_tell_method(tlp: str) -> bool:
    """Whether what gave a campaign away may be told: to the public, and so to the operator, it may not."""
    return tlp != "clear"


def may_leave(kind: str, tlp: str) -> bool:
    """Whether values of that kind of trait may leave under the marking."""
    if tlp == "clear":
        return kind in KINDS_FREE_TO_ALL
    return tlp != "green" or kind in KINDS_FREE_TO_COMMUNITY
