"""Indicators: for each kind of trait, and each sketch, the values to match and until when they are worth it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from stillwatch.sharing.keyed import GroupKey
from stillwatch.sharing.marking import may_leave
from stillwatch.sharing.objects import Subject, extension, pattern, stix_hour, two_digits
from stillwatch.sharing.sketches import DURABILITY, Sketch, sketches
from stillwatch.sharing.traits import CONTENT_KINDS, JA4_KIND, NETWORK_KINDS, SharedTrait, shared_traits
from stillwatch.sharing.words import INDICATOR_DESCRIPTION, SKETCH_DESCRIPTION

# How long after it was last seen a trait still recognises its operator, by cost to replace it. [days]
LIFETIME_DAYS: Final = {"low": 14, "low-medium": 30, "medium": 90, "high": 180, "very high": 365}

MOST_VALUES: Final = 100  # of one kind in one indicator: the strongest; a pattern must stay readable


@dataclass(frozen=True, slots=True)
class Keys:
    """Under which keys values may be: the deployment's own by its id, and a sharing group's."""

    key_id: str | None
    group: GroupKey | None


@dataclass(frozen=True, slots=True)
class _Values:
    """What one indicator says: values of a kind with their holders, and what they are worth."""

    kind: str
    values: tuple[tuple[str, int], ...]
    durability: str
    weight_bits: float | None = None
    sampled_from: int | None = None


def indicator_objects(subject: Subject, keys: Keys, pool_id: str | None, *, least: int) -> Iterator[dict[str, Any]]:
    """The indicators that may leave under the marking, and what they indicate; `pool_id` is its infrastructure."""
    for found in _indicated(subject, keys, least):
        indicator = _indicator(subject, found, keys)
        yield indicator
        yield subject.relationship(indicator["id"], "indicates", subject.id)
        yield subject.relationship(indicator["id"], "based-on", subject.observed_id)
        if pool_id and found.kind in NETWORK_KINDS:
            yield subject.relationship(indicator["id"], "indicates", pool_id)


def _indicated(subject: Subject, keys: Keys, least: int) -> list[_Values]:
    kinds: dict[str, list[SharedTrait]] = {}
    for trait in shared_traits(subject.campaign, group=keys.group, least=least):
        kinds.setdefault(trait.kind, []).append(trait)
    found = [_of_traits(traits[:MOST_VALUES]) for traits in kinds.values()]
    if keys.group is not None:
        found += [_of_sketch(sketch) for sketch in sketches(subject.campaign, keys.group, least=least)]
    return sorted((one for one in found if may_leave(one.kind, subject.tlp)), key=lambda one: one.kind)


def _of_traits(traits: list[SharedTrait]) -> _Values:
    strongest = traits[0]
    values = tuple((trait.value, trait.account_count) for trait in traits)
    return _Values(strongest.kind, values, strongest.durability, weight_bits=strongest.weight_bits)


def _of_sketch(sketch: Sketch) -> _Values:
    return _Values(sketch.kind, sketch.values, DURABILITY[sketch.kind], sampled_from=two_digits(sketch.sampled_from))


def _indicator(subject: Subject, found: _Values, keys: Keys) -> dict[str, Any]:
    group = keys.group if found.kind in CONTENT_KINDS else None
    about = (subject.campaign_id, found.kind, *([group.group_id] if group else []))
    return subject.changing(
        "indicator",
        subject.stamp.id("indicator", *about),
        name=f"Traits of campaign {subject.campaign_id}: {found.kind}",
        description=INDICATOR_DESCRIPTION if found.sampled_from is None else SKETCH_DESCRIPTION,
        indicator_types=["anomalous-activity", "attribution"],
        pattern_type="stix",
        pattern_version="2.1",
        pattern=pattern(found.kind, [value for value, _ in found.values]),
        valid_from=stix_hour(subject.since),
        valid_until=stix_hour(subject.until + timedelta(days=LIFETIME_DAYS[found.durability])),
        extensions=extension(
            kind=found.kind,
            durability=found.durability,
            weight_bits=found.weight_bits,
            sampled_from=found.sampled_from,
            group_id=group.group_id if group else None,
            epoch=group.epoch if group else None,
            key_id=None if group or found.kind == JA4_KIND else keys.key_id,
            values=[{"value": value, "account_count": two_digits(count)} for value, count in found.values],
        ),
    )
