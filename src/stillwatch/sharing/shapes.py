"""Everything that may leave, as one JSON Schema: every type of object, its fields, and what each may hold.

Why:    the check of what leaves reads this and nothing else, and partners can read it too: it is published as
        `schemas/exported_objects.schema.json`. Builders are not consulted.
Misses: what a schema cannot say (a pattern repeats the values; numbers carry two digits): `egress` says it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from stillwatch.records import KINDS, VERDICTS
from stillwatch.sharing.marking import TLP_MARKINGS, marking_definition
from stillwatch.sharing.objects import EXTENSION_ID, MOST_COUNTED, UNCHANGING, extension_definition, extension_schema
from stillwatch.sharing.traits import INDICATOR_KINDS
from stillwatch.sharing.words import (
    ACCOUNT_TYPE,
    ALIAS,
    ALIAS_GROUNDS,
    ALIAS_SENTENCE,
    AUTHOR,
    CAMPAIGN_DESCRIPTIONS,
    CASE_STUDY,
    COUNTERMEASURES,
    DEPLOYMENT,
    ESTIMATE_SENTENCES,
    HYPOTHESES,
    INDICATOR_DESCRIPTION,
    NETWORK_DESCRIPTION,
    NOTHING_TESTED,
    OUTCOMES_OF_TESTS,
    PROJECT,
    REVOCATIONS,
    SET_DESCRIPTION,
    SKETCH_DESCRIPTION,
    TECHNIQUES,
    TESTED,
    WRONG_EXPLANATION,
)

Shape = dict[str, Any]

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_ANY_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CAMPAIGN = "campaign c-[0-9a-f]{12}"
_HYPOTHESIS = rf"(?:{'|'.join(HYPOTHESES)}) \((?:{'|'.join(OUTCOMES_OF_TESTS)})\)"

# Which objects a relationship may join, by its verb.
RELATIONS: Final = (
    ("campaign", "uses", "attack-pattern"),
    ("campaign", "uses", "infrastructure"),
    ("campaign", "attributed-to", "intrusion-set"),
    ("campaign", "related-to", "campaign"),
    ("indicator", "indicates", "campaign"),
    ("indicator", "indicates", "infrastructure"),
    ("indicator", "based-on", "observed-data"),
    ("course-of-action", "related-to", "campaign"),
    ("course-of-action", "mitigates", "attack-pattern"),
)


def _text(pattern: str) -> Shape:
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def _words(words: Iterable[object]) -> Shape:
    return {"enum": list(words)}


def _reference(*types: str, any_version: bool = False) -> Shape:
    return _text(f"(?:{'|'.join(types)})--{_ANY_UUID if any_version else _UUID}")


def _one(shape: Shape) -> Shape:
    return {"type": "array", "minItems": 1, "maxItems": 1, "items": shape}


def _count(least: int = 0) -> Shape:
    return {"type": "integer", "minimum": least, "maximum": MOST_COUNTED}


def _cited(*lists: list[str]) -> Shape:
    return _words([{"source_name": "mitre-atlas", "external_id": one} for one in cited] for cited in lists)


_HOUR: Final = _text(f"{_DAY}T[0-9]{{2}}:00:00Z")
_CREATED: Final = _text(f"{_DAY}T[0-9]{{2}}:00:00\\.000Z")
_SEEN: Final = {"first_seen": _HOUR, "last_seen": _HOUR}


def _object(kind: str, required: Shape, optional: Shape) -> Shape:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["type", "spec_version", "id", *required],
        "properties": {
            "type": {"const": kind},
            "spec_version": {"const": "2.1"},
            "id": _reference(kind),
            **required,
            **optional,
        },
    }


def _stamped(kind: str, required: Shape, **optional: Shape) -> Shape:
    """An object as `Stamp` makes it, but for what it is about."""
    stamp = {
        "created_by_ref": _reference("identity"),
        "created": _CREATED,
        "modified": _text(f"{_DAY}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}\\.[0-9]{{3}}Z"),
        "object_marking_refs": _one(_words(TLP_MARKINGS.values())),
    }
    return _object(kind, stamp | required, {"revoked": {"const": True}, **optional})


def _standing(kind: str, required: Shape) -> Shape:
    """An object that is the same in every bundle, and so is never taken back."""
    shape = _stamped(kind, required)
    del shape["properties"]["revoked"]
    shape["properties"] |= {"created": {"const": UNCHANGING}, "modified": {"const": UNCHANGING}}
    return shape


def _extended(required: Iterable[str], *optional: str, **narrower: Shape) -> Shape:
    """`extensions` with ours alone, and of its properties these alone."""
    known = json.loads(extension_schema())["properties"]
    names = ["extension_type", *required]
    body = {
        "type": "object",
        "additionalProperties": False,
        "required": names,
        "properties": {name: narrower.get(name, known[name]) for name in (*names, *optional)},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [EXTENSION_ID],
        "properties": {EXTENSION_ID: body},
    }


def _known(listed: str, **columns: Shape) -> Shape:
    """A list property of the extension, with some of its items' properties narrowed to closed words."""
    shape = json.loads(extension_schema())["properties"][listed]
    shape["items"]["properties"] |= columns
    return dict(shape)


