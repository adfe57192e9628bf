"""The first run that reports a campaign: the search against trying every hour, and what a run as of an hour may see."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bench.exposure.campaigns import RULES, TrueCampaign, few_in_one, half_accused, reports, true_campaigns
from bench.exposure.prefix import Run, Runs, prefix
from bench.exposure.search import LOOK_BACK_H, first_hour, is_steady
from hypothesis import given
from hypothesis import strategies as st

from stillwatch import ingest
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.evaluation import simulate
from stillwatch.intake import Intake, intake
from stillwatch.settings import Settings

HOUR_US = 3_600_000_000
START = datetime(2026, 4, 22, tzinfo=UTC)


def asked(answers: list[bool]) -> tuple[Callable[[int], bool], list[int]]:
    """A reporter that answers from a list, and the hours it was asked."""
    hours: list[int] = []

    def is_so(hour: int) -> bool:
        hours.append(hour)
        return answers[hour]

    return is_so, hours


def tried_one_by_one(answers: list[bool], start: int) -> int | None:
    return next((hour for hour in range(start + 1, len(answers)) if answers[hour]), None)


@given(st.integers(0, 400), st.integers(1, 1200), st.data())
def test_what_stays_so_is_found_at_its_very_first_hour(start: int, length: int, data: st.DataObject) -> None:
    end = start + length
    turns = data.draw(st.integers(start + 1, end + 1))  # beyond the end: never
    answers = [hour >= turns for hour in range(end + 1)]
    is_so, hours = asked(answers)
    assert first_hour(is_so, start, end) == tried_one_by_one(answers, start)
    assert len(set(hours)) <= 2 * 11 + len(LOOK_BACK_H)


@given(st.lists(st.booleans(), min_size=2, max_size=300), st.data())
def test_what_comes_and_goes_is_found_at_a_turn_with_no_earlier_hour_asked(
    answers: list[bool], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(answers) - 2))
    is_so, hours = asked(answers)
    found = first_hour(is_so, start, len(answers) - 1)
    so = [hour for hour in hours if answers[hour]]
    assert found == min(so, default=None)
    if found is not None:
        assert found == start + 1 or not answers[found - 1]
        assert found >= (tried_one_by_one(answers, start) or 0)


def test_a_report_that_flickered_a_few_hours_earlier_is_not_missed() -> None:
    answers = [hour == 97 or hour >= 100 for hour in range(400)]
    assert first_hour(asked(answers)[0], 0, 399) == tried_one_by_one(answers, 0) == 97
    assert not is_steady(asked(answers)[0], 97, 399)
    assert is_steady(asked(answers)[0], 100, 399)


@given(st.lists(st.booleans(), min_size=2, max_size=200), st.integers(0, 60), st.data())
def test_hours_asked_one_by_one_miss_no_report(answers: list[bool], one_by_one: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(answers) - 2))
    found = first_hour(asked(answers)[0], start, len(answers) - 1, one_by_one=one_by_one)
    first = tried_one_by_one(answers, start)
    if first is not None and first <= start + one_by_one:
        assert found == first
    else:
        assert found is None or found > start + one_by_one


def campaign(joined_h: dict[str, int], every_h: int, until_h: int) -> TrueCampaign:
    began = round(START.timestamp() * 1e6)
    joined = {account: began + hour * HOUR_US for account, hour in joined_h.items()}
    times = [at + k * every_h * HOUR_US for at in joined.values() for k in range(until_h // every_h)]
    return TrueCampaign("c", frozenset(joined), np.sort(np.array(times, np.int64)), joined)


def fake(run_at: Callable[[int], Run]) -> Runs:
    class Fake(Runs):
        def at(self, hour: int) -> Run:
            return run_at(hour)

    return Fake(None, None, None, START, frozenset(), lambda text: None)  # type: ignore[arg-type]


def test_hours_shares_and_sizes_are_counted_from_the_campaigns_own_start() -> None:
    """Ten accounts join at hours 24 to 33 and send once an hour; from hour 60 on, six of them are accused."""
    members = {f"a{k}": 24 + k for k in range(10)}
    six = frozenset([*list(members)[:6], "somebody"])
    runs = fake(lambda hour: Run((six,) if hour >= 60 else (), 8))
    half, few = reports(campaign(members, 1, 940), runs, frozenset(members), 1000)
    for report in (half, few):
        assert report.after_h == 36
        assert report.leaked == pytest.approx(sum(60 - at for at in members.values()) / (10 * 940))
        assert (report.active, report.accused, report.minimum) == (10, 6, 8)
        assert report.after_minimum == 60 - 32  # the eighth account sends at the start of hour 31
        assert report.is_steady
        assert not report.is_met  # half a day short of forty: the runs count, and 28 are too many
    assert [half.rule, few.rule] == list(RULES)


def test_a_campaign_that_is_never_reported_leaks_all_of_it() -> None:
    never = reports(campaign({"a": 0, "b": 1}, 1, 50), fake(lambda hour: Run((), None)), frozenset("ab"), 60)
    assert [(row.after_h, row.leaked, row.is_met) for row in never] == [(None, 1.0, False)] * 2


def test_a_long_campaign_is_met_by_its_share_and_a_short_one_by_its_runs() -> None:
    members = {f"a{k}": 0 for k in range(6)}
    runs = fake(lambda hour: Run((frozenset(members),) if hour >= 40 else (), 6))
    [_, long] = reports(campaign(members, 1, 1000), runs, frozenset(members), 1010)
    [_, short] = reports(campaign(members, 1, 400), runs, frozenset(members), 410)
    assert long.leaked == pytest.approx(0.04)
    assert long.is_met
    assert short.after_minimum == 39
    assert not short.is_met


def test_a_few_accounts_in_a_crowd_of_innocents_are_no_report() -> None:
    active = frozenset(f"a{k}" for k in range(20))
    crowd = Run((frozenset([*sorted(active)[:6], *(f"innocent{k}" for k in range(7))]),), None)
    assert not few_in_one(crowd, active, active)
    assert few_in_one(Run((frozenset(sorted(active)[:5]),), None), active, active)
    assert not few_in_one(Run((frozenset(sorted(active)[:4]),), None), active, active)
    assert half_accused(Run((frozenset(sorted(active)[:10]),), None), active, active)
    assert not half_accused(Run((frozenset(sorted(active)[:9]),), None), active, active)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    simulate(folder, scenario="jun2026", scale=0.0008, days=3, seed=5)
    return folder


def taken(world: Path, engine: EmbeddedEngine, work: Path) -> tuple[Intake, Settings]:
    settings = Settings(
        logs=(str(world / "exchanges" / "*.parquet"),), out=work / "out", accounts=world / "accounts.parquet"
    )
    return intake(settings, engine, key=ingest.Key(bytes(32)), work=work, progress=lambda *_: None), settings


def test_a_run_as_of_an_hour_sees_nothing_of_later(world: Path, tmp_path: Path) -> None:
    until = datetime.fromisoformat(json.loads((world / "world.json").read_text("utf-8"))["starts_at"])
    until += timedelta(hours=31)
    with EmbeddedEngine(tmp_path, threads=1) as engine:
        whole, _ = taken(world, engine, tmp_path)
        cut = prefix(whole, until, tmp_path / "cut")
        times = cut.signals.started_at.max().to_pyarrow().as_py()
        kept = cut.signals.count().to_pyarrow().as_py()
    logs = pq.read_table(world / "exchanges", columns=["started_at"]).column(0).to_pylist()
    assert times < until
    assert 0 < kept == sum(at < until for at in logs) < len(logs)
    created = cut.accounts["created_at"].to_pylist()
    assert all(at < until for at in created)
    assert len(created) == sum(at < until for at in whole.accounts["created_at"].to_pylist()) < len(whole.accounts)
    for row in cut.accounts.to_pylist():
        assert row["verified_at"] is None or row["verified_at"] < until
    late = {r["account_id"] for r in whole.accounts.to_pylist() if r["verified_at"] and r["verified_at"] >= until}
    levels = {r["account_id"]: r["verification_level"] for r in cut.accounts.to_pylist()}
    assert {levels[account] for account in late & set(levels)} <= {"none"}


def test_runs_are_made_once_per_hour_and_the_last_sees_everything(world: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with EmbeddedEngine(tmp_path, threads=1) as engine:
        whole, settings = taken(world, engine, tmp_path)
        starts_at = datetime.fromisoformat(json.loads((world / "world.json").read_text("utf-8"))["starts_at"])
        verdicts = frozenset({"distillation", "coordinated", "explained", "insufficient_data"})
        runs = Runs(whole, engine, settings, starts_at, verdicts, said.append)
        assert runs.at(72) == runs.at(72)
        assert runs.at(1).members == ()
        [found] = true_campaigns(world / "truth.parquet", whole.signals)
    assert len(said) == 2
    truth = pq.read_table(world / "truth.parquet").to_pylist()
    assert found.members <= {row["account_id"] for row in truth if row["campaign"] and row["role"] != "compromised"}
    assert found.active(round((starts_at + timedelta(days=3)).timestamp() * 1e6)) == found.members
    assert not list(tmp_path.glob("until-*"))
