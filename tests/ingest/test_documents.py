import json
import tracemalloc
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stillwatch.ingest import documents as module
from stillwatch.ingest.documents import Document, Line, documents, lines, parsed

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(), st.sampled_from(['"', "\\", "{", "]"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
objects = st.dictionaries(st.text(), values, max_size=4)


def cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def found(content: bytes, size: int = 7) -> list[Any]:
    return [document.fault or document.value for document in documents(cut(content, size))]


@given(
    st.lists(objects, min_size=1),
    st.integers(1, 40),
    st.sampled_from(["lines", "array", "pretty", "line arrays", "stream"]),
)
@example([{"a": '\\"}{'}], 1, "array")
def test_documents_come_out_whole_however_they_were_written(expected: list[Any], size: int, layout: str) -> None:
    content = {
        "lines": "\n".join(json.dumps(o) for o in expected),
        "array": json.dumps(expected),
        "pretty": json.dumps(expected, indent=2, ensure_ascii=False),
        "line arrays": "\n".join(json.dumps([o]) for o in expected),
        "stream": "\n".join(json.dumps(o, indent=1) for o in expected),
    }[layout]
    first = [{"first": 1}] if layout == "stream" else []  # {} alone on a line would promise one object per line
    start = '{\n"first": 1\n}\n' if layout == "stream" else ""
    assert found((start + content).encode(), size) == first + expected


def test_lines_and_array_elements_are_numbered_from_one() -> None:
    by_line = list(documents(iter([b'{"a":1}\n\n{"a":2}\n[{"a":3},{"a":4}]\n'])))
    assert [(d.number, d.value["a"]) for d in by_line] == [(1, 1), (3, 2), (4, 3), (4, 4)]
    by_place = list(documents(iter([b'[\n{"a":1},\n{"a":2}\n]'])))
    assert [(d.number, d.value["a"]) for d in by_place] == [(1, 1), (2, 2)]


def test_one_bad_line_costs_one_line() -> None:
    faults = [d.fault for d in documents(iter([b'{"a":1}\n{"a":\nnot json\n{"a":2}']))]
    assert faults[0] is None
    assert faults[1] is not None
    assert faults[1].startswith("not JSON")
    assert faults[2] == "not JSON: Expecting value at column 1"
    assert faults[3] is None


def test_no_message_holds_content() -> None:
    for content in (b'{"prompt": "secret words', b'{"prompt": secret}', b'[{"prompt": "secret"}'):
        assert all("secret" not in (d.fault or "") for d in documents(iter([content])))


def test_an_array_that_ends_early_gives_its_whole_elements() -> None:
    got = found(b'[{"a":1},{"a":2},{"a":')
    assert got[:2] == [{"a": 1}, {"a": 2}]
    assert got[2:] == ["the JSON ends before its last bracket closes"]


def test_strays_between_elements_are_told() -> None:
    got = found(b'[\n{"a":1}, 7, "x",\n{"a":2}]')
    assert got == [{"a": 1}, {"a": 2}, "what stands between the objects is not an object and was skipped"]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert found(b'\xef\xbb\xbf{"a":1}\n{"a":2}', 64) == [{"a": 1}, {"a": 2}]
    assert found(b'\xef\xbb\xbf[\n{"a":1}]', 64) == [{"a": 1}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (b'{"a": "\\ud800x"}', {"a": "\ufffd\ufffd\ufffdx"}),
        (b'{"a": NaN, "b": Infinity}', {"a": None, "b": None}),
        (b'{"a": "nul \\u0000 byte"}', {"a": "nul \0 byte"}),
    ],
)
def test_what_clients_can_put_into_json_does_not_hide_the_row(content: bytes, expected: Any) -> None:
    assert parsed(content) == expected


def test_nesting_and_numbers_without_end_are_rejected_not_fatal() -> None:
    deep = b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    long = b'{"a":' + b"9" * 10_000 + b"}"
    got = list(documents(iter([b'{"a":1}\n' + deep + b"\n" + long + b"\n" + b'{"a":2}'])))
    assert got[0].value == {"a": 1}
    assert got[-1].value == {"a": 2}
    assert len(got) == 4


def test_lines_keep_blank_ones_and_count_them() -> None:
    assert list(lines(iter([b"a\n\nb", b"c\n"]))) == [Line(1, b"a"), Line(2, b""), Line(3, b"bc")]


@pytest.mark.parametrize("start", [b"", b'{"a":1}\n'], ids=["first line", "second line"])
@pytest.mark.parametrize("shape", ["line", "array", "string in array"])
def test_an_endless_line_is_skipped_without_being_held(start: bytes, shape: str) -> None:
    if shape != "line" and start:
        start = b'[{"a":1},\n'
    filler = {
        "line": b'{"x":"' + b"y" * (1 << 20),
        "array": b'{"x":' + b'["yyyy\\"yy"],' * (1 << 16),
        "string in array": b'{"x":"' + b"\\\\" * (1 << 19),
    }[shape]
    tail = {"line": b'"}\n{"a":2}\n', "array": b'0]},{"a":2}]', "string in array": b'"},{"a":2}]'}[shape]
    if shape == "array":
        pieces = chain([start or b"[", b'{"x":['], repeat(b'["yyyy\\"yy"],' * (1 << 16), 50), [b"0" + tail])
    else:
        opening = {"line": start, "string in array": start or b"["}[shape]
        pieces = chain([opening + filler], repeat(filler[6:], 50), [tail])
    tracemalloc.start()
    got = list(documents(pieces))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = ([{"a": 1}] if start else []) + ["longer than 16 MB", {"a": 2}]
    assert [d.fault or d.value for d in got] == expected
    assert peak < 6 * module.MAX_LINE_BYTES


def test_a_document_reports_its_size() -> None:
    assert list(documents(iter([b'{"a":1}']))) == [Document(1, {"a": 1}, 7)]
