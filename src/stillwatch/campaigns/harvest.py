"""Is this traffic a harvest? The cluster's pooled, template-bearing traffic against ordinary customers'.

Why:    a harvest is volume, structure and focus at once: one corpus shared out over accounts, few repeats, prompts
        that are alike and ask for reasoning, grades or new tasks, long answers.
Misses: a harvest that looks like ordinary use in every measure; harvests too small to stand out from single customers;
        plain questions that ask for nothing a harvest asks for, however many.
Source: conformal p-values as in `ordinary`; the largest p-value of several tests that must all hold: Berger,
        Technometrics 24 (1982), 295-300; false-discovery rate: Benjamini & Hochberg, JRSS B 57 (1995), 289-300.

    0. Over how many days? The shortest run that holds most of the cluster's traffic; everybody is compared in the
       busiest run of that length, wherever it lies.
    1. One customer: is the cluster further out than ordinary units, each of which may be one customer with one product?
    2. Many customers: does it elicit more than random pools of as many units, or do more of its accounts reach for the
       model's reasoning than of nearly any as many customers?
    3. Its own kind: is it as far out among the units of its own segment?
    4. All clusters were asked at once: the p-values of 1 and 2 pass a false-discovery rate over all of them, apart for
       those that partners name, as harvests are likelier among these (strata: Sun et al., Genet. Epidemiol. 30 (2006)
       519-530), and for those who could be charged with one, as nobody else is accused by it (independent filtering:
       Bourgon, Gentleman & Huber, PNAS 107 (2010) 9546-9551).

What a partner proved elsewhere makes a harvest here likelier before anything is tested, so the limits of 1 and 2 are
wider by the ratio of the odds, as far as NAMED_LIMIT: weighted p-values, Genovese, Roeder & Wasserman, Biometrika 93
(2006) 509-524. They are never done without.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log2

import numpy as np

from stillwatch.campaigns.coordination import Measure, TestResult, coordination, tied_as_no_trade
from stillwatch.campaigns.days import WHOLE
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.ordinary import MEASURES, MIN_REFERENCE, Floats, Ordinary, elicited_volume, extracts
from stillwatch.records import EXTRACTION_TECHNIQUES, INTENTS

MIN_EXCHANGES = 30  # template-bearing exchanges a cluster needs before shares mean anything
P_VALUE = 0.01  # of the whole: one ordinary unit in 100 is as far out
POOL_P_VALUE = 0.005  # one random pool in 200 elicits as much
EXTRACTED_P_VALUE = 0.0005  # or of one in 2,000 as many accounts use a technique of reasoning extraction
NAMED_LIMIT = 0.05  # of both, at most, of a cluster that a partner names
USUAL_SHARE = 0.1  # of linked clusters that nobody names, assumed to be harvests
SEGMENT_P_VALUE = 0.05  # among its own kind, which are few
FALSE_DISCOVERY_RATE = 0.05  # of the clusters called a harvest in one scan
MAX_ITEM_SHARING = 0.06  # in a corpus shared out, hardly another member sends the same item
RARE_SHARE = 0.005  # of other customers that may use a rare technique: one in 200, as `extraction` needs of reach
MIN_TECHNIQUES = 2  # of those that customers use as well, one is a trade
POOLS_AS_FAR = "pools as far"  # the measure of how usual it is to elicit as much
EXTRACTING = "extracting"  # the measure by which a verdict tells whether reasoning is reached for
NO_TRADE = "as no trade does"  # and the one by which it tells how

Stratum = tuple[bool, bool]  # of clusters that are held against one false-discovery rate

_MEANS = {
    "distinct items": "log2 of how many slot fillings were new in the busiest run of days as long as the cluster's",
    "elicited volume": "log2 of exchanges times elicitation: how much was drawn out in the busiest run of such days",
    "elicitation": "intents weighed by how rare they are in ordinary traffic",
    "narrowness": "how alike two exchanges are by their words, from the summed embeddings",
    "output length": "log2 of mean output tokens",
}


def harvests(clusters: Sequence[Facts], ordinary: Ordinary) -> list[TestResult]:
    """The harvest test of every cluster, in order, corrected for how many were tested."""
    single = [harvest(cluster, ordinary) for cluster in clusters]
    p_values = [_eligible(cluster, found) for cluster, found in zip(clusters, single, strict=True)]
    strata = [_stratum(cluster) for cluster in clusters]
    asked: dict[Stratum, list[float]] = {stratum: [] for stratum in strata}
    for stratum, p_value in zip(strata, p_values, strict=True):
        asked[stratum] += [] if p_value is None else [p_value]
    limit = {stratum: _largest_discovery(those) for stratum, those in asked.items()}
    return [
        replace(found, result="not_proven", because=f"{found.because}; {_doubt(len(asked[stratum]))}")
        if found.result == "proven" and p_value is not None and p_value > limit[stratum]
        else found
        for stratum, found, p_value in zip(strata, single, p_values, strict=True)
    ]


def _stratum(cluster: Facts) -> Stratum:
    """Whether a partner names the cluster, and whether a harvest, if there is one, could be charged to all of it.

    The second by who they are and how much they take; what they ask for is for the test itself.
    """
    is_charged = cluster.volume.result == "proven" or tied_as_no_trade(cluster)
    return cluster.named > 0, is_charged and coordination(cluster).result == "proven"


def _length(facts: Facts) -> int:
    """Days of the run that the cluster is compared in; more than any window has where its days are unknown."""
    return int(facts.days.lengths()[0]) if facts.days.size else WHOLE


def _doubt(asked: int) -> str:
    return f"with {asked} clusters tested at once, chance alone may leave one like it"


def _eligible(cluster: Facts, found: TestResult) -> float | None:
    """The p-value that counts as one of the tests made; None where no harvest could have been proven."""
    return found.p_value if (cluster.item_sharing or 0.0) <= MAX_ITEM_SHARING else None


def _largest_discovery(p_values: Sequence[float]) -> float:
    """The largest p-value that is a discovery at FALSE_DISCOVERY_RATE; below zero when none is."""
    ordered = sorted(p_values)
    passing = [p for i, p in enumerate(ordered, 1) if p * len(ordered) <= FALSE_DISCOVERY_RATE * i]
    return max(passing, default=-1.0)


def harvest(facts: Facts, ordinary: Ordinary) -> TestResult:
    """Test harvesting on the pooled traffic that bears the cluster's templates, as if no other cluster was tested."""
    missing = _missing(facts, ordinary)
    if missing is not None:
        return TestResult("not_tested", None, None, missing)
    return _tested(facts, ordinary.within(_length(facts)))


