"""Decisions: what a policy recommends for the accounts of a campaign, in shadow."""

from stillwatch.decisions.facts import AccountFacts, account_facts, newest_verdicts
from stillwatch.decisions.policy import Countermeasures, Policy, load_policy
from stillwatch.decisions.recommend import reason_and_source, recommended_decisions

__all__ = [
    "AccountFacts",
    "Countermeasures",
    "Policy",
    "account_facts",
    "load_policy",
    "newest_verdicts",
    "reason_and_source",
    "recommended_decisions",
]
