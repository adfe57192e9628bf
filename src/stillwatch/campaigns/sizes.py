"""Are the same requests sent again and again? Told by how large they are, where no text is kept.

Why:    machines of one customer send few requests over and over; each has as many input tokens as the last time. What
        people write and what a corpus holds is of any size, and a size is then hardly commoner than its neighbours.
Misses: requests that carry a time or a changing file; logs without input tokens.
Source: own; the share of coincidences at a distance of nought beyond that at one is the jump at nought of the
        correlogram that geostatistics calls a nugget.

Whoever pads requests to a few sizes looks the same. So sizes explain nothing by themselves: see `hypotheses/ci_fleet`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis

from stillwatch.engines.base import IbisTable


@dataclass(frozen=True, slots=True)
class Sizes:
    """`exchanges` with a size; ordered pairs of them of the `same` model and size, and of `next` sizes, one way."""

    exchanges: int = 0
    same: int = 0
    next: int = 0

    @property
    def again(self) -> float:
        """How often the average request was sent once more, beyond what its neighbours in size explain."""
        return max(self.same - self.next, 0) / self.exchanges if self.exchanges else 0.0

    @property
    def beyond_chance(self) -> float:
        """Share of the coincidences of size that neighbouring sizes do not explain, 0 to 1."""
        return max(self.same - self.next, 0) / self.same if self.same else 0.0


def counted(sizes: Mapping[tuple[str, int], int]) -> Sizes:
    """Sizes from exchanges per model and input tokens."""
    return Sizes(
        exchanges=sum(sizes.values()),
        same=sum(n * (n - 1) for n in sizes.values()),
        next=sum(n * sizes.get((model, tokens + 1), 0) for (model, tokens), n in sizes.items()),
    )


def sizes_by(content: IbisTable, members: IbisTable) -> dict[int, Sizes]:
    """Sizes of each cluster's exchanges; `members` has `account_id` and `cluster_id`."""
    rows = content.filter(content.input_tokens.notnull()).inner_join(members, "account_id")
    sent = rows.group_by(["cluster_id", "model", "input_tokens"]).aggregate(n=ibis._.count())
    found: dict[int, dict[tuple[str, int], int]] = {}
    for row in _rows(sent):
        found.setdefault(row["cluster_id"], {})[row["model"], row["input_tokens"]] = int(row["n"])
    return {cluster: counted(sizes) for cluster, sizes in found.items()}


def _rows(table: IbisTable) -> Sequence[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = table.to_pyarrow().to_pylist()
    return rows
