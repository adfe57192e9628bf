"""How wordings and items are dealt, to a campaign and to a crowd alike."""

import numpy as np
import pytest

from stillwatch.evaluation.deals import PUBLIC, Deal, assigned, item_kind, workloads
from stillwatch.evaluation.grammar import grammar
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import DAY_S, Networks, Plan
from stillwatch.evaluation.templates import Dealing, Library

RECIPES = ("reasoning", "repair", "rubric_grade")


def plan_of_a_world() -> Plan:
    return Plan(7, 0.02, 14, Networks(7, 0.02), Library(grammar()), 7 * DAY_S)


def dealt(plan: Plan, deal: Deal, *, seed: int = 1, salt: int = 0) -> np.ndarray:
    def fix(own: np.random.Generator, recipe: str, kind: int) -> int:
        return plan.library.template(recipe, own, item=kind)

    row = [(recipe, item_kind(plan, stream("kind", recipe), recipe, ())) for recipe in RECIPES]
    return workloads(plan, stream("deals", seed), deal, row, fix=fix, items=6_000, salt=salt)


def wordings(plan: Plan, works: np.ndarray) -> set[tuple[int, ...]]:
    """The fixed parts of every template of the workloads."""
    loads, rows = plan.library.freeze_workloads(), plan.library.freeze_templates()
    first = [(loads.template[work], loads.templates[work]) for work in works.ravel()]
    return {tuple(rows.low[at].tolist()) for start, count in first for at in range(start, start + count)}


@pytest.mark.parametrize("dealing", list(Dealing))
def test_every_way_of_dealing_gives_runs_by_editions(dealing: Dealing) -> None:
    plan = plan_of_a_world()
    works = dealt(plan, Deal(dealing=dealing, wordings=2, width=4, editions=3))
    loads = plan.library.freeze_workloads()
    assert works.shape == (3, 3)
    assert set(loads.dealing[works.ravel()]) == {dealing}
    assert set(loads.templates[works.ravel()]) == {2 if dealing == Dealing.PARALLEL else 4}
    assert (loads.salt[works] == loads.salt[works[:, :1]]).all(), "a run keeps its items when its wordings change"
    assert len(set(loads.salt[works[:, 0]])) == len(works)


def test_what_is_asked_in_parallel_is_asked_of_one_kind_of_item() -> None:
    plan = plan_of_a_world()
    works = dealt(plan, Deal(dealing=Dealing.PARALLEL, wordings=3))
    loads, rows = plan.library.freeze_workloads(), plan.library.freeze_templates()
    for work in works.ravel():
        assert len(set(rows.item[loads.template[work] : loads.template[work] + 3])) == 1


def test_an_account_never_has_more_wordings_than_there_are() -> None:
    plan = plan_of_a_world()
    assert dealt(plan, Deal(wordings=1, width=9)).shape == (1, 1)


def test_a_fixed_set_holds_as_many_items_as_are_asked_so_often() -> None:
    plan = plan_of_a_world()
    works = dealt(plan, Deal(dealing=Dealing.SET, wordings=1, width=1, asked=10))
    assert set(plan.library.freeze_workloads().items[works.ravel()]) == {6_000 // 10 // 3 + 1}


def test_wordings_that_went_round_are_the_same_whoever_takes_them_and_others_are_not() -> None:
    plan = plan_of_a_world()
    public = [wordings(plan, dealt(plan, Deal(wordings=2, is_public=True), seed=seed)) for seed in (1, 2)]
    own = [wordings(plan, dealt(plan, Deal(wordings=2), seed=seed)) for seed in (1, 2)]
    assert public[0] == public[1]
    assert not own[0] & own[1]
    many = wordings(plan, dealt(plan, Deal(wordings=4, editions=3, is_public=True)))
    assert len(many) <= PUBLIC * len(RECIPES)


def test_a_list_that_everybody_has_is_the_same_list_for_each() -> None:
    plan = plan_of_a_world()
    first, second = (dealt(plan, Deal(dealing=Dealing.SET, width=1), seed=seed, salt=1) for seed in (1, 2))
    loads = plan.library.freeze_workloads()
    assert (loads.salt[first] == loads.salt[second]).all()


def test_accounts_of_a_place_have_its_run_in_the_wordings_of_when_they_began() -> None:
    works = np.arange(12).reshape(4, 3)
    place, days = np.repeat(np.arange(50), 3), 9
    people = {"rate": np.ones(150), "place": place, "from_s": np.tile([0.0, 4.0 * DAY_S, 9.0 * DAY_S], 50)}
    work = assigned(stream("assigned"), works, people, days).reshape(50, 3)
    assert (work // 3 == work[:, :1] // 3).all()
    assert (work % 3 == [0, 1, 2]).all()
    assert len(np.unique(work[:, 0])) == 4
