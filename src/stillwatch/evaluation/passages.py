"""Invented paragraphs and code, short and very long, so that built-in prompts vary in length as real ones do.

Why:    people paste things; a world without pasted text gives every template one length.
Misses: the sentences are grammatical and mean nothing.
"""

import tomllib
from functools import cache
from importlib.resources import files

import numpy as np

from stillwatch.evaluation.parts import stream

PARAGRAPHS = 9_000
LISTINGS = 5_000
LONGEST = 28  # sentences or lines

_READ = tomllib.loads((files("stillwatch.evaluation") / "text" / "vocabulary.toml").read_text("utf-8"))
_ADJECTIVES, _NOUNS, _VERBS = (_READ[name].split() for name in ("adjectives", "nouns", "verbs"))
_TAILS = [" ".join(tail.split()) for tail in _READ["tails"].split(";")]


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
