"""Innocent crowds whose habits the seed draws: what they may share, and what they never claim."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.worlds import sides_taken

from stillwatch.evaluation import crowds as module
from stillwatch.evaluation import scenarios
from stillwatch.evaluation.crowds import CROWDS, HOURS_KEPT, ITEMS, SUBJECTS, crowds, crowds_of
from stillwatch.evaluation.grammar import grammar
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import DAY_S, Columns, Networks, Plan
from stillwatch.evaluation.templates import Library

Rows = Callable[..., list[tuple[Any, ...]]]

SEEDS = range(120)


def plan_of_a_world(seed: int = 7) -> Plan:
    return Plan(seed, 0.02, 14, Networks(seed, 0.02), Library(grammar()), 7 * DAY_S)


def planned(seed: int, count: int = 300) -> Columns:
    return crowds(plan_of_a_world(seed), stream("crowds", seed), count)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Columns, Plan]]:
    """The people of one crowd with the habits given, the others as some seed draws them."""
    usual = crowds_of(1)[0]

    def people(**habits: Any) -> tuple[Columns, Plan]:
        plan = plan_of_a_world()
        monkeypatch.setattr(module, "crowds_of", lambda _: (replace(usual, **habits),))
        return crowds(plan, stream("one"), 300), plan

    return people


def holders(people: Columns, column: str) -> np.ndarray:
    """How many accounts hold what each one has; one where it has none."""
    _, place, held = np.unique(people[column], return_inverse=True, return_counts=True)
    return np.where(people[column] >= 0, held[place], 1)


def test_a_seed_draws_one_to_three_crowds_always_the_same() -> None:
    drawn = [crowds_of(seed) for seed in SEEDS]
    assert drawn == [crowds_of(seed) for seed in SEEDS]
    assert {len(each) for each in drawn} == {1, 2, 3}
    each = [crowd for crowds_ in drawn for crowd in crowds_]
    assert len(set(each)) == len(each)


def test_every_habit_is_some_crowds_and_not_every_crowds() -> None:
    drawn = [crowd for seed in SEEDS for crowd in crowds_of(seed)]
    assert {crowd.words for crowd in drawn} == {"public", "dealt", "own"}
    assert {crowd.deal.dealing for crowd in drawn} == set(ITEMS)
    assert all(crowd.deal.is_public == (crowd.words == "public") for crowd in drawn)
    assert {crowd.hours for crowd in drawn} == set(HOURS_KEPT)
    assert {crowd.subjects for crowd in drawn} == set(SUBJECTS)
    assert {crowd.program for crowd in drawn} == {"", "education", "startup", "research"}
    assert {crowd.together for crowd in drawn} == {True, False}
    for habit in ("card", "shop", "image", "number", "rooms", "machines", "new", "leaves", "declared"):
        shares = np.array([getattr(crowd, habit) for crowd in drawn])
        assert 0.2 < (shares > 0).mean() < 0.8, habit
    known = grammar().recipes
    assert all(recipe in known for subjects in SUBJECTS for recipe in subjects)


@pytest.mark.parametrize("seed", range(12))
def test_they_are_ordinary_people_and_nobody_poses_as_several(seed: int) -> None:
    people = planned(seed)
    assert set(people["controller"]) == {None}
    assert not any(".example" in domain for domain in people["mail_domain"])
    assert not np.isin(people["program"], ("enterprise", "partner")).any()
    assert not np.isin(people["level"], ("business", "contract")).any()
    named = any(crowd.declared for crowd in crowds_of(seed))
    assert any(name is not None for name in people["organization"]) <= named


@pytest.mark.parametrize("seed", range(12))
def test_who_pays_has_a_card_and_a_plan_and_who_does_not_proves_none(seed: int) -> None:
    people = planned(seed)
    paid, free = people["program"] == "paid", people["program"] == "free"
    assert paid.any()
    assert (people["card"][paid] >= 0).all()
    assert "free" not in people["plan"][paid]
    assert set(people["plan"][free]) <= {"free"}
    assert "payment" not in people["level"][free]


def test_a_card_or_an_image_serves_as_many_as_the_habits_say_and_nobody_where_they_say_none(only: Any) -> None:
    nothing: dict[str, Any] = {"card": 0.0, "shop": 0.0, "image": 0.0, "number": 0.0, "rooms": 0.0, "machines": 0.0}
    alone, _ = only(**nothing)
    for column in ("card", "device", "phone"):
        assert holders(alone, column).max() == 1
    assert (alone["machine_share"] == 0).all()
    some, _ = only(**{**nothing, "card": 0.5, "per_card": 4, "image": 0.4, "per_image": 6, "group": (8, 20)})
    assert 0.25 < (holders(some, "card") > 1).mean() < 0.5
    assert holders(some, "card").max() <= 4
    assert 0.2 < (holders(some, "device") > 1).mean() < 0.4
    assert holders(some, "device").max() <= 6
    shop, _ = only(**{**nothing, "shop": 0.3, "number": 0.2, "machines": 0.5})
    assert (holders(shop, "card") > 1).mean() > 0.1
    assert (holders(shop, "phone") > 1).any()
    assert 0.35 < (shop["machine_share"] > 0).mean() < 0.65


@pytest.mark.parametrize(("words", "public"), [("public", True), ("dealt", False), ("own", False)])
def test_wordings_are_everybodys_a_groups_or_ones_own(only: Any, words: str, public: bool) -> None:
    usual = crowds_of(1)[0]
    deal = replace(usual.deal, is_public=public, wordings=1, width=1, editions=1)
    people, plan = only(words=words, deal=deal, subjects=("repair",), group=(10, 20))
    loads, rows = plan.library.freeze_workloads(), plan.library.freeze_templates()
    different = len(np.unique(rows.low[loads.template[people["work"]]], axis=0))
    assert {"public": different == 1, "dealt": 10 < different < 40, "own": different > 200}[words]


def test_groups_that_come_or_go_in_the_window_do_so_together(only: Any) -> None:
    people, _ = only(new=1.0, together=True, leaves=0.0, group=(20, 20))
    assert (people["from_s"] > 0).mean() > 0.9
    spread = [np.ptp(np.sort(people["from_s"][at : at + 20])[:14]) for at in range(0, 300, 20)]
    assert np.median(spread) < 3 * DAY_S
    assert (people["from_s"] >= people["created_s"]).all()
    left, _ = only(leaves=1.0)
    assert (left["to_s"] < 14 * DAY_S).all()


@pytest.mark.parametrize("count", [1, 3, 8, 40])
def test_any_number_of_people_can_be_planned(count: int) -> None:
    for seed in range(20):
        assert all(len(values) == count for values in planned(seed, count).values())


def test_other_worlds_have_them_only_when_asked() -> None:
    assert all(set(world.customers).isdisjoint(CROWDS) for world in scenarios().values())


def test_they_take_legitimate_texts_of_a_file_of_prompts_and_the_campaign_the_others(tmp_path: Path, ask: Rows) -> None:
    shares = sides_taken(  # its crowds teach and explain
        tmp_path, ask, "drawn", family="school-exam", capability="reasoning", longer=200, seed=61
    )
    hostile = [share for name, share in shares.items() if name.startswith("drawn-")]
    assert shares["crowds"][0] == 0
    assert shares["crowds"][1] > 0.3
    assert max(harvest for harvest, _ in hostile) > 0.3
