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

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.records import CAPABILITIES
from stillwatch.signals import features as hashed
from stillwatch.signals import lexicon, oracle
from stillwatch.signals.features import WEIGHT_BITS, WEIGHT_MASK
from stillwatch.signals.text import Batch, Tokens

COLUMNS = ("capability",)
READS = ("prompt", "image_count")

FEATURE_BITS = WEIGHT_BITS
MOST_CLASSES = 16
_OFFSET = 128  # what makes a weight a byte without sign
_RUN = 256  # features
_EVEN, _SUM, _BYTE = np.uint64(0x00FF00FF00FF00FF), np.uint64(0xFFFF), np.uint64(8)
ROOT_UNIT = 16  # the root of a text's length is kept in sixteenths, so that every sum is an integer
_VISION = CAPABILITIES.index("vision")


@dataclass(frozen=True, slots=True)
class Model:
    """A linear model in integers: class k gets 16 * (sum of its weights) + bias * floor(16 * sqrt(features))."""

    weights: npt.NDArray[np.int8]  # (65536, classes) by feature and class
    bias: npt.NDArray[np.int64]  # (classes,) in units of the weights
    classes: npt.NDArray[np.int64]  # (classes,) index into CAPABILITIES
    packed: npt.NDArray[np.uint64]  # (65536, 2) sixteen bytes: the weights + 128, so that sums of bytes never borrow


def model(weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int64], names: list[str]) -> Model:
    """A model from weights by feature and class, its biases and the names of its classes."""
    classes = np.array([CAPABILITIES.index(name) for name in names])
    padded = np.zeros((len(weights), MOST_CLASSES), np.int16)
    padded[:, : len(names)] = weights
    packed = (padded + _OFFSET).astype(np.uint8).view("<u8").astype(np.uint64)
    return Model(np.ascontiguousarray(weights), bias.astype(np.int64), classes, packed)


@cache
def shipped() -> Model:
    """The model in this package."""
    with resources.files(__package__).joinpath("capability_weights.npz").open("rb") as file, np.load(file) as stored:
        return model(stored["weights"], stored["bias"], [str(name) for name in stored["names"]])


@cache
def phrases() -> lexicon.Lexicon:
    """The words that name a capability outright."""
    return lexicon.shipped()[0]


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
    return linear.classes[_best(*hashed.features(tokens), linear.packed, linear.bias)]


def features(tokens: Tokens) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint16]]:
    """Where each text's features start, and the features: what a model is trained on."""
    starts, found = hashed.features(tokens)
    return starts, (found & WEIGHT_MASK).astype(np.uint16)


def _by_model_reference(text: str | None, linear: Model) -> int:
    features = [value >> (64 - FEATURE_BITS) for value in hashed.hashes_reference(text)]
    root = math.floor(math.sqrt(len(features) * ROOT_UNIT * ROOT_UNIT))
    sums = [
        ROOT_UNIT * sum(int(linear.weights[feature, k]) for feature in features) + int(linear.bias[k]) * root
        for k in range(len(linear.bias))
    ]
    return int(linear.classes[sums.index(max(sums))])


@njit(nogil=True, cache=True)
def _best(
    starts: npt.NDArray[np.int64],
    found: npt.NDArray[np.uint32],
    packed: npt.NDArray[np.uint64],
    bias: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Class with the highest sum for every text, the first of equals."""
    best = np.zeros(len(starts) - 1, np.int64)
    sums = np.zeros(MOST_CLASSES, np.int64)
    for row in range(len(best)):
        sums[:] = 0
        for first in range(starts[row], starts[row + 1], _RUN):
            _add_run(found[first : min(first + _RUN, starts[row + 1])], packed, sums)
        used = starts[row + 1] - starts[row]
        root = np.int64(np.floor(np.sqrt(np.float64(used * ROOT_UNIT * ROOT_UNIT))))
        highest = np.int64(-1) << 62
        for k in range(len(bias)):
            total = ROOT_UNIT * sums[k] + bias[k] * root
            if total > highest:
                highest, best[row] = total, k
    return best


@njit(nogil=True, cache=True)
def _add_run(run: npt.NDArray[np.uint32], packed: npt.NDArray[np.uint64], sums: npt.NDArray[np.int64]) -> None:
    """Add the weights of at most _RUN features, four classes in each of four words: 16 bits hold a sum of 257 bytes."""
    a, b, c, d = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    for feature in run:
        row = np.intp(feature & np.uint32(WEIGHT_MASK))
        low, high = packed[row, 0], packed[row, 1]
        a += low & _EVEN
        b += (low >> _BYTE) & _EVEN
        c += high & _EVEN
        d += (high >> _BYTE) & _EVEN
    for lane in range(4):
        shift = np.uint64(16 * lane)
        for at, word in ((0, a), (1, b), (8, c), (9, d)):
            sums[at + 2 * lane] += np.int64((word >> shift) & _SUM) - _OFFSET * len(run)
