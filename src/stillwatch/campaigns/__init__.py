"""Cluster -> Campaign: coordination, harvest, innocent explanations, identity, and the verdict they add up to."""

from stillwatch.campaigns.assemble import campaigns, template_name
from stillwatch.campaigns.bearing import bearing
from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts, Member
from stillwatch.campaigns.families import family_texts
from stillwatch.campaigns.gather import facts
from stillwatch.campaigns.known import Known, Past, known_campaign, known_json, past, remembered
from stillwatch.campaigns.marks import Marks, Observed, marks
from stillwatch.campaigns.ordinary import ordinary
from stillwatch.campaigns.organisations import Sent, organisation_units
from stillwatch.campaigns.outside import outside
from stillwatch.campaigns.owners import owned
from stillwatch.campaigns.places import placed
from stillwatch.campaigns.reasoning import with_reasoning
from stillwatch.campaigns.skeletons import skeleton
from stillwatch.campaigns.stolen import marked, stolen_keys
from stillwatch.campaigns.succession import Surroundings, surroundings
from stillwatch.campaigns.tables import PROMPTED, Tables, with_rows
from stillwatch.campaigns.usage import senders_by
from stillwatch.campaigns.verdicts import accused, judged_accounts

__all__ = [
    "PROMPTED",
    "Facts",
    "Known",
    "Marks",
    "Member",
    "Observed",
    "Past",
    "Sent",
    "Surroundings",
    "Tables",
    "TestResult",
    "accused",
    "bearing",
    "campaigns",
    "facts",
    "family_texts",
    "judged_accounts",
    "known_campaign",
    "known_json",
    "marked",
    "marks",
    "ordinary",
    "organisation_units",
    "outside",
    "owned",
    "past",
    "placed",
    "remembered",
    "senders_by",
    "skeleton",
    "stolen_keys",
    "surroundings",
    "template_name",
    "with_reasoning",
    "with_rows",
]
