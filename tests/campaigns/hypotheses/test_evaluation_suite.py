"""Who runs a public suite sends what everybody sends, alone."""

from tests.campaigns.clues import CONTENT, NETWORK, PROVEN, bearing, facts, tie, unit

from stillwatch.campaigns.hypotheses.evaluation_suite import hypothesis

SUITE = bearing(copies=5000 * 8)


def test_strangers_who_run_the_same_items_run_a_suite() -> None:
    assert hypothesis(facts(bearing=SUITE, links=[CONTENT, NETWORK]), PROVEN).survives


def test_a_corpus_shared_out_is_no_suite() -> None:
    assert not hypothesis(facts(), PROVEN).survives
    assert not hypothesis(facts(bearing=bearing(exchanges=0)), PROVEN).survives


def test_people_who_share_a_card_are_not_independent() -> None:
    found = hypothesis(facts(bearing=SUITE, links=[CONTENT, tie("payment")]), PROVEN)
    assert not found.survives
    assert "do not share payment" in found.because


def test_an_organisations_accounts_are_not_independent_either() -> None:
    assert not hypothesis(unit(), PROVEN).survives
