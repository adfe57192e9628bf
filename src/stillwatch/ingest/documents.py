"""Text files in pieces: lines, and the JSON documents in them, one at a time and none larger than a cap."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from json import JSONDecodeError, dumps, loads
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

# What probing a JSON value of another shape than expected may raise.
ODD_SHAPE = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
Json = Any  # a parsed JSON value: readers probe it, and what has another shape than they expect is null to them

MAX_LINE_BYTES = 16 * 2**20  # a request with a dozen inline images; the largest context windows are below half of it
_TOO_LONG = f"longer than {MAX_LINE_BYTES >> 20} MB"
_BOM = b"\xef\xbb\xbf"
_SCANNED_BYTES = 1 << 20  # at once; the scan needs some thirty times as much for a moment

Bytes: TypeAlias = npt.NDArray[np.uint8]
Positions: TypeAlias = npt.NDArray[np.intp]
_IS_BRACKET = np.zeros(256, bool)
_IS_BRACKET[list(b"{}[]")] = True
_STEP = np.zeros(256, np.int64)
_STEP[list(b"{[")] = 1
_STEP[list(b"}]")] = -1


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end. `fault` says why `content` is empty when it could not be held."""

    number: int  # from 1
    content: bytes
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value and where it stood: its line, or its place in the array that is the file."""

    number: int
    value: Json
    size_bytes: int
    fault: str | None = None


def lines(chunks: Iterator[bytes]) -> Iterator[Line]:
    """Every line, blank ones too; one above the cap is reported and skipped while no more than the cap is held."""
    number, held, dropping = 1, b"", False
    for index, chunk in enumerate(chunks):
        first, *complete = chunk.removeprefix(_BOM if index == 0 else b"").split(b"\n")
        held = b"" if dropping else held + first
        for following in complete:
            yield _line(number, held, dropping)
            number, held, dropping = number + 1, following, False
        if len(held) > MAX_LINE_BYTES:
            held, dropping = b"", True
    if held or dropping:
        yield _line(number, held, dropping)


def documents(chunks: Iterator[bytes]) -> Iterator[Document]:
    """JSON documents of a file: one per line, arrays (of a line, or of the whole file) taken apart, or pretty-printed.

    What decides is the first line: a whole document means line by line, where one bad line costs one line.
    """
    head: list[bytes] = []
    for chunk in chunks:
        head.append(chunk)
        if b"\n" in chunk.lstrip() or sum(map(len, head)) > MAX_LINE_BYTES:
            break
    whole = chain([b"".join(head)], chunks)
    if _is_line_by_line(b"".join(head)):
        for line in lines(whole):
            yield from _documents_of(line)
    else:
        yield from _elements(whole)


def parsed(content: bytes) -> Json:
    """JSON as its writers write it: also with lone surrogates, NaN and bytes that are no UTF-8, which become U+FFFD.

    Otherwise one such character, which any client can send, would hide its request from us.

    Raises:
        ValueError: when it is no JSON at all.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        value = loads(content.decode("utf-8", "replace"), parse_constant=lambda _: None)
        repaired = dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        return orjson.loads(repaired)


def _line(number: int, content: bytes, is_dropped: bool) -> Line:
    is_long = is_dropped or len(content) > MAX_LINE_BYTES
    return Line(number, b"", _TOO_LONG) if is_long else Line(number, content)


def _is_line_by_line(head: bytes) -> bool:
    first, _, _ = head.removeprefix(_BOM).lstrip().partition(b"\n")
    first = first.strip()
    if first.startswith(b"["):
        return first.endswith(b"]") and _is_json(first)
    return first != b"{" and not (first.startswith(b"{") and first.endswith((b",", b"{", b"[")) and not _is_json(first))


def _is_json(content: bytes) -> bool:
    try:
        parsed(content)
    except (ValueError, RecursionError):
        return False
    return True


