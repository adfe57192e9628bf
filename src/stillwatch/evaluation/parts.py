"""Prompts as rows of part numbers over one pool of bytes, so that a million of them are one pass of copies."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
NONE = -1  # part number of "nothing here"


@dataclass(slots=True)
class PartPool:
    """The texts that prompts are made of, each stored once; grows while a world is planned."""

    chunks: list[bytes] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)

    def add(self, text: str) -> int:
        """The number of a text, new or known."""
        known = self.ids.get(text)
        if known is None:
            known = self.ids[text] = len(self.chunks)
            self.chunks.append(text.encode())
        return known

    def add_run(self, texts: Iterable[str]) -> tuple[int, int]:
        """Store texts side by side and return (first number, count), so that a draw is an addition."""
        start = len(self.chunks)
        self.chunks.extend(text.encode() for text in texts)
        return start, len(self.chunks) - start

    def freeze(self) -> "Parts":
        """The pool as one buffer."""
        lengths = np.fromiter((len(chunk) for chunk in self.chunks), np.int64, len(self.chunks))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return Parts(np.frombuffer(b"".join(self.chunks) + b"\0", np.uint8), offsets)


@dataclass(frozen=True, slots=True)
class Parts:
    """A frozen pool: the bytes of all parts and where each starts."""

    data: npt.NDArray[np.uint8]
    offsets: Ints  # (parts + 1,) int64

    def texts(self, rows: npt.NDArray[np.int32]) -> pa.Array:
        """Each row of part numbers joined to one string; a row of nothing but NONE is null."""
        starts = _starts(self.offsets, rows)
        out = np.empty(int(starts[-1]), np.uint8)
        _copy(self.data, self.offsets, rows, starts, out)
        absent = (rows == NONE).all(axis=1)
        return string_array(starts, out, absent)


def string_array(starts: Ints, data: npt.NDArray[np.uint8], absent: npt.NDArray[np.bool_] | None) -> pa.Array:
    """An Arrow string column from offsets, bytes and a mask of nulls."""
    valid = None if absent is None or not absent.any() else pa.array(~absent).buffers()[1]
    buffers = [valid, pa.py_buffer(starts.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(starts) - 1, buffers)


@nb.njit(nogil=True, cache=True)
def _starts(offsets: Ints, rows: npt.NDArray[np.int32]) -> Ints:
    starts = np.empty(rows.shape[0] + 1, np.int64)
    starts[0] = 0
    for i in range(rows.shape[0]):
        total = 0
        for j in range(rows.shape[1]):
            part = rows[i, j]
            if part >= 0:
                total += offsets[part + 1] - offsets[part]
        starts[i + 1] = starts[i] + total
    return starts


@nb.njit(nogil=True, cache=True)
def _copy(
    data: npt.NDArray[np.uint8],
    offsets: Ints,
    rows: npt.NDArray[np.int32],
    starts: Ints,
    out: npt.NDArray[np.uint8],
) -> None:
    for i in range(rows.shape[0]):
        at = starts[i]
        for j in range(rows.shape[1]):
            part = rows[i, j]
            if part >= 0:
                begin = offsets[part]
                size = offsets[part + 1] - begin
                for k in range(size):
                    out[at + k] = data[begin + k]
                at += size


def hex_ids(prefix: str, numbers: npt.NDArray[np.uint64], absent: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """`prefix` and sixteen hex digits for each number; null where `absent`."""
    width = len(prefix) + 16
    out = np.empty((len(numbers), width), np.uint8)
    out[:, : len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    octets = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    out[:, len(prefix) :: 2] = digits[octets >> 4]
    out[:, len(prefix) + 1 :: 2] = digits[octets & 15]
    starts = np.arange(len(numbers) + 1, dtype=np.int64) * width
    return string_array(starts, out.reshape(-1), absent)


def mix(numbers: npt.NDArray[np.uint64] | npt.NDArray[np.int64], salt: int) -> npt.NDArray[np.uint64]:
    """A well-spread 64-bit number for each number (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        z = numbers.astype(np.uint64) + np.uint64(salt % 2**64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


def stream(*names: object) -> np.random.Generator:
    """The random stream that belongs to these names: no other stream moves when one is added."""
    digest = hashlib.blake2b("\0".join(str(name) for name in names).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.SFC64(np.frombuffer(digest, np.uint32)))