def _tested(facts: Facts, ordinary: Ordinary) -> TestResult:
    """The test of the cluster's busiest run of days against everybody else's."""
    everyone = ordinary.everyone
    row = everyone.row(facts.bearing, facts.days, ordinary.length)
    bits = everyone.bits(row)
    as_one, elicited, extracting = everyone.p_value(bits), _pooled(facts, ordinary), _extracting(facts)
    extracted = ordinary.extracting_p_value(extracting, facts.principals)
    as_many = min(elicited, extracted * POOL_P_VALUE / EXTRACTED_P_VALUE)
    segment, own = ordinary.nearest(facts.bearing.segment)
    among_own = own.p_value(own.bits(own.row(facts.bearing, facts.days, ordinary.length)))
    sharing = facts.item_sharing or 0.0
    measures = (
        *_measures(row, bits, everyone.values),
        _pool_measure(facts, elicited),
        _extraction_measure(extracting / len(facts.members), ordinary.extracting, extracted),
        _no_trade_measure(_beyond_trades(facts, ordinary) / len(facts.members)),
        _focus_measure(everyone.focus_of(facts.bearing), everyone.focus),
        _sharing_measure(sharing),
    )
    p_value = round(max(as_one, as_many), 6)
    total = round(float(bits.sum()), 6)
    if sharing > MAX_ITEM_SHARING:
        because = (
            f"another member sends the same item {sharing:.0%} of the time: the same questions, not a shared-out corpus"
        )
        return TestResult("not_proven", p_value, total, because, measures)
    if as_one > _limit(P_VALUE, facts.named) or as_many > _limit(POOL_P_VALUE, facts.named):
        because = (
            f"{as_one:.1%} of {everyone.size} ordinary units are as far out, and {elicited:.1%} of pools of "
            f"{facts.principals} elicit as much{_over(ordinary)}"
        )
        return TestResult("not_proven", p_value, total, because, measures)
    if among_own > SEGMENT_P_VALUE:
        because = f"{among_own:.1%} of {own.size} ordinary units of the same segment ({_named(segment)}) are as far out"
        return TestResult("not_proven", p_value, total, because, measures)
    much = f"elicits more than {1 - elicited:.2%} of pools of {facts.principals} of them"
    if elicited > _limit(POOL_P_VALUE, facts.named):
        much = f"{extracting} accounts reach for the model's reasoning, as at most {ordinary.extracting:.1%} of them do"
    because = f"pooled traffic is further out than {1 - as_one:.2%} of {everyone.size} ordinary units and {much}"
    because += _over(ordinary)
    if as_one > P_VALUE or as_many > POOL_P_VALUE:
        because += f"; this suffices as a partner names these wordings, {facts.named:.0%} of whose leads proved right"
    return TestResult("proven", p_value, total, because, measures)


def _over(ordinary: Ordinary) -> str:
    return "" if ordinary.length == WHOLE else f", each in its busiest {ordinary.length} days"


def _limit(usual: float, named: float) -> float:
    """The limit of a p-value for a cluster that a partner names, whose leads proved right so often; 0 is none."""
    odds = named / max(1.0 - named, 1e-9) * (1.0 - USUAL_SHARE) / USUAL_SHARE
    return min(usual * max(odds, 1.0), NAMED_LIMIT)


