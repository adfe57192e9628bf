"""Machines repeat themselves; a sweep never does."""

from tests.campaigns.clues import NOT_PROVEN, NOT_TESTED, PROVEN, bearing, facts, members, shared

from stillwatch.campaigns import Facts
from stillwatch.campaigns.hypotheses.ci_fleet import hypothesis
from stillwatch.campaigns.sizes import Sizes
from stillwatch.campaigns.volume import Volume

AGAIN = Sizes(exchanges=1000, same=6000, next=1000)  # as from machines, and as from padding
ONE_CARD = [shared("payment", 12)]
NO_TEXT = bearing(exchanges=0, repeated_exchanges=0)


def machines(**changes: object) -> Facts:
    return facts(**{"bearing": NO_TEXT, "evidence": ONE_CARD, "sizes": AGAIN, **changes})


def test_machines_that_send_the_same_items_again_are_explained() -> None:
    found = hypothesis(facts(bearing=bearing(repeated_exchanges=4000)), PROVEN)
    assert found.survives
    assert "80% of the exchanges repeat" in found.because


def test_a_sweep_is_not() -> None:
    found = hypothesis(facts(), PROVEN)
    assert not found.survives
    assert found.nearness == 20 / 5000 / 0.5


def test_nothing_in_common_leaves_nothing_to_repeat() -> None:
    assert not hypothesis(facts(bearing=NO_TEXT), NOT_TESTED).survives


def test_machines_of_one_card_or_organisation_are_explained_by_sizes_alone() -> None:
    found = hypothesis(machines(), NOT_TESTED)
    assert found.survives
    assert "5.0 times more in the same size" in found.because
    assert hypothesis(machines(evidence=[], members=members(organization_id="o")), NOT_TESTED).survives


def test_where_prompts_can_be_compared_items_decide_and_a_class_is_no_fleet() -> None:
    assert not hypothesis(machines(bearing=bearing()), NOT_PROVEN).survives


def test_padding_to_a_few_sizes_explains_no_accounts_of_many_cards() -> None:
    found = hypothesis(machines(evidence=[shared("payment", 9)]), NOT_TESTED)
    assert not found.survives
    assert "at most 75%" in found.because


def test_padding_explains_no_harvest() -> None:
    assert not hypothesis(machines(), PROVEN).survives


def test_padding_explains_no_more_than_ordinary_volume() -> None:
    large = Volume("proven", 0.0, 30.0, 6.0, "together they take 6.0 times as much")
    found = hypothesis(machines(volume=large), NOT_TESTED)
    assert not found.survives
    assert "together they take 6.0 times as much" in found.because


def test_new_requests_of_few_sizes_are_no_repetition() -> None:
    found = hypothesis(machines(sizes=Sizes(1000, same=6000, next=5900)), NOT_TESTED)
    assert not found.survives
    assert "2% of such matches" in found.because


def test_without_prompts_and_tokens_it_is_starved() -> None:
    kept = facts().columns - {"exchanges.prompt", "exchanges.input_tokens"}
    found = hypothesis(machines(columns=kept), NOT_TESTED)
    assert (found.survives, found.tested) == (False, False)
    assert hypothesis(machines(columns=kept | {"exchanges.input_tokens"}), NOT_TESTED).survives
