"""Private tutors: marketplaces without an organisation, lessons in many languages, in any world that asks for them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.worlds import sides_taken

from stillwatch.evaluation import scenarios, simulate
from stillwatch.evaluation.grammar import grammar
from stillwatch.evaluation.hostile import accounts
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import DAY_S, EVENING, LOTS, Columns, Networks, Plan
from stillwatch.evaluation.polyglot import CAMPAIGNS, DAYS
from stillwatch.evaluation.scenarios import CUSTOMERS, scenario
from stillwatch.evaluation.templates import Dealing, Library
from stillwatch.evaluation.tutors import TUTORS, tutors

Rows = Callable[..., list[tuple[Any, ...]]]

COUNT = 400


def plan_of_a_world() -> Plan:
    return Plan(7, 0.06, DAYS, Networks(7, 0.06), Library(grammar()), 11 * DAY_S, corpora=("polyglot",))


@pytest.fixture(scope="module")
def planned() -> tuple[Columns, Plan]:
    plan = plan_of_a_world()
    return tutors(plan, stream("tutors"), COUNT), plan


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tutors in a world that has none by itself."""
    out = tmp_path_factory.mktemp("tutors")
    simulate(out, scenario=scenario("two-pools", customers={"tutors": 0.5}), scale=0.002, days=6, seed=4109)
    return out


def test_tutors_declare_nothing_and_nobody_poses_as_several(planned: tuple[Columns, Plan]) -> None:
    people, _ = planned
    assert set(people["organization"]) == set(people["controller"]) == {None}
    assert not any(".example" in domain for domain in people["mail_domain"])
    assert not np.isin(people["program"], ("enterprise", "partner")).any()
    assert not np.isin(people["level"], ("business", "contract")).any()


def test_some_share_a_card_a_tablet_or_a_number_and_most_share_nothing(planned: tuple[Columns, Plan]) -> None:
    people, _ = planned
    shares = np.zeros(COUNT, dtype=bool)
    for column in ("card", "device", "phone"):
        _, place, held = np.unique(people[column], return_inverse=True, return_counts=True)
        common = (people[column] >= 0) & (held[place] > 1)
        assert common.any()
        assert held[place][common].max() < 15
        shares |= common
    assert 0.2 < shares.mean() < 0.5


def test_cards_and_numbers_of_a_shop_are_those_that_the_campaign_has_as_well() -> None:
    plan = plan_of_a_world()
    theirs = accounts(CAMPAIGNS[0], plan, stream("polyglot"), COUNT)
    own = tutors(plan, stream("tutors"), COUNT)
    for column in ("card", "phone"):
        assert len(np.intersect1d(theirs[column][theirs[column] >= 0], own[column][own[column] >= 0])) > 0
    assert len(np.intersect1d(theirs["device"][theirs["device"] >= 0], own["device"])) == 0


def test_they_teach_in_the_evening_by_a_timetable(planned: tuple[Columns, Plan]) -> None:
    people, _ = planned
    assert (people["hours"] == EVENING).mean() > 0.8
    assert 0.5 < (people["timing"] == LOTS).mean() < 0.8
    assert len(np.unique(people["timetable_s"])) < len(np.unique(people["country"]))
    assert 0.4 < (people["machine_share"] > 0).mean() < 0.8


def test_marketplaces_use_the_same_words_and_deal_exercises_or_take_old_papers(planned: tuple[Columns, Plan]) -> None:
    people, plan = planned
    loads = plan.library.freeze_workloads()
    works = np.unique(people["work"])
    assert set(loads.dealing[works]) == {Dealing.PARALLEL, Dealing.SET}
    dealt = works[loads.dealing[works] == Dealing.PARALLEL]
    assert len(set(loads.salt[dealt])) == len(dealt)
    words = plan.library.freeze_templates().low[loads.template[works]]
    assert len(np.unique(words, axis=0)) < len(works)


def test_another_world_takes_them_and_says_so(world: Path, ask: Rows) -> None:
    [(accounts, controlled, hostile)] = ask(
        "select count(*), count(controller), count(*) filter (is_hostile) from truth where segment = 'tutors'", world
    )
    assert accounts > 20
    assert (controlled, hostile) == (0, 0)
    about = json.loads((world / "world.json").read_text())
    assert about["added"] == {"tutors": 0.5}
    assert about["segments"]["tutors"] == accounts


def test_they_ask_in_more_than_one_language_with_words_that_many_use(world: Path, ask: Rows) -> None:
    [(foreign, heads, prompts)] = ask(
        r"select avg(regexp_matches(prompt, '[^\x00-\x7f]')::int), count(distinct left(prompt, 25)), count(*) "
        "from known where segment = 'tutors' and length(prompt) > 150 and turn_count = 1",
        world,
    )
    assert prompts > 100
    assert 0 < foreign < 1
    assert heads < prompts / 3


def test_only_the_world_in_many_languages_always_has_them_by_itself() -> None:
    assert [name for name, world in scenarios().items() if set(world.customers) & set(TUTORS)] == ["many-languages"]
    assert set(CUSTOMERS).isdisjoint(TUTORS)


@pytest.mark.parametrize("count", [8, 40])
def test_any_number_of_tutors_can_be_planned(count: int) -> None:
    people = tutors(plan_of_a_world(), stream("few"), count)
    assert all(len(values) == count for values in people.values())


def test_tutors_take_legitimate_texts_of_a_file_of_prompts_and_the_campaign_the_others(
    tmp_path: Path, ask: Rows
) -> None:
    shares = sides_taken(
        tmp_path, ask, "many-languages", family="school-exam", capability="reasoning", longer=200, seed=4109
    )
    assert shares["tutors"][0] == 0
    assert shares["tutors"][1] > 0.5
    assert shares["polyglot"][0] > 0.4
