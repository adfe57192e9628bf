"""STIX 2.1 objects of campaigns, and a bundle of them, that name no customer and quote no prompt.

Why:    another provider recognises the same operator by templates, tooling and infrastructure without seeing whose
        data flowed. Every field is built from numbers, a closed vocabulary and hashes; no text of a campaign is copied.
Misses: hashed identifiers match only where the deployment's key is the same, content only within a sharing group.
Source: OASIS, "STIX Version 2.1", 2021.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import stix2
from jsonschema import Draft202012Validator
from stix2.exceptions import STIXError

from stillwatch.errors import SharingError
from stillwatch.schemas import schema
from stillwatch.sharing.countermeasures import countermeasure_objects
from stillwatch.sharing.egress import check_egress
from stillwatch.sharing.feedback import feedback_objects
from stillwatch.sharing.indicators import Keys, indicator_objects
from stillwatch.sharing.intrusion_sets import Alias, intrusion_set_objects
from stillwatch.sharing.keyed import GroupKey
from stillwatch.sharing.marking import marking_definition
from stillwatch.sharing.measures import measures_of
from stillwatch.sharing.notes import campaign_note
from stillwatch.sharing.objects import (
    Stamp,
    Subject,
    extension,
    extension_definition,
    producer,
    stix_hour,
    stix_id,
    subject,
)
from stillwatch.sharing.observations import network_objects, observation_objects
from stillwatch.sharing.techniques import technique_objects
from stillwatch.sharing.traits import LEAST_HOLDERS, unkeyed_values
from stillwatch.sharing.words import CAMPAIGN_DESCRIPTIONS

# What holds an innocent population together, or cannot be judged, is nobody else's business.
SHARED_VERDICTS: Final = frozenset({"distillation", "coordinated"})

# Keys an error may name; keys of free-form tables are the attacker's words.
_KEYS: Final = frozenset(schema("campaigns")["$defs"]["campaign"]["properties"])


@dataclass(frozen=True, slots=True)
class Practice:
    """How a deployment shares, and what it did: how many accounts must hold a value, and steps taken by campaign."""

    least_accounts: int = LEAST_HOLDERS
    taken: Mapping[str, Collection[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise: SharingError, when fewer accounts would do than `LEAST_HOLDERS`."""
        if self.least_accounts < LEAST_HOLDERS:
            raise SharingError(f"least_accounts: a value leaves when {LEAST_HOLDERS} accounts hold it, or more.")


def bundle(
    campaigns: Sequence[Mapping[str, Any]], *, now: datetime, tlp: str = "amber", key_id: str | None = None
) -> str:
    """The campaigns that may leave, as the JSON text of a STIX bundle under that TLP 2.0 marking.

    It is for nobody in particular, so nothing in it is under a sharing group's key: whoever shares with a group, or
    tells what became of its indicators, takes `objects_of` and `bundle_text`.

    Raises:
        SharingError: the marking is unknown, a campaign is malformed, or an object must not leave.
    """
    return bundle_text(objects_of(campaigns, now=now, tlp=tlp, key_id=key_id))


def objects_of(
    campaigns: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
    tlp: str,
    key_id: str | None = None,
    group: GroupKey | None = None,
    aliases: Sequence[Alias] = (),
    matches: Iterable[Mapping[str, Any]] = (),
    practice: Practice | None = None,
) -> list[dict[str, Any]]:
    """STIX objects of the campaigns that may leave, and of what became of partners' indicators (`matches`).

    Explained campaigns and those with too little data stay. `key_id` names the key of the deployment's hashes, for
    partners who hold it too; what accounts sent leaves only keyed by `group`.

    Raises:
        SharingError: the marking is unknown, a campaign is malformed, or an object must not leave.
    """
    practice = practice or Practice()
    marking = marking_definition(tlp)
    _refuse_malformed(campaigns)
    maker = producer(key_id)
    stamp = Stamp(maker["id"], marking["id"], now)
    leaving = sorted(
        (subject(campaign, stamp, tlp) for campaign in campaigns if campaign["verdict"] in SHARED_VERDICTS),
        key=lambda one: one.campaign_id,
    )
    made: dict[str, dict[str, Any]] = {}
    for one in leaving:
        made |= {object_["id"]: object_ for object_ in _objects(one, Keys(key_id, group), practice)}
    made |= {object_["id"]: object_ for object_ in intrusion_set_objects(leaving, stamp, aliases)}
    made |= {one["id"]: one for one in feedback_objects(matches, stamp, least=practice.least_accounts)}
    definition = extension_definition() if made else []
    objects = [maker, marking, *definition, *made.values()]
    check_egress(
        objects,
        account_ids=(name for campaign in campaigns for name in _identifiers(campaign)),
        unkeyed=(value for campaign in campaigns for value in unkeyed_values(campaign)),
        aliases=aliases,
        groups=[group.group_id] if group else [],
        least=practice.least_accounts,
    )
    return objects


