"""A corpus shared out hardly repeats; a sheet does nothing else."""

from tests.campaigns.clues import PROVEN, bearing, facts

from stillwatch.campaigns.hypotheses.same_items import hypothesis


def test_everybody_asking_the_same_is_no_corpus_shared_out() -> None:
    assert hypothesis(facts(bearing=bearing(copies=5000 * 11)), PROVEN).survives


def test_a_corpus_shared_out_is_not_explained() -> None:
    assert not hypothesis(facts(), PROVEN).survives
    assert not hypothesis(facts(bearing=bearing(exchanges=0)), PROVEN).survives
