"""A bounded sketch of the prompt: sixteen fingerprints chosen by content, eight from its head and eight from its tail.

Why:    a harvest repeats an instruction around a slot. Fingerprints are overlapping shingles (three words, or five
        characters where there are no spaces) whose hash falls in a fixed quarter of all hashes. Whether a shingle is
        kept depends on nothing but itself, so two prompts with one instruction keep the same fingerprints of it
        however long the slot is; a minimum over the whole prompt (bottom-k) would drown in the slot.
Misses: an instruction that is neither in the first nor the last 64 tokens, one of fewer than about eight words, and one
        reworded on every call.
Source: Manber (1994), "Finding similar files in a large file system", USENIX Winter, section 3 (sampling by hash
        value); Broder (1997), "On the resemblance and containment of documents", SEQUENCES (shingles, sketches mod m).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.records import SIGNALS, SKETCH_SIZE
from stillwatch.signals import oracle
from stillwatch.signals.hashing import SEED, chain, chain_reference, finish, finish_reference
from stillwatch.signals.text import NUMBER, Batch, nullable, nullable_vectors, text_ids, word, wording_ids
from stillwatch.signals.tokeniser import UNSPACED_TOKEN

COLUMNS = ("sketch", "text_id")
READS = ("prompt",)

WINDOW_TOKENS = 64  # how far from either end fingerprints are taken
WORD_SHINGLE, UNSPACED_SHINGLE = 3, 5  # tokens
SAMPLE_BITS = 2  # one shingle in four: an instruction of 40 words has about eight
HALF = SKETCH_SIZE // 2

_SAMPLED_BELOW = np.uint64(1 << (64 - SAMPLE_BITS))
_UNSPACED_BIT = np.uint64(UNSPACED_TOKEN)


def signal(batch: Batch) -> dict[str, pa.Array]:
    """Sketch and text id per exchange; null without a token."""
    prompt = batch.prompt
    return {
        "sketch": nullable_vectors(
            _sketches(prompt.hashes, prompt.bounds), prompt.is_empty, SIGNALS.column("sketch").type
        ),
        "text_id": nullable(text_ids(prompt), prompt.is_empty),
    }


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    text = exchange.get("prompt")
    found = oracle.tokens(str(text) if text else None)
    if not found:
        return {"sketch": None, "text_id": None}
    plain = oracle.without_number_runs(found)
    head = _sampled_reference(plain[:WINDOW_TOKENS])
    head = list(dict.fromkeys(head))[:HALF]
    tail = [h for h in dict.fromkeys(reversed(_sampled_reference(plain[-WINDOW_TOKENS:]))) if h not in head][:HALF]
    if not head and not tail:
        head = [_whole_reference(plain)]
    return {"sketch": _padded(head) + _padded(tail), "text_id": oracle.text_id(found)}


def _padded(fingerprints: list[int]) -> list[int]:
    return fingerprints + [0] * (HALF - len(fingerprints))


def _sampled_reference(window: list[int]) -> list[int]:
    found = []
    for i, token in enumerate(window):
        size = UNSPACED_SHINGLE if token & UNSPACED_TOKEN else WORD_SHINGLE
        if i + size <= len(window):
            state = int(SEED)
            for part in window[i : i + size]:
                state = chain_reference(state, part)
            found.append(finish_reference(state))
    return [fingerprint for fingerprint in found if 0 < fingerprint < int(_SAMPLED_BELOW)]


def _whole_reference(plain: list[int]) -> int:
    return max(oracle.text_id(plain) % int(_SAMPLED_BELOW), 1)


@njit(nogil=True, cache=True)
def _head_window(hashes: npt.NDArray[np.uint64], first: int, last: int, window: npt.NDArray[np.uint64]) -> int:
    """Copy the first tokens, each run of numbers as one NUMBER; how many."""
    size = 0
    for i in range(first, last):
        token = word(hashes[i])
        if token == NUMBER and size and window[size - 1] == NUMBER:
            continue
        if size == WINDOW_TOKENS:
            break
        window[size] = token
        size += 1
    return size


@njit(nogil=True, cache=True)
def _tail_window(hashes: npt.NDArray[np.uint64], first: int, last: int, window: npt.NDArray[np.uint64]) -> int:
    """Copy the last tokens in their order, each run of numbers as one NUMBER, to the end of `window`; how many."""
    size = 0
    for i in range(last - 1, first - 1, -1):
        token = word(hashes[i])
        if token == NUMBER and size and window[WINDOW_TOKENS - size] == NUMBER:
            continue
        if size == WINDOW_TOKENS:
            break
        size += 1
        window[WINDOW_TOKENS - size] = token
    return size


@njit(nogil=True, cache=True)
def _shingle(window: npt.NDArray[np.uint64], i: int, last: int) -> np.uint64:
    """Fingerprint of the shingle at `i`; 0 when it does not fit or is not sampled."""
    size = UNSPACED_SHINGLE if window[i] & _UNSPACED_BIT else WORD_SHINGLE
    if i + size > last:
        return np.uint64(0)
    state = SEED
    for k in range(i, i + size):
        state = chain(state, window[k])
    state = finish(state)
    return state if state < _SAMPLED_BELOW else np.uint64(0)


@njit(nogil=True, cache=True)
def _is_new(fingerprint: np.uint64, sketch: npt.NDArray[np.int64]) -> bool:
    if fingerprint == np.uint64(0):
        return False
    for k in range(SKETCH_SIZE):  # noqa: SIM110 - numba compiles no generator
        if sketch[k] == np.int64(fingerprint):
            return False
    return True


@njit(nogil=True, cache=True)
def _fill_head(window: npt.NDArray[np.uint64], size: int, sketch: npt.NDArray[np.int64]) -> None:
    """The first distinct fingerprints of the head, in order."""
    slot = 0
    for i in range(size):
        fingerprint = _shingle(window, i, size)
        if _is_new(fingerprint, sketch):
            sketch[slot] = np.int64(fingerprint)
            slot += 1
            if slot == HALF:
                return


@njit(nogil=True, cache=True)
def _fill_tail(window: npt.NDArray[np.uint64], size: int, sketch: npt.NDArray[np.int64]) -> None:
    """The last distinct fingerprints of the tail that the head does not have, from the end backwards."""
    slot = HALF
    for i in range(WINDOW_TOKENS - 1, WINDOW_TOKENS - size - 1, -1):
        fingerprint = _shingle(window, i, WINDOW_TOKENS)
        if _is_new(fingerprint, sketch):
            sketch[slot] = np.int64(fingerprint)
            slot += 1
            if slot == SKETCH_SIZE:
                return


@njit(nogil=True, cache=True)
def _sketches(hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sketch of every text. Fingerprints lie below 2^62, so int64 holds them; 0 means empty."""
    sketches = np.zeros((len(bounds) - 1, SKETCH_SIZE), np.int64)
    window = np.empty(WINDOW_TOKENS, np.uint64)
    for row in range(len(sketches)):
        first, last = bounds[row], bounds[row + 1]
        size = _head_window(hashes, first, last, window)
        _fill_head(window, size, sketches[row])
        size = _tail_window(hashes, first, last, window)
        _fill_tail(window, size, sketches[row])
        if sketches[row, 0] == 0 and sketches[row, HALF] == 0 and size:
            sketches[row, 0] = _whole(hashes, first, last)
    return sketches


@njit(nogil=True, cache=True)
def _whole(hashes: npt.NDArray[np.uint64], first: int, last: int) -> np.int64:
    """Fingerprint of a text too short to have a sampled shingle."""
    whole = wording_ids(hashes, np.array([first, last]))[0]
    return max(np.int64(np.uint64(whole) % _SAMPLED_BELOW), np.int64(1))
