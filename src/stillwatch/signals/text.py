"""Prompts as tokens: one pass over Arrow's text buffers, no Python strings.

A token is a run of letters and digits, or one character of a script written without spaces (Han, Kana, Thai, Lao,
Khmer, Myanmar). Case, width and compatibility forms are folded (NFKC), invisible characters dropped. A token is its
64-bit hash, of which the two lowest bits say what it is:

    63                                            2   1   0
    +---------------------------------------------+-------+
    |                hash of the characters       | class |      0 word   1 unspaced character   2 holds a digit
    +---------------------------------------------+-------+

Why:    one pass serves every text signal, and its cost is that of reading the bytes.
Misses: word boundaries inside unspaced scripts (no dictionary), words broken by visible punctuation.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from stillwatch.records import EXCHANGES
from stillwatch.signals.characters import (
    DIGIT,
    HAN,
    IGNORED,
    KANA,
    LATIN,
    LETTER,
    SCRIPTS,
    UNSPACED,
    Characters,
    characters,
)
from stillwatch.signals.hashing import SEED, chain, finish, step

Made = TypeVar("Made")

WORD_TOKEN, UNSPACED_TOKEN, NUMBER_TOKEN = 0, 1, 2
NUMBER = np.uint64(0x5851F42D4C957F2C | NUMBER_TOKEN)  # stands for every token that holds a digit
CLASS_BITS = np.uint64(3)
NO_SCRIPT = len(SCRIPTS)

# Instructions stand at the ends of a prompt, pasted material between them; only the ends are read for meaning.
EXCERPT_HEAD, EXCERPT_TAIL = 256, 128  # tokens

_NO_BYTES = np.frombuffer(b"\0", np.uint8)  # read-only, as the buffers of texts are made
_CLASS_MASK = np.uint64(0xFFFFFFFFFFFFFFFC)
_WORD_BITS = np.uint64(WORD_TOKEN)
_NUMBER_BIT = np.uint64(NUMBER_TOKEN)
_UNSPACED_BIT = np.uint64(UNSPACED_TOKEN)
_SCRIPT_COUNT = len(SCRIPTS)
_AFTER_DIGITS = ord("9") + 1  # letters come later
_KANA_SHARE = 8  # text with at least one kana for seven Han characters is Japanese


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of every text of an array, one after the other."""

    hashes: npt.NDArray[np.uint64]  # (tokens,)
    bounds: npt.NDArray[np.int64]  # (texts + 1,) text i owns hashes[bounds[i] : bounds[i + 1]]
    scripts: npt.NDArray[np.uint8]  # (texts,) index into SCRIPTS, NO_SCRIPT where there is no letter
    _made: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What several signals derive from these tokens, made by the first that asks."""
        if name not in self._made:
            self._made[name] = make()
        made: Made = self._made[name]
        return made

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Tokens of each text."""
        return np.diff(self.bounds)

    @property
    def is_empty(self) -> npt.NDArray[np.bool_]:
        """Where a text is null or has no token."""
        return self.counts == 0


@dataclass(frozen=True)
class Batch:
    """Exchanges whose text is tokenised once, when it is first read; of system prompts, which repeat, distinct ones."""

    exchanges: pa.RecordBatch

    @cached_property
    def prompt(self) -> Tokens:
        """Tokens of the prompts."""
        return tokens(self.column("prompt"))

    @cached_property
    def system_prompt(self) -> Tokens:
        """Tokens of the distinct system prompts, the last of which is null."""
        return tokens(pa.concat_arrays([self._system_prompts.dictionary, pa.nulls(1, pa.string())]))

    @cached_property
    def system_prompt_rows(self) -> npt.NDArray[np.int64]:
        """Index into `system_prompt` of every exchange, (exchanges,)."""
        distinct = self._system_prompts
        rows = distinct.indices.fill_null(len(distinct.dictionary)).to_numpy(zero_copy_only=False)
        return np.asarray(rows, np.int64)

    @cached_property
    def _system_prompts(self) -> pa.DictionaryArray:
        return encoded(self.column("system_prompt"))

    def column(self, name: str) -> pa.Array:
        """A column of the exchanges; all null when they lack it."""
        return column(self.exchanges, name)


def encoded(texts: pa.Array) -> pa.DictionaryArray:
    """The column as a dictionary of the strings it holds, fewer than those of a dictionary that it is a slice of."""
    if not pa.types.is_dictionary(texts.type):
        return texts.cast(pa.string()).dictionary_encode()
    used = texts.indices.dictionary_encode()
    return pa.DictionaryArray.from_arrays(used.indices, texts.dictionary.take(used.dictionary).cast(pa.string()))


