"""One 64-bit hash, as numba kernels and as the plain Python they must equal.

Unsigned inside, signed (int64) in tables. The mixer is the finaliser of MurmurHash3, by Austin Appleby (public domain).
"""

import numpy as np
from numba import njit

MASK = 0xFFFFFFFFFFFFFFFF
SEED = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
FACTOR = np.uint64(0xD6E8FEB86659FD93)  # odd, with well-spread bits
_MIX_1 = np.uint64(0xFF51AFD7ED558CCD)
_MIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)


@njit(nogil=True, cache=True)
def step(state: np.uint64, value: np.uint64) -> np.uint64:
    """`state` after taking in `value`; order matters."""
    return (state ^ value) * FACTOR


@njit(nogil=True, cache=True)
def finish(state: np.uint64) -> np.uint64:
    """Spread every bit of `state` over all 64."""
    state = (state ^ (state >> _SHIFT)) * _MIX_1
    state = (state ^ (state >> _SHIFT)) * _MIX_2
    return state ^ (state >> _SHIFT)


@njit(nogil=True, cache=True)
def chain(state: np.uint64, value: np.uint64) -> np.uint64:
    """`state` after taking in one token; unlike `step` it also moves high bits down, for long sequences."""
    state = (state ^ value) * FACTOR
    return state ^ (state >> _SHIFT)


def step_reference(state: int, value: int) -> int:
    """`step` on Python integers."""
    return ((state ^ value) * int(FACTOR)) & MASK


def finish_reference(state: int) -> int:
    """`finish` on Python integers."""
    state = ((state ^ (state >> 33)) * int(_MIX_1)) & MASK
    state = ((state ^ (state >> 33)) * int(_MIX_2)) & MASK
    return state ^ (state >> 33)


def chain_reference(state: int, value: int) -> int:
    """`chain` on Python integers."""
    state = ((state ^ value) * int(FACTOR)) & MASK
    return state ^ (state >> 33)


def signed(value: int) -> int:
    """The int64 with the same bits."""
    return value - (1 << 64) if value >> 63 else value
