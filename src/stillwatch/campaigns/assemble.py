"""Puts the tests of each cluster together into campaigns: one verdict, and everything it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from stillwatch.campaigns.coordination import MIN_PRINCIPALS, TestResult, coordination
from stillwatch.campaigns.facts import Evidence, Facts, TemplateUse
from stillwatch.campaigns.harvest import harvests
from stillwatch.campaigns.hypotheses import Finding, findings
from stillwatch.campaigns.identity import Identity, identities
from stillwatch.campaigns.ordinary import Ordinary
from stillwatch.campaigns.pivots import pivots
from stillwatch.records import INTENTS, VERDICTS

MAX_EVIDENCE = 100  # strongest traits listed; the rest is in the links table
MAX_TEMPLATES = 50  # most used templates listed

Campaign = dict[str, Any]


def campaigns(
    facts: Sequence[Facts], ordinary: Ordinary, *, exposure: Mapping[str, int], prior: Sequence[Campaign]
) -> list[Campaign]:
    """Every cluster that is a campaign, shaped as in the campaigns schema; worst verdict first, then by exposure.

    `exposure` is exchanges per account; `prior` the campaigns of the last run. `skeleton` and
    `recommended_decisions` are left empty for the stages that fill them.
    """
    harvested = harvests(facts, ordinary)
    judged = [(cluster, _judged(cluster, found)) for cluster, found in zip(facts, harvested, strict=True)]
    kept = [(cluster, result) for cluster, result in judged if result is not None]
    named = identities(
        [cluster.account_ids for cluster, _ in kept],
        [frozenset(template_name(use.template_id) for use in cluster.templates) for cluster, _ in kept],
        exposure,
        prior,
    )
    found = [_campaign(cluster, result, name) for (cluster, result), name in zip(kept, named, strict=True)]
    return sorted(found, key=_rank)


def template_name(template_id: int) -> str:
    """How a template is written in campaigns and bundles."""
    return f"t-{template_id & 0xFFFFFFFFFFFFFFFF:016x}"


def _rank(campaign: Campaign) -> tuple[int, int, str]:
    return VERDICTS.index(campaign["verdict"]), -campaign["exposure"]["exchanges"], campaign["campaign_id"]


class _Judged(NamedTuple):
    verdict: str
    common: TestResult
    harvested: TestResult
    explanations: Sequence[Finding]
    missing: Sequence[str]


def _judged(cluster: Facts, harvested: TestResult) -> _Judged | None:
    """The verdict on a cluster, or None when it is no campaign: nothing but chance or one customer ties it."""
    common = coordination(cluster)
    explanations = findings(cluster, harvested)
    verdict = _verdict(cluster, common, harvested, explanations)
    missing = [harvested.because] if harvested.result == "not_tested" else []
    if verdict == "insufficient_data":
        missing.append("a second independent group of traits (addresses, payment, devices, sign-up or prompts)")
    return None if verdict is None else _Judged(verdict, common, harvested, explanations, missing)


def _verdict(cluster: Facts, common: TestResult, harvested: TestResult, explanations: Sequence[Finding]) -> str | None:
    innocent = any(finding.survives and not finding.coordinated for finding in explanations)
    if common.result != "proven":
        if innocent and cluster.principals < MIN_PRINCIPALS:
            return "explained"
        return "insufficient_data" if len(cluster.links) < 2 and harvested.result == "proven" else None
    if innocent:
        return "explained"
    return "distillation" if harvested.result == "proven" else "coordinated"


def _campaign(cluster: Facts, judged: _Judged, name: Identity) -> Campaign:
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
        "templates": [_template(use) for use in cluster.templates[:MAX_TEMPLATES]],
        "intents": _intents(cluster),
        "benign_hypotheses": [{"name": f.name, "survives": f.survives, "because": f.because} for f in explanations],
        "pivots": [
            {
                "model": p.model,
                "at": f"{p.at}T00:00:00+00:00",
                "share_before": p.share_before,
                "share_after": p.share_after,
            }
            for p in pivots(cluster.model_days)
        ],
        "lineage": [{"campaign_id": other, "relation": relation} for other, relation in name.lineage],
        "timeline": [
            {"on": day.isoformat(), "exchanges": n, "accounts": accounts} for day, n, accounts in cluster.timeline
        ],
        "missing": list(missing),
        "recommended_decisions": [],
    }


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
    value = template_name(int(item.value)) if item.kind == "template" else item.value
    return {
        "kind": item.kind,
        "family": item.family,
        "value": value,
        "account_count": item.account_count,
        "weight_bits": item.weight_bits,
        "durability": item.durability,
    }


def _test(result: TestResult) -> dict[str, Any]:
    return {
        "result": result.result,
        "p_value": result.p_value,
        "bits": result.bits,
        "because": result.because,
        "measures": [asdict(measure) for measure in result.measures],
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


def _intents(cluster: Facts) -> dict[str, float]:
    total = cluster.bearing.exchanges
    if not total:
        return {}
    shares = {name: n / total for name, n in zip(INTENTS, cluster.bearing.intents, strict=True)}
    return {name: round(share, 6) for name, share in shares.items() if share > 0}
