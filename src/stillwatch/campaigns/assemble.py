"""Puts the tests of each cluster together into campaigns: one verdict, and everything it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from stillwatch.campaigns.continuity import Continuation, continuations
from stillwatch.campaigns.coordination import (
    MIN_PRINCIPALS,
    REACHED_SHARE,
    Measure,
    TestResult,
    coordination,
    hangs_together,
    ties_beyond_chance,
    ties_that_tell,
)
from stillwatch.campaigns.days import NO_DAYS
from stillwatch.campaigns.extraction import NOBODY, Extraction, Reaches, Sweep, extraction
from stillwatch.campaigns.facts import Declared, Evidence, Facts, FamilyUse, Reached, TemplateUse
from stillwatch.campaigns.handed_on import HandedOn
from stillwatch.campaigns.harvest import as_no_trade_does, harvest, harvests, reaches_for_reasoning
from stillwatch.campaigns.hypotheses import Finding, findings, meaning
from stillwatch.campaigns.known import Past
from stillwatch.campaigns.marks import Marks, as_json, shared_json
from stillwatch.campaigns.ordinary import Ordinary
from stillwatch.campaigns.organisations import declared_control, declared_verdict, missing_for
from stillwatch.campaigns.pivots import pivots
from stillwatch.campaigns.succession import Surroundings
from stillwatch.campaigns.volume import Volume
from stillwatch.membership import SETTING
from stillwatch.records import INTENTS, TEMPLATE_KINDS, VERDICTS

MAX_EVIDENCE = 100  # strongest traits listed; the rest is in the links table
MAX_TEMPLATES = 50  # most used templates listed
ACCUSING = ("distillation", "coordinated")
TOGETHER_SHARE = 0.9  # of the members that hang together by what they say, before all are charged for reaching
MIN_TIES = 3  # kinds of them beside wordings; strangers who meet share one or two
PUBLIC = "public template"  # the explanation that rests on what accounts outside send

Campaign = dict[str, Any]


def campaigns(
    facts: Sequence[Facts],
    ordinary: Ordinary,
    *,
    marks: Sequence[Marks],
    past: Past,
    others: Surroundings,
    reaching: Reaches = NOBODY,
) -> list[Campaign]:
    """Every cluster that is a campaign, shaped as in the campaigns schema; worst verdict first, then by exposure.

    Of those under common control only, the ones that take far more than ordinary customers come first. `marks` has one
    entry per cluster; `past` is what earlier runs know, `others` who else holds what; `reaching` how ordinary units
    reach for reasoning. `skeleton` and `recommended_decisions` are left empty for the stages that fill them.
    """
    judged = _all_judged(facts, ordinary)
    mark_of = {tuple(cluster.account_ids): mark for cluster, mark in zip(facts, marks, strict=True)}
    kept = [(cluster, result, mark_of[tuple(cluster.account_ids)]) for cluster, result in judged if result is not None]
    named = continuations([(cluster.account_ids, mark) for cluster, _, mark in kept], past, others)
    ids = {tuple(one[0].account_ids): name.campaign_id for one, name in zip(kept, named, strict=True)}
    found = [
        {**_campaign(*one, name), **_reasoning(one[0], reaching), "declared": _declared(one[0], one[1].verdict, ids)}
        for one, name in zip(kept, named, strict=True)
    ]
    return sorted(found, key=_rank)


def accused(facts: Sequence[Facts], ordinary: Ordinary) -> list[Facts]:
    """The clusters whose verdict accuses somebody, in their order."""
    return [cluster for cluster, found in _each_judged(facts, ordinary) if found and found.verdict in ACCUSING]


def judged_accounts(facts: Sequence[Facts], ordinary: Ordinary) -> set[str]:
    """The accounts of clusters that are accused or explained: something is known of them already.

    That others send the same explains nothing here: these others may be the rest of a campaign.
    """
    known = [cluster for cluster, found in _each_judged(facts, ordinary) if found and _is_known(found)]
    return {account_id for cluster in known for account_id in cluster.account_ids}


def template_name(template_id: int) -> str:
    """How a template is written in campaigns and bundles."""
    return f"t-{_digits(template_id)}"


def _digits(number: int) -> str:
    """A number of 64 bits as sixteen digits."""
    return f"{number & 0xFFFFFFFFFFFFFFFF:016x}"


def _rank(campaign: Campaign) -> tuple[int, bool, int, str]:
    """Of those under common control only, the ones that take far more than ordinary customers come first."""
    waits = campaign["verdict"] == "coordinated" and campaign["volume"]["result"] != "proven"
    return VERDICTS.index(campaign["verdict"]), waits, -campaign["exposure"]["exchanges"], campaign["campaign_id"]


class _Judged(NamedTuple):
    verdict: str
    common: TestResult
    harvested: TestResult
    explanations: Sequence[Finding]
    missing: Sequence[str]


def _is_known(judged: _Judged) -> bool:
    explaining = {one.name for one in judged.explanations if one.survives and not one.coordinated}
    return judged.verdict in ACCUSING or (judged.verdict == "explained" and bool(explaining - {PUBLIC}))


def _all_judged(facts: Sequence[Facts], ordinary: Ordinary) -> list[tuple[Facts, _Judged | None]]:
    """Every cluster, then every organisation: the verdict on one rests on the verdict on the campaign outside."""
    clusters = _each_judged([one for one in facts if one.declared is None], ordinary)
    verdicts = {tuple(one.account_ids): judged.verdict for one, judged in clusters if judged}
    units = [(one, one.declared) for one in facts if one.declared is not None]
    asked = sum(bool(declared.outside) for _, declared in units)
    return clusters + [(one, _judged_unit(one, declared, ordinary, verdicts, asked)) for one, declared in units]


def _each_judged(facts: Sequence[Facts], ordinary: Ordinary) -> list[tuple[Facts, _Judged | None]]:
    """Every cluster with its verdict, harvests corrected for one another."""
    return [(one, _judged(one, found)) for one, found in zip(facts, harvests(facts, ordinary), strict=True)]


def _judged_unit(
    unit: Facts, declared: Declared, ordinary: Ordinary, verdicts: Mapping[tuple[str, ...], str], asked: int
) -> _Judged | None:
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
    return None if verdict is None else _Judged(verdict, common, harvested, explanations, missing)


def _pooled(unit: Facts, declared: Declared, ordinary: Ordinary) -> TestResult:
    """The harvest test on what sends the same wordings, inside the organisation and outside."""
    found = harvest(replace(unit, bearing=declared.pooled, days=NO_DAYS), ordinary)
    return replace(found, because=f"together with who sends the same wordings outside: {found.because}")


def _judged(cluster: Facts, harvested: TestResult) -> _Judged | None:
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
    return None if verdict is None else _Judged(verdict, common, harvested, explanations, missing)


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

    Who merely says the same as others takes what customers take, and no account counts for more than a cap.
    """
    if cluster.volume.result == "proven":
        return []
    ties = ties_beyond_chance(cluster)
    if ties < REACHED_SHARE:
        return [
            f"ties beside wordings for more of the accounts: there are {ties:.2f} for each, and {REACHED_SHARE} are "
            "needed before all are charged with a harvest that takes no more than customers do"
        ]
    if cluster.volume.result != "not_proven":
        return []
    without = _without_reach(cluster, harvested)
    return [] if without is None else [f"far more output than ordinary customers take, or {without}"]


