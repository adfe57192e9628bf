"""Harvest: pooled traffic against ordinary customers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.campaigns.clues import (
    CONTENT,
    NETWORK,
    bearing,
    customers,
    facts,
    intents,
    learned,
    members,
    one_day,
    ordinary,
    ordinary_units,
    spread,
)

from stillwatch.campaigns import Facts, TestResult
from stillwatch.campaigns.days import NO_DAYS, Days
from stillwatch.campaigns.facts import GroupLink, Usage
from stillwatch.campaigns.harvest import (
    EXTRACTED_P_VALUE,
    FALSE_DISCOVERY_RATE,
    MIN_EXCHANGES,
    NAMED_LIMIT,
    P_VALUE,
    POOL_P_VALUE,
    _limit,
    harvest,
    harvests,
    rests_on_reach,
)
from stillwatch.campaigns.ordinary import MEASURES, MIN_REFERENCE
from stillwatch.campaigns.volume import Volume
from stillwatch.records import INTENTS

REFERENCE = ordinary()


def one_customer(unit: Usage) -> Facts:
    """A cluster that is one ordinary customer behind several accounts."""
    share = tuple(n // 12 for n in unit.intents)
    return facts(bearing=unit, member_days=one_day([share] * 12))


def test_a_planted_harvest_is_proven() -> None:
    found = harvest(facts(), REFERENCE)
    assert found.result == "proven"
    assert found.p_value == pytest.approx(1 / (REFERENCE.everyone.size + 1), abs=1e-6)
    told = ["pools as far", "extracting", "as no trade does", "capability focus", "item sharing"]
    assert [m.name for m in found.measures] == [*MEASURES, *told]


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
    assert harvest(facts(), learned([])).result == "not_tested"


def test_the_same_items_from_everyone_are_no_harvest() -> None:
    found = harvest(facts(bearing=bearing(copies=5000 * 11)), REFERENCE)
    assert found.result == "not_proven"
    assert "same questions" in found.because


@pytest.mark.parametrize("seed", range(5))
def test_an_ordinary_customer_taken_from_the_middle_is_no_harvest(seed: int) -> None:
    unit = max(ordinary_units(20, seed=100 + seed), key=lambda u: (u.exchanges < 60, u.exchanges))
    assert harvest(one_customer(unit), REFERENCE).result == "not_proven"


def test_the_share_of_ordinary_customers_called_a_harvest_is_about_the_p_value() -> None:
    results = [harvest(one_customer(unit), REFERENCE) for unit in ordinary_units(400, seed=9)]
    tested = [found for found in results if found.result != "not_tested"]
    assert len(tested) > 250
    assert sum(found.result == "proven" for found in tested) <= 0.03 * len(tested)


@pytest.mark.parametrize("exchanges", [30, 10**3, 10**6, 10**9])
def test_the_p_value_is_never_below_one_in_the_units_and_one(exchanges: int) -> None:
    intents = tuple(exchanges for _ in INTENTS)
    used = bearing(exchanges=exchanges, items=exchanges, intents=intents, output_tokens=exchanges * 10**6)
    found = harvest(facts(bearing=used), REFERENCE)
    assert found.p_value is not None
    assert 1 / (REFERENCE.everyone.size + 1) - 1e-6 <= found.p_value <= 1.0


def test_the_order_of_ordinary_customers_does_not_matter() -> None:
    units = ordinary_units(300)
    assert harvest(facts(), learned(units[::-1])) == harvest(facts(), learned(units))


def test_a_busy_team_that_many_pools_of_customers_outdo_is_no_harvest() -> None:
    busy = [replace(unit, intents=tuple(40 * n for n in unit.intents)) for unit in ordinary_units(20, seed=3)]
    crowd = learned([*ordinary_units(300), *busy])
    team = facts(member_days=one_day([tuple(60 if name == "forced_trace_tags" else 0 for name in INTENTS)] * 12))
    found = harvest(team, crowd)
    assert found.result == "not_proven"
    assert "pools of 12" in found.because
    assert harvest(facts(), REFERENCE).result == "proven"


def test_one_busy_account_does_not_make_a_team_a_harvest() -> None:
    busy, idle = bearing().intents, tuple(0 for _ in INTENTS)
    found = harvest(facts(member_days=one_day([busy, *[idle] * 11])), REFERENCE)
    assert found.result == "not_proven"


def test_without_the_intents_of_its_members_no_harvest_is_proven() -> None:
    assert harvest(facts(member_days=NO_DAYS), REFERENCE).result == "not_proven"


def test_what_is_usual_in_its_own_segment_is_no_harvest() -> None:
    segment = ("judge", "paid", "latin")
    grading = tuple(480 if name == "forced_trace_tags" else 0 for name in INTENTS)
    grader = bearing(exchanges=500, items=490, output_tokens=500 * 3000, segment=segment, intents=grading)
    graders = [replace(grader, capabilities={"reasoning": 500})] * 30
    others = ordinary_units(MIN_REFERENCE, seed=4, segment=segment)
    everyone = learned([*ordinary_units(9000), *others, *graders])
    cluster = facts(bearing=replace(grader, accounts=12))
    found = harvest(cluster, everyone)
    assert found.result == "not_proven"
    assert "judge, paid, latin" in found.because
    elsewhere = facts(bearing=bearing(segment=("coder", "paid", "han")))
    assert harvest(elsewhere, everyone).result == "proven"


INNOCENT = one_customer(ordinary_units(20, seed=100)[0])
ASKED = int(FALSE_DISCOVERY_RATE * (REFERENCE.everyone.size + 1))  # as many more and one finding may be chance


def test_a_finding_that_chance_alone_leaves_among_many_clusters_is_no_harvest() -> None:
    guilty = facts()
    assert INNOCENT.bearing.exchanges >= MIN_EXCHANGES
    assert harvests([guilty, *[INNOCENT] * (ASKED - 1)], REFERENCE)[0].result == "proven"
    found = harvests([guilty, *[INNOCENT] * ASKED], REFERENCE)[0]
    assert found.result == "not_proven"
    assert f"{ASKED + 1} clusters" in found.because
    assert found.p_value is not None
    assert found.p_value <= P_VALUE


def test_who_takes_far_more_than_customers_is_asked_apart_from_who_does_not() -> None:
    much = Volume(result="proven")
    guilty = facts(volume=much)
    assert harvests([guilty, *[INNOCENT] * ASKED], REFERENCE)[0].result == "proven"
    apart = harvests([guilty, *[replace(INNOCENT, volume=much)] * ASKED], REFERENCE)[0]
    assert apart.result == "not_proven"
    assert f"{ASKED + 1} clusters" in apart.because


THREE_TIES = [CONTENT, NETWORK, *(replace(NETWORK, group=group) for group in ("payment", "registration"))]


@pytest.mark.parametrize(
    ("links", "held_apart"),
    [
        (THREE_TIES, True),
        (THREE_TIES[:3], False),
        ([replace(CONTENT, together=10), *THREE_TIES[1:]], False),
        ([CONTENT, *(replace(one, linked=2, expected=1.0) for one in THREE_TIES[1:])], False),
    ],
)
def test_who_shares_more_than_a_trade_does_is_asked_apart_from_who_could_not_be_charged(
    links: list[GroupLink], held_apart: bool
) -> None:
    found = harvests([facts(links=links), *[INNOCENT] * ASKED], REFERENCE)[0]
    assert found.result == ("proven" if held_apart else "not_proven")


def test_all_who_could_be_charged_are_asked_together() -> None:
    much = replace(INNOCENT, volume=Volume(result="proven"))
    found = harvests([facts(links=THREE_TIES), *[much] * ASKED], REFERENCE)[0]
    assert found.result == "not_proven"
    assert f"{ASKED + 1} clusters" in found.because
    few = [replace(much, members=members(3))] * ASKED
    assert harvests([facts(links=THREE_TIES), *few], REFERENCE)[0].result == "proven", "fewer than are ever charged"


def test_clusters_that_all_send_the_same_items_were_never_asked() -> None:
    same = facts(bearing=bearing(copies=5000 * 11))
    assert harvests([facts(), *[same] * 500], REFERENCE)[0].result == "proven"


def test_several_harvests_support_each_other_against_chance() -> None:
    found = harvests([*[facts()] * 5, *[INNOCENT] * 60], REFERENCE)
    assert [result.result for result in found[:5]] == ["proven"] * 5
    assert {result.result for result in found[5:]} == {"not_proven"}


def test_more_principals_must_elicit_more() -> None:
    few = harvest(facts(member_days=one_day([(9,) * len(INTENTS)] * 12)), REFERENCE)
    many = harvest(facts(member_days=one_day([(9,) * len(INTENTS)] * 12), members=members(600)), REFERENCE)
    assert few.p_value is not None
    assert many.p_value is not None
    assert few.p_value < many.p_value


def test_what_a_partner_proved_elsewhere_widens_the_limits_by_how_often_it_was_right() -> None:
    assert [_limit(POOL_P_VALUE, named) for named in (0.0, 0.05, 0.1)] == pytest.approx([POOL_P_VALUE] * 3)
    assert _limit(POOL_P_VALUE, 0.5) == pytest.approx(9 * POOL_P_VALUE)
    assert _limit(P_VALUE, 0.5) == _limit(P_VALUE, 1.0) == NAMED_LIMIT


def test_a_cluster_that_partners_name_is_proven_where_another_is_not_and_says_so() -> None:
    given = facts().member_days
    little = replace(given, intents=given.intents * 55 // 1000)
    alone = harvest(facts(member_days=little), REFERENCE)
    told = harvest(facts(member_days=little, named=0.5), REFERENCE)
    assert (alone.result, told.result) == ("not_proven", "proven")
    assert alone.p_value == told.p_value
    assert "a partner names these wordings, 50% of whose leads proved right" in told.because
    assert harvests([facts(member_days=little, named=0.5), facts()], REFERENCE)[0].result == "proven"


def test_nobody_is_harvesting_because_a_partner_says_so() -> None:
    unit = max(ordinary_units(20, seed=100), key=lambda u: (u.exchanges < 60, u.exchanges))
    assert harvest(replace(one_customer(unit), named=1.0), REFERENCE).result == "not_proven"
    everybodys = harvest(facts(bearing=bearing(copies=5000 * 11), named=1.0), REFERENCE)
    assert "same questions" in everybodys.because


def young(exchanges: int, count: int = 12, on: int = 26) -> Facts:
    """A cluster at work on two days only, each account with so many exchanges a day, all asking for reasoning."""
    unit, day = np.repeat(np.arange(count), 2), np.tile([on, on + 1], count)
    sent = np.full(2 * count, float(exchanges))
    asks = np.array([name == "forced_trace_tags" for name in INTENTS]) * sent[:, None]
    days = Days(unit, day, sent, sent, asks, size=count)
    total = 2 * count * exchanges
    intents = tuple(total if name == "forced_trace_tags" else 0 for name in INTENTS)
    used = bearing(exchanges=total, items=total, copies=0, intents=intents, output_tokens=3000 * total)
    return facts(members=members(count), bearing=used, days=pooled(days), member_days=days)


def old_units(count: int = 300) -> list[Usage]:
    """Customers of four weeks with many exchanges, one in seven of which asks for something."""
    return [
        replace(unit, **{name: 12 * getattr(unit, name) for name in ("exchanges", "items", "output_tokens")})
        for unit in (replace(unit, intents=tuple(12 * n for n in unit.intents)) for unit in ordinary_units(count))
    ]


OLD = old_units()
IN_DAYS = learned(OLD, spread(OLD, least=20))


def pooled(days: Days) -> Days:
    """All units as one, items taken for different ones."""
    own = np.unique(days.day)
    sums = [
        np.stack([column[days.day == day].sum(axis=0) for day in own])
        for column in (days.exchanges, days.items, days.intents)
    ]
    return Days(np.zeros(len(own), np.int64), own, *sums, size=1)


def test_a_young_cluster_is_compared_with_what_old_customers_did_in_as_many_days() -> None:
    over_days, over_weeks = harvest(young(60), IN_DAYS), harvest(young(60), learned(OLD))
    assert (over_days.result, over_weeks.result) == ("proven", "not_proven")
    assert "each in its busiest 3 days" in over_days.because


def test_a_few_exchanges_long_before_do_not_make_a_young_cluster_old() -> None:
    days = young(60).days
    early = Days(
        np.zeros(3, np.int64),
        np.array([1, *days.day]),
        *(np.array([9.0, *days.exchanges]),) * 2,
        np.vstack([np.zeros(len(INTENTS)), days.intents]),
        size=1,
    )
    assert harvest(replace(young(60), days=early), IN_DAYS) == harvest(young(60), IN_DAYS)


def test_a_burst_is_no_harvest_where_others_burst_as_well() -> None:
    assert harvest(young(60), IN_DAYS).result == "proven"
    assert harvest(young(60), learned(OLD, spread(OLD, most=3))).result == "not_proven"


@pytest.mark.parametrize("seed", range(3))
def test_innocents_who_all_begin_at_once_are_no_harvest(seed: int) -> None:
    launch = ordinary_units(40, seed=50 + seed)  # in three days what the old ones send in about as many
    days = spread(launch, seed=seed, window=3, most=3)
    everything = replace(sum(launch, Usage()), accounts=40)
    cluster = facts(members=members(40), bearing=everything, days=pooled(days), member_days=days)
    found = harvest(cluster, IN_DAYS)
    assert found.result == "not_proven"
    assert "each in its busiest 3 days" in found.because


def test_clusters_of_all_ages_are_tested_at_once_as_they_are_alone() -> None:
    clusters = [young(60), facts(), young(10), young(60, on=3)]
    assert [one.p_value for one in harvests(clusters, IN_DAYS)] == [harvest(one, IN_DAYS).p_value for one in clusters]


def reaching(accounts: int, of: int = 200) -> Facts:
    """A cluster so many accounts of which reach for the model's reasoning, in one exchange each."""
    sent = [intents(forced_trace_tags=int(place < accounts)) for place in range(of)]
    used = bearing(accounts=of, intents=intents(forced_trace_tags=accounts))
    return facts(members=members(of), bearing=used, member_days=one_day(sent))


