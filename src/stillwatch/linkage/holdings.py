"""Who holds which trait, as integers: the form in which weights, null, clusters and tests are computed.

group       a set of kinds that move together; evidence counts once per group
degree      number of values of a group that an account holds
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.linkage.incidence import Incidence, grouped
from stillwatch.membership import BESIDE, SETTING
from stillwatch.records import KINDS, LEAD_KIND

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

GROUPS = tuple(dict.fromkeys(group for _, group, _ in KINDS.values()))
KIND_NAMES = tuple(KINDS)
CONTENT = GROUPS.index("content")
PARTNER = GROUPS.index(KINDS[LEAD_KIND][1])  # wordings that others sent
HANGING = (CONTENT, GROUPS.index(KINDS["artefact"][1]))  # groups by which members hang together: what they say


@dataclass(frozen=True, slots=True)
class Holdings:
    """The account-trait incidence.

    `account_ids` (accounts,) sorted strings; `kind` (values,) index into KIND_NAMES; `values` (values,) names of the
    value nodes, sorted by group, kind and value; `group` (values,) index into GROUPS; `accounts` (edges,) account of
    each edge, sorted by account then value; `edges` the same both ways round; `holder_counts` (values,) accounts that
    hold each value; `root` (values,) the value that each is a case of: of a setting its rewording or the first setting
    of that, of any other itself; `degree` (accounts, groups) values held of each group, those nobody else holds
    included.
    """

    account_ids: list[str]
    kind: Ints
    values: list[str]
    group: Ints
    accounts: Ints
    edges: Incidence
    holder_counts: Ints
    root: Ints
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
        return self.edges.holders[_places(self.edges.first[values], counts)], np.repeat(values, counts)

    def edges_of(self, accounts: Ints) -> Ints:
        """Numbers of the edges of some accounts, one after the other."""
        first = self.edges.start[accounts]
        return _places(first, self.edges.start[accounts + 1] - first)


def _places(first: Ints, counts: Ints) -> Ints:
    """The places of ranges that begin at `first` and have so many, one after the other."""
    return np.arange(int(counts.sum())) + np.repeat(first - (np.cumsum(counts) - counts), counts)


def holdings(traits: pa.Table, account_ids: list[str]) -> Holdings:
    """Index the trait table; values held by one account only are left out, as they link nobody."""
    (kind, kinds), (value, values) = numbered(traits["kind"]), numbered(traits["value"])
    known = sorted(account_ids)
    owner, spread = owners(traits["account_id"], known), max(len(values), 1)
    is_known = pc.is_in(kinds, pa.array(KIND_NAMES)).to_numpy(zero_copy_only=False)[kind] & (owner >= 0)
    # One number for each holder and name (kind and value), so that no texts are compared; names lie together.
    most = max(len(known), 1)
    name, holder = np.divmod(each_once((kind[is_known] * spread + value[is_known]) * most + owner[is_known]), most)
    begins = np.flatnonzero(np.append(True, name[1:] != name[:-1])[: len(name)])
    counts = np.diff(np.append(begins, len(name)))
    group = np.array([_group_of(one) for one in kinds.to_pylist()], dtype=np.int64)
    degree = _degrees(holder, group[name // spread], len(known))
    shared, edges = name[begins[counts >= 2]], np.repeat(counts >= 2, counts)
    nodes = _ordered(kinds.take(shared // spread), values.take(shared % spread))
    held = np.repeat(nodes.place, counts[counts >= 2])
    # Grouping keeps the order things came in: by value first, it leaves every account's values in order.
    by_value, first = grouped(held, holder[edges], len(nodes.values))
    by_account, start = grouped(by_value, np.repeat(np.arange(len(nodes.values)), np.diff(first)), len(known))
    return Holdings(
        account_ids=known,
        kind=nodes.kind,
        values=nodes.values,
        group=np.array([_group_of(one) for one in KIND_NAMES], dtype=np.int64)[nodes.kind],
        accounts=np.repeat(np.arange(len(known)), np.diff(start)),
        edges=Incidence(by_account, start, by_value, first),
        holder_counts=np.diff(first),
        root=_roots(nodes),
        degree=degree,
    )


class _Nodes(NamedTuple):
    """Value nodes by group, kind and value, and the place of each as it came: (values,) each."""

    kind: Ints
    values: list[str]
    place: Ints


def _roots(nodes: _Nodes) -> Ints:
    """The value that each is a case of: (values,)."""
    settings = np.flatnonzero(nodes.kind == KIND_NAMES.index(SETTING))
    root = np.arange(len(nodes.values))
    if len(settings):
        rewordings = np.flatnonzero(nodes.kind == KIND_NAMES.index("rewording")).tolist()
        place = {nodes.values[value]: value for value in rewordings}
        for value in settings.tolist():
            root[value] = place.setdefault(nodes.values[value].partition(BESIDE)[0], value)
    return root


def _ordered(kinds: pa.Array, values: pa.Array) -> _Nodes:
    kind = pc.index_in(kinds, pa.array(KIND_NAMES)).to_numpy().astype(np.int64)
    by_group = sorted(range(len(KIND_NAMES)), key=lambda number: (_group_of(KIND_NAMES[number]), KIND_NAMES[number]))
    table = pa.table({"kind": np.argsort(by_group)[kind], "value": values})
    order = pc.sort_indices(table, [("kind", "ascending"), ("value", "ascending")]).to_numpy().astype(np.int64)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return _Nodes(kind[order], values.take(pa.array(order)).to_pylist(), place)


def _group_of(kind: str) -> int:
    """The group of a kind, -1 for one that links nobody."""
    return GROUPS.index(KINDS[kind][1]) if kind in KINDS else -1


def numbered(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """A number for each row, (rows,), and the text of each number."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def owners(column: pa.ChunkedArray, account_ids: Sequence[str]) -> Ints:
    """The place of each row's account among the ids, -1 for one that is not: (rows,)."""
    rows, names = numbered(column)
    return pc.index_in(names, pa.array(account_ids, pa.string())).fill_null(-1).to_numpy().astype(np.int64)[rows]


def each_once(numbers: Ints) -> Ints:
    """The distinct ones of numbers that are sorted in place; of very many, quicker than the hashing of `np.unique`."""
    numbers.sort()
    return numbers[np.append(True, numbers[1:] != numbers[:-1])[: len(numbers)]]


def _degrees(owner: Ints, group: Ints, account_count: int) -> Ints:
    """Values of each group that each account holds: (accounts, groups)."""
    counts = np.bincount(owner * len(GROUPS) + group, minlength=account_count * len(GROUPS))
    return counts.reshape(account_count, len(GROUPS)).astype(np.int64)
