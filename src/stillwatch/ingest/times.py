"""Any spelling of an instant becomes UTC microseconds; what cannot be one becomes null.

Accepted: ISO 8601 with any zone, or naive (read as UTC); epoch seconds, milliseconds, microseconds or nanoseconds,
told apart by their size, as numbers or as digits in a string. Years before 2015 or after 2100 are refused: a clock
that is wrong by decades would put an exchange outside every window.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.records import TIMESTAMP

EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)
LATEST = datetime(2101, 1, 1, tzinfo=UTC)  # exclusive
Cell = Any  # whatever a log put there
ACCEPTED = "ISO 8601 or epoch seconds, ms, us or ns, between 2015 and 2100"

_EARLIEST_US, _LATEST_US = (int(edge.timestamp()) * 1_000_000 for edge in (EARLIEST, LATEST))
_EARLIEST_S = int(EARLIEST.timestamp())
_LATEST_S = int(LATEST.timestamp())
_LAST = LATEST.replace(year=2100, month=12, day=31, hour=23, minute=59, second=59, microsecond=999999)
_UNITS_PER_S = (1, 1_000, 1_000_000, 1_000_000_000)  # the ranges of the four units do not overlap
_STRING_FORMS = (pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.timestamp("ns", "UTC"), pa.timestamp("ns"))
_NGINX = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})")
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {m: f"{i:02}" for i, m in enumerate(_MONTH_NAMES, 1)}
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def instants(values: pa.Array) -> pa.Array:
    """The column as UTC microseconds; null where a cell is missing, unreadable or out of range."""
    kind = values.type
    if pa.types.is_null(kind):
        return pa.nulls(len(values), TIMESTAMP)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _in_range(_as_utc(values))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _from_numbers(values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _from_strings(values)
    return pa.array([instant(cell) for cell in values.to_pylist()], TIMESTAMP)


def instant(value: Cell) -> datetime | None:
    """One cell of any type as an instant; the reference `instants` must equal."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC) if EARLIEST <= moment < LATEST else None
    if isinstance(value, str):
        return _from_text(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_number(value)
    return None


def is_in_range(first: pa.Scalar, last: pa.Scalar) -> bool:
    """Whether the least and the greatest of a column of UTC microseconds are instants that we take."""
    return bool(first.value >= _EARLIEST_US and last.value < _LATEST_US)


def _from_text(text: str) -> datetime | None:
    if _NUMBER.fullmatch(text):
        return _from_number(float(text) if "." in text else int(text)) if len(text) < 40 else None
    common_log = _NGINX.fullmatch(text)
    if common_log:
        day, month, year, clock, zone = common_log.groups()
        text = f"{year}-{_MONTHS.get(month, '00')}-{day}T{clock}{zone}"
    with suppress(ValueError, OverflowError):
        return instant(datetime.fromisoformat(_LONG_FRACTION.sub(r"\1", text)))
    return None


def _from_number(value: float) -> datetime | None:
    for units_per_s in _UNITS_PER_S:
        if _EARLIEST_S * units_per_s <= value < _LATEST_S * units_per_s:
            micros = value * 1_000_000 // units_per_s if isinstance(value, int) else round(value * 1e6 / units_per_s)
            seconds, rest = divmod(micros, 1_000_000)
            return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
    return None


def _as_utc(values: pa.Array) -> pa.Array:
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("ms"))
    return values.cast(TIMESTAMP, safe=False)


def _in_range(values: pa.Array) -> pa.Array:
    first, last = pa.scalar(EARLIEST, TIMESTAMP), pa.scalar(_LAST, TIMESTAMP)
    inside = pc.and_(pc.greater_equal(values, first), pc.less_equal(values, last))
    return pc.if_else(inside, values, pa.scalar(None, TIMESTAMP))


def _from_numbers(values: pa.Array) -> pa.Array:
    if not pa.types.is_signed_integer(values.type) and not pa.types.is_float64(values.type):
        return pa.array([None if cell is None else _from_number(float(cell)) for cell in values.to_pylist()], TIMESTAMP)
    micros = pa.nulls(len(values), pa.int64())
    wide = values if pa.types.is_float64(values.type) else values.cast(pa.int64())
    for units_per_s in _UNITS_PER_S:
        low, high = (pa.scalar(edge * units_per_s).cast(wide.type, safe=False) for edge in (_EARLIEST_S, _LATEST_S))
        fits = pc.and_(pc.greater_equal(wide, low), pc.less(wide, high))
        if pc.any(fits).as_py():
            micros = pc.if_else(fits, _scaled(pc.if_else(fits, wide, low), units_per_s), micros)
    return micros.cast(pa.timestamp("us")).cast(TIMESTAMP)


def _scaled(values: pa.Array, units_per_s: int) -> pa.Array:
    """Numbers of one unit, all in range, as int64 microseconds."""
    if pa.types.is_floating(values.type):
        return pc.round(pc.divide(pc.multiply(values, 1e6), float(units_per_s))).cast(pa.int64())
    if units_per_s > 1_000_000:
        return pc.divide(values, units_per_s // 1_000_000)
    return pc.multiply(values, 1_000_000 // units_per_s)


def _from_strings(values: pa.Array) -> pa.Array:
    for form in _STRING_FORMS:
        with suppress(pa.ArrowInvalid):
            return _in_range(_as_utc(values.cast(form)))
    return pa.array([None if cell is None else _from_text(cell.strip()) for cell in values.to_pylist()], TIMESTAMP)
