"""The kernel that turns texts into hashes of tokens, several characters of several words at a time.

    1. Every byte becomes the letter or digit it is read as: 0 where it separates, 255 where it is no ASCII.
    2. The edges of runs of anything but 0 are found. A run of ASCII is a word; any other is read by itself, character
       by character, and what tokens it holds are hashed at once.
    3. Words are hashed side by side: eight characters of each, then the next eight of those that have more.

Why:    read byte by byte, a hash waits for the multiplication of the byte before, and the processor guesses the length
        of every word and is wrong about half of them. Words do not depend on one another.
Misses: nothing that `oracle.tokens` finds; texts that have to be normalised are left to the caller.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from stillwatch.signals.characters import (
    CLASS_MASK,
    COMPOSES,
    DIGIT,
    FOLD_MASK,
    FOLD_SHIFT,
    HAN,
    IGNORED,
    KANA,
    LATIN,
    LETTER,
    SCRIPT_SHIFT,
    SCRIPTS,
    UNSPACED,
)
from stillwatch.signals.hashing import SEED, finish, step

WORD_TOKEN, UNSPACED_TOKEN, NUMBER_TOKEN = 0, 1, 2
NO_SCRIPT = len(SCRIPTS)

_FOREIGN = np.uint8(0xFF)  # stands for a byte that is no ASCII
_IS_LETTER = np.uint8(0x40)  # set in folded letters, not in digits
_CASE = np.uint8(0x20)
_AFTER_DIGITS = ord("9") + 1  # letters come later
_HASH_MASK = np.uint64(0xFFFFFFFFFFFFFFFC)
_ALL, _BYTE, _EIGHT, _ONE, _63 = (np.uint64(value) for value in (0xFFFFFFFFFFFFFFFF, 0xFF, 8, 1, 63))
_FOREIGN_BYTES = np.uint64(0x8080808080808080)
_LETTERS_OR_DIGITS, _LETTERS = np.uint64(0x2020202020202020), np.uint64(0x4040404040404040)
_UNREADABLE = np.int64(0xFFFD)
_KANA_SHARE = 8  # text with at least one kana for seven Han characters is Japanese
_MARGIN = 16  # bytes: two words beyond the text may be loaded

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int32]


class Made(NamedTuple):
    """Tokens of texts, one text after the other; those of texts that are `pending` are not there."""

    hashes: Words  # (tokens,)
    bounds: Places  # (texts + 1,) text i owns hashes[bounds[i] : bounds[i + 1]]
    scripts: Bytes  # (texts,) index into SCRIPTS, NO_SCRIPT where there is no letter
    is_pending: npt.NDArray[np.bool_]  # (texts,) has a character that cannot be folded by itself


class _Work(NamedTuple):
    """Room for one text. A span is a pair of places, first and last, one after the other; a made token has none."""

    codes: Bytes  # (bytes,) the text, folded
    words: Words  # (bytes / 8,) the same memory
    edges: Spans  # (2 * runs,) of runs
    spans: Spans  # (2 * tokens,) of words
    kinds: Bytes  # (tokens,) class of token
    longer: Spans  # (tokens,) words of which there is more to hash
    chunks: Words  # (tokens,) eight characters of each


@njit(nogil=True, cache=True)
def tokenise(data: Bytes, starts: Places, ends: Places, entries: npt.NDArray[np.uint32], is_normal: bool) -> Made:
    """The tokens of texts, text i at data[starts[i] : ends[i]]; none is pending when all are in normal form."""
    rows, longest, total = len(starts), 0, 0
    for row in range(rows):
        longest, total = max(longest, ends[row] - starts[row]), total + ends[row] - starts[row]
    hashes = np.empty(total // 2 + rows + 1, np.uint64)  # a token takes two bytes: its own and what ends it
    made = Made(hashes, np.zeros(rows + 1, np.int64), np.empty(rows, np.uint8), np.zeros(rows, np.bool_))
    work, counts, used = _work(longest), np.zeros(len(SCRIPTS), np.int64), 0
    for row in range(rows):
        text = data[starts[row] : ends[row]]
        seen = _fold(text, work.codes)
        runs = _edges(work.codes, len(text), work.edges)
        if seen & np.uint8(0x80):
            count = _mixed(text, runs, work, hashes[used:], entries, counts, is_normal)
            counts[LATIN] += _letters(work.codes[: len(text)])
            made.scripts[row] = _main_script(counts)
            if count < 0:
                made.is_pending[row] = True
                count = 0
            _hash(work.words, work.spans, hashes[used : used + count], work)
        else:
            count = runs
            made.scripts[row] = LATIN if seen & _IS_LETTER else NO_SCRIPT
            work.kinds[:count] = WORD_TOKEN
            hashes[used : used + count] = SEED
            _hash(work.words, work.edges, hashes[used : used + count], work)
        used += count
        made.bounds[row + 1] = used
    return Made(hashes[:used], made.bounds, made.scripts, made.is_pending)


@njit(nogil=True, cache=True)
def spliced(made: Made, rest: Made) -> Made:
    """The tokens with those of pending texts, of which `rest` has one after the other, in their places."""
    rows, used, next_row = len(made.scripts), 0, 0
    hashes, bounds = np.empty(len(made.hashes) + len(rest.hashes), np.uint64), np.zeros(rows + 1, np.int64)
    scripts = made.scripts.copy()
    for row in range(rows):
        first, last, source = made.bounds[row], made.bounds[row + 1], made.hashes
        if made.is_pending[row]:
            first, last, source = rest.bounds[next_row], rest.bounds[next_row + 1], rest.hashes
            scripts[row] = rest.scripts[next_row]
            next_row += 1
        hashes[used : used + last - first] = source[first:last]
        used += last - first
        bounds[row + 1] = used
    return Made(hashes, bounds, scripts, np.zeros(rows, np.bool_))


@njit(nogil=True, cache=True)
def decoded(text: Bytes, at: int, end: int) -> tuple[np.int64, int]:
    """Code point of more than one byte and how many it takes; U+FFFD where the bytes run out or make no sense."""
    lead = np.int64(text[at])
    size = 2 if lead < 0xE0 else (3 if lead < 0xF0 else 4)
    if at + size > end:
        return _UNREADABLE, end - at
    second = np.int64(text[at + 1]) & 0x3F
    if size == 2:
        return (lead & 0x1F) << 6 | second, size
    third = np.int64(text[at + 2]) & 0x3F
    if size == 3:
        return (lead & 0x0F) << 12 | second << 6 | third, size
    code = (lead & 0x07) << 18 | second << 12 | third << 6 | np.int64(text[at + 3]) & 0x3F
    return code if code < 0x110000 else _UNREADABLE, size


@njit(nogil=True, cache=True)
def _work(longest: int) -> _Work:
    codes, most = np.zeros((longest // 8 + 1) * 8 + _MARGIN, np.uint8), longest // 2 + 2
    edges, spans = np.empty(2 * most + 1, np.int32), np.empty(2 * most + 1, np.int32)
    kinds, longer, chunks = np.empty(most, np.uint8), np.empty(most + 1, np.int32), np.empty(most, np.uint64)
    return _Work(codes, codes.view(np.uint64), edges, spans, kinds, longer, chunks)


@njit(nogil=True, cache=True)
def _fold(text: Bytes, codes: Bytes) -> np.uint8:
    """Write what every byte is read as, and 0 after the last; all bits that were set in any."""
    seen = np.uint8(0)
    for i in range(len(text)):
        byte = text[i]
        lower = np.uint8(byte | _CASE)
        code = lower if np.uint8(lower - np.uint8(ord("a"))) < np.uint8(26) else np.uint8(0)
        code = byte if np.uint8(byte - np.uint8(ord("0"))) < np.uint8(10) else code
        code = _FOREIGN if byte >= np.uint8(0x80) else code
        codes[i] = code
        seen = np.uint8(seen | code)
    codes[len(text)] = 0
    return seen


@njit(nogil=True, cache=True)
def _edges(codes: Bytes, size: int, edges: Spans) -> int:
    """Write where runs of codes other than 0 begin and end; how many they are. Every place is written, few are kept."""
    used, is_inside = 0, False
    for i in range(size + 1):
        edges[used] = i
        used += is_inside != (codes[i] != 0)
        is_inside = codes[i] != 0
    return used // 2


@njit(nogil=True, cache=True)
def _mixed(
    text: Bytes, runs: int, work: _Work, states: Words, entries: npt.NDArray[np.uint32], counts: Places, is_normal: bool
) -> int:
    """The spans of words, states of the other tokens, and letters by script; how many tokens, -1 for a pending text.

    Every character of other runs than words: 1. an ASCII letter or digit is taken into the open token; 2. so is any
    other; 3. an ignored one changes nothing; 4. the rest ends the open token, and an unspaced one is a token by itself.
    """
    codes, edges, spans, kinds = work.codes, work.edges, work.spans, work.kinds
    counts[:] = 0
    used = 0
    for run in range(runs):
        at, last = edges[2 * run], edges[2 * run + 1]
        if _is_word(work.words, at, last):
            spans[2 * used], spans[2 * used + 1], kinds[used], states[used] = at, last, WORD_TOKEN, SEED
            used += 1
            continue
        state, kind, is_open = SEED, WORD_TOKEN, False
        while at < last:
            fold, size = np.uint64(codes[at]), 1
            what = np.int64(DIGIT if fold < _AFTER_DIGITS else LETTER)
            if fold >= 0x80:
                code, size = decoded(text, at, last)
                entry = np.uint64(entries[code])
                what, fold = np.int64(entry & CLASS_MASK), (entry >> FOLD_SHIFT) & FOLD_MASK
                if entry & COMPOSES and not is_normal:
                    return -1
                counts[entry >> SCRIPT_SHIFT] += what in (LETTER, UNSPACED)
            at += size
            if what in (LETTER, DIGIT):
                state, is_open = step(state, fold), True
                kind = NUMBER_TOKEN if what == DIGIT else kind
            elif what != IGNORED:
                if is_open:
                    spans[2 * used], spans[2 * used + 1], kinds[used], states[used] = 0, 0, kind, state
                    used += 1
                    state, kind, is_open = SEED, WORD_TOKEN, False
                if what == UNSPACED:
                    spans[2 * used], spans[2 * used + 1], kinds[used] = 0, 0, UNSPACED_TOKEN
                    states[used] = step(SEED, fold)
                    used += 1
        if is_open:
            spans[2 * used], spans[2 * used + 1], kinds[used], states[used] = 0, 0, kind, state
            used += 1
    return used


@njit(nogil=True, cache=True)
def _letters(codes: Bytes) -> int:
    """How many ASCII letters there are."""
    found = 0
    for code in codes:
        found += np.uint8(code & np.uint8(0xC0)) == _IS_LETTER
    return found


@njit(nogil=True, cache=True)
def _is_word(words: Words, first: int, last: int) -> bool:
    """Whether a run has nothing but ASCII."""
    for at in range(first, last, 8):  # noqa: SIM110 - numba compiles no generator
        if _eight(words, at, last - at) & _FOREIGN_BYTES:
            return False
    return True


@njit(nogil=True, cache=True)
def _hash(words: Words, spans: Spans, states: Words, work: _Work) -> None:
    """Turn states into hashes of tokens: take in what their spans hold, finish, and write the class."""
    kinds, longer, chunks, left = work.kinds, work.longer, work.chunks, 0
    for i in range(len(states)):
        size = spans[2 * i + 1] - spans[2 * i]
        chunks[i] = _eight(words, spans[2 * i], size)
        longer[left] = i
        left += size > 8
    for i in range(len(states)):
        kinds[i] |= _number(chunks[i])
        states[i] = _taken(states[i], chunks[i])
    done = 8
    while left:
        more, left = left, 0
        for k in range(more):
            i = longer[k]
            size = spans[2 * i + 1] - spans[2 * i] - done
            chunk = _eight(words, spans[2 * i] + done, size)
            kinds[i] |= _number(chunk)
            states[i] = _taken(states[i], chunk)
            longer[left] = i
            left += size > 8
        done += 8
    for i in range(len(states)):
        states[i] = (finish(states[i]) & _HASH_MASK) | np.uint64(kinds[i])


@njit(nogil=True, cache=True)
def _eight(words: Words, first: int, size: int) -> np.uint64:
    """At most eight codes from a place on, the first lowest; 0 for those after `size`."""
    at, shift = first >> 3, np.uint64((first & 7) * 8)
    found = (words[at] >> shift) | ((words[at + 1] << _ONE) << (_63 - shift))
    half = np.uint64(4 * min(max(size, 0), 8))  # of the bits to keep: a shift by all 64 is no shift
    return found & ~((_ALL << half) << half)


@njit(nogil=True, cache=True)
def _number(codes: np.uint64) -> np.uint8:
    """NUMBER_TOKEN when one of eight codes is a digit, else 0."""
    digits = ((codes & _LETTERS_OR_DIGITS) << _ONE) & ~codes & _LETTERS
    return np.uint8(NUMBER_TOKEN if digits else WORD_TOKEN)


@njit(nogil=True, cache=True)
def _taken(state: np.uint64, codes: np.uint64) -> np.uint64:
    """The state after eight codes, those that are 0 left out."""
    for _ in range(8):
        code = codes & _BYTE
        state = step(state, code) if code else state
        codes >>= _EIGHT
    return state


@njit(nogil=True, cache=True)
def _main_script(counts: Places) -> np.int64:
    """Script with most letters, the first of equals; Han beside enough kana is Japanese and counts as kana."""
    if counts[KANA] * _KANA_SHARE >= counts[KANA] + counts[HAN]:
        counts[KANA] += counts[HAN]
        counts[HAN] = 0
    best = np.argmax(counts)
    return best if counts[best] else np.int64(NO_SCRIPT)
