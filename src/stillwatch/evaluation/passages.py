"""Invented paragraphs and code, short and very long, so that built-in prompts vary in length as real ones do.

Why:    people paste things; a world without pasted text gives every template one length.
Misses: the sentences are grammatical and mean nothing.
"""

from functools import cache

import numpy as np

from stillwatch.evaluation.parts import stream

PARAGRAPHS = 9_000
LISTINGS = 5_000
LONGEST = 28  # sentences or lines

_ADJECTIVES = [
    "late",
    "early",
    "northern",
    "broken",
    "quiet",
    "second",
    "annual",
    "hidden",
    "formal",
    "wooden",
    "open",
    "narrow",
    "public",
    "distant",
    "heavy",
    "bright",
    "local",
    "former",
    "careful",
    "damp",
    "empty",
    "final",
    "foreign",
    "gentle",
    "hollow",
    "idle",
    "joint",
    "known",
    "large",
    "minor",
    "new",
    "old",
    "plain",
    "rapid",
    "shared",
    "temporary",
    "urgent",
    "vacant",
    "western",
]
_NOUNS = [
    "harbour",
    "ledger",
    "bridge",
    "clerk",
    "engine",
    "orchard",
    "committee",
    "parcel",
    "signal",
    "kitchen",
    "archive",
    "valley",
    "contract",
    "turbine",
    "schedule",
    "patient",
    "window",
    "invoice",
    "garden",
    "battery",
    "museum",
    "tenant",
    "furnace",
    "pilot",
    "quarry",
    "reservoir",
    "sample",
    "teacher",
    "vessel",
    "warehouse",
    "auditor",
    "bakery",
    "canal",
    "depot",
    "elevator",
    "fountain",
    "gallery",
    "helmet",
    "island",
    "journal",
    "kiln",
    "lantern",
    "market",
    "notary",
    "observatory",
    "pump",
    "queue",
    "railway",
    "shelter",
    "terminal",
    "union",
    "violin",
    "workshop",
    "yard",
    "antenna",
    "boiler",
    "cabinet",
    "drawing",
    "estate",
    "festival",
    "glacier",
    "hotel",
    "inspector",
    "junction",
    "laboratory",
    "mill",
    "network",
    "office",
    "printer",
    "quota",
    "road",
    "seminar",
    "tunnel",
    "usher",
    "vineyard",
    "wheel",
    "zone",
    "barrel",
    "crane",
]
_VERBS = [
    "replaced",
    "measured",
    "reported",
    "closed",
    "followed",
    "crossed",
    "repaired",
    "questioned",
    "delayed",
    "carried",
    "approved",
    "lost",
    "found",
    "rented",
    "painted",
    "moved",
    "heard",
    "copied",
    "counted",
    "returned",
    "opened",
    "avoided",
    "blocked",
    "called",
    "described",
    "earned",
    "filled",
    "guarded",
    "hired",
    "inspected",
    "joined",
    "lifted",
    "marked",
    "noticed",
    "ordered",
    "packed",
    "reached",
    "signed",
    "tested",
    "visited",
]
_TAILS = [
    "before noon",
    "after the storm",
    "without a word",
    "for the second time",
    "near the old gate",
    "as agreed in spring",
    "against all advice",
    "at half the price",
    "in front of witnesses",
    "by mistake",
    "until further notice",
    "according to the log",
    "during the strike",
    "with two exceptions",
    "on behalf of the town",
    "under a new name",
    "despite the fog",
    "once a week",
    "out of season",
    "to the last detail",
    "beyond the river",
    "at the end of the shift",
    "in plain sight",
    "for want of staff",
]


@cache
def paragraphs() -> tuple[str, ...]:
    """English paragraphs of one to many sentences."""
    rng = stream("passages", "paragraphs")
    sizes = _sizes(rng, PARAGRAPHS)
    rows = [
        rng.integers(len(words), size=sizes.sum())
        for words in (_ADJECTIVES, _NOUNS, _VERBS, _ADJECTIVES, _NOUNS, _TAILS)
    ]
    sentences = [
        f"The {_ADJECTIVES[a]} {_NOUNS[b]} {_VERBS[c]} the {_ADJECTIVES[d]} {_NOUNS[e]} {_TAILS[f]}."
        for a, b, c, d, e, f in zip(*(row.tolist() for row in rows), strict=True)
    ]
    return tuple(" ".join(part) for part in _cut(sentences, sizes))


@cache
def listings() -> tuple[str, ...]:
    """Lines of code, a few or many."""
    rng = stream("passages", "listings")
    sizes = _sizes(rng, LISTINGS)
    rows = [rng.integers(len(words), size=sizes.sum()) for words in (_NOUNS, _VERBS, _ADJECTIVES, _NOUNS)]
    numbers = rng.integers(1, 4000, sizes.sum())
    lines = [
        f"    {_NOUNS[a]} = {_VERBS[b]}_{_NOUNS[d]}({_ADJECTIVES[c]}={n})"
        for a, b, c, d, n in zip(*(row.tolist() for row in rows), numbers.tolist(), strict=True)
    ]
    return tuple("def run():\n" + "\n".join(part) for part in _cut(lines, sizes))


def _sizes(rng: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.clip(np.round(rng.lognormal(1.2, 0.9, count)), 1, LONGEST).astype(np.int64)


def _cut(rows: list[str], sizes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[list[str]]:
    ends = np.cumsum(sizes).tolist()
    return [rows[end - size : end] for end, size in zip(ends, sizes.tolist(), strict=True)]
