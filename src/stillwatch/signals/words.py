"""Which words stand near the ends of the prompt: a bag of at most forty 16-bit marks, without order or counts.

Why:    an instruction whose words are replaced, one in four or one in two, on every call keeps hardly any run of three
        words, but each call still draws its words from one small pool. A shingle finds copies; a bag finds the pool.
Misses: an instruction that is neither among the first nor the last of the distinct words, and one in other words
        altogether (translated, or rewritten from nothing).
Source: Broder (1997), "On the resemblance and containment of documents", SEQUENCES (documents as sets of tokens, of
        which those are kept whose hash is 0 mod m); Weinberger et al. (2009), "Feature hashing for large scale
        multitask learning", ICML, section 2 (short hashes, collisions and all).

A mark stands for one word in two, by its hash; in scripts without spaces for one pair of neighbouring characters in
four. Tokens that hold a digit have none. One mark stands for several words, and where it is written down a secret
alphabet of the deployment replaces it (`ingest.with_exchange_keys`), in the order of the new marks.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.records import SIGNALS, WORDS_SIZE
from stillwatch.signals import oracle
from stillwatch.signals.hashing import FACTOR, MASK, SEED, finish, finish_reference
from stillwatch.signals.text import Batch, nullable_vectors
from stillwatch.signals.tokeniser import NUMBER_TOKEN, UNSPACED_TOKEN

COLUMNS = ("words",)
READS = ("prompt",)

WINDOW = 128  # how far from either end words are taken: a character of an unspaced script counts one, a word two
HALF = WORDS_SIZE // 2  # marks of the head, and of the tail

_SHIFT = 32  # bits of a token's hash below its mark
_SKIPPED, _PAIR_SKIPPED = 4, 12  # a word of which any of these bits is set has no mark: one in two, three in four
_MARK_MASK = np.uint64(0xFFFF)
_UNSPACED_BIT = np.uint64(UNSPACED_TOKEN)
_WORD_BITS, _PAIR_BITS = np.uint64(_SKIPPED | NUMBER_TOKEN), np.uint64(_PAIR_SKIPPED)
_ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)


def signal(batch: Batch) -> dict[str, pa.Array]:
    """The bag of each prompt, zeros where there are fewer; null without a token."""
    prompt = batch.prompt
    bags = _bags(prompt.hashes, prompt.bounds)
    return {"words": nullable_vectors(bags, prompt.is_empty, SIGNALS.column("words").type)}


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    text = exchange.get("prompt")
    found = oracle.tokens(str(text) if text else None)
    if not found:
        return {"words": None}
    marks = [_mark_reference(found, i) for i in range(len(found))]
    head = list(dict.fromkeys(mark for mark in marks[: _reach_reference(found)] if mark))[:HALF]
    reach = _reach_reference(found[::-1])
    behind = dict.fromkeys(mark for mark in marks[::-1][:reach] if mark and mark not in head)
    bag = [mark - (1 << 16) if mark >> 15 else mark for mark in head + list(behind)[:HALF]]
    return {"words": bag + [0] * (WORDS_SIZE - len(bag))}


def _reach_reference(found: list[int]) -> int:
    """How many tokens from its start lie in the window."""
    room = WINDOW
    for i, token in enumerate(found):
        if room <= 0:
            return i
        room -= 1 if token & UNSPACED_TOKEN else 2
    return len(found)


def _mark_reference(found: list[int], i: int) -> int:
    token = found[i]
    if token & UNSPACED_TOKEN:
        if i + 1 == len(found) or not found[i + 1] & UNSPACED_TOKEN:
            return 0
        token = finish_reference(((token * int(FACTOR)) & MASK) ^ found[i + 1] ^ int(SEED))
        return 0 if token & _PAIR_SKIPPED else (token >> _SHIFT) & 0xFFFF
    return 0 if token & (_SKIPPED | NUMBER_TOKEN) else (token >> _SHIFT) & 0xFFFF


@njit(nogil=True, cache=True)
def _window(
    hashes: npt.NDArray[np.uint64], bounds: tuple[int, int], is_tail: bool, marks: npt.NDArray[np.int64]
) -> np.int64:
    """Write the marks of the head in their order, or of the tail from the end backwards; how many.

    What has no mark is overwritten by the next: half of the branches around it would be mispredicted. No function is
    called with the hashes, as counting who holds an array takes longer than all the rest.
    """
    first, last = bounds
    count, room = np.int64(0), WINDOW
    for k in range(min(last - first, WINDOW)):
        i = last - 1 - k if is_tail else first + k
        token, skipping = hashes[i], _WORD_BITS
        if token & _UNSPACED_BIT:
            room -= 1
            following = hashes[i + 1] if i + 1 < last else np.uint64(0)
            token, skipping = finish((token * FACTOR) ^ following ^ SEED), _PAIR_BITS
            if not following & _UNSPACED_BIT:
                skipping = _ALL_BITS
        else:
            room -= 2
        mark = np.int64((token >> np.uint64(_SHIFT)) & _MARK_MASK)
        marks[count] = mark
        count += np.int64((token & skipping) == np.uint64(0)) & np.int64(mark != 0)
        if room <= 0:
            break
    return count


@njit(nogil=True, cache=True)
def _distinct(
    marks: npt.NDArray[np.int64], known: npt.NDArray[np.uint64], bag: npt.NDArray[np.int16], used: np.int64
) -> np.int64:
    """Append the first HALF marks that are not known yet to the bag, which has room for one more; how many it holds."""
    most = used + HALF
    for mark in marks:
        bit = np.uint64(1) << np.uint64(mark & 63)
        is_new = np.int64((known[mark >> 6] & bit) == np.uint64(0))
        known[mark >> 6] |= bit
        bag[used] = np.int16(mark)
        used += is_new
        if used == most:
            break
    return used


@njit(nogil=True, cache=True)
def _bags(hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
    """The bag of every text: (texts, WORDS_SIZE) int16, 0 after the last mark."""
    bags = np.zeros((len(bounds) - 1, WORDS_SIZE), np.int16)
    known = np.zeros(1024, np.uint64)  # one bit per mark
    marks, bag = np.zeros(WINDOW + 1, np.int64), np.zeros(WORDS_SIZE + 1, np.int16)
    for row in range(len(bags)):
        span, used = (bounds[row], bounds[row + 1]), np.int64(0)
        for is_tail in (False, True):
            count = _window(hashes, span, is_tail, marks)
            used = _distinct(marks[:count], known, bag, used)
        for k in range(used):
            known[np.int64(np.uint16(bag[k])) >> 6] = np.uint64(0)
            bags[row, k] = bag[k]
    return bags
