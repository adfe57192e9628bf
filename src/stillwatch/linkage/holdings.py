"""Who holds which trait, as integers: the form in which weights, null, clusters and tests are computed.

group       a set of kinds that move together; evidence counts once per group
degree      number of values of a group that an account holds
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.records import KINDS, LEAD_KIND

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

GROUPS = tuple(dict.fromkeys(group for _, group, _ in KINDS.values()))
CONTENT = GROUPS.index("content")
PARTNER = GROUPS.index(KINDS[LEAD_KIND][1])  # wordings that others sent


@dataclass(frozen=True, slots=True)
class Holdings:
    """The account-trait incidence.

    `account_ids` (accounts,) sorted strings; `kinds`, `values` (values,) names of the value nodes, sorted by group,
    kind and value; `group` (values,) index into GROUPS; `accounts`, `held` (edges,) account and value of each edge,
    sorted by account then value; `start` (accounts + 1,) first edge of each account; `degree`
    (accounts, groups) values held of each group, those nobody else holds included.
    """

    account_ids: list[str]
    kinds: list[str]
    values: list[str]
    group: Ints
    accounts: Ints
    held: Ints
    start: Ints
    degree: Ints

    @property
    def account_count(self) -> int:
        """Accounts, whether they hold anything or not."""
        return len(self.account_ids)

    @property
    def holder_counts(self) -> Ints:
        """Accounts that hold each value: (values,)."""
        return np.bincount(self.held, minlength=len(self.values)).astype(np.int64)


def holdings(traits: pa.Table, account_ids: list[str]) -> Holdings:
    """Index the trait table; values held by one account only are left out, as they link nobody."""
    rows = traits.select(["account_id", "kind", "value"])
    rows = rows.filter(pc.is_in(rows["kind"], pa.array(list(KINDS))))
    totals = rows.group_by(["account_id", "kind", "value"]).aggregate([])
    names = totals.group_by(["kind", "value"]).aggregate([("account_id", "count")])
    names = names.filter(pc.greater_equal(names["account_id_count"], 2)).select(["kind", "value"])
    group_of = {kind: GROUPS.index(group) for kind, (_, group, _) in KINDS.items()}
    order = sorted(
        zip(names["kind"].to_pylist(), names["value"].to_pylist(), strict=True), key=lambda kv: (group_of[kv[0]], *kv)
    )
    nodes = pa.table(
        {
            "kind": pa.array([kind for kind, _ in order], pa.string()),
            "value": pa.array([value for _, value in order], pa.string()),
            "node": pa.array(range(len(order)), pa.int64()),
        }
    )
    known = sorted(account_ids)
    owners = pa.table({"account_id": pa.array(known, pa.string()), "account": pa.array(range(len(known)), pa.int64())})
    edges = totals.join(nodes, ["kind", "value"], join_type="inner").join(owners, "account_id", join_type="inner")
    edges = edges.sort_by([("account", "ascending"), ("node", "ascending")])
    accounts = np.asarray(edges["account"], dtype=np.int64)
    return Holdings(
        account_ids=known,
        kinds=[kind for kind, _ in order],
        values=[value for _, value in order],
        group=np.array([group_of[kind] for kind, _ in order], dtype=np.int64),
        accounts=accounts,
        held=np.asarray(edges["node"], dtype=np.int64),
        start=np.searchsorted(accounts, np.arange(len(known) + 1)).astype(np.int64),
        degree=_degrees(totals.join(owners, "account_id", join_type="inner"), group_of, len(known)),
    )


def _degrees(totals: pa.Table, group_of: dict[str, int], account_count: int) -> Ints:
    """Values of each group that each account holds: (accounts, groups)."""
    kinds = totals["kind"].combine_chunks().dictionary_encode()
    groups = np.array([group_of[kind] for kind in kinds.dictionary.to_pylist()], dtype=np.int64)
    counts = np.zeros((account_count, len(GROUPS)), dtype=np.int64)
    owners = np.asarray(totals["account"], dtype=np.int64)
    if len(owners):
        np.add.at(counts, (owners, groups[np.asarray(kinds.indices)]), 1)
    return counts
