"""Raw cells become typed columns: garbage becomes null, never an error, and an empty string is missing.

A raw column is an Arrow array (Parquet) or a list of Python values (every other format); both end as the same
Arrow array.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.ingest.times import Cell, instant, instants, is_in_range
from stillwatch.records import TIMESTAMP, Column

RawColumn: TypeAlias = pa.Array | Sequence[Any]
_STRING_LIST = pa.list_(pa.string())
_ALL_DIGITS = "^[0-9]{1,18}$"
_WHOLE = re.compile(r" *\+?[0-9]{1,18}(\.0{1,18})? *")


def typed(kind: pa.DataType, values: RawColumn) -> pa.Array:
    """The column as the type its table declares."""
    if isinstance(values, pa.Array) and _is_clean(kind, values):
        return values.cast(kind)
    if kind == TIMESTAMP:
        return instants(values) if isinstance(values, pa.Array) else _instants_of(values)
    if pa.types.is_integer(kind):
        return _counts(kind, values)
    if kind == _STRING_LIST:
        return pa.array([_texts(cell) for cell in _cells(values)], _STRING_LIST)
    return strings(values)


def _is_clean(kind: pa.DataType, values: pa.Array) -> bool:
    """Whether a column that is no text is what its table declares already, as in logs that we wrote."""
    if values.type != kind or kind == pa.string():
        return False
    if values.null_count == len(values):
        return True
    if kind != _STRING_LIST:
        found = pc.min_max(values)
        return is_in_range(found["min"], found["max"]) if kind == TIMESTAMP else found["min"].as_py() >= 0
    flat = values.flatten()
    least = (pc.min(pc.list_value_length(values)).as_py(), pc.min(pc.binary_length(flat)).as_py() or 0)
    return flat.null_count == 0 and min(least) > 0 and _is_valid(flat)


def _is_valid(values: pa.Array) -> bool:
    try:
        values.validate(full=True)  # a file may claim UTF-8 and hold anything
    except pa.ArrowInvalid:
        return False
    return True


def typed_columns(
    columns: Sequence[Column],
    raw: Mapping[str, RawColumn],
    rows: int,
    constants: Mapping[str, Any],
    *,
    keep_encoded: bool = False,
) -> dict[str, pa.Array]:
    """Every column of a table in its type: as found, else the operator's constant, else null.

    With `keep_encoded`, texts that come as a dictionary stay one.
    """
    made = {}
    for column in columns:
        values = _typed_or_null(column.type, raw.get(column.name), rows, keep_encoded)
        if column.name in constants:
            values = values.cast(column.type)
            values = pc.fill_null(values, typed(column.type, [constants[column.name]])[0])
        made[column.name] = values
    return made


def _typed_or_null(kind: pa.DataType, raw: RawColumn | None, rows: int, keep_encoded: bool) -> pa.Array:
    if raw is None:
        return pa.nulls(rows, kind)
    if keep_encoded and kind == pa.string() and isinstance(raw, pa.DictionaryArray):
        distinct = strings(raw.dictionary)
        if distinct.null_count == 0:
            return pa.DictionaryArray.from_arrays(raw.indices, distinct)
    return typed(kind, raw)


def strings(values: RawColumn) -> pa.Array:
    """The column as text. Numbers are written out, structures become JSON, bytes that are no UTF-8 become U+FFFD."""
    made = _strings_of_array(values) if isinstance(values, pa.Array) else _strings_of_cells(values)
    if made.null_count == len(made):
        return made
    empty = pc.equal(pc.binary_length(made), 0)
    return pc.if_else(empty, pa.scalar(None, pa.string()), made) if pc.any(empty).as_py() else made


def text(value: Cell) -> str | None:
    """One cell as text; the reference `strings` must equal."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace") or None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode() if value else None
    return str(value)


def count(value: Cell, limit: int = 2**63 - 1) -> int | None:
    """One cell as a count: a whole number from 0 to `limit`, however it was written; anything else is null."""
    if isinstance(value, str):
        value = float(value) if "." in value and _WHOLE.fullmatch(value) else value
        value = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit
    return value if is_count else None


def _cells(values: RawColumn) -> Sequence[Any]:
    """The column as Python values; a nested cell whose bytes are no UTF-8 is null."""
    if not isinstance(values, pa.Array):
        return values
    try:
        cells: list[Any] = values.to_pylist()
    except UnicodeDecodeError:
        return [_cell(value) for value in values]
    return cells


def _cell(value: pa.Scalar) -> Cell:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return None


def _strings_of_cells(cells: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(cells, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeEncodeError):
        return pa.array([text(cell) for cell in cells], pa.string())


def _strings_of_array(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_null(kind):
        return pa.nulls(len(values), pa.string())
    if pa.types.is_dictionary(kind):
        return strings(values.cast(kind.value_type))
    if pa.types.is_nested(kind) or pa.types.is_floating(kind):
        return _strings_of_cells([text(cell) for cell in _cells(values)])
    try:
        made = values.cast(pa.string())
        made.validate(full=True)  # a file may claim UTF-8 and hold anything
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raw = values.cast(pa.large_binary()) if _is_textual(kind) else values
        return pa.array([text(cell) for cell in raw.to_pylist()], pa.string())
    return made


def _is_textual(kind: pa.DataType) -> bool:
    return any(check(kind) for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _instants_of(cells: Sequence[Any]) -> pa.Array:
    try:
        return instants(pa.array(cells))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return pa.array([instant(cell) for cell in cells], TIMESTAMP)


def _counts(kind: pa.DataType, values: RawColumn) -> pa.Array:
    limit = 2 ** (kind.bit_width - 1) - 1
    if not isinstance(values, pa.Array):
        try:
            values = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
            return pa.array([count(cell, limit) for cell in values], kind)
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), kind)
    if pa.types.is_string(values.type) and pc.all(pc.match_substring_regex(values, _ALL_DIGITS)).as_py():
        values = values.cast(pa.int64())
    is_plain = pa.types.is_integer(values.type) or pa.types.is_float64(values.type)
    if not is_plain or pa.types.is_uint64(values.type):
        return pa.array([count(cell, limit) for cell in _cells(values)], kind)
    wide = pa.float64() if pa.types.is_floating(values.type) else pa.int64()
    values = values.cast(wide)
    low, high = pa.scalar(-1, wide), pa.scalar(limit + 1.0 if wide == pa.float64() else limit, wide)
    is_below = pc.less if wide == pa.float64() else pc.less_equal  # 2^63-1 is no float; 2^63 is
    whole = pc.and_(pc.greater(values, low), is_below(values, high))
    if wide == pa.float64():
        whole = pc.and_(whole, pc.equal(values, pc.floor(values)))
    return pc.if_else(whole, values, pa.scalar(None, values.type)).cast(kind)


def _texts(value: Cell) -> list[str] | None:
    """A list cell: a list, or the JSON of one in a string; a lone string is a list of one."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return [value]
    if isinstance(value, str):
        value = [value]
    found = [text(item) for item in value] if isinstance(value, list | tuple) else []
    return [item for item in found if item] or None
