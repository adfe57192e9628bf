"""The last look before an object leaves: known fields, known text, values of a known shape, no account id.

Why:    objects are built so that nothing private can get in; this check does not trust the builder.
Misses: an identifier in the shape of a hash that is not an account id of these campaigns.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from jsonschema import Draft202012Validator

from stillwatch.errors import SharingError
from stillwatch.sharing.marking import TLP_EXTENSION, TLP_MARKINGS
from stillwatch.sharing.objects import EXTENSION_ID, extension_schema
from stillwatch.sharing.traits import JA4_KIND, KINDS
from stillwatch.sharing.words import (
    CASE_STUDY,
    DEPLOYMENT,
    DESCRIPTIONS,
    EXTENSION_NAME,
    PROJECT,
    TECHNIQUES,
)

_MADE = ("type", "spec_version", "id", "created", "modified")
_STAMPED = (*_MADE, "created_by_ref", "object_marking_refs")
_TOLD = (*_STAMPED, "name", "description")
FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "identity": frozenset({*_MADE, "name", "identity_class"}),
    "marking-definition": frozenset({"type", "spec_version", "id", "created", "name", "extensions"}),
    "extension-definition": frozenset(
        {*_MADE, "created_by_ref", "name", "description", "schema", "version", "extension_types"}
    ),
    "campaign": frozenset({*_TOLD, "first_seen", "last_seen", "confidence", "extensions"}),
    "attack-pattern": frozenset({*_TOLD, "external_references"}),
    "infrastructure": frozenset({*_TOLD, "infrastructure_types", "first_seen", "last_seen"}),
    "indicator": frozenset(
        {*_TOLD, "indicator_types", "pattern_type", "pattern_version", "pattern", "valid_from", "valid_until"}
        | {"extensions"}
    ),
    "relationship": frozenset({*_STAMPED, "source_ref", "relationship_type", "target_ref"}),
}

_HASH = r"(?:(?=[0-9]*[a-f])[0-9a-f]{16,64}|[tqd]\d{2}[di]\d{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12})"
_CAMPAIGN = r"campaign c-[0-9a-f]{12}"
_KIND = "|".join(sorted(KINDS | {JA4_KIND}))
_PATH = f"user-account:extensions\\.'{EXTENSION_ID}'"
_ID = r"[a-z-]+--[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_TIME = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z"
_SHAPES: Final = {
    **dict.fromkeys(("id", "created_by_ref", "object_marking_refs", "source_ref", "target_ref"), _ID),
    **dict.fromkeys(("created", "modified", "first_seen", "last_seen", "valid_from", "valid_until"), _TIME),
    "type": "|".join(FIELDS),
    "spec_version": r"2\.1",
    "identity_class": "system",
    "version": r"\d+\.\d+\.\d+",
    "extension_types": "property-extension",
    "infrastructure_types": "anonymization|unknown",
    "indicator_types": "anomalous-activity|attribution",
    "pattern_type": "stix",
    "pattern_version": r"2\.1",
    "pattern": rf"\[{_PATH}\.kind = '(?:{_KIND})' AND {_PATH}\.value IN \('{_HASH}'(?:, '{_HASH}')*\)\]",
    "relationship_type": "uses|indicates|related-to",
    "confidence": r"\d{1,2}|100",
}
_NAMES: Final[Mapping[str, str]] = {
    "identity": f"{DEPLOYMENT}|{PROJECT}",
    "marking-definition": "|".join(re.escape(f"TLP:{tlp.upper()}") for tlp in TLP_MARKINGS),
    "extension-definition": EXTENSION_NAME,
    "attack-pattern": "|".join(name for name, _ in TECHNIQUES.values()),
    "campaign": rf"(?:Distillation|Coordinated) {_CAMPAIGN}",
    "infrastructure": rf"Network of {_CAMPAIGN}",
    "indicator": rf"Traits of {_CAMPAIGN}: (?:{_KIND})",
}


def check_egress(objects: Sequence[Mapping[str, Any]], *, account_ids: Iterable[str] = ()) -> None:
    """Refuse the objects unless every field of every one may leave.

    Raises:
        SharingError: naming the object and the field, never its value.
    """
    for object_ in objects:
        known = FIELDS.get(str(object_.get("type")))
        if known is None:
            raise _refusal(object_, "type", "objects of this type do not leave")
        for field, value in object_.items():
            if field not in known:
                raise _refusal(object_, field, "this field does not leave")
            if not _may_leave(str(object_["type"]), field, value):
                raise _refusal(object_, field, "its value is none that may leave")
    hashes = {literal for object_ in objects for literal in _hashes(object_)}
    if any(account_id in hashes for account_id in account_ids):
        raise SharingError("A hashed value equals an account id. Nothing was written; report this as a fault.")


def _may_leave(kind: str, field: str, value: object) -> bool:
    if field == "name":
        return re.fullmatch(_NAMES[kind], str(value)) is not None
    if field == "description":
        return value in DESCRIPTIONS
    if field == "schema":
        return value == extension_schema()
    if field == "external_references":
        return isinstance(value, list) and all(map(_is_catalogue_id, value))
    if field == "extensions":
        return isinstance(value, Mapping) and all(_is_known_extension(name, body) for name, body in value.items())
    values = value if isinstance(value, list) else [value]
    return all(re.fullmatch(_SHAPES[field], str(one)) for one in values)


def _is_catalogue_id(reference: Mapping[str, object]) -> bool:
    known = reference.get("external_id") in {*TECHNIQUES, CASE_STUDY}
    return known and set(reference) == {"source_name", "external_id"} and reference["source_name"] == "mitre-atlas"


def _is_known_extension(name: str, body: Mapping[str, object]) -> bool:
    if name == TLP_EXTENSION:
        known = {"extension_type": "property-extension", "tlp_2_0": body.get("tlp_2_0")}
        return body == known and body["tlp_2_0"] in TLP_MARKINGS
    if name != EXTENSION_ID or not _validator().is_valid(body):
        return False
    return "kind" not in body or body["kind"] in KINDS | {JA4_KIND}


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(extension_schema()))


def _hashes(object_: Mapping[str, Any]) -> Iterator[str]:
    yield from re.findall(rf"'({_HASH})'", object_.get("pattern", ""))
    for trait in object_.get("extensions", {}).get(EXTENSION_ID, {}).get("values", ()):
        yield trait["value"]


def _refusal(object_: Mapping[str, Any], field: str, why: str) -> SharingError:
    # An unknown field's own name could be private too, so it is named only when it looks like a field.
    shown = field if re.fullmatch(r"[a-z_]{1,40}", field) else "a field"
    kind = object_.get("type") if object_.get("type") in FIELDS else "object"
    return SharingError(f"{kind}: {shown}: {why}. Nothing was written; remove the field.")
