"""A corpus shared out hardly repeats; a sheet does nothing else."""

from tests.campaigns.clues import MUCH, ORDINARY, PROVEN, bearing, facts

from stillwatch.campaigns.hypotheses.same_items import hypothesis


def test_everybody_asking_the_same_is_no_corpus_shared_out() -> None:
    assert hypothesis(facts(bearing=bearing(copies=5000 * 11)), PROVEN).survives


def test_a_corpus_shared_out_is_not_explained() -> None:
    assert not hypothesis(facts(), PROVEN).survives
    assert not hypothesis(facts(bearing=bearing(exchanges=0)), PROVEN).survives


def test_who_takes_far_more_than_customers_do_has_to_repeat_more() -> None:
    some, most = bearing(copies=500 * 11), bearing(copies=5000 * 11)
    assert hypothesis(facts(bearing=some, volume=ORDINARY), PROVEN).survives
    found = hypothesis(facts(bearing=some, volume=MUCH), PROVEN)
    assert not found.survives
    assert "does not explain that together they take 5.0 times" in found.because
    assert hypothesis(facts(bearing=most, volume=MUCH), PROVEN).survives