def _missing(facts: Facts, ordinary: Ordinary) -> str | None:
    """Why the test cannot be made; None when it can."""
    if not facts.has_prompts:
        return "the logs hold no prompts, so no template could be found"
    if facts.bearing.exchanges < MIN_EXCHANGES:
        return f"{facts.bearing.exchanges} template-bearing exchanges; at least {MIN_EXCHANGES} are needed"
    if ordinary.everyone.size < MIN_REFERENCE:
        return (
            f"{ordinary.everyone.size} ordinary accounts to compare with; at least {MIN_REFERENCE} outside every "
            "linked cluster are needed"
        )
    return None


def _pooled(facts: Facts, ordinary: Ordinary) -> float:
    """p-value of the elicited volume among pools of as many ordinary units as there are principals."""
    days = facts.member_days
    volumes = days.busiest(elicited_volume(days.intents, ordinary.everyone.prevalence), ordinary.length)
    return ordinary.pooled_p_value(volumes.tolist(), facts.principals)


def _extracting(facts: Facts) -> int:
    """How many accounts use a technique of reasoning extraction in traffic that bears the cluster's templates."""
    return len(np.unique(facts.member_days.unit[extracts(facts.member_days.intents)]))


def _beyond_trades(facts: Facts, ordinary: Ordinary) -> int:
    """How many use one that no trade explains: more do than of as many customers, and it is rare or one of several.

    Raters ask for reasons after the fact, developers for steps in tags, editors for traces put right: a group of people
    at one kind of work uses the one technique of its work. None of them tries several.
    """
    days = facts.member_days
    users = {name: np.unique(days.unit[days.intents[:, INTENTS.index(name)] > 0]) for name in EXTRACTION_TECHNIQUES}
    counts = {name: len(some) for name, some in users.items()}
    told = ordinary.unlikely_techniques(counts, facts.principals, EXTRACTED_P_VALUE)
    if len(told) < MIN_TECHNIQUES and not set(told) & set(ordinary.rare_techniques(RARE_SHARE)):
        return 0
    return len(np.unique(np.concatenate([users[name] for name in told])))


def _named(segment: Sequence[str | None]) -> str:
    return ", ".join(part or "unknown" for part in segment) or "all"


def _measures(row: Floats, bits: Floats, values: Floats) -> tuple[Measure, ...]:
    median = values[[(len(values) - 1) // 2, len(values) // 2]].mean(axis=0)  # the columns are sorted
    return tuple(
        Measure(name, round(float(row[i]), 6), round(float(median[i]), 6), round(float(bits[i]), 6), _MEANS[name])
        for i, name in enumerate(MEASURES)
    )


def _pool_measure(facts: Facts, p_value: float) -> Measure:
    because = f"share of random pools of {facts.principals} ordinary units that elicit as much, no account over its cap"
    return Measure(POOLS_AS_FAR, float(f"{p_value:.6g}"), 0.5, round(-log2(p_value), 6), because)


def rests_on_reach(found: TestResult) -> bool:
    """Whether a proven harvest is told by how many reach for the model's reasoning, and by no amount of what they ask.

    Those who reach do so however little; what they ask for is no more than as many customers may.
    """
    bits = next((measure.bits or 0.0 for measure in found.measures if measure.name == EXTRACTING), 0.0)
    return 2.0**-bits <= EXTRACTED_P_VALUE and pools_as_far(found) > POOL_P_VALUE


def pools_as_far(found: TestResult) -> float:
    """The share of random pools of as many customers that elicit as much; 0 where nothing was tested."""
    return next((measure.value or 0.0 for measure in found.measures if measure.name == POOLS_AS_FAR), 0.0)


def as_no_trade_does(found: TestResult) -> bool:
    """Whether they reach for the model's reasoning by a technique that hardly any customer uses, or by several."""
    return any(measure.name == NO_TRADE and measure.value for measure in found.measures)


def _extraction_measure(share: float, ordinary: float, p_value: float) -> Measure:
    because = "share of accounts that use a technique of reasoning extraction, and of ordinary units at most"
    return Measure(EXTRACTING, round(share, 6), round(ordinary, 6), round(-log2(p_value), 6), because)


def _no_trade_measure(share: float) -> Measure:
    because = "share of accounts that use a technique hardly any customer uses, or several, more than as many customers"
    return Measure(NO_TRADE, round(share, 6), 0.0, None, because)


def _focus_measure(focus: float, ordinary: float) -> Measure:
    """For people to see; it adds no bits, because a customer with one product is as focused as a harvest."""
    because = "divergence of the capability mix from ordinary traffic [bits]; decides nothing"
    return Measure("capability focus", round(focus, 6), round(ordinary, 6), None, because)


def _sharing_measure(sharing: float) -> Measure:
    because = "chance that another member sent the same item; near nothing in a corpus shared out"
    return Measure("item sharing", round(sharing, 6), MAX_ITEM_SHARING, None, because)
