"""Decisions: what a policy recommends for the accounts of a campaign, in shadow."""

from stillwatch.decisions.facts import AccountFacts, account_facts, newest_verdicts
from stillwatch.decisions.limits import check_to_ask
from stillwatch.decisions.policy import Countermeasures, Policy, load_policy
from stillwatch.decisions.programmes import PROGRAMME_CHECKS, Programme, Programmes, load_programmes
from stillwatch.decisions.recommend import reason_and_source, recommended_decisions

__all__ = [
    "PROGRAMME_CHECKS",
    "AccountFacts",
    "Countermeasures",
    "Policy",
    "Programme",
    "Programmes",
    "account_facts",
    "check_to_ask",
    "load_policy",
    "load_programmes",
    "newest_verdicts",
    "reason_and_source",
    "recommended_decisions",
]
