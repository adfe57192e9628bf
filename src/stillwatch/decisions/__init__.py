"""Decisions: what a policy recommends for the accounts of a campaign, in shadow."""

from stillwatch.decisions.facts import AccountFacts, account_facts, newest_verdicts
from stillwatch.decisions.policy import Policy, load_policy
from stillwatch.decisions.recommend import recommended_decisions

__all__ = ["AccountFacts", "Policy", "account_facts", "load_policy", "newest_verdicts", "recommended_decisions"]