def asked_twice(found: TestResult) -> tuple[float, float]:
    """p-values of what is elicited and of how many accounts extract."""
    told = {measure.name: measure for measure in found.measures}
    bits = told["extracting"].bits
    assert bits is not None
    return told["pools as far"].value, 2.0**-bits


def test_many_accounts_that_reach_for_reasoning_a_little_are_a_harvest_though_little_is_elicited() -> None:
    found = harvest(reaching(60), learned(customers(30)))
    elicited, extracted = asked_twice(found)
    assert elicited > 0.5
    assert extracted < EXTRACTED_P_VALUE
    assert found.result == "proven"
    assert "and 60 accounts reach for the model's reasoning, as at most 13.3% of them do" in found.because


def test_a_harvest_rests_on_reach_where_no_more_is_asked_for_than_customers_ask_for() -> None:
    assert rests_on_reach(harvest(reaching(60), learned(customers(30))))
    assert not rests_on_reach(harvest(reaching(0), learned(customers(30)))), "nobody reaches"
    asking = one_day([intents(forced_trace_tags=375, task_generation=375)] * 12)
    much = harvest(facts(member_days=asking), learned(customers(30)))
    elicited, extracted = asked_twice(much)
    assert much.result == "proven"
    assert (elicited <= POOL_P_VALUE, extracted < EXTRACTED_P_VALUE) == (True, True)
    assert not rests_on_reach(much), "they reach, and ask for much as well"
    assert not rests_on_reach(harvest(facts(), ordinary(20))), "nothing was tested"


