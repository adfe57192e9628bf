"""What linkage finds, as tables: first as if nobody had sent anything, then among those who bear what partners sent.

Why:    a partner may be mistaken, taken over or hostile, and nobody must be accused, nor anything be unexplained,
        because somebody else said so. So leads touch no campaign that is there without them.
Misses: members of a campaign that is found here already and who share too little to be found without a lead.
Source: own.

    1. Everything is linked, and then judged, as if nothing had been sent: leads and their templates are left out.
    2. Who bears a lead and is in no campaign yet is linked once more, with leads. Whoever is tied to the others by
       leads and wordings alone is dismissed: no member, but no stranger to their wordings either. Clusters of the
       first pass that lose a member are given up; nothing was said of them.
    3. A lead and a wording are one fact, and the lead chose whom to look at. So the cohesion of these clusters is told
       without content: two groups have to speak that have nothing to do with what was said.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.linkage.bearers import SHARED_SCHEMA, shared_by_bearers
from stillwatch.linkage.clusters import (
    Clusters,
    clusters,
    clusters_of_bearers,
    divided,
    with_crossed,
    with_parts,
    without,
)
from stillwatch.linkage.evidence import (
    Step,
    by_chains_alone,
    cohesion,
    evidence,
    links,
    members,
    stand_by_themselves,
    steps,
)
from stillwatch.linkage.holdings import CONTENT, GROUPS, Holdings, holdings
from stillwatch.linkage.lockstep import Starts
from stillwatch.linkage.power import Detectable, minimum_detectable
from stillwatch.linkage.received import label
from stillwatch.linkage.weights import Weights, weights
from stillwatch.membership import LINKED_SHARE
from stillwatch.records import LEAD_KIND, TEMPLATE_KINDS


@dataclass(frozen=True, slots=True)
class Findings:
    """Links, members, evidence and cohesion as in `evidence`; the size of campaign that could be found at all.

    `shared` is what those who bear a lead share beside it, as in `bearers`; empty where nothing was sent.
    """

    links: pa.Table
    members: pa.Table
    evidence: pa.Table
    cohesion: pa.Table
    clusters: Clusters
    minimum_detectable: Detectable | None
    shared: pa.Table = field(default_factory=SHARED_SCHEMA.empty_table)


@dataclass(frozen=True, slots=True)
class Known:
    """What both passes need: who there is, who can be no member, starts of sessions, the rate of false discoveries.

    `named` is the organisation that an account names, where it names any.
    """

    account_ids: list[str]
    outsiders: Collection[str]
    starts: Starts
    fdr: float
    seed: int
    named: Mapping[str, str] = field(default_factory=dict)


def findings(traits: pa.Table, campaigns: Collection[str], known: Known) -> Findings:
    """Clusters and what holds them together as if partners had sent nothing of these campaigns of theirs."""
    of = holdings(_without_leads(traits, campaigns), known.account_ids)
    weighed = weights(of, fdr=known.fdr)
    alone = clusters(of, weighed, known.starts, seed=known.seed, outsiders=known.outsiders, named=known.named)
    weighed = alone.weighed or weighed
    found, told = _divided(of, weighed, *_corroborated(of, alone, known), known)
    standing = stand_by_themselves(told.cohesion)
    every = with_crossed(of, weighed, found, standing, seed=known.seed, outsiders=known.outsiders)
    return _found(of, weighed, every, known, told if every is found else _tied(of, every, known))


def findings_with_leads(
    traits: pa.Table, precision: Mapping[str, float], known: Known, *, alone: Findings, standing: Collection[str]
) -> Findings:
    """What was found alone, and what leads bring together of the accounts that are not in a campaign (`standing`).

    `precision` of each lead: how often its sender's leads proved right.
    """
    of = holdings(traits, known.account_ids)
    weighed = weights(of, fdr=known.fdr, precision=precision)
    outsiders = {*known.outsiders, *standing}
    found = clusters_of_bearers(of, weighed, known.starts, seed=known.seed, outsiders=outsiders, named=known.named)
    found, tied = _corroborated(of, found, known)
    weighed = found.weighed or weighed
    told, borne = _found(of, weighed, found, known, tied), _borne(of, weighed, alone.clusters)
    given_up = np.unique(alone.clusters.of_account[found.of_account >= 0])
    new = told.links.join(alone.links.select(["kind", "value"]), ["kind", "value"], join_type="left anti")
    new = new.select(alone.links.schema.names).sort_by(_LINK_ORDER).cast(alone.links.schema)
    apart = told.cohesion.filter(pc.not_equal(told.cohesion["group"], GROUPS[CONTENT]))
    count = alone.clusters.count
    return Findings(
        pa.concat_tables([alone.links, new]),
        pa.concat_tables([_without(alone.members, given_up), _after(told.members, count)]),
        pa.concat_tables(
            [_without(table, given_up) for table in (alone.evidence, borne)] + [_after(told.evidence, count)]
        ),
        pa.concat_tables([_without(alone.cohesion, given_up), _after(apart, count)]),
        alone.clusters,
        alone.minimum_detectable,
        shared_by_bearers(of, known.starts, outsiders=known.outsiders),
    )


def _without_leads(traits: pa.Table, campaigns: Collection[str]) -> pa.Table:
    """The traits that there would be had nobody sent anything."""
    if not campaigns:
        return traits
    labels = pa.array([str(label(name)) for name in campaigns], pa.string())
    named = pc.and_(pc.is_in(traits["kind"], pa.array(TEMPLATE_KINDS)), pc.is_in(traits["value"], labels))
    return traits.filter(pc.invert(pc.or_(named, pc.equal(traits["kind"], LEAD_KIND))))


class _Tied(NamedTuple):
    """Clusters in step, and the rows of `cohesion`."""

    in_step: list[Step]
    cohesion: pa.Table


def _tied(of: Holdings, found: Clusters, known: Known) -> _Tied:
    in_step = steps(found, known.starts)
    return _Tied(in_step, cohesion(of, found, in_step))


def _corroborated(of: Holdings, found: Clusters, known: Known) -> tuple[Clusters, _Tied]:
    """The clusters but for those that rest on chains alone, and what ties them."""
    tied = _tied(of, found, known)
    given_up = by_chains_alone(of, found, tied.cohesion)
    if not given_up:
        return found, tied
    found = without(found, given_up)
    return found, _tied(of, found, known)


def _divided(of: Holdings, weighed: Weights, found: Clusters, tied: _Tied, known: Known) -> tuple[Clusters, _Tied]:
    """The clusters, those that do not stand without the parts of them that do, and what ties them."""
    loose = sorted({*range(found.count)}.difference(stand_by_themselves(tied.cohesion, LINKED_SHARE)))
    parts = divided(
        of, weighed, found, known.starts, loose, seed=known.seed, outsiders=known.outsiders, named=known.named
    )
    if not (parts >= 0).any():
        return found, tied
    told = _tied(of, replace(found, of_account=parts, familiar=parts), known).cohesion
    standing = stand_by_themselves(told, LINKED_SHARE)
    return _corroborated(of, with_parts(of, weighed, found, parts, standing), known) if standing else (found, tied)


def _found(of: Holdings, weighed: Weights, found: Clusters, known: Known, tied: _Tied) -> Findings:
    return Findings(
        links(of, weighed),
        members(of, found),
        evidence(of, weighed, found, tied.in_step),
        tied.cohesion,
        found,
        minimum_detectable(of, fdr=known.fdr),
    )


def _borne(of: Holdings, weighed: Weights, found: Clusters) -> pa.Table:
    """Evidence of the leads that clusters bear which were found without any: for people, and for the harvest test."""
    no_steps: list[Step] = []
    rows = evidence(of, weighed, found, no_steps)
    return rows.filter(pc.equal(rows["kind"], LEAD_KIND))


_LINK_ORDER = [(name, "ascending") for name in ("account_id", "kind", "value")]


def _without(table: pa.Table, clusters: np.ndarray) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["cluster_id"], pa.array(clusters))))


def _after(table: pa.Table, count: int) -> pa.Table:
    """The table with the numbers of its clusters after those of `count` others."""
    place = table.column_names.index("cluster_id")
    return table.set_column(place, table.schema.field(place), pc.add(table["cluster_id"], count))
