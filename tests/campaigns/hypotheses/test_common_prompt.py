"""A few prompts and a room in common are no hidden hand; a corpus dealt out is, and so is what a cheat shares."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.campaigns.clues import CONTENT, MUCH, ORDINARY, facts, members, tie

from stillwatch.campaigns import Facts, Member, TestResult
from stillwatch.campaigns.coordination import Measure
from stillwatch.campaigns.facts import TemplateUse
from stillwatch.campaigns.harvest import POOLS_AS_FAR
from stillwatch.campaigns.hypotheses.common_prompt import FEW, hypothesis
from stillwatch.campaigns.volume import Volume


def told(result: str, usual: float) -> TestResult:
    """A harvest test, with the share of random pools of customers that ask for as much."""
    return TestResult(result, 0.4, 1.0, "so", (Measure(POOLS_AS_FAR, usual, 0.5, 0.5, "so"),))


def crowd(
    wordings: int = 3, ties: tuple[str, ...] = ("network",), volume: Volume = ORDINARY, people: Sequence[Member] = ()
) -> Facts:
    """Twelve people with so many wordings in common, ten of whom share each kind of other things."""
    uses = [TemplateUse(i, 50, 12, 50, "reasoning") for i in range(wordings)]
    return facts(templates=uses, links=[CONTENT, *map(tie, ties)], volume=volume, members=people or members())


USUAL = told("not_proven", 0.7)


def test_people_with_a_few_prompts_and_a_room_in_common_are_explained() -> None:
    found = hypothesis(crowd(), USUAL)
    assert (found.survives, found.coordinated) == (True, False)
    assert found.because == (
        "they have 3 wordings in common, and on average 0.8 kinds of other things; "
        "70% of as many customers, drawn at random, ask for as much"
    )


@pytest.mark.parametrize(("wordings", "survives"), [(FEW - 1, True), (FEW, False)])
def test_a_corpus_dealt_out_has_more_wordings(wordings: int, survives: bool) -> None:
    assert hypothesis(crowd(wordings), USUAL).survives == survives


def test_who_share_several_things_each_are_no_strangers() -> None:
    found = hypothesis(crowd(ties=("network", "device")), USUAL)
    assert not found.survives
    assert "1.6 kinds of other things" in found.because


@pytest.mark.parametrize(
    ("harvest", "volume"),
    [
        (told("proven", 0.7), ORDINARY),
        (told("not_tested", 0.7), ORDINARY),
        (told("not_proven", 0.4), ORDINARY),
        (USUAL, MUCH),
        (USUAL, replace(MUCH, result="not_tested")),
    ],
)
def test_it_explains_nothing_that_is_unusual_in_kind_or_amount_or_was_not_tested(
    harvest: TestResult, volume: Volume
) -> None:
    found = hypothesis(crowd(volume=volume), harvest)
    assert not found.survives
    assert "does not explain what is asked for and taken" in found.because


@pytest.mark.parametrize(("free", "survives"), [(6, True), (7, False)])
def test_who_opens_accounts_for_free_credit_has_few_prompts_as_well(free: int, survives: bool) -> None:
    people = [*members(access_program="free")[:free], *members(access_program="paid")[free:]]
    found = hypothesis(crowd(people=people), USUAL)
    assert found.survives == survives
    assert ("58% of them are on free credit" in found.because) != survives


def test_the_accounts_of_one_owner_are_no_crowd() -> None:
    found = hypothesis(crowd(people=members(organization_id="o")), USUAL)
    assert not found.survives
    assert found.because.endswith("but they openly belong to one owner")


def test_without_the_share_of_customers_who_ask_for_as_much_nothing_is_explained() -> None:
    assert not hypothesis(crowd(), TestResult("not_proven", None, None, "so")).survives