def column(exchanges: pa.RecordBatch, name: str) -> pa.Array:
    """A column of the batch; all null when it lacks the column."""
    position = exchanges.schema.get_field_index(name)
    if position < 0:
        return pa.nulls(exchanges.num_rows, EXCHANGES.column(name).type)
    return exchanges.column(position)


def tokens(texts: pa.Array) -> Tokens:
    """The tokens of an array of strings; a null has none."""
    tables = characters()
    texts = texts.cast(pa.string())  # the kernels read 32-bit offsets
    data, starts, ends = _buffers(texts)
    composes = _composes(data, starts, ends, tables.composes)
    if composes.any():
        texts = pc.replace_with_mask(texts, pa.array(composes), pc.utf8_normalize(texts.filter(composes), form="NFKC"))
        data, starts, ends = _buffers(texts)
    room = int((ends - starts).sum()) // 2 + len(texts) + 1  # a token takes two bytes: its own and what ends it
    hashes = np.empty(room, np.uint64)
    bounds = np.zeros(len(texts) + 1, np.int64)
    scripts = np.empty(len(texts), np.uint8)
    _tokenise(data, starts, ends, tables, hashes, bounds, scripts)
    return Tokens(hashes[: bounds[-1]], bounds, scripts)


def nullable(values: npt.NDArray[Any], is_null: npt.NDArray[np.bool_], kind: pa.DataType | None = None) -> pa.Array:
    """An Arrow array of `values`, null where `is_null`."""
    return pa.array(values, type=kind, mask=is_null)


