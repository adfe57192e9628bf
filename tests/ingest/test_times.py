from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.ingest.times import instant, instants

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
SECONDS = int(NOON.timestamp())


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02T12:00:00Z",
        "2026-03-02T12:00:00+00:00",
        "2026-03-02T14:00:00+02:00",
        "2026-03-02T06:30:00-0530",
        "2026-03-02 12:00:00",
        "2026-03-02T12:00:00.000000000Z",
        "20260302T120000Z",
        "02/Mar/2026:13:00:00 +0100",
        SECONDS,
        float(SECONDS),
        SECONDS * 1_000,
        SECONDS * 1_000_000,
        SECONDS * 1_000_000_000,
        str(SECONDS),
        f"{SECONDS}.000",
        str(SECONDS * 1_000_000_000),
        NOON,
        datetime(2026, 3, 2, 12, 0),  # noqa: DTZ001 - naive on purpose
        datetime(2026, 3, 2, 17, 0, tzinfo=timezone(timedelta(hours=5))),
    ],
)
def test_every_spelling_of_noon_is_noon(written: Any) -> None:
    assert instant(written) == NOON
    assert instants(pa.array([written, None])).to_pylist() == [NOON, None]


@pytest.mark.parametrize(
    "written",
    ["", "yesterday", "2026-13-01", "1999-12-31T23:59:59Z", "2101-01-01", 0, 1, -5, float("nan"), float("inf"), 10**30,
     "9" * 60, True, 12345678901, "2026-02-30T00:00:00Z", [1], "02/Foo/2026:13:00:00 +0100"],
)  # fmt: skip
def test_what_is_no_time_or_an_impossible_year_is_null(written: Any) -> None:
    assert instant(written) is None
    if not isinstance(written, int) or written < 2**63:
        assert instants(pa.array([written])).to_pylist() == [None]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "+05:00"])
def test_arrow_timestamps_of_any_unit_and_zone_are_read(unit: str, zone: str | None) -> None:
    values = pa.array([SECONDS], pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp(unit, zone))
    assert instants(values).to_pylist() == [NOON]


def test_dates_are_their_midnight() -> None:
    assert instants(pa.array([date(2026, 3, 2)])).to_pylist() == [NOON.replace(hour=0)]


def test_one_bad_time_does_not_spoil_its_column() -> None:
    written = ["2026-03-02T12:00:00Z", "oops", str(SECONDS), "2026-03-02T12:00:00"]
    assert instants(pa.array(written)).to_pylist() == [NOON, None, NOON, NOON]


moments = st.datetimes(datetime(2015, 1, 1), datetime(2100, 12, 31, 23), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(moments, min_size=1), st.sampled_from(["iso", "s", "ms", "us", "ns", "naive"]))
def test_the_column_reader_agrees_with_the_cell_reader(found: list[datetime], form: str) -> None:
    micros = [round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) for moment in found]
    written: list[Any] = {
        "iso": [moment.isoformat() for moment in found],
        "naive": [moment.replace(tzinfo=None).isoformat() for moment in found],
        "s": [value // 1_000_000 for value in micros],
        "ms": [value // 1_000 for value in micros],
        "us": micros,
        "ns": [value * 1_000 for value in micros],
    }[form]
    column = instants(pa.array(written)).to_pylist()
    assert column == [instant(value) for value in written]
    if form in ("iso", "naive", "us", "ns"):
        assert column == found


@given(st.integers(), st.floats())
def test_any_number_is_a_time_in_range_or_null(whole: int, real: float) -> None:
    for value in (whole, real):
        found = instant(value)
        assert found is None or 2015 <= found.year <= 2100