def test_the_share_that_extracts_is_one_of_accounts_though_they_are_fewer_customers() -> None:
    cluster = replace(reaching(60), members=members(200, organization_id="org", verification_level="contract"))
    told = {measure.name: measure for measure in harvest(cluster, learned(customers(30))).measures}
    assert cluster.principals == 1
    assert told["extracting"].value == pytest.approx(60 / 200)


@pytest.mark.parametrize("extracting", [0, 3, 30])
def test_of_accounts_that_reach_for_reasoning_one_in_two_thousand_has_to_have_as_many(extracting: int) -> None:
    """The share of customers who do is taken as large as it may well be, so that even where none does some may."""
    crowd = learned(customers(extracting))
    at_most = float(stats.beta.ppf(0.95, extracting + 1, 300 - extracting))
    results = set()
    for accounts in range(1, 60):
        found = harvest(reaching(accounts), crowd)
        elicited, extracted = asked_twice(found)
        exact = float(stats.binom.sf(accounts - 1, 200, at_most))
        assert elicited > 0.5
        assert extracted == pytest.approx(exact, rel=1e-3)
        assert found.p_value == pytest.approx(max(min(10 * exact, elicited), 1 / (crowd.everyone.size + 1)), abs=1e-6)
        assert (found.result == "proven") == (exact <= EXTRACTED_P_VALUE)
        results.add(found.result)
    assert results == {"proven", "not_proven"}


def test_a_cluster_that_uses_no_technique_is_judged_by_what_it_elicits_alone() -> None:
    for exchanges in (0, 5, 10, 15, 20, 25, 60):
        asked = one_day([intents(task_generation=exchanges, rubric_grading=exchanges // 5)] * 12)
        found = harvest(facts(bearing=bearing(intents=intents(task_generation=4500)), member_days=asked), REFERENCE)
        elicited, extracted = asked_twice(found)
        assert extracted == 1.0
        assert found.p_value == pytest.approx(max(elicited, 1 / (REFERENCE.everyone.size + 1)), abs=1e-6)
        assert (found.result == "proven") == (elicited <= POOL_P_VALUE)
