"""What clusters did to get at the model's reasoning, and what they handed on of it.

All of their members' traffic is looked at, as what is tried bears no template yet. No verdict rests on it.
"""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from stillwatch.campaigns.attempts import Attempts, attempt_days, attempts_by, reaching_rows
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.handed_on import HandedOn, handed_on_by
from stillwatch.campaigns.tables import Tables, kept
from stillwatch.engines.base import Engine, IbisTable


def with_reasoning(found: Sequence[Facts], tables: Tables, engine: Engine) -> list[Facts]:
    """The same, with how their members reach for reasoning, and what they handed on of others'."""
    pairs = [(account, number) for number, one in enumerate(found) for account in one.account_ids]
    columns = {"account_id": pa.array([a for a, _ in pairs], pa.string()), "cluster_id": [n for _, n in pairs]}
    members = engine.memory(pa.table(columns, pa.schema([("account_id", pa.string()), ("cluster_id", pa.int64())])))
    attempts = _attempts(tables, members, engine) if tables.may_hold_prompts and pairs else {}
    handed_on = handed_on_by(tables.replays, members) if pairs else {}
    return [
        replace(one, attempts=attempts.get(number, Attempts()), handed_on=handed_on.get(number, HandedOn()))
        for number, one in enumerate(found)
    ]


def _attempts(tables: Tables, members: IbisTable, engine: Engine) -> dict[int, Attempts]:
    rows = tables.templated.inner_join(members, "account_id")
    names = ("cluster_id", "account_id", "template_id", "item_id", "started_at", "code", "is_refused")
    reaching = kept(reaching_rows(rows).select(*names), "reaching.parquet", tables, engine)
    days = attempt_days(reaching, "cluster_id")
    return {
        cluster: replace(attempts, days=days.get(cluster, []))
        for cluster, attempts in attempts_by(rows, reaching, "cluster_id").items()
    }
