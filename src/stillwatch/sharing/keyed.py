"""Keyed values of content: what a member of a sharing group can match and nobody else can guess.

Why:    a fingerprint of a prompt is a public function of its words, so a list of likely prompts reverses it. Under a
        group's key it is a pseudorandom number: a partner with the key compares, anybody else learns how many there are
        and nothing more.
Misses: a member of the group can confirm a guess, for whoever can match can also try. Rotation bounds for how long.
Source: Aumasson & Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012 (SipHash-2-4, 64-bit output).
"""

import hashlib
import hmac
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numba import njit

SECRET_BYTES = 32
_LABEL = b"stillwatch sharing 1\0"

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class GroupKey:
    """One epoch of a sharing group's secret. Two deployments that hold it see the same values."""

    group_id: str
    epoch: int
    secret: bytes = field(repr=False)


def keyed(numbers: npt.NDArray[np.int64], kind: str, key: GroupKey) -> Words:
    """The keyed value of each 64-bit number of that kind: (n,)."""
    material = _material(kind, key)
    first, second = (np.uint64(int.from_bytes(material[i : i + 8], "little")) for i in (0, 8))
    return _siphash(np.ascontiguousarray(numbers).view(np.uint64), first, second)


def keyed_name(value: int) -> str:
    """A keyed value as 16 hexadecimal digits."""
    return f"{value:016x}"


def _material(kind: str, key: GroupKey) -> bytes:
    """128 bits of key for one kind, so that equal numbers of two kinds share nothing."""
    return hmac.new(key.secret, _LABEL + kind.encode(), hashlib.sha256).digest()[:16]


@njit(nogil=True, cache=True)
def _rotated(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@njit(nogil=True, cache=True)
def _rounds(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64, count: int
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    for _ in range(count):
        a += b
        b = _rotated(b, 13) ^ a
        a = _rotated(a, 32)
        c += d
        d = _rotated(d, 16) ^ c
        a += d
        d = _rotated(d, 21) ^ a
        c += b
        b = _rotated(b, 17) ^ c
        c = _rotated(c, 32)
    return a, b, c, d


@njit(nogil=True, cache=True)
def _siphash(numbers: Words, first: np.uint64, second: np.uint64) -> Words:
    """SipHash-2-4 of each number as eight little-endian bytes."""
    found = np.empty(len(numbers), np.uint64)
    length = np.uint64(8 << 56)
    for i in range(len(numbers)):
        a = first ^ np.uint64(0x736F6D6570736575)
        b = second ^ np.uint64(0x646F72616E646F6D)
        c = first ^ np.uint64(0x6C7967656E657261)
        d = second ^ np.uint64(0x7465646279746573)
        d ^= numbers[i]
        a, b, c, d = _rounds(a, b, c, d, 2)
        a ^= numbers[i]
        d ^= length
        a, b, c, d = _rounds(a, b, c, d, 2)
        a ^= length
        c ^= np.uint64(0xFF)
        a, b, c, d = _rounds(a, b, c, d, 4)
        found[i] = a ^ b ^ c ^ d
    return found
