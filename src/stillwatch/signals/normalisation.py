"""Texts in normal form (NFKC), of which only those stretches are rewritten that need it.

Why:    one character that stands for several, as in a unit of measure, makes a whole document be taken apart and put
        together again, which costs five times as much as reading it.
Source: Unicode Standard Annex 15, section 9.1: text may be cut before a character that is its own normal form and
        joins nothing that stands before it. Every ASCII character is such a one.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from stillwatch.signals.characters import COMPOSES
from stillwatch.signals.tokeniser import decoded

Offsets = npt.NDArray[np.int32]


def normalised(texts: pa.Array, entries: npt.NDArray[np.uint32]) -> pa.Array:
    """The strings, none of them null, as `unicodedata.normalize("NFKC", text)` would have them, as far as it matters.

    It does not where every character can be folded by itself: those stay as they are.
    """
    _, offsets, data = texts.buffers()
    edges = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    view = np.frombuffer(data, np.uint8)
    edges.flags.writeable = view.flags.writeable = False  # whatever the buffers allow: one kernel for all
    cuts, is_piece, firsts = _cuts(view, edges, entries)
    pieces = pa.StringArray.from_buffers(len(is_piece), pa.py_buffer(cuts), data)
    wanted = pa.array(is_piece)
    made = pc.replace_with_mask(pieces, wanted, pc.utf8_normalize(pieces.filter(wanted), form="NFKC"))
    _, offsets, data = made.buffers()
    ends = np.frombuffer(offsets, np.int32)[made.offset : made.offset + len(made) + 1][firsts]
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), data)


@njit(nogil=True, cache=True)
def _cuts(
    data: npt.NDArray[np.uint8], edges: Offsets, entries: npt.NDArray[np.uint32]
) -> tuple[Offsets, npt.NDArray[np.bool_], Offsets]:
    """Where to cut the texts, which pieces to rewrite, and the first piece of each text, one more at the end.

    A piece to rewrite is an ASCII character and what follows it up to the next.
    """
    rows = len(edges) - 1
    most = edges[rows] - edges[0] + rows + 1
    cuts, is_piece, firsts = np.empty(most, np.int32), np.zeros(most, np.bool_), np.zeros(rows + 1, np.int32)
    used = 0
    for row in range(rows):
        at, end, cut, piece, composes = edges[row], edges[row + 1], edges[row], edges[row], np.uint64(0)
        firsts[row] = used
        while at <= end:
            if at == end or data[at] < 0x80:
                if composes:
                    if cut < piece:
                        cuts[used] = cut
                        used += 1
                    cuts[used], is_piece[used] = piece, True
                    used += 1
                    cut, composes = at, np.uint64(0)
                piece = at
                at += 1
            else:
                code, size = decoded(data, at, end)
                composes |= entries[code] & COMPOSES
                at += size
        if cut < end:
            cuts[used] = cut
            used += 1
    cuts[used], firsts[rows] = edges[rows], used
    return cuts[: used + 1], is_piece[:used], firsts
