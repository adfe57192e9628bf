"""Worlds: what is written, that it repeats, and that it is the world the scenario names."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.evaluation.worlds import written

from stillwatch.errors import SettingsError
from stillwatch.evaluation import scenarios, simulate
from stillwatch.evaluation.grammar import grammar
from stillwatch.evaluation.legitimate import SEGMENTS
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import DAY_S, Networks, Plan
from stillwatch.evaluation.templates import Library
from stillwatch.records import ACCOUNTS, EXCHANGES, TRUTH

Ask = Callable[..., list[tuple[Any, ...]]]


def plan() -> Plan:
    return Plan(7, 0.01, 14, Networks(7, 0.01), Library(grammar()), 7 * DAY_S)


def test_tables_have_the_published_columns_and_types(february: Path) -> None:
    day = next((february / "exchanges").glob("*.parquet"))
    for path, table in (
        (day, EXCHANGES),
        (february / "accounts.parquet", ACCOUNTS),
        (february / "truth.parquet", TRUTH),
    ):
        schema = pq.read_schema(path)
        assert [(field.name, field.type) for field in schema] == [
            (column.name, column.type) for column in table.columns
        ]
        required = {column.name for column in table.columns if column.required}
        assert {field.name for field in schema if not field.nullable} == required


def test_one_file_per_day_holds_that_day_in_order_of_arrival(february: Path) -> None:
    files = sorted((february / "exchanges").iterdir())
    assert len(files) == 14
    for file in files:
        at = pq.read_table(file, columns=["started_at"]).column(0).to_pylist()
        assert {moment.date() for moment in at} == {date.fromisoformat(file.stem)}
        assert all(a <= b for a, b in pairwise(at))


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    first = written(tmp_path / "a", "two-pools", days=3, seed=5)
    assert first == written(tmp_path / "b", "two-pools", days=3, seed=5)
    assert first != written(tmp_path / "c", "two-pools", days=3, seed=6)


def test_a_population_is_the_same_whoever_was_planned_before_it() -> None:
    alone, after = plan(), plan()
    SEGMENTS["developers"](after, stream("d"), 40)
    first = SEGMENTS["individuals"](alone, stream("i"), 60)
    second = SEGMENTS["individuals"](after, stream("i"), 60)
    for column in ("created_s", "card", "device", "country", "rate", "hours", "client"):
        assert np.array_equal(first[column], second[column]), column
    homes = alone.networks.table()[first["net"]], after.networks.table()[second["net"]]
    assert np.array_equal(*homes)


def test_every_exchange_belongs_to_an_account_and_has_its_own_id(ask: Ask) -> None:
    assert ask("select count(*) from exchanges anti join accounts using (account_id)") == [(0,)]
    assert ask("select count(*) - count(distinct exchange_id) from exchanges") == [(0,)]
    assert ask("select count(*) from accounts full join truth using (account_id)") == ask("select count(*) from truth")


def test_customers_outnumber_campaigns_in_accounts_and_in_exchanges(ask: Ask) -> None:
    [(hostile, customers)] = ask("select count(*) filter (is_hostile), count(*) filter (not is_hostile) from truth")
    assert customers >= 10 * hostile
    [(hostile, customers)] = ask("select count(*) filter (is_hostile), count(*) filter (not is_hostile) from known")
    assert customers >= hostile > 0


def test_campaigns_run_at_the_disclosed_rate_per_account_and_day(ask: Ask) -> None:
    disclosed = {campaign.name: campaign for campaign in scenarios()["feb2026"].campaigns}
    rows = ask("select campaign, count(*) / count(distinct account_id) / 14 from known where is_hostile group by 1")
    assert {name for name, _ in rows} == set(disclosed)
    for name, rate in rows:
        expected = disclosed[name].exchanges / disclosed[name].accounts / 28
        assert expected / 2.5 < rate < expected * 2.5


def test_every_population_of_the_scenario_is_there(ask: Ask) -> None:
    segments = {segment for (segment,) in ask("select distinct segment from truth where not is_hostile")}
    assert segments == set(scenarios()["feb2026"].customers) == set(SEGMENTS)


def test_nobody_gives_everything_away_and_some_give_nothing_but_templates(ask: Ask) -> None:
    [(everything, nothing)] = ask("""
        with shared as (
            select a.account_id,
                count(*) over (partition by payment_fingerprint) > 1 and payment_fingerprint is not null as card,
                count(*) over (partition by device_fingerprint) > 1 and device_fingerprint is not null as device,
                count(*) over (partition by signup_ip) > 1 as signup
            from accounts a join truth using (account_id) where campaign = 'lab-c' and role = 'relay')
        select avg((card and device and signup)::int), avg((not (card or device or signup))::int) from shared""")
    assert everything < 0.3
    assert nothing > 0.1


def test_a_campaign_shares_templates_and_shares_out_its_items(ask: Ask) -> None:
    [(heads, prompts, repeats)] = ask("""
        select count(distinct left(prompt, 60)), count(distinct prompt), count(prompt)
        from known where campaign = 'lab-a' and role = 'operator' and length(prompt) > 200 and turn_count = 1""")
    assert heads < prompts / 4
    assert prompts > 0.85 * repeats


def test_a_proxy_mixes_unrelated_traffic_and_pivots_within_a_day(ask: Ask) -> None:
    release = scenarios()["feb2026"].release_share * 14
    query = """
        with timed as (select *, epoch(started_at) / 86400 - min(epoch(started_at) // 86400) over () as day
                       from known where campaign = 'lab-c' and role = 'relay')
        select avg((model = 'atlas-large-3')::int) filter (day < $release),
               avg((model = 'atlas-large-3')::int) filter (day between $release + 1 and $release + 3) from timed"""
    [(before, after)] = ask(query, release=release)
    assert before == 0
    assert 0.15 < after < 0.5  # half of the harvest, which is about half of the traffic


def test_victims_with_stolen_keys_are_marked_and_keep_their_own_identity(ask: Ask) -> None:
    rows = ask("select segment, campaign, is_hostile from truth where role = 'compromised'")
    assert rows
    assert all(segment == "developers" and campaign and hostile for segment, campaign, hostile in rows)


def test_individuals_name_no_organisation(ask: Ask) -> None:
    [(named,)] = ask(
        "select count(organization_id) from accounts join truth using (account_id) where segment = 'individuals'"
    )
    assert named == 0


def test_the_base_rate_world_has_no_text_and_four_hundred_customers_per_attacker(tmp_path: Path, ask: Ask) -> None:
    simulate(tmp_path, scenario="base-rate", scale=0.001, days=2, seed=1)
    assert ask("select count(prompt), count(system_prompt) from exchanges", tmp_path) == [(0, 0)]
    [(hostile, customers)] = ask(
        "select count(*) filter (is_hostile), count(*) filter (not is_hostile) from truth", tmp_path
    )
    assert customers >= 400 * hostile


def test_the_second_pool_takes_over_when_the_first_is_banned(tmp_path: Path, ask: Ask) -> None:
    simulate(tmp_path, scenario="two-pools", scale=0.004, days=8, seed=1)
    operators = "from known where campaign = 'pool-{}' and role = 'operator'"
    [(last,)] = ask("select max(started_at) " + operators.format(1), tmp_path)
    [(first,)] = ask("select min(started_at) " + operators.format(2), tmp_path)
    switch = scenarios()["two-pools"].starts_at.timestamp() + 4 * DAY_S
    assert abs(last.timestamp() - switch) < DAY_S / 2
    assert abs(first.timestamp() - switch) < DAY_S / 2
    heads = (
        "select distinct left(prompt, 50) from known "
        "where campaign = '{}' and role = 'operator' and length(prompt) > 200"
    )
    shared = set(ask(heads.format("pool-1"), tmp_path)) & set(ask(heads.format("pool-2"), tmp_path))
    assert shared


def test_low_and_slow_rewords_its_templates_and_stays_at_home(tmp_path: Path, ask: Ask) -> None:
    simulate(tmp_path, scenario="low-and-slow", scale=0.005, days=14, seed=1)
    [(heads, prompts)] = ask(
        "select count(distinct left(prompt, 90)), count(prompt) from known "
        "where campaign = 'quiet' and length(prompt) > 200",
        tmp_path,
    )
    assert heads > prompts / 3
    [(cards,)] = ask(
        "select count(*) - count(distinct payment_fingerprint) from accounts join truth using (account_id) "
        "where campaign = 'quiet' and payment_fingerprint is not null",
        tmp_path,
    )
    assert cards == 0


def test_the_summary_says_what_was_written(tmp_path: Path, ask: Ask) -> None:
    steps: list[tuple[int, int]] = []
    summary = simulate(
        tmp_path, scenario="jun2026", scale=0.0006, days=3, seed=2, on_progress=lambda *step: steps.append(step)
    )
    assert json.loads((tmp_path / "world.json").read_text())["exchanges"] == summary.exchanges
    assert ask("select count(*) from exchanges", tmp_path) == [(summary.exchanges,)]
    assert ask("select count(*) from accounts", tmp_path) == [(summary.accounts,)]
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert datetime.fromisoformat(summary.starts_at) == datetime(2026, 4, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("scenario", "scale", "days", "said"),
    [
        ("nowhere", 1.0, None, "choose one of feb2026"),
        ("feb2026", 0.0, None, "scale 0.0"),
        ("feb2026", 1.0, 0, "0 days"),
    ],
)
def test_a_wrong_request_says_what_to_ask_for(
    tmp_path: Path, scenario: str, scale: float, days: int | None, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        simulate(tmp_path, scenario=scenario, scale=scale, days=days)


def test_every_scenario_has_a_sentence_and_disclosed_sizes() -> None:
    for name, scenario in scenarios().items():
        assert scenario.name == name
        assert scenario.sentence.endswith(".")
    june = scenarios()["jun2026"].campaigns[0]
    assert (june.accounts, june.exchanges, scenarios()["jun2026"].days) == (25_000, 28_800_000, 45)
    february = scenarios()["feb2026"].campaigns
    assert sum(campaign.accounts for campaign in february) == 24_000
    assert [campaign.exchanges for campaign in february] == [150_000, 3_400_000, 13_000_000]
    cleaner = scenarios()["cot-cleaner"]
    assert (cleaner.campaigns[0].accounts, cleaner.campaigns[0].exchanges, cleaner.days) == (273, 770_000, 10)


def test_a_new_world_replaces_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    simulate(tmp_path / "w", scenario="jun2026", scale=0.0005, days=3)
    simulate(tmp_path / "w", scenario="feb2026", scale=0.0005, days=1)
    assert [file.name for file in (tmp_path / "w" / "exchanges").iterdir()] == ["2026-01-19.parquet"]
    (tmp_path / "logs" / "exchanges").mkdir(parents=True)
    (tmp_path / "logs" / "exchanges" / "mine.parquet").write_bytes(b"mine")
    with pytest.raises(SettingsError, match="choose an empty folder"):
        simulate(tmp_path / "logs", scenario="feb2026", scale=0.0005, days=1)
    assert (tmp_path / "logs" / "exchanges" / "mine.parquet").read_bytes() == b"mine"
