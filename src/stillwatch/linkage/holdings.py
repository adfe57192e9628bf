"""Who holds which trait, as integers: the form in which weights, null, clusters and tests are computed.

group       a set of kinds that move together; evidence counts once per group
degree      number of values of a group that an account holds
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.linkage.incidence import Incidence, Ints, incidence
from stillwatch.records import KINDS, LEAD_KIND

Floats = NDArray[np.float64]

GROUPS = tuple(dict.fromkeys(group for _, group, _ in KINDS.values()))
KIND_NAMES = tuple(KINDS)
CONTENT = GROUPS.index("content")
PARTNER = GROUPS.index(KINDS[LEAD_KIND][1])  # wordings that others sent


@dataclass(frozen=True, slots=True)
class Holdings:
    """The account-trait incidence.

    `account_ids` (accounts,) sorted strings; `kind` (values,) index into KIND_NAMES; `values` (values,) names of the
    value nodes, sorted by group, kind and value; `group` (values,) index into GROUPS; `accounts` (edges,) account of each edge, sorted by account
    then value; `edges` the same both ways round; `holder_counts` (values,) accounts that hold each value; `degree`
    (accounts, groups) values held of each group, those nobody else holds included.
    """

    account_ids: list[str]
    kind: Ints
    values: list[str]
    group: Ints
    accounts: Ints
    edges: Incidence
    holder_counts: Ints
    degree: Ints

    @property
    def held(self) -> Ints:
        """Value of each edge: (edges,)."""
        return self.edges.held

    @property
    def account_count(self) -> int:
        """Accounts, whether they hold anything or not."""
        return len(self.account_ids)

    @property
    def kinds(self) -> list[str]:
        """Name of the kind of each value: (values,)."""
        return [KIND_NAMES[kind] for kind in self.kind.tolist()]

    def is_of(self, kinds: Collection[str]) -> NDArray[np.bool_]:
        """Which values are of one of the kinds: (values,)."""
        return np.isin(self.kind, [KIND_NAMES.index(kind) for kind in kinds])

    def holders_of(self, values: Ints) -> tuple[Ints, Ints]:
        """Account and value of the edges of some values, (edges,) each."""
        counts = self.holder_counts[values]
        ends = np.cumsum(counts)
        place = np.arange(int(counts.sum())) + np.repeat(self.edges.first[values] - (ends - counts), counts)
        return self.edges.holders[place], np.repeat(values, counts)


def holdings(traits: pa.Table, account_ids: list[str]) -> Holdings:
    """Index the trait table; values held by one account only are left out, as they link nobody."""
    (holder, holders), (kind, kinds), (value, values) = (_numbered(traits[name]) for name in _NAMING)
    is_known = np.array([name in KINDS for name in kinds.to_pylist()], dtype=bool)[kind]
    # One number for each name (kind and value), and one for each holder and name, so that no texts are compared.
    spread, most = max(len(values), 1), max(len(kinds) * len(values), 1)
    holder, name = np.divmod(_each_once((holder * most + kind * spread + value)[is_known]), most)
    names, name, holder_counts = np.unique(name, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(holder_counts >= 2)
    texts = (kinds.take(names[shared] // spread).to_pylist(), values.take(names[shared] % spread).to_pylist())
    spelt = list(zip(*texts, strict=True))
    order = sorted(range(len(spelt)), key=lambda i: (_group_of(spelt[i][0]), *spelt[i]))
    node = np.full(len(names), -1, dtype=np.int64)
    node[shared[order]] = np.arange(len(order))
    known = sorted(account_ids)
    owner = pc.index_in(holders, pa.array(known, pa.string())).fill_null(-1).to_numpy().astype(np.int64)[holder]
    linking = (owner >= 0) & (node[name] >= 0)
    accounts, held = np.divmod(np.sort(owner[linking] * len(order) + node[name][linking]), max(len(order), 1))
    group = np.array([_group_of(name) for name in kinds.to_pylist()], dtype=np.int64)[names // spread]
    return Holdings(
        account_ids=known,
        kind=np.array([KIND_NAMES.index(spelt[i][0]) for i in order], dtype=np.int64),
        values=[spelt[i][1] for i in order],
        group=group[shared[order]],
        accounts=accounts,
        edges=incidence(accounts, held, len(known), len(order)),
        holder_counts=np.bincount(held, minlength=len(order)).astype(np.int64),
        degree=_degrees(owner[owner >= 0], group[name][owner >= 0], len(known)),
    )


_NAMING = ("account_id", "kind", "value")


def _group_of(kind: str) -> int:
    """The group of a kind, -1 for one that links nobody."""
    return GROUPS.index(KINDS[kind][1]) if kind in KINDS else -1


def _numbered(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """A number for each row, (rows,), and the text of each number."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def _each_once(numbers: Ints) -> Ints:
    """The distinct numbers in order; of very many, sorting is quicker than the hashing of `np.unique`."""
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]


def _degrees(owner: Ints, group: Ints, account_count: int) -> Ints:
    """Values of each group that each account holds: (accounts, groups)."""
    counts = np.bincount(owner * len(GROUPS) + group, minlength=account_count * len(GROUPS))
    return counts.reshape(account_count, len(GROUPS)).astype(np.int64)