def _campaign() -> Shape:
    measures = _extended(
        ("verdict", "account_count", "exchange_count", "output_tokens", "reasoning_tokens", "confidence_grounds"),
        *("template_share", "capability_shares", "intent_shares", "timing", "coordination_bits", "harvest_bits"),
        *("evidence_families", "evidence", "benign_hypotheses", "estimate", "case_study"),
        evidence=_known(
            "evidence", kind=_words(sorted(KINDS)), family=_words(sorted({family for family, _, _ in KINDS.values()}))
        ),
        benign_hypotheses=_known("benign_hypotheses", name=_words(HYPOTHESES)),
    )
    shared = "|".join(verdict.capitalize() for verdict in VERDICTS if verdict in CAMPAIGN_DESCRIPTIONS)
    told = {"name": _text(f"(?:{shared}) {_CAMPAIGN}"), "description": _words(CAMPAIGN_DESCRIPTIONS.values())}
    confidence = {"type": "integer", "minimum": 0, "maximum": 100}
    return _stamped("campaign", told | _SEEN | {"extensions": measures}, confidence=confidence)


def _indicator() -> Shape:
    measures = _extended(
        ("kind", "durability", "values"),
        *("weight_bits", "sampled_from", "key_id", "group_id", "epoch"),
        kind=_words(INDICATOR_KINDS),
    )
    return _stamped(
        "indicator",
        {
            "name": _text(f"Traits of {_CAMPAIGN}: (?:{'|'.join(INDICATOR_KINDS)})"),
            "description": _words((INDICATOR_DESCRIPTION, SKETCH_DESCRIPTION)),
            "indicator_types": {"const": ["anomalous-activity", "attribution"]},
            "pattern_type": {"const": "stix"},
            "pattern_version": {"const": "2.1"},
            "pattern": {"type": "string", "description": "repeats kind and values of the extension"},
            "valid_from": _HOUR,
            "valid_until": _HOUR,
            "extensions": measures,
        },
    )


def _note() -> Shape:
    tested = rf"(?:{re.escape(NOTHING_TESTED)}|{TESTED}{_HYPOTHESIS}(?:; {_HYPOTHESIS})*\.)"
    sentences = [re.escape(sentence) for sentence in ESTIMATE_SENTENCES]
    given = [re.escape(f"{ALIAS_SENTENCE} {grounds}") for grounds in ALIAS_GROUNDS.values()]
    taken_back = [re.escape(sentence) for sentence in REVOCATIONS.values()]
    content = _text("|".join([f"{tested} (?:{'|'.join(sentences)})", *given, *taken_back]))
    about = _reference(
        *("campaign", "indicator", "infrastructure", "intrusion-set", "note", "observed-data", "opinion"),
        *("relationship", "sighting"),
    )
    about_many = {"type": "array", "minItems": 1, "maxItems": 100, "items": about}
    return _stamped("note", {"content": content, "object_refs": about_many}, authors=_one(_text(AUTHOR)))


