"""The verdict on each cluster and each verified organisation, from its tests and its innocent readings.

Why:    common control, a harvest and what explains them are told apart, so that each can be doubted by itself. What
        they come to together stands in one place, and says what is missing to the next verdict.
Misses: what the tests miss; a campaign whose harvest is charged to nobody, as it takes no more than customers do and
        shares no more than people at one trade, is `coordinated` at most.
Source: own; see decisions 55, 59, 69, 76, 77 and 78.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from stillwatch.campaigns.coordination import (
    MIN_PRINCIPALS,
    MIN_TIES,
    REACHED_SHARE,
    TOGETHER_SHARE,
    TestResult,
    coordination,
    hangs_together,
    ties_beyond_chance,
    ties_that_tell,
)
from stillwatch.campaigns.days import NO_DAYS
from stillwatch.campaigns.facts import Declared, Facts
from stillwatch.campaigns.harvest import as_no_trade_does, harvest, harvests, rests_on_reach
from stillwatch.campaigns.hypotheses import Finding, findings
from stillwatch.campaigns.ordinary import Ordinary
from stillwatch.campaigns.organisations import declared_control, declared_verdict, missing_for
from stillwatch.records import ACCUSING

PUBLIC = "public template"  # the explanation that rests on what accounts outside send


class Judged(NamedTuple):
    """What the tests of a cluster come to: the verdict, what it rests on, and what is missing to the next one."""

    verdict: str
    common: TestResult
    harvested: TestResult
    explanations: Sequence[Finding]
    missing: Sequence[str]


def all_judged(facts: Sequence[Facts], ordinary: Ordinary) -> list[tuple[Facts, Judged | None]]:
    """Every cluster, then every organisation: the verdict on one rests on the verdict on the campaign outside."""
    clusters = _each_judged([one for one in facts if one.declared is None], ordinary)
    verdicts = {tuple(one.account_ids): judged.verdict for one, judged in clusters if judged}
    units = [(one, one.declared) for one in facts if one.declared is not None]
    asked = sum(bool(declared.outside) for _, declared in units)
    return clusters + [(one, _judged_unit(one, declared, ordinary, verdicts, asked)) for one, declared in units]


def accused(facts: Sequence[Facts], ordinary: Ordinary) -> list[Facts]:
    """The clusters whose verdict accuses somebody, in their order."""
    return [cluster for cluster, found in _each_judged(facts, ordinary) if found and found.verdict in ACCUSING]


def judged_accounts(facts: Sequence[Facts], ordinary: Ordinary) -> set[str]:
    """The accounts of clusters that are accused or explained: something is known of them already.

    That others send the same explains nothing here: these others may be the rest of a campaign.
    """
    known = [cluster for cluster, found in _each_judged(facts, ordinary) if found and _is_known(found)]
    return {account_id for cluster in known for account_id in cluster.account_ids}


def _is_known(judged: Judged) -> bool:
    explaining = {one.name for one in judged.explanations if one.survives and not one.coordinated}
    return judged.verdict in ACCUSING or (judged.verdict == "explained" and bool(explaining - {PUBLIC}))


def _each_judged(facts: Sequence[Facts], ordinary: Ordinary) -> list[tuple[Facts, Judged | None]]:
    """Every cluster with its verdict, harvests corrected for one another."""
    return [(one, _judged(one, found)) for one, found in zip(facts, harvests(facts, ordinary), strict=True)]


def _judged_unit(
    unit: Facts, declared: Declared, ordinary: Ordinary, verdicts: Mapping[tuple[str, ...], str], asked: int
) -> Judged | None:
    """The verdict on what runs through a verified organisation's accounts, or None when there is nothing to say.

    `asked` is how many organisations share wordings with a campaign outside; the p-value is corrected for it.
    """
    own = harvest(unit, ordinary)
    harvested = own if own.result == "proven" or not declared.outside else _pooled(unit, declared, ordinary)
    explanations = findings(unit, harvested)
    outside = {verdicts[ids] for ids in declared.outside if ids in verdicts}
    own_p_value, is_own = 1.0 if own.p_value is None else min(own.p_value * asked, 1.0), own.result == "proven"
    verdict = declared_verdict(
        declared, harvested, explanations, own_p_value=own_p_value, is_own=is_own, outside=outside
    )
    missing = [missing_for(declared)] if verdict == "insufficient_data" else []
    common = declared_control(declared, len(unit.members))
    return None if verdict is None else Judged(verdict, common, harvested, explanations, missing)


def _pooled(unit: Facts, declared: Declared, ordinary: Ordinary) -> TestResult:
    """The harvest test on what sends the same wordings, inside the organisation and outside."""
    found = harvest(replace(unit, bearing=declared.pooled, days=NO_DAYS), ordinary)
    return replace(found, because=f"together with who sends the same wordings outside: {found.because}")


def _judged(cluster: Facts, harvested: TestResult) -> Judged | None:
    """The verdict on a cluster, or None when it is no campaign: nothing but chance or one customer ties it."""
    common = coordination(cluster)
    explanations = findings(cluster, harvested)
    uncharged = _uncharged(cluster, harvested) if harvested.result == "proven" else []
    is_charged = harvested.result == "proven" and not uncharged
    verdict = _verdict(cluster, common, harvested, explanations, is_charged=is_charged)
    missing = [harvested.because] if harvested.result == "not_tested" else []
    if verdict == "insufficient_data":
        missing.append("a second independent group of traits (addresses, payment, devices, sign-up or prompts)")
    if verdict == "coordinated":
        missing += uncharged
    return None if verdict is None else Judged(verdict, common, harvested, explanations, missing)


def _verdict(
    cluster: Facts, common: TestResult, harvested: TestResult, explanations: Sequence[Finding], *, is_charged: bool
) -> str | None:
    surviving = [finding for finding in explanations if finding.survives]
    innocent = any(not finding.coordinated for finding in surviving)
    if common.result != "proven":
        if innocent and cluster.principals < MIN_PRINCIPALS:
            return "explained"
        return "insufficient_data" if len(cluster.links) < 2 and harvested.result == "proven" else None
    if innocent:
        return "explained"
    return "distillation" if is_charged and not surviving else "coordinated"


def _uncharged(cluster: Facts, harvested: TestResult) -> list[str]:
    """What is missing before all members can be charged with a proven harvest; nothing where most of them take much.

    Who merely says the same as others takes what customers take, and no account counts for more than a cap. And where
    some of them reach for the model's reasoning, and no more is asked for than customers may, the amount is no sign.
    """
    takes_much, by_reach = cluster.volume.result == "proven", rests_on_reach(harvested)
    if takes_much and not by_reach:
        return []
    ties = ties_beyond_chance(cluster)
    if ties < REACHED_SHARE:
        return [
            f"ties beside wordings for more of the accounts: there are {ties:.2f} for each, and {REACHED_SHARE} are "
            "needed before all are charged with a harvest that no amount tells"
        ]
    without = None if cluster.volume.result == "not_tested" else _as_a_trade(cluster, harvested)
    amounts = [] if takes_much else ["far more output than ordinary customers take"]
    amounts += ["more of what a harvest asks for than customers ask for"] if by_reach else []
    return [] if without is None else [f"{' and '.join(amounts)}, or {without}"]


def _as_a_trade(cluster: Facts, harvested: TestResult) -> str | None:
    """What is missing before all are charged with a harvest that no amount tells; None when nothing is.

    Marking, rewriting and making tasks are trades, and so is asking for reasoning in one usual way, unless more ties
    the accounts than people at one trade share. And a harvest is of those only who say what it is asked with, or what
    hangs together with it.
    """
    together, ties = hangs_together(cluster), ties_that_tell(cluster)
    if together < TOGETHER_SHARE:
        return (
            f"one body of wordings: {together:.0%} of the accounts hang together by what they say, and the others may "
            "be here for what they share with those who harvest"
        )
    if ties < MIN_TIES and not as_no_trade_does(harvested):
        return (
            f"a rare way to the model's reasoning, or two, or {MIN_TIES} kinds of ties beside wordings, where there "
            f"are {ties}: people at one trade ask for the same things, and share rooms and cards"
        )
    return None