def _without_reach(cluster: Facts, harvested: TestResult) -> str | None:
    """What is missing before all members are charged who take what customers take; None when nothing is.

    Marking, rewriting and making tasks are trades as well. Reaching for the model's reasoning speaks against those only
    who say what it is asked with, or what hangs together with it; and in one usual way it is a trade's, too, unless
    more ties the accounts than people at one trade share.
    """
    if not reaches_for_reasoning(harvested):
        return (
            "more accounts that reach for the model's reasoning: people who do such work by trade share as much and "
            "take as much"
        )
    together, ties = hangs_together(cluster), ties_that_tell(cluster)
    if together < TOGETHER_SHARE:
        return (
            f"one body of wordings: {together:.0%} of the accounts hang together by what they say, and the others may "
            "be here for what they share with those who reach for the model's reasoning"
        )
    if ties < MIN_TIES and not as_no_trade_does(harvested):
        return (
            f"a rarer way to the model's reasoning, a second one, or {MIN_TIES} kinds of ties beside wordings, where "
            f"there are {ties}: people at one trade ask for reasoning in one usual way, and share rooms and cards"
        )
    return None


def _campaign(cluster: Facts, judged: _Judged, mark: Marks, name: Continuation) -> Campaign:
    verdict, common, harvested, explanations, missing = judged
    return {
        "campaign_id": name.campaign_id,
        "verdict": verdict,
        "probability": None,
        "probability_basis": None,
        "prior": None,
        "account_ids": cluster.account_ids,
        "first_seen_at": cluster.first_seen_at.isoformat(),
        "last_seen_at": cluster.last_seen_at.isoformat(),
        "exposure": _exposure(cluster),
        "evidence": [_evidence(item) for item in _strongest(cluster.evidence)],
        "coordination": _test(common),
        "harvest": _test(harvested),
        "volume": _volume(cluster.volume),
        "templates": [_template(use) for use in cluster.templates[:MAX_TEMPLATES]],
        "families": [_family(use) for use in cluster.families[:MAX_TEMPLATES]],
        "intents": _intents(cluster),
        "benign_hypotheses": [_hypothesis(finding) for finding in explanations],
        "pivots": [
            {
                "model": p.model,
                "at": f"{p.at}T00:00:00+00:00",
                "share_before": p.share_before,
                "share_after": p.share_after,
            }
            for p in pivots(cluster.model_days)
        ],
        "lineage": list(name.lineage),
        "displacement": list(name.displacement),
        "marks": as_json(mark),
        "sketch": shared_json(mark),
        "compromised": [{"account_id": a, "because": why} for a, why in sorted(cluster.compromised.items())],
        "timeline": [
            {"on": day.isoformat(), "exchanges": n, "accounts": accounts} for day, n, accounts in cluster.timeline
        ],
        "missing": list(missing),
        "recommended_decisions": [],
    }


