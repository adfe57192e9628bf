"""Cluster -> Campaign: coordination, harvest, innocent explanations, identity, and the verdict they add up to."""

from stillwatch.campaigns.assemble import campaigns, template_name
from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts, Member
from stillwatch.campaigns.gather import Tables, bearing, facts, ordinary_attempts, ordinary_usage
from stillwatch.campaigns.harvest import reference
from stillwatch.campaigns.known import Known, Past, known_campaign, known_json, past, remembered
from stillwatch.campaigns.marks import Marks, Observed, marks
from stillwatch.campaigns.skeletons import skeleton
from stillwatch.campaigns.succession import Surroundings, surroundings

__all__ = [
    "Facts",
    "Known",
    "Marks",
    "Member",
    "Observed",
    "Past",
    "Surroundings",
    "Tables",
    "TestResult",
    "bearing",
    "campaigns",
    "facts",
    "known_campaign",
    "known_json",
    "marks",
    "ordinary_attempts",
    "ordinary_usage",
    "past",
    "reference",
    "remembered",
    "skeleton",
    "surroundings",
    "template_name",
]
