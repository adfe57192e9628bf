"""Bundles are STIX 2.1 to those who wrote its tools: the validator of OASIS, and the stix2 library and its stores."""

import json
from pathlib import Path
from typing import Any

import pytest
import stix2
from stix2validator import ValidationOptions, validate_instance
from tests.sharing.planted import LATER, NOW, everything, lead

from stillwatch.sharing import bundle, bundle_text, revoked
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.shapes import SHAPES

Objects = list[dict[str, Any]]

# The checks of the validator that are switched off, which are about what STIX leaves to the producer.
# 103 wants random (version 4) ids: ids made from what an object is about keep a campaign sent twice one campaign.
# 244 wants an account's type from a list, which STIX calls open and which knows no account of an API.
ACCEPTED_WARNINGS = ["103", "244"]
# With `strict_types` validator 3.2.0 knows no observable at all: any account, address or file in a bundle is refused.
BLIND_SPOT = "user-account"


def faults(objects: Objects, **changed: bool) -> list[str]:
    strict = {"strict": True, "strict_types": True, "strict_properties": True, "enforce_refs": True}
    options = ValidationOptions(version="2.1", disabled=",".join(ACCEPTED_WARNINGS), **(strict | changed))
    found = validate_instance(json.loads(bundle_text(objects)), options)
    return [str(error) for error in found.errors]


def partners_indicator(number: int, pattern: dict[str, Any]) -> dict[str, Any]:
    """An indicator as a partner would have sent it, for references to it to resolve."""
    return {**pattern, "id": lead(number)}


def with_partners(objects: Objects) -> Objects:
    example = next(one for one in everything_of(objects, "indicator"))
    return [*objects, *(partners_indicator(number, example) for number in (1, 2, 3, 4))]


def everything_of(objects: Objects, kind: str) -> Objects:
    return [one for one in objects if one["type"] == kind]


def test_every_type_that_may_leave_is_among_what_is_tested(every_object: Objects) -> None:
    assert {one["type"] for one in every_object} == set(SHAPES)


def test_the_validator_passes_everything_as_strictly_as_it_can(advised: Objects) -> None:
    whole = with_partners(everything(advised, "red"))
    assert faults(whole, strict_types=False) == []
    assert [fault for fault in faults(whole) if not fault.startswith(BLIND_SPOT)] == []


@pytest.mark.parametrize("tlp", ["clear", "green", "amber+strict"])
def test_the_validator_passes_other_markings(campaigns: Objects, tlp: str) -> None:
    assert faults(json.loads(bundle(campaigns[:1], now=NOW, tlp=tlp))["objects"], strict_types=False) == []


def test_the_validator_passes_revocations(every_object: Objects) -> None:
    whole = with_partners(revoked(every_object, now=LATER, because="innocent"))
    assert faults(whole, strict_types=False) == []


def test_the_validator_would_find_a_fault(every_object: Objects) -> None:
    options = ValidationOptions(version="2.1")
    broken = json.loads(bundle_text(every_object))
    next(one for one in broken["objects"] if one["type"] == "indicator")["pattern"] = "[no pattern"
    assert not validate_instance(broken, options).is_valid


def written(one: Any) -> dict[str, Any]:
    return dict(json.loads(one.serialize()))


@pytest.mark.parametrize("tlp", ["clear", "red"])
def test_stix2_reads_and_writes_the_same_objects(advised: Objects, tlp: str) -> None:
    objects = everything(advised, tlp)
    parsed = stix2.parse(bundle_text(objects), allow_custom=True)
    assert [written(one) for one in parsed.objects] == objects


def test_the_stores_of_stix2_give_back_what_they_took(every_object: Objects, tmp_path: Path) -> None:
    revocations = [one for one in revoked(every_object, now=LATER, because="wrong") if one.get("revoked")]
    for store in (stix2.MemoryStore(), stix2.FileSystemStore(str(tmp_path), allow_custom=True)):
        for one in every_object:
            store.add(stix2.parse(one, allow_custom=True))
        for one in every_object:
            assert written(store.get(one["id"])) == one
        for one in revocations[:5]:
            store.add(stix2.parse(one, allow_custom=True))
            assert written(store.get(one["id"])) == one  # the newest version is the one that takes it back


def test_markings_are_the_five_of_the_standard(campaigns: Objects) -> None:
    for tlp, marking_id in TLP_MARKINGS.items():
        [marking] = everything_of(everything(campaigns, tlp), "marking-definition")
        assert (marking["id"], marking["name"]) == (marking_id, f"TLP:{tlp.upper()}")
