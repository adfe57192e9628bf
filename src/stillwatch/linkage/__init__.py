"""Rollup -> Link -> Cluster: templates, the account-trait graph, learned weights and clusters."""

from stillwatch.linkage.clusters import Clusters, clusters
from stillwatch.linkage.evidence import cohesion, evidence, links, members, steps
from stillwatch.linkage.families import Families, families
from stillwatch.linkage.holdings import Holdings, holdings
from stillwatch.linkage.lockstep import Starts, starts
from stillwatch.linkage.power import minimum_detectable
from stillwatch.linkage.templates import TEMPLATED_SCHEMA, template_traits, templated_batches, vocabulary
from stillwatch.linkage.variants import variants
from stillwatch.linkage.weights import Weights, weights

__all__ = [
    "TEMPLATED_SCHEMA",
    "Clusters",
    "Families",
    "Holdings",
    "Starts",
    "Weights",
    "clusters",
    "cohesion",
    "evidence",
    "families",
    "holdings",
    "links",
    "members",
    "minimum_detectable",
    "starts",
    "steps",
    "template_traits",
    "templated_batches",
    "variants",
    "vocabulary",
    "weights",
]
