"""Which words stand near the ends of the prompt: a bag of at most eighty 16-bit marks, without order or counts.

Why:    an instruction whose words are replaced, one in four or one in two, on every call keeps hardly any run of three
        words, but each call still draws its words from one small pool. A shingle finds copies; a bag finds the pool.
Misses: an instruction that is neither among the first forty nor the last forty distinct words, and one in other words
        altogether (translated, or rewritten from nothing).
Source: Broder (1997), "On the resemblance and containment of documents", SEQUENCES (documents as sets of tokens);
        Weinberger et al. (2009), "Feature hashing for large scale multitask learning", ICML, section 2 (short hashes,
        collisions and all). One mark stands for many words on purpose: a bag of marks is not the text.

In scripts without spaces a mark is two neighbouring characters, every other pair by its hash, as a word there has about
two. Tokens that hold a digit have no mark.

Template families alone read it, and no scan looks for families (docs/decisions/0011).
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.signals import oracle
from stillwatch.signals.hashing import FACTOR, MASK, SEED, finish, finish_reference
from stillwatch.signals.text import nullable_vectors, tokens
from stillwatch.signals.tokeniser import NUMBER_TOKEN, UNSPACED_TOKEN

WORDS_SIZE = 80  # marks of words of one prompt: at most forty from its head, forty from its tail
WORDS = pa.list_(pa.int16(), WORDS_SIZE)

WINDOW = 128  # how far from either end words are taken: a character of an unspaced script counts one, a word two
HALF = WORDS_SIZE // 2  # distinct words of the head, and of the tail
SLOTS = (
    256  # of the table that puts marks in the order of their lowest bits; much larger than a bag, so probing is short
)

_SHIFT = 32  # bits of a token's hash below its mark
_MARK_MASK = np.uint64(0xFFFF)
_NUMBER_BIT = np.uint64(NUMBER_TOKEN)
_UNSPACED_BIT = np.uint64(UNSPACED_TOKEN)


def bags(texts: pa.Array) -> pa.Array:
    """The bag of each text, as WORDS; null without a token."""
    read = tokens(texts)
    return nullable_vectors(_bags(read.hashes, read.bounds), read.is_empty, WORDS)


def bag_reference(text: str | None) -> list[int] | None:
    """The same for one text."""
    found = oracle.tokens(text)
    if not found:
        return None
    marks = [_mark_reference(found, i) for i in range(len(found))]
    head = list(dict.fromkeys(mark for mark in marks[: _reach_reference(found)] if mark))[:HALF]
    reach = _reach_reference(found[::-1])
    behind = dict.fromkeys(mark for mark in marks[::-1][:reach] if mark and mark not in head)
    slots = [0] * SLOTS
    for mark in head + list(behind)[:HALF]:
        slot = mark % SLOTS
        while slots[slot]:
            slot = (slot + 1) % SLOTS
        slots[slot] = mark
    bag = [mark - (1 << 16) if mark >> 15 else mark for mark in slots if mark]
    return bag + [0] * (WORDS_SIZE - len(bag))


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
    if token & NUMBER_TOKEN:
        return 0
    if token & UNSPACED_TOKEN:
        if i + 1 == len(found) or not found[i + 1] & UNSPACED_TOKEN:
            return 0
        token = finish_reference(((token * int(FACTOR)) & MASK) ^ found[i + 1] ^ int(SEED))
        if token & 1:
            return 0
    return (token >> _SHIFT) & 0xFFFF


@njit(nogil=True, cache=True)
def _mark(hashes: npt.NDArray[np.uint64], i: int, last: int) -> np.int64:
    """Mark of the word at `i`; 0 when it has none."""
    token = hashes[i]
    if token & _NUMBER_BIT:
        return np.int64(0)
    if token & _UNSPACED_BIT:
        if i + 1 == last or not hashes[i + 1] & _UNSPACED_BIT:
            return np.int64(0)
        token = finish((token * FACTOR) ^ hashes[i + 1] ^ SEED)
        if token & np.uint64(1):
            return np.int64(0)
    return np.int64((token >> np.uint64(_SHIFT)) & _MARK_MASK)


@njit(nogil=True, cache=True)
def _collect(mark: np.int64, known: npt.NDArray[np.uint64], found: npt.NDArray[np.int64], count: np.int64) -> np.int64:
    """Append a mark that is not known yet; how many there are now. No branch: half of them would be mispredicted."""
    place = mark >> 6
    bit = np.uint64(1) << np.uint64(mark & 63)
    is_new = np.int64((known[place] & bit) == np.uint64(0)) & np.int64(mark != 0)
    known[place] |= bit
    found[count] = mark
    return count + is_new


@njit(nogil=True, cache=True)
def _spread(
    found: npt.NDArray[np.int64], count: np.int64, slots: npt.NDArray[np.int16], ordered: npt.NDArray[np.int16]
) -> None:
    """Write the marks to `ordered` in the order of their slots, so that the order of the words is gone."""
    for k in range(count):
        slot = found[k] & (SLOTS - 1)
        while slots[slot] != 0:
            slot = (slot + 1) & (SLOTS - 1)
        slots[slot] = np.int16(found[k])
    used = 0
    for slot in range(SLOTS):
        ordered[used] = slots[slot]
        used += int(slots[slot] != 0)
    slots[:] = 0


@njit(nogil=True, cache=True)
def _bags(hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
    """The bag of every text: (texts, WORDS_SIZE) int16, 0 after the last mark."""
    bags = np.zeros((len(bounds) - 1, WORDS_SIZE), np.int16)
    known = np.zeros(1024, np.uint64)  # one bit per mark
    found = np.zeros(WORDS_SIZE + 1, np.int64)  # marks of this text; one place more, for a mark that is known
    slots, ordered = np.zeros(SLOTS, np.int16), np.zeros(WORDS_SIZE + 1, np.int16)
    for row in range(len(bags)):
        first, last = bounds[row], bounds[row + 1]
        count, room, i = np.int64(0), WINDOW, first
        while i < last and room > 0 and count < HALF:
            count = _collect(_mark(hashes, i, last), known, found, count)
            room -= 2 - int((hashes[i] & _UNSPACED_BIT) != np.uint64(0))
            i += 1
        most, room, i = count + HALF, WINDOW, last - 1
        while i >= first and room > 0 and count < most:
            count = _collect(_mark(hashes, i, last), known, found, count)
            room -= 2 - int((hashes[i] & _UNSPACED_BIT) != np.uint64(0))
            i -= 1
        for k in range(count):
            known[found[k] >> 6] = np.uint64(0)
        known[0] = np.uint64(0)
        _spread(found, count, slots, ordered)
        bags[row, :count] = ordered[:count]
    return bags
