"""HMAC-SHA256 of many short values at once, side by side in vector registers and outside the interpreter's lock.

Why:    an exchange carries one or two identifiers that nothing repeats, and Python spends two microseconds on each, one
        thread at a time. This is the same function as `hmac.digest`, many times as fast, and threads share it.
Misses: values longer than one block; they go to `hmac.digest` itself.
Source: FIPS 180-4 (SHA-256), sections 4.2.2, 5.3.3 and 6.2.2; RFC 2104 (HMAC). Constants are derived here from their
        definition, the fractional parts of square and cube roots of the first primes.

The state of both keyed blocks is made once per call, so that a value costs two compressions: its own block and the
outer one. Nothing here branches on what is hashed but its length.
"""

import hashlib
import hmac
from functools import lru_cache
from math import isqrt

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

HEX_CHARS = 32  # 128 bits: a chance collision needs about 2^64 values
LANES = 64  # values hashed side by side; enough that the checks before each vector loop cost little
_BLOCK = 64  # bytes
_MOST_BYTES = 55  # of a message that fits one block, with its end mark and its length

Words = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]


def _cube_root(value: int) -> int:
    root = 1 << -(-value.bit_length() // 3)
    while (better := (2 * root + value // root**2) // 3) < root:
        root = better
    return root


_PRIMES = [n for n in range(2, 312) if all(n % d for d in range(2, isqrt(n) + 1))]  # the first 64
_INITIAL = np.array([isqrt(p << 64) & 0xFFFFFFFF for p in _PRIMES[:8]], np.uint32)
_ROUNDS = np.array([_cube_root(p << 96) & 0xFFFFFFFF for p in _PRIMES], np.uint32)


def digests(secret: bytes, kind: str, values: pa.Array) -> pa.Array:
    """HMAC-SHA256(secret, kind, 0, value) of every string as 32 hex digits; null stays null."""
    prefix, rows = kind.encode() + b"\0", len(values)
    _, offsets, data = values.buffers()
    if not rows:
        return values
    edges = np.frombuffer(offsets, np.int32)[values.offset : values.offset + rows + 1]
    edges.flags.writeable = False  # whatever the buffer allows: kernels are compiled once per kind of array
    text = np.frombuffer(data if data is not None and data.size else b"\0", np.uint8)
    text.flags.writeable = False
    made = np.empty((rows, HEX_CHARS), np.uint8)
    _digest_all(np.frombuffer(prefix, np.uint8), text, edges, _keyed(secret, 0x36), _keyed(secret, 0x5C), made)
    for row in np.flatnonzero(np.diff(edges) + len(prefix) > _MOST_BYTES):
        value = text[edges[row] : edges[row + 1]].tobytes()
        made[row] = np.frombuffer(hmac.digest(secret, prefix + value, "sha256").hex()[:HEX_CHARS].encode(), np.uint8)
    ends = pa.py_buffer(np.arange(0, HEX_CHARS * (rows + 1), HEX_CHARS, dtype=np.int32))
    is_valid = pa.py_buffer(np.packbits(values.is_valid(), bitorder="little")) if values.null_count else None
    return pa.Array.from_buffers(pa.string(), rows, [is_valid, ends, pa.py_buffer(made)])


@lru_cache(maxsize=8)
def _keyed(secret: bytes, mask: int) -> Words:
    """State of the hash after the key's inner (0x36) or outer (0x5c) block, (8, LANES), all lanes alike."""
    key = hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret
    block = np.frombuffer(key.ljust(_BLOCK, b"\0"), np.uint8) ^ np.uint8(mask)
    schedule = np.frombuffer(block.tobytes(), ">u4").astype(np.uint32)
    state = np.repeat(_INITIAL[:, None], LANES, axis=1)
    _compress(state, np.repeat(schedule[:, None], LANES, axis=1))
    return state


@njit(nogil=True, cache=True)
def _turned(value: np.uint32, bits: int) -> np.uint32:
    return np.uint32((value >> np.uint32(bits)) | np.uint32(value << np.uint32(32 - bits)))


@njit(nogil=True, cache=True)
def _compress(state: Words, schedule: Words) -> None:
    """Take one block, (16, LANES), into the state, (8, LANES); the schedule is used up.

    Loops over lanes are short so that the compiler turns each into vector instructions, which it does when few arrays
    could overlap; it must be told that a sum of 32-bit numbers has 32 bits. Arrays change names instead of being moved.
    """
    a, b, c, d = state[0].copy(), state[1].copy(), state[2].copy(), state[3].copy()
    e, f, g, h = state[4].copy(), state[5].copy(), state[6].copy(), state[7].copy()
    made = np.empty(LANES, np.uint32)
    for r in range(64):
        constant, word, later = _ROUNDS[r], schedule[r & 15], schedule[(r + 9) & 15]
        low, high = schedule[(r + 1) & 15], schedule[(r + 14) & 15]
        for i in range(LANES):
            x = e[i]
            mixed = np.uint32(_turned(x, 6) ^ _turned(x, 11) ^ _turned(x, 25))
            made[i] = np.uint32(h[i] + mixed + np.uint32(g[i] ^ (x & np.uint32(f[i] ^ g[i]))) + word[i] + constant)
        for i in range(LANES):
            d[i] = np.uint32(d[i] + made[i])
        for i in range(LANES):
            x = a[i]
            mixed = np.uint32(_turned(x, 2) ^ _turned(x, 13) ^ _turned(x, 22))
            h[i] = np.uint32(made[i] + mixed + np.uint32((x & b[i]) | (c[i] & np.uint32(x | b[i]))))
        for i in range(LANES):
            x, y = low[i], high[i]
            first = np.uint32(_turned(x, 7) ^ _turned(x, 18) ^ (x >> np.uint32(3)))
            second = np.uint32(_turned(y, 17) ^ _turned(y, 19) ^ (y >> np.uint32(10)))
            made[i] = np.uint32(word[i] + first + later[i] + second)
        word[:] = made
        a, b, c, d, e, f, g, h = h, a, b, c, d, e, f, g
    for k, part in enumerate((a, b, c, d, e, f, g, h)):
        state[k] += part


@njit(nogil=True, cache=True)
def _fill(prefix: Bytes, text: Bytes, first: int, last: int, schedule: Words, lane: int) -> None:
    """The padded block of one message after a keyed block; of one too long, the block of nothing."""
    size = len(prefix) + last - first
    for k in range(16):
        schedule[k, lane] = 0
    if size > _MOST_BYTES:
        return
    for i in range(size):
        value = prefix[i] if i < len(prefix) else text[first + i - len(prefix)]
        schedule[i >> 2, lane] |= np.uint32(value) << np.uint32(24 - 8 * (i & 3))
    schedule[size >> 2, lane] |= np.uint32(0x80) << np.uint32(24 - 8 * (size & 3))
    schedule[15, lane] = np.uint32((_BLOCK + size) * 8)


@njit(nogil=True, cache=True)
def _digest_all(
    prefix: Bytes, text: Bytes, edges: npt.NDArray[np.int32], inner: Words, outer: Words, made: Bytes
) -> None:
    """Fill `made`, (values, 32), with hex digits, LANES values at a time; digits of those too long are wrong."""
    schedule, state, last = np.zeros((16, LANES), np.uint32), np.empty((8, LANES), np.uint32), np.empty_like(outer)
    for start in range(0, len(made), LANES):
        used = min(LANES, len(made) - start)
        for lane in range(used):
            _fill(prefix, text, edges[start + lane], edges[start + lane + 1], schedule, lane)
        state[:] = inner
        _compress(state, schedule)
        schedule[:8] = state
        schedule[8] = np.uint32(0x80000000)
        schedule[9:15] = np.uint32(0)
        schedule[15] = np.uint32((_BLOCK + 32) * 8)
        last[:] = outer
        _compress(last, schedule)
        for lane in range(used):
            for k in range(HEX_CHARS):
                digit = (last[k >> 3, lane] >> np.uint32(28 - 4 * (k & 7))) & np.uint32(15)
                made[start + lane, k] = np.uint8(digit + np.uint32(48) + np.uint32(39) * np.uint32(digit > 9))
