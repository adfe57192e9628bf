"""Rollup -> Link -> Cluster: templates, the account-trait graph, learned weights and clusters."""

from stillwatch.linkage.clusters import Clusters, clusters
from stillwatch.linkage.evidence import cohesion, evidence, links, members, steps
from stillwatch.linkage.families import NO_FAMILIES, Families, families
from stillwatch.linkage.findings import Findings, Known, findings, findings_with_leads
from stillwatch.linkage.holdings import Holdings, holdings
from stillwatch.linkage.lockstep import Starts, starts
from stillwatch.linkage.matching import Vocabulary, indexed
from stillwatch.linkage.parts import on_cores
from stillwatch.linkage.power import Detectable
from stillwatch.linkage.received import NO_LEADS, Leads, Received, lead_traits
from stillwatch.linkage.rewordings import groups, sampled
from stillwatch.linkage.shelves import Shelves
from stillwatch.linkage.templates import (
    TEMPLATED_SCHEMA,
    VOCABULARY,
    Templated,
    group_templates,
    loose_templates,
    recognised,
    template_ids,
    template_traits,
    templated,
    templated_batches,
)
from stillwatch.linkage.vocabularies import LOOKS_SCHEMA, accepted, looks, numbered_accounts, vocabulary
from stillwatch.linkage.weights import Weights, weights

__all__ = [
    "LOOKS_SCHEMA",
    "NO_FAMILIES",
    "NO_LEADS",
    "TEMPLATED_SCHEMA",
    "VOCABULARY",
    "Clusters",
    "Detectable",
    "Families",
    "Findings",
    "Holdings",
    "Known",
    "Leads",
    "Received",
    "Shelves",
    "Starts",
    "Templated",
    "Vocabulary",
    "Weights",
    "accepted",
    "clusters",
    "cohesion",
    "evidence",
    "families",
    "findings",
    "findings_with_leads",
    "group_templates",
    "groups",
    "holdings",
    "indexed",
    "lead_traits",
    "links",
    "looks",
    "loose_templates",
    "members",
    "numbered_accounts",
    "on_cores",
    "recognised",
    "sampled",
    "starts",
    "steps",
    "template_ids",
    "template_traits",
    "templated",
    "templated_batches",
    "vocabulary",
    "weights",
]
