"""What the accounts that bear one lead share here beside it, group by group.

Why:    accounts with the same wordings may be one campaign, or readers of one text; cards, devices and addresses tell
        which, and a partner's word does not.
Misses: what an operator buys anew for every account. What the bearers of a public text share by living alike is no
        different from what a campaign of the same size shares.
Source: the tests of `evidence.cohesion`, on all bearers of a lead as one set that nobody here chose.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa

from stillwatch.linkage.clusters import Clusters, insiders
from stillwatch.linkage.evidence import cohesion, steps
from stillwatch.linkage.holdings import CONTENT, GROUPS, Floats, Holdings, Ints
from stillwatch.linkage.lockstep import Starts
from stillwatch.records import LEAD_KIND

SHARED_SCHEMA = pa.schema(
    [
        ("lead", pa.string()),
        ("group", pa.string()),
        ("linked", pa.int64()),
        ("expected", pa.float64()),
        ("principals", pa.int64()),
        ("p_value", pa.float64()),
    ]
)


def shared_by_bearers(of: Holdings, starts: Starts, *, outsiders: Collection[str]) -> pa.Table:
    """One row per lead, and group in which its bearers share more than as many accounts would by chance.

    `linked` of the `principals` that bear it share a value of the group, `expected` would; content is left out, as a
    lead is content. `outsiders` bear nothing.
    """
    inside = insiders(of, outsiders)[of.accounts]
    bearers = {number: of.accounts[inside & (of.held == number)] for number in _leads(of)}
    tables = [_shared(of, starts, chosen) for chosen in _apart(bearers)]
    return pa.concat_tables([SHARED_SCHEMA.empty_table(), *tables]).sort_by([("lead", "ascending")])


def _leads(of: Holdings) -> list[int]:
    return np.flatnonzero(of.is_of([LEAD_KIND])).tolist()


def _apart(bearers: Mapping[int, Ints]) -> list[dict[int, Ints]]:
    """The leads with their bearers in as few parts as comes easily, so that no account bears two of a part."""
    parts: list[tuple[dict[int, Ints], set[int]]] = []
    for lead, accounts in bearers.items():
        own = set(accounts.tolist())
        chosen, taken = next((part for part in parts if not own & part[1]), ({}, set()))
        if not chosen:
            parts.append((chosen, taken))
        chosen[lead] = accounts
        taken |= own
    return [chosen for chosen, _ in parts]


def _shared(of: Holdings, starts: Starts, bearers: Mapping[int, Ints]) -> pa.Table:
    """The rows of leads that no account bears two of."""
    leads = list(bearers)
    labels: Ints = np.full(of.account_count, -1, np.int64)
    for number, lead in enumerate(leads):
        labels[bearers[lead]] = number
    nothing: Floats = np.zeros(of.account_count)
    sets = Clusters(labels, nothing, np.zeros(of.account_count, np.int64), labels)
    rows = cohesion(of, sets, steps(sets, starts)).to_pylist()
    told = [
        {"lead": of.values[leads[row["cluster_id"]]], **{name: row[name] for name in SHARED_SCHEMA.names[1:]}}
        for row in rows
        if row["group"] != GROUPS[CONTENT]
    ]
    return pa.Table.from_pylist(told, SHARED_SCHEMA)