def _reasoning(cluster: Facts, ordinary: Reaches) -> dict[str, Any]:
    """What a campaign did to get at the model's reasoning; no verdict rests on it."""
    members = len(cluster.members)
    return {
        "extraction": _extraction(extraction(cluster.attempts, members, ordinary)),
        "replays": _replays(cluster.handed_on),
    }


def _extraction(found: Extraction) -> dict[str, Any]:
    return {
        "result": found.result,
        "p_value": found.p_value,
        "because": found.because,
        "share": found.share,
        "account_share": found.account_share,
        "techniques": {name: asdict(use) for name, use in found.techniques.items()},
        "sweep": None if found.sweep is None else _sweep(found.sweep),
    }


def _sweep(found: Sweep) -> dict[str, Any]:
    days = {"first_on": found.first_on.isoformat(), "last_on": found.last_on.isoformat()}
    won = found.winner
    winner = won and {**asdict(won), "techniques": list(won.techniques), "first_on": won.first_on.isoformat()}
    return {**asdict(found), **days, "techniques": list(found.techniques), "winner": winner}


def _replays(found: HandedOn) -> dict[str, Any]:
    times = {name: at and at.isoformat() for name, at in (("first_at", found.first_at), ("last_at", found.last_at))}
    return {**asdict(found), **times}


def _declared(cluster: Facts, verdict: str, ids: Mapping[tuple[str, ...], str]) -> dict[str, Any] | None:
    """The verified organisation a harvest runs through, and the campaign outside with the same wordings."""
    declared = cluster.declared
    if declared is None:
        return None
    outside = sorted({ids[accounts] for accounts in declared.outside if accounts in ids})
    name = declared.organisation
    found = "A harvest runs through" if verdict in ACCUSING else "What could be a harvest runs through"
    because = (
        f"{found} {len(cluster.members)} of the {declared.accounts} accounts of the verified organisation {name}. "
        "That these accounts belong together is declared, by contract, and says nothing against anybody; "
        "the other accounts are not meant, nor is it said who in the organisation knew."
    )
    if outside:
        because += f" {declared.shared} of their wordings are those of {', '.join(outside)}, outside the organisation."
    if declared.reached:
        because += f" {_ways(declared.reached)}"
    return {
        "organization_id": name,
        "accounts": declared.accounts,
        "same_wordings_as": outside,
        "shared_templates": declared.shared,
        "because": because,
    }