def _documents_of(line: Line) -> Iterator[Document]:
    if line.fault:
        yield Document(line.number, None, 0, line.fault)
    if not line.content or line.content.isspace():
        return
    try:
        value = parsed(line.content)
    except JSONDecodeError as error:
        yield Document(line.number, None, len(line.content), f"not JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError):
        yield Document(line.number, None, len(line.content), "not JSON: a number too long or nesting too deep")
    else:
        values = value if isinstance(value, list) else [value]
        for element in values:
            yield Document(line.number, element, len(line.content) // len(values))


def _elements(chunks: Iterator[bytes]) -> Iterator[Document]:
    """Objects at the top of a file or directly inside its top-level array, each numbered by its place.

    1. Strings and brackets are followed piece by piece; an element starts where a bracket opens at the top or inside
       the top-level array, and ends where the depth is back.
    2. Only the element being read is held; above the cap it is dropped and only followed to its end.
    """
    number, scan = 0, _Scan()
    for piece in _in_pieces(chunks):
        for element in scan.fed(piece):
            number += 1
            yield from islice(_documents_of(Line(number, element, None if element else _TOO_LONG)), 1)
    if scan.is_open():
        yield Document(number + 1, None, 0, "the JSON ends before its last bracket closes")
    if scan.has_strays:
        yield Document(number + 1, None, 0, "what stands between the objects is not an object and was skipped")


def _in_pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for index, chunk in enumerate(chunks):
        whole = chunk.removeprefix(_BOM) if index == 0 else chunk
        for start in range(0, len(whole), _SCANNED_BYTES):
            yield whole[start : start + _SCANNED_BYTES]


class _Scan:
    """Where we are in a stream of brackets and strings, and the part of an element that has come so far."""

    def __init__(self) -> None:
        self.has_strays = False  # something stood between the elements that is no object
        self._depth = 0  # open brackets
        self._base = 0  # 1 inside the top-level array, else 0: elements open here
        self._is_in_string = False
        self._is_escaped = False  # an odd number of backslashes ended the last piece
        self._parts: list[bytes] | None = None  # of the element we are in
        self._is_dropped = False  # that element is too long: its parts are not kept

    def fed(self, piece: bytes) -> Iterator[bytes]:
        """Elements that this piece completes; an empty one stands for one that was too long."""
        start = 0
        for at, mark, depth in self._shallow_brackets(piece):
            is_opening = mark in b"[{"
            if self._parts is not None:
                if depth == self._base and not is_opening:
                    self._keep(piece[start : at + 1])
                    yield self._completed()
                    start = at + 1
                continue
            self._note_strays(piece[start:at])
            start = at + 1
            if mark == ord("[") and depth == 1:
                self._base = 1
            elif mark == ord("]") and depth == 0:
                self._base = 0
            elif is_opening and depth == self._base + 1:
                start, self._parts = at, []
        if self._parts is None:
            self._note_strays(piece[start:])
        else:
            self._keep(piece[start:])

    def is_open(self) -> bool:
        """Whether an array, an object or a string has not ended."""
        return self._depth > 0 or self._is_in_string

    def _note_strays(self, between: bytes) -> None:
        self.has_strays = self.has_strays or bool(between.strip(b" \t\r\n,"))

    def _keep(self, part: bytes) -> None:
        parts = self._parts or []
        self._is_dropped = self._is_dropped or sum(map(len, parts)) + len(part) > MAX_LINE_BYTES
        self._parts = [] if self._is_dropped else [*parts, part]

    def _completed(self) -> bytes:
        element = b"".join(self._parts or [])
        self._parts, self._is_dropped = None, False
        return element

    def _shallow_brackets(self, piece: bytes) -> Iterable[tuple[int, int, int]]:
        """Position, bracket and depth after it, of brackets outside strings that touch depth 0 or 1."""
        codes = np.frombuffer(piece, np.uint8)
        quotes = self._string_quotes(codes, piece)
        brackets = np.flatnonzero(_IS_BRACKET[codes])
        is_outside = (np.searchsorted(quotes, brackets) + self._is_in_string) % 2 == 0
        brackets = brackets[is_outside]
        marks = codes[brackets]
        steps = _STEP[marks]
        after = self._depth + np.cumsum(steps)
        self._is_in_string = bool((len(quotes) + self._is_in_string) % 2)
        self._depth = int(after[-1]) if len(after) else self._depth
        is_shallow = np.minimum(after, after - steps) <= 1
        return zip(brackets[is_shallow].tolist(), marks[is_shallow].tolist(), after[is_shallow].tolist(), strict=True)

    def _string_quotes(self, codes: Bytes, piece: bytes) -> Positions:
        """Positions of the quotes that begin or end a string: not those behind an odd number of backslashes."""
        quotes = np.flatnonzero(codes == ord('"'))
        was_escaped = self._is_escaped
        trailing = len(piece) - len(piece.rstrip(b"\\"))
        self._is_escaped = bool((trailing + (was_escaped if trailing == len(piece) else 0)) % 2)
        if b"\\" not in piece and not was_escaped:
            return quotes
        others = np.flatnonzero(codes != ord("\\"))
        before = np.searchsorted(others, quotes) - 1
        last_other = np.where(before >= 0, others[before], -1)
        backslashes = quotes - last_other - 1 + np.where(before < 0, int(was_escaped), 0)
        return quotes[backslashes % 2 == 0]
