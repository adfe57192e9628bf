"""Exchange ids become 64-bit numbers under the deployment's key: enough to know a duplicate, too little to know the id.

Why:    a log may be delivered again weeks later; the ids of everything read so far would be a register of requests. The
        mark of a word (16 bits) would tell the word to whoever has a dictionary; another mark stands for it at rest.
Misses: two ids with one number. Among a thousand million exchanges one such pair is expected in every forty runs. In
        the alphabet of a deployment common words can be told by how often they come.
Source: Aumasson & Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012, with 2 and 4 rounds.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.ingest.keys import Key

EXCHANGE_KEY = pa.field("exchange_key", pa.int64(), nullable=False)
_KIND, _WORDS = "exchange_id", "words"
_NO_BYTES = np.frombuffer(b"\0", np.uint8)  # read-only, as the buffers of texts are made
_V0, _V1 = np.uint64(0x736F6D6570736575), np.uint64(0x646F72616E646F6D)
_V2, _V3 = np.uint64(0x6C7967656E657261), np.uint64(0x7465646279746573)
_FINAL = np.uint64(0xFF)
_BYTE, _WORD_BITS = np.uint64(8), np.uint64(64)
_R13, _R16, _R17, _R21, _R32 = (np.uint64(bits) for bits in (13, 16, 17, 21, 32))


def exchange_keys(ids: pa.Array, key: Key) -> pa.Array:
    """The number of each exchange id, as int64."""
    texts = ids.cast(pa.string())
    _, offsets, data = texts.buffers()
    places = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    text = np.frombuffer(data, np.uint8) if data is not None and data.size else _NO_BYTES
    secret = np.frombuffer(bytes.fromhex(key.digest(_KIND, b"")), np.uint64)
    return pa.array(_sip_hashes(text, places, secret[0], secret[1]).view(np.int64))


def with_exchange_keys(batch: pa.RecordBatch, key: Key) -> pa.RecordBatch:
    """The batch with a column `exchange_key` at its end, and the marks of words in the deployment's own alphabet."""
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    if "words" in columns and columns["words"].null_count < batch.num_rows:
        columns["words"] = _in_alphabet(columns["words"], _alphabet(key))
    return pa.RecordBatch.from_arrays(
        [*columns.values(), exchange_keys(batch["exchange_id"], key)], schema=batch.schema.append(EXCHANGE_KEY)
    )


@lru_cache(maxsize=4)
def _alphabet(key: Key) -> npt.NDArray[np.uint16]:
    """What is written for each mark of a word: a permutation under the key in which only 0 stays: (65536,)."""
    plain = np.arange(1 << 16, dtype=np.uint16)
    secret = np.frombuffer(bytes.fromhex(key.digest(_WORDS, b"")), np.uint64)
    places = np.arange(0, 2 * len(plain) + 1, 2, dtype=np.int32)
    order = np.argsort(_sip_hashes(plain.view(np.uint8), places, secret[0], secret[1])[1:], kind="stable")
    return np.append(0, order + 1).astype(np.uint16)


def _in_alphabet(words: pa.FixedSizeListArray, alphabet: npt.NDArray[np.uint16]) -> pa.Array:
    """The bags with other marks, each in the order of these: nothing is left of the order of the words."""
    size = words.type.list_size
    marks = words.values.slice(words.offset * size, len(words) * size).fill_null(0).to_numpy()
    written = _rewritten(marks.view(np.uint16).reshape(-1, size), alphabet).view(np.int16)
    return pa.FixedSizeListArray.from_arrays(pa.array(written.ravel()), type=words.type, mask=words.is_null())


@njit(nogil=True, cache=True)
def _rewritten(bags: npt.NDArray[np.uint16], alphabet: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """The marks that stand for those of each bag, ascending, zeros last; no bag has a mark twice, or one after a zero.

    The place of each is how many are smaller: they are few, and so many are held against one side by side. One less
    than a mark is what is compared, as it makes the greatest number of none.
    """
    size = bags.shape[1]
    written = np.zeros(bags.shape, np.uint16)
    less, places = np.empty(size, np.uint16), np.empty(size, np.uint16)
    for row in range(len(bags)):
        used = 0
        for k in range(size):
            less[k] = np.uint16(alphabet[bags[row, k]] - np.uint16(1))
            used += bags[row, k] != 0
        places[:] = 0
        for k in range(used):
            other = less[k]
            for i in range(size):
                places[i] = np.uint16(places[i] + np.uint16(other < less[i]))
        for k in range(used):
            written[row, places[k]] = np.uint16(less[k] + np.uint16(1))
    return written


@njit(nogil=True, cache=True)
def _sip_hashes(
    text: npt.NDArray[np.uint8], places: npt.NDArray[np.int32], first: np.uint64, second: np.uint64
) -> npt.NDArray[np.uint64]:
    """SipHash-2-4 of text[places[i]:places[i + 1]] for every i."""
    hashes = np.empty(len(places) - 1, np.uint64)
    for row in range(len(hashes)):
        start, end = places[row], places[row + 1]
        v0, v1, v2, v3 = first ^ _V0, second ^ _V1, first ^ _V2, second ^ _V3
        for at in range(start, end - 7, 8):
            word = _word(text, at, at + 8)
            v0, v1, v2, v3 = _two_rounds(v0, v1, v2, v3 ^ word)
            v0 ^= word
        word = _word(text, end - (end - start) % 8, end) | (np.uint64((end - start) & 0xFF) << np.uint64(56))
        v0, v1, v2, v3 = _two_rounds(v0, v1, v2, v3 ^ word)
        v0, v1, v2, v3 = _two_rounds(v0 ^ word, v1, v2 ^ _FINAL, v3)
        v0, v1, v2, v3 = _two_rounds(v0, v1, v2, v3)
        hashes[row] = v0 ^ v1 ^ v2 ^ v3
    return hashes


@njit(nogil=True, cache=True)
def _word(text: npt.NDArray[np.uint8], start: int, end: int) -> np.uint64:
    """At most eight bytes as a little-endian number."""
    word = np.uint64(0)
    for at in range(end - 1, start - 1, -1):
        word = (word << _BYTE) | np.uint64(text[at])
    return word


@njit(nogil=True, cache=True)
def _two_rounds(
    v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    for _ in range(2):
        v0 += v1
        v2 += v3
        v1 = _turned(v1, _R13) ^ v0
        v3 = _turned(v3, _R16) ^ v2
        v0 = _turned(v0, _R32)
        v2 += v1
        v0 += v3
        v1 = _turned(v1, _R17) ^ v2
        v3 = _turned(v3, _R21) ^ v0
        v2 = _turned(v2, _R32)
    return v0, v1, v2, v3


@njit(nogil=True, cache=True)
def _turned(value: np.uint64, bits: np.uint64) -> np.uint64:
    """The value rotated to the left."""
    return (value << bits) | (value >> (_WORD_BITS - bits))
