"""Freelance raters: private people of an agency, on published schemes, in any world that asks for them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.worlds import sides_taken

from stillwatch.errors import SettingsError
from stillwatch.evaluation import customer_shares, scenarios, simulate
from stillwatch.evaluation.grammar import grammar
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import DAY_S, DEADLINE, OFFICE, Columns, Networks, Plan, ordinary
from stillwatch.evaluation.raters import CARD, IMAGE, RATERS, raters
from stillwatch.evaluation.scenarios import CUSTOMERS, scenario
from stillwatch.evaluation.templates import Dealing, Library

Rows = Callable[..., list[tuple[Any, ...]]]

COUNT = 400


@pytest.fixture(scope="module")
def planned() -> tuple[Columns, Plan]:
    plan = Plan(7, 0.06, 28, Networks(7, 0.06), Library(grammar()), 14 * DAY_S)
    return raters(plan, stream("raters"), COUNT), plan


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raters in a world that has none by itself."""
    out = tmp_path_factory.mktemp("raters")
    simulate(out, scenario=scenario("two-pools", customers={"raters": 0.5}), scale=0.002, days=6, seed=4009)
    return out


def test_raters_declare_nothing_and_nobody_poses_as_several(planned: tuple[Columns, Plan]) -> None:
    people, _ = planned
    assert set(people["organization"]) == set(people["controller"]) == {None}
    assert not any(".example" in domain for domain in people["mail_domain"])
    assert not np.isin(people["program"], ("enterprise", "partner")).any()


def test_cards_and_laptops_of_an_agency_serve_a_few_and_most_have_their_own(planned: tuple[Columns, Plan]) -> None:
    people, _ = planned
    for column, sizes in (("card", CARD), ("device", IMAGE)):
        held = people[column][people[column] >= 0]
        crowd = np.unique(held, return_counts=True)[1]
        assert 1 < crowd.max() <= sizes[1]
        assert 0.05 < crowd[crowd > 1].sum() / len(held) < 0.5


def test_they_keep_office_hours_and_sign_up_on_a_few_mornings(planned: tuple[Columns, Plan]) -> None:
    people, plan = planned
    assert (people["hours"] == OFFICE).mean() > 0.8
    assert people["weekend"].max() <= 0.5
    assert 0 < (people["timing"] == DEADLINE).mean() < 0.9
    gaps_s = np.diff(np.sort(people["created_s"]))
    alone_s = np.diff(np.sort(ordinary(plan, stream("anybody"), COUNT)["created_s"]))
    assert (gaps_s < 1_800).mean() > 2 * (alone_s < 1_800).mean()


def test_agencies_mark_by_the_same_published_schemes_and_deal_the_items_out(planned: tuple[Columns, Plan]) -> None:
    people, plan = planned
    loads = plan.library.freeze_workloads()
    works = np.unique(people["work"])
    assert (loads.dealing[works] == Dealing.SHARD).all()
    assert len(set(loads.salt[works])) == len(works) > 5
    assert len(set(loads.template[works])) < len(works)
    assert set(loads.template[works]) & set(plan.shared["schemes"])


def test_another_world_takes_them_and_says_so(world: Path, ask: Rows) -> None:
    [(accounts, controlled, hostile)] = ask(
        "select count(*), count(controller), count(*) filter (is_hostile) from truth where segment = 'raters'", world
    )
    assert accounts > 20
    assert (controlled, hostile) == (0, 0)
    about = json.loads((world / "world.json").read_text())
    assert about["added"] == {"raters": 0.5}
    assert about["segments"]["raters"] == accounts


def test_their_prompts_share_a_scheme_and_no_item(world: Path, ask: Rows) -> None:
    [(heads, distinct, prompts)] = ask(
        "select count(distinct left(prompt, 30)), count(distinct prompt), count(*) from known "
        "where segment = 'raters' and length(prompt) > 350 and turn_count = 1",
        world,
    )
    assert prompts > 100
    assert heads < prompts / 8
    assert distinct > 0.9 * prompts


def test_only_the_world_they_were_made_for_has_them_by_itself() -> None:
    assert [name for name, world in scenarios().items() if set(world.customers) & set(RATERS)] == ["reward-model"]
    assert set(CUSTOMERS).isdisjoint(RATERS)
    assert scenario("feb2026").customers == scenarios()["feb2026"].customers


def test_raters_take_legitimate_texts_of_a_file_of_prompts(tmp_path: Path, ask: Rows) -> None:
    shares = sides_taken(
        tmp_path, ask, "reward-model", family="judge-eval", capability="grading", longer=300, seed=4009
    )
    assert shares["raters"][0] == 0
    assert shares["raters"][1] > 0.5
    assert shares["reward"][0] > 0.5


def test_shares_are_read_from_texts() -> None:
    assert customer_shares(["raters=0.04", "products=0.1"]) == {"raters": 0.04, "products": 0.1}


@pytest.mark.parametrize("given", ["raters", "raters=many", "raters=0", "raters=1.5", "strangers=0.1"])
def test_a_share_that_cannot_be_given_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=r"strangers|raters"):
        customer_shares([given])
