"""Places are ranges that several members share, and a place is open or closed by its own clock."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pyarrow as pa
import pytest
from tests.campaigns.clues import facts, members

from stillwatch.campaigns import Facts, placed
from stillwatch.campaigns.facts import Evidence, Places
from stillwatch.campaigns.places import MIN_PEOPLE, NIGHT_HOURS, with_places
from stillwatch.engines.embedded import EmbeddedEngine

START = datetime(2026, 1, 5, tzinfo=UTC)
NAMES = [member.account_id for member in members(12)]
WORK, ALWAYS = list(range(9, 17)), list(range(24))


def at(value: str, people: int, bits: float = 9.0) -> Evidence:
    return Evidence("ip_prefix", "network", "network", value, people, 0, bits, "low")


def calls(value: str, people: list[str]) -> list[tuple[str, str]]:
    return [(name, value) for name in people]


def activity(hours: dict[str, list[int]], days: int = 5) -> pa.Table:
    """One row for each account, hour and model; two models each hour, which is one hour at work all the same."""
    rows = [
        {"account_id": name, "hour_at": START + timedelta(days=day, hours=hour), "model": model, "exchanges": 7}
        for name, own in hours.items()
        for day in range(days)
        for hour in own
        for model in ("m", "n")
    ]
    return pa.Table.from_pylist(rows)


def places(
    engine: EmbeddedEngine, ranges: list[Evidence], rows: list[tuple[str, str]], hours: dict[str, list[int]]
) -> Places:
    held = pa.table({"account_id": [name for name, _ in rows], "value": [value for _, value in rows]})
    cluster: Facts = facts(evidence=ranges)
    (found,) = with_places([cluster], held, engine.memory(activity(hours)), engine)
    return found.places


def test_who_calls_from_one_shared_range_is_settled_and_who_moves_is_not(engine: EmbeddedEngine) -> None:
    rows = [*calls("a", NAMES[:6]), *calls("b", NAMES[6:11]), *calls("b", NAMES[:1]), *calls("home", NAMES[11:])]
    found = places(engine, [at("a", 6), at("b", 6)], rows, dict.fromkeys(NAMES, WORK))
    assert found.settled == 10


@pytest.mark.parametrize("range_", [at("a", MIN_PEOPLE - 1), at("a", 12, bits=0.0)], ids=["household", "carrier"])
def test_a_household_and_a_range_that_tells_nothing_are_no_places(engine: EmbeddedEngine, range_: Evidence) -> None:
    assert places(engine, [range_], calls("a", NAMES), dict.fromkeys(NAMES, WORK)) == Places()


def test_a_place_that_closes_has_nights_and_one_that_never_does_has_a_third(engine: EmbeddedEngine) -> None:
    office = places(engine, [at("a", 12)], calls("a", NAMES), dict.fromkeys(NAMES, WORK))
    assert office == Places(12, 0.0)
    always = places(engine, [at("a", 12)], calls("a", NAMES), dict.fromkeys(NAMES, ALWAYS))
    assert always.night_share == pytest.approx(NIGHT_HOURS / 24, abs=1e-6)


def test_nights_are_found_over_midnight_and_by_the_clock_of_each_place(engine: EmbeddedEngine) -> None:
    late = [0, 1, 2, 3, 4, 5, 20, 21, 22, 23]
    hours = {**dict.fromkeys(NAMES[:6], WORK), **dict.fromkeys(NAMES[6:], late)}
    two = [*calls("a", NAMES[:6]), *calls("b", NAMES[6:])]
    assert places(engine, [at("a", 6), at("b", 6)], two, hours).night_share == 0.0
    shifts = places(engine, [at("a", 12)], calls("a", NAMES), hours)
    assert shifts.night_share is not None
    assert shifts.night_share > 0.0, "shifts at one place are no nights"


def test_a_day_counts_once_however_long_it_was(engine: EmbeddedEngine) -> None:
    rows, turn = calls("a", NAMES), count()
    usual = activity(dict.fromkeys(NAMES, WORK), days=9).to_pylist()
    rush = [
        {"account_id": name, "hour_at": START + timedelta(days=9, hours=hour), "model": "m", "exchanges": next(turn)}
        for name in NAMES
        for hour in range(24)
    ]
    held = pa.table({"account_id": [name for name, _ in rows], "value": [value for _, value in rows]})
    worked = engine.memory(pa.Table.from_pylist([*rush, *usual]))
    (found,) = with_places([facts(evidence=[at("a", 12)])], held, worked, engine)
    assert found.places.night_share == pytest.approx((NIGHT_HOURS / 24) / 10, abs=1e-6)


def test_hours_are_read_only_where_enough_are_settled(engine: EmbeddedEngine) -> None:
    found = places(
        engine, [at("a", 5), at("b", 8)], [*calls("a", NAMES[:5]), *calls("b", NAMES[2:10])], dict.fromkeys(NAMES, WORK)
    )
    assert found.night_share == 0.0
    moving = [*calls("a", NAMES[:9]), *calls("b", NAMES[2:10])]
    assert places(engine, [at("a", 9), at("b", 8)], moving, dict.fromkeys(NAMES, WORK)) == Places(3, None)


def test_only_ranges_of_several_members_are_kept_and_only_of_members() -> None:
    rows = [("a", "ip_prefix", "1"), ("b", "ip_prefix", "2"), ("a", "ip", "1"), ("x", "ip_prefix", "1")]
    traits = pa.table(dict(zip(("account_id", "kind", "value"), map(list, zip(*rows, strict=True)), strict=True)))
    evidence = pa.table(
        {
            "kind": ["ip_prefix", "ip_prefix", "ip"],
            "value": ["1", "2", "1"],
            "account_count": [MIN_PEOPLE, MIN_PEOPLE - 1, 40],
        }
    )
    assert placed(traits, pa.array(["a", "b"]), evidence).to_pylist() == [{"account_id": "a", "value": "1"}]
