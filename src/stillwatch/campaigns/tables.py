"""The stage tables that the tests of campaigns read, who is in which cluster, and where to write what is read twice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from stillwatch.engines.base import Engine, IbisTable

PROMPTED = ("text_id", "script", "intents", "embedding")  # what is read of prompts


@dataclass(frozen=True, slots=True)
class Tables:
    """The stage tables the campaign tests read: Ibis for what is large, Arrow for what fits the driver.

    `columns` are those of the exchanges that hold anything; `borne`, when it was written already, is what `bearing`
    gives; `precision` how often the sender of each lead proved right; `content` the exchanges with their input tokens;
    `taken` the output tokens of every account; `work` a folder for what several questions read, which each asks for
    again where there is none. Where it was counted already, `said` is what `family_texts` gives, and `senders` what
    `senders_by` gives by cluster of what is borne and not public. `owned` are the traits of members that tell their
    owner, as `owners.owned` gives them, and `placed` those that tell their place, as `places.placed` does.
    """

    templated: IbisTable
    activity: IbisTable
    replays: IbisTable
    accounts: pa.Table
    members: pa.Table
    evidence: pa.Table
    cohesion: pa.Table
    columns: frozenset[str] = frozenset()
    borne: IbisTable | None = None
    precision: Mapping[str, float] = field(default_factory=dict)
    content: IbisTable | None = None
    taken: Mapping[str, int] = field(default_factory=dict)
    work: Path | None = None
    said: IbisTable | None = None
    senders: IbisTable | None = None
    owned: pa.Table | None = None
    placed: pa.Table | None = None

    @property
    def may_hold_prompts(self) -> bool:
        """Whether prompts were logged; they may have been where nobody looked."""
        return not self.columns or any(name in self.columns for name in PROMPTED)


def members_of(tables: Tables, engine: Engine) -> IbisTable:
    """The members: account_id, cluster_id and their rows."""
    return engine.memory(with_rows(tables.members.select(["account_id", "cluster_id"])))


def with_rows(members: pa.Table) -> pa.Table:
    """The members with their rows, as `member`: by these they are called in what is borne."""
    return members.append_column("member", pa.array(range(members.num_rows), pa.int64()))


def by_cluster(members: pa.Table) -> dict[int, list[str]]:
    """The accounts of each cluster, by name."""
    found: dict[int, list[str]] = {}
    for account_id, cluster in zip(members["account_id"].to_pylist(), members["cluster_id"].to_pylist(), strict=True):
        found.setdefault(cluster, []).append(account_id)
    return {cluster: sorted(ids) for cluster, ids in found.items()}


def kept(rows: IbisTable, name: str, tables: Tables, engine: Engine) -> IbisTable:
    """The rows, written once where there is a folder for it."""
    return rows if tables.work is None else engine.write(rows, tables.work / name)
