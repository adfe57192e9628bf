"""The /24 of plain IPv4 addresses, many at once and outside the interpreter's lock.

Plain is four numbers from 0 to 255 without leading zeros, joined by dots: what almost every log writes. Anything else
(IPv6, ports, lists, names) is left to `keys.address`.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

_MOST_CHARS = 16  # of what is made: three numbers and ".0/24"
_ENDING = np.frombuffer(b".0/24", np.uint8)
_DOT, _ZERO, _NINE = ord("."), ord("0"), ord("9")

Bytes = npt.NDArray[np.uint8]


def networks(values: pa.Array) -> pa.Array:
    """The /24 of every string that is a plain IPv4 address, as in 203.0.113.0/24; null where it is none."""
    rows = len(values)
    if not rows:
        return values
    _, offsets, data = values.buffers()
    edges = np.frombuffer(offsets, np.int32)[values.offset : values.offset + rows + 1]
    text = np.frombuffer(data if data is not None and data.size else b"\0", np.uint8)
    edges.flags.writeable = text.flags.writeable = False  # kernels are compiled once per kind of array
    made, ends = np.empty(rows * _MOST_CHARS, np.uint8), np.zeros(rows + 1, np.int32)
    _networks(text, edges, made, ends)
    found = pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(ends), pa.py_buffer(made)])
    is_plain = pa.array(np.diff(ends) > 0)
    return pc.if_else(is_plain, found, pa.scalar(None, pa.string()))


@njit(nogil=True, cache=True)
def _third_dot(text: Bytes, first: int, last: int) -> int:
    """Where the last number of a plain address is cut off; `first` when it is no such address."""
    dots, digits, number, cut = 0, 0, 0, first
    for i in range(first, last):
        byte = text[i]
        if byte == _DOT:
            if digits == 0:
                return first
            dots, digits, number, cut = dots + 1, 0, 0, i
        elif _ZERO <= byte <= _NINE and not (digits > 0 and number == 0):
            digits, number = digits + 1, number * 10 + byte - _ZERO
            if number > 255:
                return first
        else:
            return first
    return cut if dots == 3 and digits > 0 else first


@njit(nogil=True, cache=True)
def _networks(text: Bytes, edges: npt.NDArray[np.int32], made: Bytes, ends: npt.NDArray[np.int32]) -> None:
    """Write the networks one after the other; nothing where there is none."""
    used = 0
    for row in range(len(ends) - 1):
        first, last = edges[row], edges[row + 1]
        cut = _third_dot(text, first, last) if last > first else first
        if cut > first:
            for i in range(first, cut):
                made[used + i - first] = text[i]
            used += cut - first
            for k in range(len(_ENDING)):
                made[used + k] = _ENDING[k]
            used += len(_ENDING)
        ends[row + 1] = used
