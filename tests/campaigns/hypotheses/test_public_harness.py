"""Everybody who uses a public tool looks like the next."""

from tests.campaigns.clues import CONTENT, NETWORK, NOT_PROVEN, PROVEN, facts, shared, tie

from stillwatch.campaigns.hypotheses.public_harness import hypothesis

TOOL = [shared("system_prompt", 12, outside=300), shared("client", 11, outside=300)]


def test_users_of_one_public_tool_are_alike_for_that_reason() -> None:
    assert hypothesis(facts(evidence=TOOL, links=[CONTENT, NETWORK]), NOT_PROVEN).survives


def test_a_tool_that_nobody_else_uses_is_their_own() -> None:
    assert not hypothesis(facts(evidence=[shared("system_prompt", 12, outside=2)]), NOT_PROVEN).survives


def test_a_harvest_that_rides_inside_the_tool_is_not_the_tools() -> None:
    found = hypothesis(facts(evidence=TOOL), PROVEN)
    assert not found.survives
    assert "not the tool's" in found.because


def test_the_tool_does_not_explain_cards_and_addresses() -> None:
    case = facts(evidence=TOOL, links=[CONTENT, NETWORK, tie("payment")])
    assert not hypothesis(case, NOT_PROVEN).survives


def test_nor_what_joins_prompts_that_nobody_else_sends() -> None:
    found = hypothesis(facts(evidence=TOOL, links=[CONTENT, tie("crossing")]), NOT_PROVEN)
    assert not found.survives
    assert "crossing" in found.because
