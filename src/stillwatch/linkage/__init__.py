"""Rollup -> Link -> Cluster: templates, the account-trait graph, learned weights and clusters."""

from stillwatch.linkage.bundles import bundled
from stillwatch.linkage.clusters import Clusters, clusters
from stillwatch.linkage.evidence import cohesion, evidence, links, members
from stillwatch.linkage.holdings import KINDS, Holdings, holdings
from stillwatch.linkage.power import minimum_detectable
from stillwatch.linkage.templates import (
    SIGNATURE_SCHEMA,
    TEMPLATED_SCHEMA,
    Skeletons,
    fingerprint_counts,
    merged_signatures,
    signature_batches,
    skeletons,
    template_traits,
    templated_batches,
)
from stillwatch.linkage.weights import Weights, weights

__all__ = [
    "KINDS",
    "SIGNATURE_SCHEMA",
    "TEMPLATED_SCHEMA",
    "Clusters",
    "Holdings",
    "Skeletons",
    "Weights",
    "bundled",
    "clusters",
    "cohesion",
    "evidence",
    "fingerprint_counts",
    "holdings",
    "links",
    "members",
    "merged_signatures",
    "minimum_detectable",
    "signature_batches",
    "skeletons",
    "template_traits",
    "templated_batches",
    "weights",
]