def nullable_vectors(values: npt.NDArray[Any], is_null: npt.NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    """An Arrow array of fixed-size lists, one per row of a matrix, null where `is_null`."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind, mask=pa.array(is_null))


def _buffers(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    _, offsets, data = texts.buffers()
    rows = len(texts)
    if rows == 0 or data is None:
        return _NO_BYTES, np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + rows + 1].astype(np.int64)
    starts, ends = edges[:-1], edges[1:]
    if texts.null_count:
        ends = np.where(texts.is_valid().to_numpy(zero_copy_only=False), ends, starts)
    view = np.frombuffer(data, np.uint8)
    view.flags.writeable = False  # whatever the buffer allows: kernels are compiled once per kind of array
    return view, starts, ends


@njit(nogil=True, cache=True)
def excerpt(bounds: npt.NDArray[np.int64], row: int) -> tuple[int, int, int, int]:
    """Two spans of tokens: the head and the tail of a text, the whole text and nothing when it is short."""
    first, last = bounds[row], bounds[row + 1]
    if last - first <= EXCERPT_HEAD + EXCERPT_TAIL:
        return first, last, last, last
    return first, first + EXCERPT_HEAD, last - EXCERPT_TAIL, last


@njit(nogil=True, cache=True)
def word(token: np.uint64) -> np.uint64:
    """The token, or NUMBER for any that holds a digit."""
    return NUMBER if token & _NUMBER_BIT else token


@njit(nogil=True, cache=True)
def text_ids(
    hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64], keep_numbers: bool
) -> npt.NDArray[np.int64]:
    """One hash per text over all its tokens in order; without `keep_numbers`, runs of numbers count as one NUMBER."""
    ids = np.empty(len(bounds) - 1, np.int64)
    for row in range(len(ids)):
        state = SEED
        before = np.uint64(0)
        for i in range(bounds[row], bounds[row + 1]):
            token = hashes[i] if keep_numbers else word(hashes[i])
            if token != NUMBER or token != before:
                state = chain(state, token)
            before = token
        ids[row] = np.int64(finish(state))
    return ids


@njit(nogil=True, cache=True)
def _decode(data: npt.NDArray[np.uint8], at: int, end: int) -> tuple[np.uint64, int]:
    """Code point of more than one byte and how many it takes; U+FFFD where the bytes run out or make no sense."""
    lead = np.int64(data[at])
    size = 2 if lead < 0xE0 else (3 if lead < 0xF0 else 4)
    if at + size > end:
        return np.uint64(0xFFFD), end - at
    code = lead & (0xFF >> (size + 1))
    for i in range(at + 1, at + size):
        code = (code << 6) | (np.int64(data[i]) & 0x3F)
    return np.uint64(code if code < 0x110000 else 0xFFFD), size


@njit(nogil=True, cache=True)
def _is_ascii(span: npt.NDArray[np.uint8]) -> np.bool_:
    high = np.uint8(0)
    for byte in span:
        high |= byte
    return high < 0x80


@njit(nogil=True, cache=True)
def _composes(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    table: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Which texts hold a code point that cannot be folded by itself."""
    found = np.zeros(len(starts), np.bool_)
    for row in range(len(starts)):
        at, end = starts[row], ends[row]
        if _is_ascii(data[at:end]):
            continue
        while at < end and not found[row]:
            if data[at] < 0x80:
                at += 1
                continue
            code, size = _decode(data, at, end)
            found[row] = table[code]
            at += size
    return found


@njit(nogil=True, cache=True)
def _main_script(counts: npt.NDArray[np.int64]) -> np.int64:
    """Script with most letters, the first of equals; Han beside enough kana is Japanese and counts as kana."""
    if counts[KANA] * _KANA_SHARE >= counts[KANA] + counts[HAN]:
        counts[KANA] += counts[HAN]
        counts[HAN] = 0
    best = np.argmax(counts)
    return best if counts[best] else np.int64(NO_SCRIPT)


@njit(nogil=True, cache=True)
def _ascii_tokens(
    span: npt.NDArray[np.uint8],
    plain: npt.NDArray[np.uint8],
    hashes: npt.NDArray[np.uint64],
    kinds: npt.NDArray[np.int64],
) -> tuple[np.int64, np.int64]:
    """Write the tokens of an ASCII text; how many they are, and how many letters it has.

    Every byte writes the open token where it would stand if it ended here, and no branch asks whether it does: half of
    the time of the general loop goes into branches that depend on the lengths of words.
    """
    used, letters = np.int64(0), np.int64(0)
    state, kind, is_open = SEED, np.int64(0), np.int64(0)
    for byte in span:
        code = plain[byte]
        is_inside = np.int64(code != 0)
        hashes[used], kinds[used] = state, kind
        used += is_open & (1 - is_inside)
        is_open = is_inside
        is_digit = np.int64(code < _AFTER_DIGITS) & is_inside
        kind = (kind | (is_digit * NUMBER_TOKEN)) * is_inside
        letters += is_inside - is_digit
        state = step(state, np.uint64(code)) if is_inside else SEED
    hashes[used], kinds[used] = state, kind
    used += is_open
    for i in range(used):
        hashes[i] = (finish(hashes[i]) & _CLASS_MASK) | np.uint64(kinds[i])
    return used, letters


@njit(nogil=True, cache=True)
def _tokenise(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    tables: Characters,
    hashes: npt.NDArray[np.uint64],
    bounds: npt.NDArray[np.int64],
    scripts: npt.NDArray[np.uint8],
) -> None:
    """Fill `hashes`, `bounds` and `scripts`.

    ASCII texts have a loop of their own. Per character of others: 1. an ASCII letter is taken into the open token at
    once; 2. so is any other letter or digit; 3. an ignored one changes nothing; 4. the rest ends the open token, and an
    unspaced character is a token by itself.
    """
    used = 0
    counts = np.zeros(_SCRIPT_COUNT, np.int64)
    kinds = np.empty((ends - starts).max() // 2 + 2 if len(starts) else 0, np.int64)
    for row in range(len(starts)):
        at, end = starts[row], ends[row]
        if _is_ascii(data[at:end]):
            count, letters = _ascii_tokens(data[at:end], tables.plain, hashes[used:], kinds)
            used += count
            bounds[row + 1] = used
            scripts[row] = LATIN if letters else NO_SCRIPT
            continue
        counts[:] = 0
        state, kind, is_open = SEED, _WORD_BITS, False
        latin = 0
        while at < end:
            letter = tables.letters[data[at]]
            if letter:
                state = step(state, np.uint64(letter))
                is_open = True
                latin += 1
                at += 1
                continue
            code, size = np.uint64(data[at]), 1
            if code >= 0x80:
                code, size = _decode(data, at, end)
            at += size
            what = tables.classes[code]
            if what in (LETTER, DIGIT):
                state = step(state, np.uint64(tables.folds[code]))
                is_open = True
                if what == DIGIT:
                    kind = _NUMBER_BIT
                else:
                    counts[tables.scripts[code]] += 1
            elif what != IGNORED:
                if is_open:
                    hashes[used] = (finish(state) & _CLASS_MASK) | kind
                    used += 1
                    state, kind, is_open = SEED, _WORD_BITS, False
                if what == UNSPACED:
                    hashes[used] = (finish(step(SEED, np.uint64(tables.folds[code]))) & _CLASS_MASK) | _UNSPACED_BIT
                    used += 1
                    counts[tables.scripts[code]] += 1
        counts[LATIN] += latin
        if is_open:
            hashes[used] = (finish(state) & _CLASS_MASK) | kind
            used += 1
        bounds[row + 1] = used
        scripts[row] = _main_script(counts)
