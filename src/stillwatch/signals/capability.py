"""What the prompt would harvest: reasoning, coding, grading, ... or nothing in particular.

Why:    a harvest is narrow; what it is narrow about says who would want it and what has leaked.
Misses: most prompts of a kind it never saw. On repositories left out of training it is right far less often than on a
        random split (MODEL_CARD.md has both), so it describes a campaign and must never find one.
Source: Weinberger et al. (2009), "Feature hashing for large scale multitask learning", ICML (hashed linear model);
        Anthropic (2026), "Detecting and preventing distillation attacks" (the capabilities that were harvested).

In order: an image makes it vision; else the first rule of capability.toml that holds; else the linear model over hashed
words and word pairs, which knows only the capabilities it was shown to recognise on left-out repositories.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.records import CAPABILITIES
from stillwatch.signals import lexicon, oracle
from stillwatch.signals.hashing import FACTOR, MASK, SEED, finish, finish_reference
from stillwatch.signals.text import EXCERPT_HEAD, EXCERPT_TAIL, Batch, Tokens, excerpt, word

COLUMNS = ("capability",)
READS = ("prompt", "image_count")

FEATURE_BITS = 16
ROOT_UNIT = 16  # the root of a text's length is kept in sixteenths, so that every sum is an integer
_MOST_FEATURES = 2 * (EXCERPT_HEAD + EXCERPT_TAIL)
_VISION = CAPABILITIES.index("vision")
_FEATURE_SHIFT = np.uint64(64 - FEATURE_BITS)


@dataclass(frozen=True, slots=True)
class Model:
    """A linear model in integers: class k gets 16 * (sum of its weights) + bias * floor(16 * sqrt(features))."""

    weights: npt.NDArray[np.int8]  # (65536, classes) by feature and class
    bias: npt.NDArray[np.int64]  # (classes,) in units of the weights
    classes: npt.NDArray[np.int64]  # (classes,) index into CAPABILITIES


def model(weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int64], names: list[str]) -> Model:
    """A model from weights by feature and class, its biases and the names of its classes."""
    classes = np.array([CAPABILITIES.index(name) for name in names])
    return Model(np.ascontiguousarray(weights), bias.astype(np.int64), classes)


@cache
def shipped() -> Model:
    """The model in this package."""
    with resources.files(__package__).joinpath("capability_weights.npz").open("rb") as file, np.load(file) as stored:
        return model(stored["weights"], stored["bias"], [str(name) for name in stored["names"]])


@cache
def phrases() -> lexicon.Lexicon:
    """The words that name a capability outright."""
    return lexicon.load("capability.toml", CAPABILITIES)


def signal(batch: Batch) -> dict[str, pa.Array]:
    """Capability per exchange; null without a token in the prompt."""
    found = by_words(batch.prompt, by_model(batch.prompt, shipped()))
    images = batch.column("image_count").fill_null(0).to_numpy(zero_copy_only=False)
    found[images > 0] = _VISION
    names = pa.DictionaryArray.from_arrays(pa.array(found, mask=batch.prompt.is_empty), pa.array(CAPABILITIES))
    return {"capability": names.cast(pa.string())}


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    prompt, images = exchange.get("prompt"), exchange.get("image_count")
    text = str(prompt) if prompt else None
    if not oracle.words(text):
        return {"capability": None}
    if isinstance(images, int) and images > 0:
        return {"capability": "vision"}
    found = lexicon.terms_reference(text, phrases())
    named = [label for label, needed in phrases().rules if found & needed == needed]
    return {"capability": CAPABILITIES[named[0] if named else _by_model_reference(text, shipped())]}


def by_words(tokens: Tokens, otherwise: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Index into CAPABILITIES of the first rule that holds for each text, else what `otherwise` says."""
    bits = lexicon.labels(lexicon.terms(tokens, phrases()), phrases())
    found = otherwise.copy()
    for label in dict.fromkeys(label for label, _ in reversed(phrases().rules)):
        found[(bits >> label) & 1 == 1] = label
    return found


def by_model(tokens: Tokens, linear: Model) -> npt.NDArray[np.int64]:
    """Index into CAPABILITIES of the class with the highest sum for each text."""
    return linear.classes[_best(tokens.hashes, tokens.bounds, linear.weights, linear.bias)]


def features(tokens: Tokens) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
    """Where each text's features start, and the features: what a model is trained on."""
    starts = np.zeros(len(tokens.bounds), np.int64)
    found = np.empty(2 * len(tokens.hashes), np.uint16)
    for row in range(len(starts) - 1):
        starts[row + 1] = starts[row] + _features(tokens.hashes, tokens.bounds, row, found[starts[row] :])
    return starts, found[: starts[-1]]


def _by_model_reference(text: str | None, linear: Model) -> int:
    features = []
    for span in oracle.excerpt(oracle.without_numbers(oracle.tokens(text))):
        pairs = [(a * int(FACTOR) & MASK) ^ b for a, b in pairwise(span)]
        features += [finish_reference(value ^ int(SEED)) >> (64 - FEATURE_BITS) for value in [*span, *pairs]]
    root = math.floor(math.sqrt(len(features) * ROOT_UNIT * ROOT_UNIT))
    sums = [
        ROOT_UNIT * sum(int(linear.weights[feature, k]) for feature in features) + int(linear.bias[k]) * root
        for k in range(len(linear.bias))
    ]
    return int(linear.classes[sums.index(max(sums))])


@njit(nogil=True, cache=True)
def feature(value: np.uint64) -> np.uint16:
    """Which of the 2^16 hashed features a word or pair is."""
    return np.uint16(finish(value ^ SEED) >> _FEATURE_SHIFT)


@njit(nogil=True, cache=True)
def pair(first: np.uint64, second: np.uint64) -> np.uint64:
    """Two neighbouring words as one value."""
    return (first * FACTOR) ^ second


@njit(nogil=True, cache=True)
def _features(
    hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64], row: int, found: npt.NDArray[np.uint16]
) -> int:
    """Fill `found` with the features of one text; how many."""
    used = 0
    head, head_end, tail, tail_end = excerpt(bounds, row)
    for first, last in ((head, head_end), (tail, tail_end)):
        before = np.uint64(0)
        for i in range(first, last):
            token = word(hashes[i])
            found[used] = feature(token)
            used += 1
            if i > first:
                found[used] = feature(pair(before, token))
                used += 1
            before = token
    return used


@njit(nogil=True, cache=True)
def _best(
    hashes: npt.NDArray[np.uint64],
    bounds: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int8],
    bias: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Class with the highest sum for every text, the first of equals."""
    best = np.zeros(len(bounds) - 1, np.int64)
    features = np.empty(_MOST_FEATURES, np.uint16)
    for row in range(len(best)):
        used = _features(hashes, bounds, row, features)
        root = np.int64(np.floor(np.sqrt(np.float64(used * ROOT_UNIT * ROOT_UNIT))))
        highest = np.int64(-1) << 62
        for k in range(len(bias)):
            total = 0
            for i in range(used):
                total += weights[features[i], k]
            total = ROOT_UNIT * total + bias[k] * root
            if total > highest:
                highest, best[row] = total, k
    return best
