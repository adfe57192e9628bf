"""Cluster -> Campaign: coordination, harvest, innocent explanations, identity, and the verdict they add up to."""

from stillwatch.campaigns.assemble import accused, campaigns, template_name
from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts, Member
from stillwatch.campaigns.gather import Tables, facts, ordinary_usage
from stillwatch.campaigns.harvest import reference
from stillwatch.campaigns.organisations import Sent, organisation_units
from stillwatch.campaigns.skeletons import skeleton
from stillwatch.campaigns.stolen import marked, stolen_keys

__all__ = [
    "Facts",
    "Member",
    "Sent",
    "Tables",
    "TestResult",
    "accused",
    "campaigns",
    "facts",
    "marked",
    "ordinary_usage",
    "organisation_units",
    "reference",
    "skeleton",
    "stolen_keys",
    "template_name",
]