def _relationship() -> Shape:
    shape = _stamped(
        "relationship",
        {
            "source_ref": _reference(*sorted({source for source, _, _ in RELATIONS})),
            "relationship_type": _words(sorted({verb for _, verb, _ in RELATIONS})),
            "target_ref": _reference(*sorted({target for _, _, target in RELATIONS})),
        },
        extensions=_extended((), "relation", "weight_bits", "standing"),
    )
    shape["anyOf"] = [
        {
            "properties": {
                "source_ref": _reference(source),
                "relationship_type": {"const": verb},
                "target_ref": _reference(target),
            }
        }
        for source, verb, target in RELATIONS
    ]
    return shape


def _sighting() -> Shape:
    return _stamped(
        "sighting",
        {
            **_SEEN,
            "sighting_of_ref": {
                "anyOf": [_reference("campaign"), _reference("indicator", any_version=True)],
                "type": "string",
            },
            "where_sighted_refs": _one(_reference("identity")),
            "extensions": _extended((), "outcome", "account_count"),
        },
        count=_count(),
        observed_data_refs=_one(_reference("observed-data")),
    )


def _made_shapes() -> dict[str, Shape]:
    network = {
        "name": _text(f"Network of {_CAMPAIGN}"),
        "description": {"const": NETWORK_DESCRIPTION},
        "infrastructure_types": {"anyOf": [{"const": ["anonymization"]}, {"const": ["unknown"]}]},
        **_SEEN,
    }
    set_name = {"name": _text("Intrusion set s-[0-9a-f]{12}"), "description": {"const": SET_DESCRIPTION}}
    technique = {
        "name": _words(name for name, _ in TECHNIQUES.values()),
        "description": _words(grounds for _, grounds in TECHNIQUES.values()),
        "external_references": _cited(*([one] for one in TECHNIQUES), ["AML.T0024.002", CASE_STUDY]),
    }
    course = {
        "name": _words(row[0] for row in COUNTERMEASURES.values()),
        "description": _words(row[1] for row in COUNTERMEASURES.values()),
        "external_references": _cited(*([one] for one in sorted({row[2] for row in COUNTERMEASURES.values()}))),
    }
    observed = {
        "first_observed": _HOUR,
        "last_observed": _HOUR,
        "number_observed": _count(1),
        "object_refs": _one(_reference("user-account")),
        "extensions": _extended(("account_count",)),
    }
    opinion = {
        "explanation": {"const": WRONG_EXPLANATION},
        "opinion": {"const": "strongly-disagree"},
        "object_refs": _one(_reference("indicator", any_version=True)),
    }
    account = {
        "object_marking_refs": _one(_words(TLP_MARKINGS.values())),
        "account_type": {"const": ACCOUNT_TYPE},
    }
    made = {"created": {"const": UNCHANGING}, "modified": {"const": UNCHANGING}}
    system = {"name": _words((DEPLOYMENT, PROJECT)), "identity_class": {"const": "system"}}
    aliases = {"type": "array", "minItems": 1, "maxItems": 32, "items": _text(ALIAS)}
    return {
        "identity": _object("identity", made | system, {}),
        "marking-definition": {"enum": [marking_definition(tlp) for tlp in TLP_MARKINGS]},
        "extension-definition": {"const": extension_definition()[1]},
        "campaign": _campaign(),
        "intrusion-set": _stamped("intrusion-set", set_name | _SEEN, aliases=aliases),
        "attack-pattern": _standing("attack-pattern", technique),
        "infrastructure": _stamped("infrastructure", network),
        "indicator": _indicator(),
        "observed-data": _stamped("observed-data", observed),
        "user-account": _object("user-account", account, {}),
        "sighting": _sighting(),
        "opinion": _stamped("opinion", opinion),
        "course-of-action": _standing("course-of-action", course),
        "note": _note(),
        "relationship": _relationship(),
    }


SHAPES: Final[Mapping[str, Shape]] = _made_shapes()


def exported_objects_schema() -> Shape:
    """The schema of one object that leaves, as it is published."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "exported objects",
        "description": "One STIX 2.1 object as stillwatch lets it leave; one definition per type.",
        "anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in SHAPES],
        "$defs": dict(SHAPES),
    }
