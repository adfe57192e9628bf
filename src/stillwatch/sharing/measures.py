"""What STIX has no words for, of a campaign: numbers for its extension, each rounded, each from a closed vocabulary.

Why:    a partner weighs a campaign by what it did, how it was found out and what else it could have been, not by its
        name.
Misses: whatever two digits hide.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from stillwatch.records import CAPABILITIES, INTENTS, KINDS
from stillwatch.sharing.marking import may_tell_method
from stillwatch.sharing.objects import Subject, rounded, two_digits
from stillwatch.sharing.techniques import techniques
from stillwatch.sharing.words import CASE_STEPS, CASE_STUDY, ESTIMATE_SCALE, ESTIMATES, HYPOTHESES, OUTCOMES_OF_TESTS

HOURS: Final = 24
MOST_BITS: Final = 9_999.9


def measures_of(subject: Subject, *, least: int) -> dict[str, Any]:
    """The extension's properties of the campaign; null where nothing is known or it may not be told."""
    campaign = subject.campaign
    told = _totals(campaign) | _tests(campaign)
    if len(campaign["account_ids"]) >= least:  # the habits of fewer would be somebody's own
        told |= _mixes(campaign)
        if may_tell_method(subject.tlp):
            told |= {"timing": _timing(campaign), "evidence": _evidence(campaign, least) or None}
    return told


def hypotheses(campaign: Mapping[str, Any]) -> list[dict[str, str]]:
    """The innocent explanations that were tested, in the order of the vocabulary, and what came of each."""
    refuted, holds, not_tested = OUTCOMES_OF_TESTS
    found: dict[str, str] = {}
    for row in campaign["benign_hypotheses"]:
        name = next((name for name in HYPOTHESES if row["name"].startswith(name)), None)
        if name is not None:  # a result may say more than the name of what was tested
            found[name] = holds if row["survives"] else refuted if row.get("tested", True) else not_tested
    return [{"name": name, "outcome": found[name]} for name in HYPOTHESES if name in found]


def estimate(probability: float | None) -> dict[str, Any] | None:
    """The probability in words, with the bounds they stand for and the scale they are from."""
    if probability is None:
        return None
    percent = 100 * probability
    words, low, high = next((one for one in ESTIMATES if percent < one[2]), ESTIMATES[-1])
    return {"words": words, "from_percent": low, "to_percent": high, "scale": ESTIMATE_SCALE}


def _totals(campaign: Mapping[str, Any]) -> dict[str, Any]:
    exposure = campaign["exposure"]
    return {
        "verdict": campaign["verdict"],
        "account_count": two_digits(len(campaign["account_ids"])),
        "exchange_count": two_digits(exposure["exchanges"]),
        "output_tokens": two_digits(exposure["output_tokens"]),
        "reasoning_tokens": two_digits(exposure["reasoning_tokens"]),
        "template_share": rounded(exposure["template_share"], 2),
    }


def _tests(campaign: Mapping[str, Any]) -> dict[str, Any]:
    tested = hypotheses(campaign)
    prior = campaign["prior"]
    shown = set(techniques(campaign))
    return {
        "coordination_bits": _bits(campaign["coordination"]["bits"]),
        "harvest_bits": _bits(campaign["harvest"]["bits"]),
        "evidence_families": len({evidence["family"] for evidence in campaign["evidence"]}),
        "benign_hypotheses": tested or None,
        "confidence_grounds": {
            "basis": campaign["probability_basis"] or "none",
            **({} if prior is None else {"prior": float(f"{prior:.1e}")}),
            "coordination": campaign["coordination"]["result"],
            "harvest": campaign["harvest"]["result"],
        },
        "estimate": estimate(campaign["probability"]),
        "case_study": {"id": CASE_STUDY, "shown": [step for step in CASE_STEPS if step in shown]},
    }


def _mixes(campaign: Mapping[str, Any]) -> dict[str, Any]:
    by_capability = campaign["exposure"]["by_capability"]
    counted = sum(by_capability.values())
    return {
        "capability_shares": _stated({name: by_capability.get(name, 0) / counted for name in CAPABILITIES if counted}),
        "intent_shares": _stated({name: campaign["intents"].get(name, 0.0) for name in INTENTS}),
    }


def _timing(campaign: Mapping[str, Any]) -> dict[str, Any] | None:
    timing = campaign["marks"]["timing"]
    told: dict[str, Any] = {}
    if len(timing["by_hour"]) == HOURS:
        told["by_hour"] = [rounded(share, 2) for share in timing["by_hour"]]
    if timing["peak_share"] is not None:
        told["peak_share"] = rounded(timing["peak_share"], 2)
    return told or None


def _evidence(campaign: Mapping[str, Any], least: int) -> list[dict[str, Any]]:
    """Kind by kind: how many values enough accounts hold, by how many at most, and what the strongest is worth.

    What a partner said is told as such, without its values: its sender can tell what comes back from what is new.
    """
    held: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in campaign["evidence"]:
        if row["kind"] in KINDS and row["account_count"] >= least:
            held[row["kind"]].append(row)
    return [
        {
            "kind": kind,
            "family": KINDS[kind][0],
            "durability": KINDS[kind][2],
            "weight_bits": _bits(max(row["weight_bits"] for row in rows)),
            "value_count": two_digits(len(rows)),
            "account_count": two_digits(max(row["account_count"] for row in rows)),
        }
        for kind, rows in sorted(held.items())
    ]


def _bits(bits: float | None) -> float | None:
    return None if bits is None else rounded(max(-MOST_BITS, min(MOST_BITS, bits)), 1)


def _stated(shares: Mapping[str, float]) -> dict[str, float] | None:
    return {name: round(share, 2) for name, share in shares.items() if round(share, 2) > 0} or None
