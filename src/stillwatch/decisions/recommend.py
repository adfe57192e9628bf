"""What the policy recommends for every account of a campaign, in shadow: nothing here acts.

1. An analyst's `innocent`, on the campaign or on an account, ends the matter for whom it names.
2. The first rule that fits campaign and account gives the outcome.
3. The limits bound it, whatever the rule said.
4. Accounts with the same outcome and reason share one decision.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stillwatch.decisions.durability import at_least, durability
from stillwatch.decisions.facts import AccountFacts
from stillwatch.decisions.limits import LEAST_APPROVALS, bounded, check_to_ask, limit
from stillwatch.decisions.policy import AccountCondition, CampaignCondition, Outcome, Policy
from stillwatch.records import ACTIONS

SHADOW = "Shadow: recommended, nothing acts."
TELL_THE_VICTIM = "Tell the holder and replace the key."
# How long a decision stands that no rule of the policy set, because a limit did. [days]
VICTIM_EXPIRES_AFTER_DAYS = 30


def recommended_decisions(
    campaign: Mapping[str, Any],
    accounts: Mapping[str, AccountFacts],
    policy: Policy,
    *,
    analyst_verdict: str | None = None,
) -> list[dict[str, Any]]:
    """The decisions for a campaign, strongest action first; accounts no rule fits are in none.

    `analyst_verdict` is the newest one on the campaign itself.
    """
    if analyst_verdict == "innocent":
        return []
    campaign_durability = durability(campaign["evidence"])
    rules = [rule for rule in policy.rules if _campaign_fits(rule.campaign, campaign, campaign_durability)]
    narrowed = replace(policy, rules=tuple(rules))
    decided: dict[AccountFacts, tuple[Outcome, str] | None] = {}
    grouped: dict[tuple[Outcome, str], list[str]] = {}
    for account_id in sorted(campaign["account_ids"]):
        facts = accounts.get(account_id, AccountFacts())
        if facts not in decided:
            decided[facts] = _decision(campaign["verdict"], campaign_durability, facts, narrowed)
        decision = decided[facts]
        if decision is not None:
            grouped.setdefault(decision, []).append(account_id)
    rows = [_row(outcome, because, ids) for (outcome, because), ids in grouped.items()]
    return sorted(rows, key=lambda row: (-ACTIONS.index(row["action"]), row["check"] or "", row["because"]))


def _decision(verdict: str, standing: str, facts: AccountFacts, policy: Policy) -> tuple[Outcome, str] | None:
    if facts.analyst_verdict == "innocent":
        return None
    rule = next((rule for rule in policy.rules if _account_fits(rule.account, facts)), None)
    held = limit(verdict, standing, facts)
    is_victim = facts.role == "compromised" and held.furthest == "verify"
    if rule is None and not is_victim:
        return None
    outcome = rule.outcome if rule else Outcome("verify", None, 0, VICTIM_EXPIRES_AFTER_DAYS)
    if is_victim and outcome.action == "observe":  # a victim is verified and told, never only watched
        outcome = Outcome("verify", None, LEAST_APPROVALS["verify"], outcome.expires_after_days)
    outcome, held_because = bounded(outcome, held)
    if outcome.action == "verify" and outcome.check is None:
        checks = policy.checks.get(facts.access_program or "default", policy.checks["default"])
        outcome = replace(outcome, check=check_to_ask(checks, facts.verification_level))
    reasons = [rule.because if rule else "A campaign used this account."]
    if held_because:
        reasons.append(f"Held at {outcome.action}: {held_because}.")
    if is_victim:
        reasons.append(TELL_THE_VICTIM)
    source = f"policy {policy.name} {policy.version}, {f'rule {rule.name}' if rule else 'limit on victims'}"
    return outcome, " ".join([*reasons, f"{SHADOW} ({source})"])


def reason_and_source(because: str) -> tuple[str, str]:
    """What a recommendation's `because` holds, apart: the reason, and the policy and rule it comes from.

    The remark on shadow is in neither: whoever takes the decision knows whether it acts.
    """
    reason, _, source = because.partition(f" {SHADOW} (")
    return reason, source.removesuffix(")")


def _campaign_fits(wanted: CampaignCondition, campaign: Mapping[str, Any], campaign_durability: str) -> bool:
    exposure = campaign["exposure"]
    return (
        campaign["verdict"] in wanted.verdicts
        and len(campaign["account_ids"]) >= wanted.min_accounts
        and exposure["output_tokens"] >= wanted.min_exposure_tokens
        and exposure["exchanges"] >= wanted.min_exposure_exchanges
        and _probability_fits(wanted, campaign["probability"])
        and (wanted.min_durability is None or at_least(campaign_durability, wanted.min_durability))
    )


def _probability_fits(wanted: CampaignCondition, probability: float | None) -> bool:
    if wanted.min_probability is None:
        return True
    return wanted.allow_unknown_probability if probability is None else probability >= wanted.min_probability


def _account_fits(wanted: AccountCondition, facts: AccountFacts) -> bool:
    pairs = (
        (wanted.access_programs, facts.access_program),
        (wanted.verification_levels, facts.verification_level),
        (wanted.roles, facts.role),
    )
    return all(allowed is None or fact in allowed for allowed, fact in pairs)


def _row(outcome: Outcome, because: str, account_ids: list[str]) -> dict[str, Any]:
    return {
        "action": outcome.action,
        "check": outcome.check,
        "account_ids": account_ids,
        "because": because,
        "approvals": outcome.approvals,
        "expires_after_days": outcome.expires_after_days,
    }
