"""What strangers send as well is no sign of one hand."""

from tests.campaigns.clues import NETWORK, NOT_PROVEN, PROVEN, facts, tie

from stillwatch.campaigns.hypotheses.public_template import hypothesis


def test_templates_that_as_many_outsiders_send_are_public() -> None:
    assert hypothesis(facts(public_share=0.9), NOT_PROVEN).survives


def test_templates_of_their_own_are_not() -> None:
    assert not hypothesis(facts(), NOT_PROVEN).survives


def test_it_does_not_explain_a_harvest_on_other_templates() -> None:
    assert not hypothesis(facts(public_share=0.9), PROVEN).survives


def test_it_does_not_explain_cards_and_addresses() -> None:
    case = facts(public_share=0.9, links=[NETWORK, tie("payment")])
    found = hypothesis(case, NOT_PROVEN)
    assert not found.survives
    assert "network and payment" in found.because