def _identifiers(campaign: Mapping[str, Any]) -> Iterator[str]:
    yield from campaign["account_ids"]
    if campaign.get("declared"):
        yield campaign["declared"]["organization_id"]


def _refuse_malformed(campaigns: Sequence[Mapping[str, Any]]) -> None:
    # Two accounts stand for all: their form is the same, and there may be tens of thousands. Of a campaign that stays,
    # two of every list do.
    slim = [
        {**campaign, "account_ids": campaign["account_ids"][:2]} | _slim_decisions(campaign)
        if campaign["verdict"] in SHARED_VERDICTS
        else _thinned(campaign)
        for campaign in campaigns
    ]
    fault = next(Draft202012Validator(schema("campaigns")).iter_errors(slim), None)
    if fault is not None:
        key = next((part for part in reversed(fault.absolute_path) if str(part) in _KEYS), "a campaign")
        raise SharingError(f"{key}: breaks the schema of campaigns. Nothing was written; share what a scan wrote.")


def _thinned(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The value with two of every list in it."""
    if isinstance(value, Mapping):
        return {key: _thinned(inner) for key, inner in value.items()}
    return [_thinned(inner) for inner in value[:2]] if isinstance(value, list) else value


def _slim_decisions(campaign: Mapping[str, Any]) -> dict[str, Any]:
    return {"recommended_decisions": [{**row, "account_ids": []} for row in campaign["recommended_decisions"]]}


def _objects(one: Subject, keys: Keys, practice: Practice) -> Iterator[dict[str, Any]]:
    yield _campaign(one, least=practice.least_accounts)
    yield from technique_objects(one)
    network = list(network_objects(one))
    yield from network
    yield from observation_objects(one)
    pool_id = network[0]["id"] if network else None
    yield from indicator_objects(one, keys, pool_id, least=practice.least_accounts)
    yield from countermeasure_objects(one, practice.taken.get(one.campaign_id, ()))
    yield campaign_note(one)


def _campaign(one: Subject, *, least: int) -> dict[str, Any]:
    verdict, probability = one.campaign["verdict"], one.campaign["probability"]
    confidence = {} if probability is None else {"confidence": round(100 * probability)}
    return one.changing(
        "campaign",
        one.id,
        name=f"{verdict.capitalize()} campaign {one.campaign_id}",
        description=CAMPAIGN_DESCRIPTIONS[verdict],
        first_seen=stix_hour(one.since),
        last_seen=stix_hour(one.until),
        **confidence,
        extensions=extension(**measures_of(one, least=least)),
    )


def bundle_text(objects: Sequence[Mapping[str, Any]]) -> str:
    """The objects as the JSON text of a bundle.

    Raises:
        SharingError: they break STIX 2.1.
    """
    bundle_id = stix_id("bundle", json.dumps(objects, sort_keys=True))
    whole = {"type": "bundle", "id": bundle_id, "objects": list(objects)}
    try:
        stix2.parse(whole, allow_custom=True)
    except (STIXError, ValueError) as error:
        raise SharingError("The bundle breaks STIX 2.1. Nothing was written; report this as a fault.") from error
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
