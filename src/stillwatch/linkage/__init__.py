"""Rollup -> Link -> Cluster: templates, the account-trait graph, learned weights and clusters."""

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
    "templated_batches",
    "weights",
]
