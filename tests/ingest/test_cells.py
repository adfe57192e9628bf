import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.ingest.cells import count, strings, text, typed, typed_columns
from stillwatch.records import EXCHANGES

LISTS = pa.list_(pa.string())


def test_cells_of_every_type_become_text() -> None:
    cells = ["a", "", None, 7, 1.5, True, {"k": [1]}, b"caf\xe9", math.nan, "nul\0byte", "\ud800"]
    expected = ["a", None, None, "7", "1.5", "true", '{"k":[1]}', "caf\ufffd", None, "nul\0byte", "?"]
    assert strings(cells).to_pylist() == expected == [text(cell) for cell in cells]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["a", "", None]).cast(pa.large_string()),
        pa.array(["a", "", None]).dictionary_encode(),
        pa.array([b"a", b"", None]),
        pa.array(["a", "", None]).cast(pa.string_view()),
    ],
)
def test_arrow_texts_of_every_kind_become_strings(values: pa.Array) -> None:
    found = strings(values)
    assert found.type == pa.string()
    assert found.to_pylist() == ["a", None, None]


def test_arrow_text_that_is_no_utf8_is_replaced() -> None:
    raw = pa.array([b"ok", b"\xff\xfe", None])
    assert strings(raw).to_pylist() == ["ok", "\ufffd\ufffd", None]
    claimed = pa.Array.from_buffers(pa.string(), 3, raw.buffers(), null_count=1)
    assert strings(claimed).to_pylist() == ["ok", "\ufffd\ufffd", None]


def test_arrow_structures_numbers_and_nothing_become_text() -> None:
    assert strings(pa.array([{"a": 1}, None])).to_pylist() == ['{"a":1}', None]
    assert strings(pa.array([1, None])).to_pylist() == ["1", None]
    assert strings(pa.nulls(2)).to_pylist() == [None, None]


def test_a_structure_that_is_no_utf8_is_null() -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    assert strings(pa.StructArray.from_arrays([bad], ["k"])).to_pylist() == [None]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (5, 5),
        (0, 0),
        (-1, None),
        (2.0, 2),
        (2.5, None),
        ("12", 12),
        (" 12 ", 12),
        ("12.0", 12),
        ("1e3", None),
        ("x", None),
        ("", None),
        (None, None),
        (True, None),
        (math.nan, None),
        (math.inf, None),
        (10**30, None),
        ([1], None),
        ("9" * 30, None),
    ],
)
def test_counts_are_whole_and_not_negative_or_null(cell: Any, expected: int | None) -> None:
    assert count(cell) == expected
    assert typed(pa.int64(), [cell]).to_pylist() == [expected]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([3, -3, None], pa.int8()),
        pa.array([3, 2**63, None], pa.uint64()),
        pa.array([3, 0.5, None], pa.float32()),
        pa.array(["3", "three", None]),
        pa.array(["3", "-3", None]).dictionary_encode(),
        pa.array([3.0, -1.0, math.nan]),
        pa.array([3, 2**40, None]),
    ],
)
def test_arrow_counts_of_every_kind_are_read(values: pa.Array) -> None:
    assert typed(pa.int32(), values).to_pylist() == [3, None, None]


@given(st.lists(st.one_of(st.none(), st.integers(-(2**62), 2**62), st.floats(), st.text())))
def test_a_column_of_counts_agrees_with_its_cells(cells: list[Any]) -> None:
    limit = 2**31 - 1
    assert typed(pa.int32(), cells).to_pylist() == [count(cell, limit) for cell in cells]


def test_lists_come_as_lists_as_json_or_alone() -> None:
    cells = [["a", "", None, 3], '["b"]', "c", "[broken", [], None, 7]
    assert typed(LISTS, cells).to_pylist() == [["a", "3"], ["b"], ["c"], ["[broken"], None, None, None]
    assert typed(LISTS, pa.array([["a"], None])).to_pylist() == [["a"], None]
    assert typed(LISTS, np.array(["c"], dtype=object).tolist()).to_pylist() == [["c"]]


def test_a_constant_fills_what_is_missing_and_only_that() -> None:
    constants = {"access_path": "api", "started_at": "2026-03-02T12:00:00Z", "input_tokens": 3}
    made = typed_columns(EXCHANGES.columns, {"access_path": ["web", None, ""]}, 3, constants)
    assert made["access_path"].to_pylist() == ["web", "api", "api"]
    assert made["input_tokens"].to_pylist() == [3, 3, 3]
    assert made["started_at"].null_count == 0
    assert made["prompt"].null_count == 3
    assert {name: values.type for name, values in made.items()} == {c.name: c.type for c in EXCHANGES.columns}
