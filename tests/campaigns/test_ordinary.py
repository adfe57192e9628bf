"""Ordinary traffic: what is learned from it, in any order, and pools against an oracle."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats
from tests.campaigns.clues import bearing, intents, learned, ordinary_units, spread

from stillwatch.campaigns.facts import Usage
from stillwatch.campaigns.ordinary import MIN_REFERENCE, POOLS, Ordinary, elicited_volume
from stillwatch.records import EXTRACTION_TECHNIQUES, INTENTS


def test_customers_with_next_to_no_traffic_are_no_reference() -> None:
    idle = Usage(exchanges=4, items=4, accounts=1, intents=tuple(0 for _ in INTENTS))
    assert learned([*ordinary_units(10), idle]).everyone.size == 10


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
    mixed, clean = learned([*ordinary_units(300), *hidden]).everyone, learned(ordinary_units(300)).everyone
    place = INTENTS.index("forced_trace_tags")
    assert mixed.prevalence[place] == pytest.approx(clean.prevalence[place], abs=0.005)


def test_the_measures_of_a_unit_are_those_written_out() -> None:
    everyone = learned(ordinary_units(300)).everyone
    unit = ordinary_units(1, seed=7)[0]
    volume = sum(n * -np.log2(max(p, 1e-3)) for n, p in zip(unit.intents, everyone.prevalence, strict=True))
    row = everyone.row(unit)
    assert row[0] == pytest.approx(np.log2(unit.items + 1))
    assert row[1] == pytest.approx(np.log2(volume + 1))
    assert row[2] == pytest.approx(volume / unit.exchanges)
    assert row[3] == 0.0
    assert row[4] == pytest.approx(np.log2(unit.output_tokens / unit.exchanges + 1))


def test_a_segment_with_enough_units_has_a_reference_and_a_smaller_one_backs_off() -> None:
    common, rare = ("large", "paid", "latin"), ("large", "free", "latin")
    units = [
        *ordinary_units(MIN_REFERENCE, segment=common),
        *ordinary_units(MIN_REFERENCE - 1, seed=2, segment=rare),
    ]
    found = learned(units)
    assert found.nearest(common)[0] == common
    key, own = found.nearest(rare)
    assert key == ("latin",)
    assert own.size == 2 * MIN_REFERENCE - 1
    assert found.nearest(("small", None, None))[0] == ()


def test_units_without_a_segment_are_compared_with_everyone() -> None:
    found = learned(ordinary_units(MIN_REFERENCE))
    assert found.nearest(("large", "paid", "latin")) == ((), found.everyone)


def test_the_share_of_pools_agrees_with_all_pools_counted_one_by_one() -> None:
    base = learned(ordinary_units(300))
    volumes = np.array([0.0, 1.0, 5.0, 20.0])
    small = Ordinary(base.references, volumes, cap=20.0)
    sums = np.array([sum(drawn) for drawn in product(volumes, repeat=3)])
    for total in (3.0, 11.0, 26.0, 45.0):
        exact = float((sums >= total).mean())
        assert small.pooled_p_value([total / 3] * 3, 3) == pytest.approx(exact, abs=0.02)


def test_where_no_pool_drawn_elicits_as_much_a_bound_says_how_rare_such_a_pool_is() -> None:
    """It is no less than the share among all pools, which is exact here, and not far from it."""
    base = learned(ordinary_units(300))
    small = Ordinary(base.references, np.array([0.0, 1.0, 5.0, 20.0]), cap=20.0)
    for size in (12, 20, 30):
        assert 4.0**-size <= small.pooled_p_value([20.0] * size, size) <= 1.5 * 4.0**-size


def test_no_account_counts_for_more_than_the_cap() -> None:
    found = learned(ordinary_units(300))
    assert found.pooled_p_value([1e9], 1) == found.pooled_p_value([found.cap], 1)
    assert found.pooled_p_value([1e9], 1) > 1 / (POOLS + 1)


def test_the_order_of_units_and_accounts_changes_no_pool() -> None:
    units = ordinary_units(300)
    forward, backward = learned(units), learned(units[::-1])
    volumes = [0.1 * i for i in range(40)]
    assert forward.pooled_p_value(volumes, 300) == backward.pooled_p_value(volumes[::-1], 300)


def test_larger_units_are_further_out() -> None:
    everyone = learned(ordinary_units(300)).everyone
    unit = ordinary_units(1, seed=7)[0]
    larger = replace(unit, items=unit.items * 50, output_tokens=unit.output_tokens * 50)
    assert everyone.p_value(everyone.bits(everyone.row(larger))) < everyone.p_value(everyone.bits(everyone.row(unit)))


def test_within_a_run_of_days_what_grows_with_time_is_that_of_the_busiest_run() -> None:
    units = ordinary_units(MIN_REFERENCE)
    days = spread(units)
    found = learned(units, days)
    week = found.within(7).everyone
    amounts = days.busiest(days.items, 7), days.busiest(elicited_volume(days.intents, week.prevalence), 7)
    for place, amount in enumerate(amounts):
        assert week.values[:, place] == pytest.approx(np.sort(np.log2(amount + 1)))
    assert np.array_equal(week.values[:, 2:], found.everyone.values[:, 2:])
    assert (found.within(7).volumes <= found.volumes).all()
    assert found.within(28) is found


def test_a_run_as_long_as_the_window_holds_what_the_window_holds() -> None:
    units = ordinary_units(MIN_REFERENCE)
    whole, run = learned(units), learned(units, spread(units)).everyone
    assert run.values == pytest.approx(whole.everyone.values)
    assert run.row(units[3], spread(units).take(np.array([3])), 28) == pytest.approx(run.row(units[3]))


def test_the_order_of_units_and_their_days_does_not_matter() -> None:
    units = [*ordinary_units(250, seed=1), *ordinary_units(250, seed=2, segment=("m", "paid"))]
    days, backwards = spread(units), np.arange(500)[::-1]
    forward, backward = learned(units, days), learned(units[::-1], days.take(backwards))
    for length in (3, 14, 28):
        one, other = forward.within(length), backward.within(length)
        assert np.allclose(one.volumes, other.volumes)
        for key, reference in one.references.items():
            assert np.allclose(reference.values, other.references[key].values)
            assert np.allclose(reference.sums, other.references[key].sums)


@pytest.mark.parametrize("most", [3, 28])
def test_compared_over_the_days_that_fit_them_no_more_units_stand_out_than_the_p_value_says(most: int) -> None:
    units = ordinary_units(400)
    days = spread(units, most=most)
    found = learned(units, days)
    p_values = []
    for length in np.unique(days.lengths()).tolist():
        everyone = found.within(length).everyone
        for number in np.flatnonzero(days.lengths() == length).tolist():
            row = everyone.row(units[number], days.take(np.array([number])), length)
            p_values.append(everyone.p_value(everyone.bits(row)))
    assert len(p_values) == len(units)
    assert all(np.mean(np.array(p_values) <= level) <= level + 1e-9 for level in (0.01, 0.05, 0.2))


@pytest.mark.parametrize("users", [0, 1, 2, 3, 30])
@pytest.mark.parametrize("others", [597, 598, 945, 946, 2_000])
def test_a_technique_is_rare_when_more_users_among_the_others_were_likely_if_more_used_it(
    users: int, others: int
) -> None:
    """The customer asked about is a unit of its own, uses the technique, and is none of the others."""
    share, plain = 0.005, replace(ordinary_units(1)[0], intents=intents())
    uses = replace(plain, intents=intents(debug_pretext=2, forced_trace_tags=1))
    crowd = learned([*[uses] * (users + 1), *[plain] * (others - users)])
    rare = stats.binom.cdf(users, others, share) <= 0.05
    found = crowd.rare_techniques(share)
    assert found.get("debug_pretext") == found.get("forced_trace_tags") == (users if rare else None)
    assert found.get("replay_decoding") == (0 if others >= 598 else None)


def test_what_is_rare_does_not_depend_on_the_days_that_are_compared() -> None:
    units = [replace(one, intents=intents(step_by_step=3)) for one in ordinary_units(700)]
    crowd = learned([replace(units[0], intents=intents(debug_pretext=9)), *units], spread(units[:1] + units))
    found = crowd.rare_techniques(0.005)
    assert set(found) == set(EXTRACTION_TECHNIQUES)
    assert crowd.within(3) is not crowd
    assert crowd.within(3).rare_techniques(0.005) == found == dict.fromkeys(EXTRACTION_TECHNIQUES, 0)
    assert crowd.within(3).users == crowd.users
