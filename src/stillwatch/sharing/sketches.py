"""Sketches of what a campaign sends: wordings of its templates and whole prompts, as keyed values.

Why:    two providers that hold a group's key meet in the same values, also where a prompt has been reworded in part,
        and neither learns a word. The smallest keyed values are a fair sample that both sides draw alike.
Misses: values that fewer than k accounts sent; what lies beyond the sample, so that no match says little.
Source: Broder, "On the resemblance and containment of documents", SEQUENCES 1997 (the smallest values as a sample);
        Sweeney, "k-anonymity: a model for protecting privacy", IJUFKS 10(5), 2002.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stillwatch.sharing.keyed import GroupKey, keyed, keyed_name
from stillwatch.sharing.traits import SKETCH_KINDS, fingerprint

MOST_SKETCHED: Final = 512  # values of one sketch
SKETCHES: Final = {"wording": "wordings", "item": "items"}  # kind, and where a campaign keeps its numbers
# What it costs to change: a harness is written once; a list of prompts is used up.
DURABILITY: Final = {"wording": "high", "item": "medium"}


@dataclass(frozen=True, slots=True)
class Sketch:
    """The smallest keyed values of one kind with how many accounts sent each, and of how many they are a sample."""

    kind: str
    values: tuple[tuple[str, int], ...]
    sampled_from: int


def sketches(campaign: Mapping[str, Any], group: GroupKey, *, least: int) -> list[Sketch]:
    """The campaign's sketches, of values that at least so many accounts sent; empty ones are left out."""
    held = campaign.get("sketch") or {}
    made = [_sketch(kind, held.get(SKETCHES[kind], ()), group, least) for kind in SKETCH_KINDS]
    return [sketch for sketch in made if sketch.values]


def _sketch(kind: str, rows: Iterable[Mapping[str, Any]], group: GroupKey, least: int) -> Sketch:
    counts: dict[int, int] = {}
    for row in rows:
        number = fingerprint(row["value"])
        if number is not None and row["account_count"] >= least:
            counts[number] = max(row["account_count"], counts.get(number, 0))
    numbers = np.fromiter(counts, np.int64, len(counts))
    values = [keyed_name(value) for value in keyed(numbers, kind, group).tolist()]
    pairs = sorted((value, counts[number]) for value, number in zip(values, counts, strict=True))
    lettered = [pair for pair in pairs if not pair[0].isdecimal()]  # digits alone could pass for a card
    return Sketch(kind, tuple(lettered[:MOST_SKETCHED]), len(counts))
