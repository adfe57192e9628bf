"""An address alone ties nobody."""

from tests.campaigns.clues import CONTENT, NETWORK, NOT_TESTED, facts

from stillwatch.campaigns.hypotheses.shared_network import hypothesis


def test_strangers_behind_one_address_share_nothing_else() -> None:
    assert hypothesis(facts(links=[NETWORK]), NOT_TESTED).survives


def test_a_second_group_of_traits_refutes_it() -> None:
    assert not hypothesis(facts(links=[NETWORK, CONTENT]), NOT_TESTED).survives
    assert not hypothesis(facts(links=[]), NOT_TESTED).survives
