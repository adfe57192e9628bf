"""The world `reward-model`: bought accounts that follow each other, graders in rounds, pretexts dealt out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.worlds import written

from stillwatch.evaluation import simulate
from stillwatch.evaluation.doses import Doses, overridden
from stillwatch.evaluation.grammar import grammar
from stillwatch.evaluation.hostile import accounts
from stillwatch.evaluation.legitimate import SEGMENTS
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import BATCH, DAY_S, ROUNDS, SESSIONS, Columns, Networks, Plan
from stillwatch.evaluation.reward import CAMPAIGNS, DAYS
from stillwatch.evaluation.scenarios import scenario
from stillwatch.evaluation.sellers import BATCH as BATCH_SIZES
from stillwatch.evaluation.sellers import CARD, IMAGE, TEAM
from stillwatch.evaluation.templates import Library

Rows = Callable[..., list[tuple[Any, ...]]]

COUNT = 400


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reward")
    simulate(out, scenario="reward-model", scale=0.01, days=14, seed=4006)
    return out


@pytest.fixture
def look(ask: Rows, world: Path) -> Rows:
    return lambda query, **values: ask(query, folder=world, **values)


def planned(doses: Doses | None = None, count: int = COUNT) -> tuple[Columns, Plan]:
    plan = Plan(7, 0.06, DAYS, Networks(7, 0.06), Library(grammar()), 14 * DAY_S, corpora=("reward",))
    people = accounts(overridden(CAMPAIGNS[0], doses or Doses()), plan, stream("reward"), count)
    return people, plan


def crowds(numbers: np.ndarray) -> np.ndarray:
    """How many accounts hold each number."""
    return np.unique(numbers[numbers >= 0], return_counts=True)[1]


def test_one_hand_runs_every_account_of_the_campaign_and_nobody_elses(look: Rows) -> None:
    assert look("select distinct role, controller, segment from truth where is_hostile") == [
        ("operator", "reward", "reward")
    ]
    known = {name for (name,) in look("select distinct segment from truth where not is_hostile")}
    assert known == {*SEGMENTS, "raters"}
    assert look("select count(*) from truth where segment = 'raters' and controller is not null") == [(0,)]


def test_accounts_follow_each_other_without_a_gap_and_inherit_their_work() -> None:
    people, plan = planned()
    ends = people["to_s"][people["to_s"] < DAYS * DAY_S - 1]
    heirs = [np.flatnonzero((people["from_s"] > end) & (people["from_s"] < end + DAY_S)) for end in ends]
    is_last = people["to_s"] > DAYS * DAY_S - 1
    assert 0.25 < is_last.mean() < 0.55  # places at work at the end; the others were banned and have a successor
    own = people["work"][people["to_s"] < DAYS * DAY_S - 1]
    assert np.mean([work in people["work"][heir] for work, heir in zip(own, heirs, strict=True)]) > 0.99
    spent = (people["rate"] * (people["to_s"] - people["from_s"])).sum() / DAY_S
    assert spent == pytest.approx(CAMPAIGNS[0].exchanges / CAMPAIGNS[0].accounts * COUNT)
    assert plan.days == DAYS


def test_accounts_are_made_before_they_are_used_and_in_batches_of_one_mail_provider() -> None:
    people, _ = planned()
    assert (people["created_s"] < people["from_s"]).all()
    order = np.argsort(people["created_s"])
    breaks = np.flatnonzero(np.diff(people["created_s"][order]) > 6 * 3600)
    batches = np.split(order, breaks + 1)
    assert COUNT / BATCH_SIZES[1] / 2 < len(batches) < 2 * COUNT / BATCH_SIZES[0]
    first = [np.unique(people["mail_domain"][batch].astype(str), return_counts=True)[1].max() for batch in batches]
    assert np.sum(first) > 0.6 * COUNT


def test_images_stay_within_a_batch_and_cards_cross_batches() -> None:
    people, _ = planned()
    devices, cards = crowds(people["device"]), crowds(people["card"])
    assert devices.max() <= IMAGE[1]
    assert devices[devices > 1].sum() > 0.3 * COUNT
    assert cards.max() <= max(CARD[1], TEAM[1])
    assert cards[cards > 1].sum() > 0.25 * COUNT

    def spread(column: str) -> float:
        """Median time between the sign-ups of those who hold the same thing."""
        numbers, spans = people[column], []
        for number in np.unique(numbers[numbers >= 0]):
            made = people["created_s"][numbers == number]
            spans += [np.ptp(made)] if len(made) > 1 else []
        return float(np.median(spans))

    assert spread("device") < 6 * 3600 < spread("card")


def test_exits_are_shared_with_honest_people(look: Rows) -> None:
    [(theirs, shared)] = look("""
        with used as (select client_ip, bool_or(is_hostile) as hostile, bool_or(not is_hostile) as honest
                      from known group by 1)
        select count(*) filter (hostile), count(*) filter (hostile and honest) from used""")
    assert shared > 0.2 * theirs


def test_an_account_uses_two_or_three_pretexts_of_many(look: Rows) -> None:
    rows = look("""
        with heads as (select left(prompt, 45) as head, account_id, count(*) as n from known
                       where campaign = 'reward' and length(prompt) > 150 group by all having n >= 4),
             common as (select head from heads group by 1 having count(distinct account_id) >= 4)
        select account_id, count(*) from heads where head in (from common) group by 1""")
    used = [count for _, count in rows]
    assert len(used) > 20
    assert 1.5 < np.mean(used) < 3.2
    [(pretexts,)] = look("""
        with heads as (select left(prompt, 45) as head, account_id from known
                       where campaign = 'reward' and length(prompt) > 150 group by all)
        select count(*) from (select head from heads group by 1 having count(*) >= 4)""")
    assert pretexts >= 8


def test_items_are_dealt_out_and_half_of_the_accounts_hold_dialogues(look: Rows) -> None:
    [(prompts, distinct)] = look("""
        select count(*), count(distinct prompt) from known
        where campaign = 'reward' and length(prompt) > 250 and turn_count = 1""")
    assert distinct > 0.9 * prompts
    [(talkers,)] = look("""
        select avg((talk > 0.5)::int) from (
            select avg((turn_count > 1)::int) as talk from known where campaign = 'reward' group by account_id)""")
    assert 0.25 < talkers < 0.7


def test_half_of_the_harvest_moves_to_the_new_model_within_a_day(look: Rows) -> None:
    release = scenario("reward-model").release_share * 14
    [(before, after)] = look(
        """
        with timed as (select model, epoch(started_at) / 86400 - min(epoch(started_at) // 86400) over () as day
                       from known where campaign = 'reward')
        select avg((model = 'atlas-large-3')::int) filter (day < $release),
               avg((model = 'atlas-large-3')::int) filter (day > $release + 1) from timed""",
        release=release,
    )
    assert before == 0
    assert 0.25 < after < 0.65


def test_sellers_leave_nothing_that_all_accounts_share(look: Rows) -> None:
    [(everything, nothing, names)] = look("""
        with shared as (
            select count(*) over (partition by payment_fingerprint) > 1 and payment_fingerprint is not null as card,
                   count(*) over (partition by device_fingerprint) > 1 and device_fingerprint is not null as device,
                   count(*) over (partition by signup_ip) > 1 as signup, organization_id
            from accounts join truth using (account_id) where campaign = 'reward')
        select avg((card and device and signup)::int), avg((not (card or device or signup))::int),
               count(organization_id) from shared""")
    assert everything < 0.25
    assert nothing > 0.1
    assert names < 20


@pytest.mark.parametrize(("jitter", "timing"), [(0.0, ROUNDS), (600.0, ROUNDS), (float(DAY_S), BATCH)])
def test_graders_keep_to_rounds_unless_a_dose_takes_the_schedule_away(jitter: float, timing: int) -> None:
    people, _ = planned(Doses(jitter=jitter))
    assert set(people["timing"]) == {timing, SESSIONS}
    assert set(people["jitter_s"]) == ({0.0, jitter} if timing == ROUNDS else {0.0})


def test_a_dose_of_hygiene_takes_every_bought_trait_away() -> None:
    people, _ = planned(Doses(hygiene=1.0))
    for column in ("card", "device"):
        assert crowds(people[column]).max() == 1
    assert set(people["organization"]) == {None}
    assert (people["net_size"] == 1).all()
    assert (people["created_s"] < people["from_s"]).all()


@pytest.mark.parametrize("count", [5, 12, 40])
def test_a_campaign_of_any_size_can_be_planned(count: int) -> None:
    people, _ = planned(Doses(accounts=count), count)
    assert all(len(values) == count for values in people.values())
    assert (people["to_s"] > people["from_s"]).all()


def test_the_same_seed_makes_the_same_world_and_another_does_not(tmp_path: Path) -> None:
    first = written(tmp_path / "a", "reward-model", days=2, seed=4007)
    assert first == written(tmp_path / "b", "reward-model", days=2, seed=4007)
    assert first != written(tmp_path / "c", "reward-model", days=2, seed=4008)


def test_it_speaks_other_languages(tmp_path: Path, ask: Rows) -> None:
    spoken = scenario("reward-model", Doses(language="ja"))
    simulate(tmp_path, scenario=replace(spoken), scale=0.002, days=3, seed=4007)
    [(share,)] = ask(
        "select avg(regexp_matches(prompt, '[ぁ-ん]')::int) from known where campaign = 'reward' and turn_count = 1",
        tmp_path,
    )
    assert share > 0.5
