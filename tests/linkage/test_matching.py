"""Vectors are read alike as lists and as their bytes, and bytes become lists again."""

import numpy as np
import pyarrow as pa
import pytest

from stillwatch.linkage.matching import matrix, vectors

KIND = pa.list_(pa.int16(), 3)


def columns(rows: list[list[int] | None]) -> tuple[pa.Array, pa.Array]:
    """The same vectors as lists and as bytes."""
    packed = [None if row is None else np.array(row, np.int16).tobytes() for row in rows]
    return pa.array(rows, KIND), pa.array(packed, pa.binary())


@pytest.mark.parametrize("rows", [[], [None, None], [[1, 2, 3], [4, 5, -6]], [None, [1, 2, 3], None, [-4, 5, 6]]])
def test_vectors_are_read_alike_as_lists_and_as_bytes(rows: list[list[int] | None]) -> None:
    lists, packed = columns(rows)
    for first in range(len(rows)):
        np.testing.assert_array_equal(matrix(packed[first:], np.int16), matrix(lists[first:], np.int16))
        assert vectors(packed[first:], KIND).equals(lists[first:])
    assert vectors(packed, KIND).equals(lists)
    assert vectors(lists, KIND) is lists


def test_a_matrix_may_be_written_to() -> None:
    for column in columns([[1, 2, 3]]):
        matrix(column, np.int16)[0, 0] = 7
        assert column[0].is_valid
        assert matrix(column, np.int16)[0, 0] == 1
