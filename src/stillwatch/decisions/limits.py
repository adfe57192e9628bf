"""Limits that no policy can lift: how far a decision may go, whatever a rule says.

Why:    a policy is a file that someone edits at two in the morning; these lines protect innocent people from it.
Misses: nothing here judges whether the verdict itself is right. It bounds what a wrong one can do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stillwatch.decisions.durability import at_least
from stillwatch.decisions.facts import AccountFacts
from stillwatch.decisions.policy import Outcome
from stillwatch.records import ACTIONS, VERIFICATION_LEVELS

# People who must agree before the action may be taken.
LEAST_APPROVALS = {"observe": 0, "verify": 0, "throttle": 0, "shape": 2, "suspend": 2}

# The furthest action for a verdict; a verdict that is not listed allows watching only.
FURTHEST = {"distillation": "suspend", "coordinated": "verify"}

# Levels at which somebody checked that an organisation exists: it has people who answer, and they are asked first.
VERIFIED = ("business", "contract")

# A case must stand on evidence of at least this durability to go beyond verification.
ACTING_DURABILITY = "medium"


@dataclass(frozen=True, slots=True)
class Limit:
    """The furthest action allowed, and why in words; no reason means no limit was met."""

    furthest: str
    because: str


def limit(verdict: str, campaign_durability: str, account: AccountFacts) -> Limit:
    """The tightest limit on a decision about this account."""
    furthest = FURTHEST.get(verdict, "observe")
    limits = [Limit(furthest, "" if verdict == "distillation" else f"the verdict is {verdict.replace('_', ' ')}")]
    if account.role == "compromised":
        limits.append(Limit("verify", "its key looks stolen and its holder is a victim, who must be told"))
    if account.verification_level in VERIFIED:
        limits.append(Limit("verify", "a verified organisation answers for it, whose own people are asked first"))
    if not at_least(campaign_durability, ACTING_DURABILITY):
        limits.append(Limit("verify", "the campaign rests on evidence that is easy to fake"))
    if account.durability is not None and not at_least(account.durability, ACTING_DURABILITY):
        limits.append(Limit("verify", "only evidence that is easy to fake ties this account to the campaign"))
    return min(limits, key=lambda one: ACTIONS.index(one.furthest))


def bounded(outcome: Outcome, held: Limit) -> tuple[Outcome, str]:
    """The outcome within the limit, and why it was held back (empty when it was not)."""
    if ACTIONS.index(outcome.action) > ACTIONS.index(held.furthest):
        approvals = LEAST_APPROVALS[held.furthest]
        return Outcome(held.furthest, None, approvals, outcome.expires_after_days), held.because
    check = outcome.check if outcome.action == "verify" else None
    approvals = max(outcome.approvals, LEAST_APPROVALS[outcome.action])
    return Outcome(outcome.action, check, approvals, outcome.expires_after_days), ""


def check_to_ask(checks: Sequence[str], verification_level: str | None) -> str:
    """The first check that proves more than the account has proven, else the last: it is asked afresh."""
    passed = VERIFICATION_LEVELS.index(verification_level) if verification_level else 0
    for check in checks:
        # Programme documents are no level of their own: they are asked of whoever claims a programme.
        if check not in VERIFICATION_LEVELS or VERIFICATION_LEVELS.index(check) > passed:
            return check
    return checks[-1]
