"""Harvest: pooled traffic against ordinary customers."""

import pytest
from tests.campaigns.clues import bearing, facts, ordinary, ordinary_units

from stillwatch.campaigns import reference
from stillwatch.campaigns.facts import Usage
from stillwatch.campaigns.harvest import MEASURES, MIN_EXCHANGES, MIN_REFERENCE, harvest
from stillwatch.records import INTENTS

REFERENCE = ordinary()


def test_a_planted_harvest_is_proven() -> None:
    found = harvest(facts(), REFERENCE)
    assert found.result == "proven"
    assert found.p_value == pytest.approx(1 / (REFERENCE.size + 1), abs=1e-6)
    assert [m.name for m in found.measures] == [*MEASURES, "item sharing"]


def test_too_few_ordinary_customers_leave_it_untested() -> None:
    found = harvest(facts(), ordinary(MIN_REFERENCE - 1))
    assert found.result == "not_tested"
    assert found.p_value is None
    assert harvest(facts(), ordinary(MIN_REFERENCE)).result != "not_tested"


def test_without_prompts_it_is_untested() -> None:
    assert harvest(facts(has_prompts=False), REFERENCE).result == "not_tested"


def test_little_traffic_leaves_it_untested() -> None:
    assert harvest(facts(bearing=bearing(exchanges=MIN_EXCHANGES - 1)), REFERENCE).result == "not_tested"


def test_no_reference_at_all_leaves_it_untested() -> None:
    assert harvest(facts(), reference([])).result == "not_tested"


def test_the_same_items_from_everyone_are_no_harvest() -> None:
    found = harvest(facts(bearing=bearing(copies=5000 * 11)), REFERENCE)
    assert found.result == "not_proven"
    assert "same questions" in found.because


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_customer_taken_from_the_middle_is_no_harvest(seed: int) -> None:
    unit = max(ordinary_units(20, seed=100 + seed), key=lambda u: (u.exchanges < 60, u.exchanges))
    assert harvest(facts(bearing=unit), REFERENCE).result == "not_proven"


def test_the_share_of_ordinary_customers_called_a_harvest_is_about_the_p_value() -> None:
    results = [harvest(facts(bearing=unit), REFERENCE) for unit in ordinary_units(400, seed=9)]
    tested = [found for found in results if found.result != "not_tested"]
    assert len(tested) > 250
    assert sum(found.result == "proven" for found in tested) <= 0.03 * len(tested)


@pytest.mark.parametrize("exchanges", [30, 10**3, 10**6, 10**9])
def test_the_p_value_is_never_below_one_in_the_units_and_one(exchanges: int) -> None:
    intents = tuple(exchanges for _ in INTENTS)
    used = bearing(exchanges=exchanges, items=exchanges, intents=intents, output_tokens=exchanges * 10**6)
    found = harvest(facts(bearing=used), REFERENCE)
    assert found.p_value is not None
    assert 1 / (REFERENCE.size + 1) - 1e-6 <= found.p_value <= 1.0


def test_the_order_of_ordinary_customers_does_not_matter() -> None:
    units = ordinary_units(300)
    assert harvest(facts(), reference(units[::-1])) == harvest(facts(), reference(units))


def test_customers_with_next_to_no_traffic_are_no_reference() -> None:
    idle = Usage(exchanges=4, items=4, accounts=1, intents=tuple(0 for _ in INTENTS))
    assert reference([*ordinary_units(10), idle]).size == 10


def test_a_few_unlinked_harvesters_among_the_ordinary_do_not_pass_for_ordinary() -> None:
    hidden = [
        bearing(
            exchanges=90,
            items=90,
            accounts=1,
            intents=tuple(80 if n == "forced_trace_tags" else 0 for n in INTENTS),
            capabilities={"reasoning": 90},
            output_tokens=90 * 3000,
        )
        for _ in range(10)
    ]
    mixed, clean = reference([*ordinary_units(300), *hidden]), REFERENCE
    place = INTENTS.index("forced_trace_tags")
    assert mixed.prevalence[place] == pytest.approx(clean.prevalence[place], abs=0.005)
