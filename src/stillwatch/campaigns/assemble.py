"""Puts the tests of each cluster together into campaigns: one verdict, and everything it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from stillwatch.campaigns.continuity import Continuation, continuations
from stillwatch.campaigns.coordination import Measure, TestResult
from stillwatch.campaigns.extraction import NOBODY, Extraction, Reaches, Sweep, extraction
from stillwatch.campaigns.facts import Evidence, Facts, FamilyUse, Reached, Relayed, TemplateUse
from stillwatch.campaigns.handed_on import HandedOn
from stillwatch.campaigns.hypotheses import Finding, meaning
from stillwatch.campaigns.known import Past
from stillwatch.campaigns.marks import Marks, as_json, shared_json
from stillwatch.campaigns.ordinary import Ordinary
from stillwatch.campaigns.organisations import PROMPT_SHARE
from stillwatch.campaigns.pivots import pivots
from stillwatch.campaigns.succession import Surroundings
from stillwatch.campaigns.verdicts import Judged, all_judged
from stillwatch.campaigns.volume import Volume
from stillwatch.membership import BESIDE, SETTING
from stillwatch.records import ACCUSING, INTENTS, TEMPLATE_KINDS, VERDICTS

MAX_EVIDENCE = 100  # strongest traits listed; the rest is in the links table
MAX_TEMPLATES = 50  # most used templates listed

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
    judged = all_judged(facts, ordinary)
    mark_of = {tuple(cluster.account_ids): mark for cluster, mark in zip(facts, marks, strict=True)}
    kept = [(cluster, result, mark_of[tuple(cluster.account_ids)]) for cluster, result in judged if result is not None]
    named = continuations([(cluster.account_ids, mark) for cluster, _, mark in kept], past, others)
    ids = {tuple(one[0].account_ids): name.campaign_id for one, name in zip(kept, named, strict=True)}
    found = [
        {**_campaign(*one, name), **_reasoning(one[0], reaching), "declared": _declared(one[0], one[1].verdict, ids)}
        for one, name in zip(kept, named, strict=True)
    ]
    return sorted(found, key=_rank)


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


def _campaign(cluster: Facts, judged: Judged, mark: Marks, name: Continuation) -> Campaign:
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
    is_sure = verdict in ACCUSING and not declared.relayed  # one customer's product may be as large a part
    found = "A harvest runs through" if is_sure else "What could be a harvest runs through"
    because = (
        f"{found} {len(cluster.members)} of the {declared.accounts} accounts of the verified organisation {name}. "
        "That these accounts belong together is declared, by contract, and says nothing against anybody; "
        "the other accounts are not meant, nor is it said who in the organisation knew."
    )
    if outside:
        because += f" {declared.shared} of their wordings are those of {', '.join(outside)}, outside the organisation."
    if declared.reached:
        because += f" {_ways(declared.reached)}"
    if declared.relayed:
        because += f" {_relayed(declared.relayed)}"
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


def _relayed(found: Relayed) -> str:
    """How much of what a partner sends it is, and what else that may be."""
    return (
        f"{found.prompts} different prompts that ask for what customers seldom ask for are {found.share:.0%} of all "
        f"that this partner sends, each at least {PROMPT_SHARE:.0%}; the traffic of many customers is mixed. They may "
        "be the work of one large customer, whom the partner can name."
    )


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
        rewording, _, own = item.value.partition(BESIDE)
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
