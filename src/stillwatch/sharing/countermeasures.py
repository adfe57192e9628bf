"""Courses of action: the steps of our ladder that a campaign was met with, recommended or taken."""

from collections.abc import Collection, Iterator
from typing import Any

from stillwatch.errors import SharingError
from stillwatch.sharing.objects import Stamp, Subject, stix_id
from stillwatch.sharing.techniques import attack_pattern_id, cited, techniques
from stillwatch.sharing.words import COUNTERMEASURES, STANDINGS


def countermeasure_objects(subject: Subject, taken: Collection[str]) -> Iterator[dict[str, Any]]:
    """What was recommended against the campaign and what was taken, and the techniques that it mitigates.

    Raises:
        SharingError: something was taken that is no step of the ladder.
    """
    recommended, was_taken = STANDINGS
    if not set(taken) <= COUNTERMEASURES.keys():
        raise SharingError(f"taken: countermeasures are {', '.join(COUNTERMEASURES)}.")
    advised = {decision["action"] for decision in subject.campaign["recommended_decisions"]}
    shown = techniques(subject.campaign)
    for action, (_, _, _, against) in COUNTERMEASURES.items():
        if action not in advised and action not in taken:
            continue
        course = _course(action, subject.stamp)
        yield course
        standing = was_taken if action in taken else recommended
        yield subject.relationship(course["id"], "related-to", subject.id, standing=standing)
        for atlas_id in shown:
            if atlas_id in against:
                target = attack_pattern_id(atlas_id, subject.stamp)
                yield subject.relationship(course["id"], "mitigates", target)


def _course(action: str, stamp: Stamp) -> dict[str, Any]:
    name, description, mitigation, _ = COUNTERMEASURES[action]
    return stamp.unchanging(
        "course-of-action",
        stix_id("course-of-action", stamp.producer_id, stamp.marking_id, action),
        name=name,
        description=description,
        external_references=cited(mitigation),
    )
