"""An approved partner carries everybody's traffic; a contract is no immunity."""

from tests.campaigns.clues import NOT_PROVEN, PROVEN, REACHED, TELLING, facts, members, unit

from stillwatch.campaigns.facts import Relayed
from stillwatch.campaigns.hypotheses.reseller import hypothesis

PARTNERS = members(access_program="partner", verification_level="contract")


def test_verified_partners_are_resellers() -> None:
    assert hypothesis(facts(members=PARTNERS), PROVEN).survives


def test_prompts_far_from_ordinary_use_are_not_explained_by_reselling() -> None:
    assert not hypothesis(facts(members=PARTNERS), TELLING).survives


def test_half_a_reseller_is_none() -> None:
    unchecked = facts(members=members(access_program="partner", verification_level="email"))
    assert not hypothesis(unchecked, NOT_PROVEN).survives
    assert not hypothesis(facts(members=members(verification_level="contract")), NOT_PROVEN).survives


def test_reselling_does_not_explain_the_wordings_of_a_campaign_outside() -> None:
    relay = unit()
    found = hypothesis(facts(members=PARTNERS, declared=relay.declared), NOT_PROVEN)
    assert not found.survives
    assert "campaign outside" in found.because


def test_reselling_does_not_explain_reaching_for_reasoning_as_hardly_anybody_does() -> None:
    alone, reaching = unit(outside=()), unit(outside=(), reached=(REACHED,))
    assert hypothesis(facts(members=PARTNERS, declared=alone.declared), PROVEN).survives
    found = hypothesis(facts(members=PARTNERS, declared=reaching.declared), PROVEN)
    assert not found.survives
    assert "reasoning" in found.because


def test_reselling_does_not_explain_few_prompts_that_are_a_large_part_of_everything() -> None:
    relay = unit(outside=(), relayed=Relayed(4, 0.487))
    found = hypothesis(facts(members=PARTNERS, declared=relay.declared), PROVEN)
    assert not found.survives
    assert "mixed traffic, not 4 prompts" in found.because
