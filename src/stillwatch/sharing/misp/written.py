"""STIX objects as MISP events that a MISP server, a feed or an analyst can take as they are.

Why:    many who watch abuse of their service have a MISP server and no TAXII client.
Misses: MISP shows who may see an event, not what TLP says; the distribution chosen here follows the marking.
Source: MISP core format, as validated by pymisp.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymisp import MISPEvent

from stillwatch.sharing.misp.layout import (
    INCLUDES,
    TEMPLATE_PREFIX,
    TEMPLATE_VERSION,
    VALUE,
    Cell,
    cells,
    uuid_of,
)
from stillwatch.sharing.misp.membership import Membership, memberships
from stillwatch.sharing.misp.tags import DISTRIBUTIONS, LEAST_BITS_TO_DETECT, false_positives, marking_of, tags
from stillwatch.sharing.objects import measures, producer
from stillwatch.sharing.outside import SURROUNDINGS
from stillwatch.sharing.traits import JA4_KIND
from stillwatch.sharing.words import DEPLOYMENT

_Fields = dict[str, Any]

JA4_TEMPLATE: Final = {
    "name": "ja4-plus",
    "meta-category": "network",
    "template_uuid": "2c15c75e-e7db-4b62-8d17-633e7571818f",
    "template_version": "2",
    "description": "JA4+ fingerprint",
}
REST_INFO: Final = "What a stillwatch deployment shares beside its campaigns"
THREAT_LEVELS: Final = {"distillation": "2", "coordinated": "3"}  # medium, low; high is for a human to say
UNDEFINED_LEVEL: Final = "4"
ONGOING: Final = "1"  # analysis: a campaign is judged anew with every run


def to_misp(objects: Sequence[Mapping[str, Any]], *, now: datetime) -> str:
    """The objects as the JSON text of MISP events, one for each campaign, in the form MISP itself exports.

    Raises:
        SharingError: a property does not fit MISP.
    """
    made = [{"Event": json.loads(made.to_json())} for made in misp_events(objects, now=now)]
    return json.dumps({"response": made}, indent=2, sort_keys=True) + "\n"


def misp_events(objects: Sequence[Mapping[str, Any]], *, now: datetime) -> list[MISPEvent]:
    """The objects as pymisp's events, one for each campaign, then one for what belongs to none.

    Raises:
        SharingError: a property does not fit MISP.
    """
    stamp = str(int(now.timestamp()))
    return [_loaded(_event(one, stamp, now)) for one in memberships(objects)]


def _loaded(fields: _Fields) -> MISPEvent:
    event = MISPEvent(strict_validation=True, force_timestamps=True)
    event.from_dict(**fields)
    return event


def _event(membership: Membership, stamp: str, now: datetime) -> _Fields:
    campaign, objects = membership.campaign, membership.objects
    maker = next((str(one["created_by_ref"]) for one in objects if "created_by_ref" in one), producer(None)["id"])
    event_uuid = _uuid_part(campaign["id"]) if campaign else uuid_of(maker, "rest")
    tlp = marking_of(objects)
    verdict = measures(campaign).get("verdict") if campaign else None
    return {
        "uuid": event_uuid,
        "info": campaign["name"] if campaign else REST_INFO,
        "date": (campaign or {}).get("first_seen", now.isoformat())[:10],
        "timestamp": stamp,
        "published": False,
        "analysis": ONGOING,
        "threat_level_id": THREAT_LEVELS.get(str(verdict), UNDEFINED_LEVEL),
        "distribution": DISTRIBUTIONS[tlp or "red"],
        "Orgc": {"name": DEPLOYMENT, "uuid": _uuid_part(maker)},
        "Tag": [{"name": name} for name in tags(objects, tlp)],
        "Object": list(_objects(membership, event_uuid, stamp)),
    }


def _uuid_part(stix_id: str) -> str:
    return stix_id.partition("--")[2]


def _objects(membership: Membership, event_uuid: str, stamp: str) -> Iterator[_Fields]:
    for one in membership.objects:
        object_uuid = uuid_of(event_uuid, one["id"])
        stated = list(cells(one))
        prints = [cell for cell in stated if cell.relation == VALUE and _is_ja4(one)]
        to_ids = bool(prints) and measures(one).get("weight_bits", 0.0) >= LEAST_BITS_TO_DETECT
        made = [_ja4(cell, object_uuid, stamp, to_ids=to_ids) for cell in prints]
        references = [_reference(edge, event_uuid, stamp) for edge in membership.references if _starts(edge, one)]
        references += [_inclusion(object_uuid, other["uuid"], stamp) for other in made]
        yield {
            "name": TEMPLATE_PREFIX + one["type"],
            "uuid": object_uuid,
            "meta-category": "misc",
            "description": f"STIX {one['type']} with the properties of stillwatch",
            "template_uuid": uuid_of("template", one["type"]),
            "template_version": TEMPLATE_VERSION,
            "timestamp": stamp,
            "comment": one["id"],
            "Attribute": _attributes([cell for cell in stated if cell not in prints], object_uuid, stamp),
            "ObjectReference": references,
        }
        yield from made


def _is_ja4(one: Mapping[str, Any]) -> bool:
    return bool(measures(one).get("kind") == JA4_KIND)


def _starts(edge: Mapping[str, Any], one: Mapping[str, Any]) -> bool:
    return bool(edge["source_ref"] == one["id"])


def _attributes(stated: Sequence[Cell], object_uuid: str, stamp: str) -> list[_Fields]:
    """One attribute for each cell. A value keeps its UUID whatever else changes, a property keeps it by its name."""
    told: Counter[str] = Counter()
    made = []
    for cell in stated:
        about = cell.value if cell.relation == VALUE else str(told[cell.relation])
        told[cell.relation] += 1
        made.append(_attribute(cell, uuid_of(object_uuid, cell.relation, about), stamp))
    return made


def _attribute(cell: Cell, attribute_uuid: str, stamp: str) -> _Fields:
    return {
        "uuid": attribute_uuid,
        "object_relation": cell.relation,
        "type": cell.type,
        "category": "Other" if cell.type != "stix2-pattern" else "Payload delivery",
        "value": cell.value,
        "comment": cell.comment,
        "timestamp": stamp,
        # Nothing here can be seen on a wire, and equal keyed values mean nothing to who does not hold the key.
        "to_ids": False,
        "disable_correlation": True,
    }


def _ja4(cell: Cell, owner_uuid: str, stamp: str, *, to_ids: bool) -> _Fields:
    object_uuid = uuid_of(owner_uuid, JA4_KIND, cell.value)
    # The only value that is the same for everybody: it may correlate, and detect where it is rare enough.
    shown = {"type": "text", "category": "Other", "timestamp": stamp}
    fingerprint = {"uuid": uuid_of(object_uuid, "fingerprint"), "object_relation": "ja4-fingerprint", **shown}
    kind = {"uuid": uuid_of(object_uuid, "type"), "object_relation": "ja4-type", **shown}
    told = {"value": cell.value, "comment": cell.comment, "to_ids": to_ids, "disable_correlation": False}
    plain = {"value": "JA4", "to_ids": False, "disable_correlation": True}
    return {
        **JA4_TEMPLATE,
        "uuid": object_uuid,
        "timestamp": stamp,
        "comment": "",
        "Attribute": [{**fingerprint, **told, "Tag": [{"name": false_positives(to_ids=to_ids)}]}, {**kind, **plain}],
    }


def _reference(edge: Mapping[str, Any], event_uuid: str, stamp: str) -> _Fields:
    return {
        "uuid": _uuid_part(edge["id"]),
        "object_uuid": uuid_of(event_uuid, edge["source_ref"]),
        "referenced_uuid": uuid_of(event_uuid, edge["target_ref"]),
        "relationship_type": edge["relationship_type"],
        "comment": "",
        "timestamp": stamp,
    }


def _inclusion(owner_uuid: str, other_uuid: str, stamp: str) -> _Fields:
    return {
        "uuid": uuid_of(owner_uuid, INCLUDES, other_uuid),
        "object_uuid": owner_uuid,
        "referenced_uuid": other_uuid,
        "relationship_type": INCLUDES,
        "comment": "",
        "timestamp": stamp,
    }


def left_out(objects: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many objects of which types no event carries, because stillwatch does not know the type."""
    held = {one["id"] for made in memberships(objects) for one in (*made.objects, *made.references)}
    others = (one for one in objects if one["id"] not in held and one["type"] not in SURROUNDINGS)
    return dict(Counter(str(one["type"]) for one in others))