def _ways(reached: Sequence[Reached]) -> str:
    """How the members ask for the model's reasoning, and how many others do so."""
    ways = ", ".join(
        f"{technique.replace('_', ' ')} ({accounts} accounts; {others} of {customers:,} other customers)"
        for technique, accounts, others, customers in reached
    )
    return f"They ask for the model's reasoning in ways that hardly any other customer does: {ways}."


def _exposure(cluster: Facts) -> dict[str, Any]:
    share = cluster.template_share
    return {
        "exchanges": cluster.exchanges,
        "input_tokens": cluster.input_tokens,
        "output_tokens": cluster.output_tokens,
        "reasoning_tokens": cluster.reasoning_tokens,
        "by_capability": dict(cluster.by_capability),
        "by_model": dict(cluster.by_model),
        "template_share": None if share is None else round(share, 6),
    }


def _strongest(evidence: Sequence[Evidence]) -> list[Evidence]:
    telling = [item for item in evidence if item.weight_bits > 0]
    ranked = sorted(telling, key=lambda e: (-e.weight_bits * e.account_count, e.kind, e.value))
    return ranked[:MAX_EVIDENCE]


def _evidence(item: Evidence) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "family": item.family,
        "value": _name(item),
        "account_count": item.account_count,
        "weight_bits": item.weight_bits,
        "durability": item.durability,
    }


def _name(item: Evidence) -> str:
    """How the value of a trait is written."""
    if item.kind == SETTING:
        rewording, _, own = item.value.partition(":")
        return f"{template_name(int(rewording))}:{_digits(int(own))}"
    return template_name(int(item.value)) if item.kind in TEMPLATE_KINDS else item.value


def _test(result: TestResult) -> dict[str, Any]:
    return {
        "result": result.result,
        "p_value": result.p_value,
        "bits": result.bits,
        "because": result.because,
        "measures": [asdict(measure) for measure in result.measures],
    }


def _volume(found: Volume) -> dict[str, Any]:
    """The volume as a test, with how often ordinary customers' volume it is."""
    because = "output of these accounts over that of as many ordinary customers, no account counted over a cap"
    measures = () if found.times is None else (Measure("times ordinary", found.times, 1.0, found.bits, because),)
    return _test(TestResult(found.result, found.p_value, found.bits, found.because, measures))


def _hypothesis(finding: Finding) -> dict[str, Any]:
    near = 1.0 if finding.survives else finding.nearness
    return {
        "name": finding.name,
        "survives": finding.survives,
        "because": finding.because,
        "tested": finding.tested,
        "meaning": meaning(finding),
        "nearness": None if near is None else round(near, 6),
        "explains_control": not finding.coordinated,
    }


def _template(use: TemplateUse) -> dict[str, Any]:
    return {
        "template_id": template_name(use.template_id),
        "exchanges": use.exchanges,
        "accounts": use.accounts,
        "items": use.items,
        "skeleton": None,
        "capability": use.capability,
    }


def _family(use: FamilyUse) -> dict[str, Any]:
    return {
        "family_id": f"f-{_digits(use.family_id)}",
        "exchanges": use.exchanges,
        "accounts": use.accounts,
        "items": use.items,
        "templates": use.templates,
    }


def _intents(cluster: Facts) -> dict[str, float]:
    total = cluster.bearing.exchanges
    if not total:
        return {}
    shares = {name: n / total for name, n in zip(INTENTS, cluster.bearing.intents, strict=True)}
    return {name: round(share, 6) for name, share in shares.items() if share > 0}
