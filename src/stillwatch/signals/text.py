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
from numba import njit

from stillwatch.records import EXCHANGES
from stillwatch.signals.characters import entries
from stillwatch.signals.hashing import SEED, chain, finish
from stillwatch.signals.normalisation import normalised
from stillwatch.signals.tokeniser import NUMBER_TOKEN, spliced, tokenise

Made = TypeVar("Made")

NUMBER = np.uint64(0x5851F42D4C957F2C | NUMBER_TOKEN)  # stands for every token that holds a digit
CLASS_BITS = np.uint64(3)

# Instructions stand at the ends of a prompt, pasted material between them; only the ends are read for meaning.
EXCERPT_HEAD, EXCERPT_TAIL = 256, 128  # tokens

_NO_BYTES = np.frombuffer(b"\0", np.uint8)  # read-only, as the buffers of texts are made
_NUMBER_BIT = np.uint64(NUMBER_TOKEN)


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
    texts, tables = texts.cast(pa.string()), entries()  # the kernels read 32-bit offsets
    made = tokenise(*_buffers(texts), tables, is_normal=False)
    if made.is_pending.any():
        pending = normalised(texts.filter(pa.array(made.is_pending)), tables)
        made = spliced(made, tokenise(*_buffers(pending), tables, is_normal=True))
    return Tokens(made.hashes, made.bounds, made.scripts)


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


def text_ids(tokens: Tokens) -> npt.NDArray[np.int64]:
    """One hash per text over all its tokens in order."""
    return _ids(tokens.hashes, tokens.bounds, np.argsort(tokens.counts))


@njit(nogil=True, cache=True)
def wording_ids(hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """One hash per text over all its tokens in order, of which runs of numbers count as one NUMBER."""
    ids = np.empty(len(bounds) - 1, np.int64)
    for row in range(len(ids)):
        state = SEED
        before = np.uint64(0)
        for i in range(bounds[row], bounds[row + 1]):
            token = word(hashes[i])
            if token != NUMBER or token != before:
                state = chain(state, token)
            before = token
        ids[row] = np.int64(finish(state))
    return ids


@njit(nogil=True, cache=True)
def _ids(
    hashes: npt.NDArray[np.uint64], bounds: npt.NDArray[np.int64], order: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The hashes of texts, which `order` names by length: four side by side, as each waits for its multiplications."""
    ids = np.empty(len(order), np.int64)
    fours = len(order) // 4 * 4
    for k in range(0, fours, 4):
        a, b, c, d = order[k], order[k + 1], order[k + 2], order[k + 3]
        of_a, of_b, of_c, of_d = SEED, SEED, SEED, SEED
        shared = bounds[a + 1] - bounds[a]  # a is the shortest
        for i in range(shared):
            of_a = chain(of_a, hashes[bounds[a] + i])
            of_b = chain(of_b, hashes[bounds[b] + i])
            of_c = chain(of_c, hashes[bounds[c] + i])
            of_d = chain(of_d, hashes[bounds[d] + i])
        ids[a] = np.int64(finish(of_a))
        ids[b] = _id_from(of_b, hashes[bounds[b] + shared : bounds[b + 1]])
        ids[c] = _id_from(of_c, hashes[bounds[c] + shared : bounds[c + 1]])
        ids[d] = _id_from(of_d, hashes[bounds[d] + shared : bounds[d + 1]])
    for row in order[fours:]:
        ids[row] = _id_from(SEED, hashes[bounds[row] : bounds[row + 1]])
    return ids


@njit(nogil=True, cache=True)
def _id_from(state: np.uint64, tokens: npt.NDArray[np.uint64]) -> np.int64:
    """The hash of a text that goes on with these tokens."""
    for token in tokens:
        state = chain(state, token)
    return np.int64(finish(state))
