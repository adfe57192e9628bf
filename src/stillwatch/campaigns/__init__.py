"""Cluster -> Campaign: coordination, harvest, innocent explanations, identity, and the verdict they add up to."""

from stillwatch.campaigns.assemble import campaigns, template_name
from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts, Member
from stillwatch.campaigns.gather import Tables, facts, ordinary_usage
from stillwatch.campaigns.ordinary import ordinary
from stillwatch.campaigns.skeletons import skeleton

__all__ = [
    "Facts",
    "Member",
    "Tables",
    "TestResult",
    "campaigns",
    "facts",
    "ordinary",
    "ordinary_usage",
    "skeleton",
    "template_name",
]
