"""Leads that are wrong: what each kind of innocent customer says, sent as the wordings of a campaign.

The worst a partner can do by mistake or malice: it is trusted as if its leads had always proved right, says that every
one of these is distillation, and knows exactly which fingerprints these customers use and hardly anybody else.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch import leads
from stillwatch.engines.base import IbisTable
from stillwatch.records import LEADS, arrow_schema
from stillwatch.sharing import GroupKey, keyed
from stillwatch.sharing.keyed import keyed_name

TRUSTED = 0.95
MOST_VALUES = 512
RARE_SHARE = 0.02  # of everybody else that use it
KEY = GroupKey("g-planted", 1, bytes(32))


def planted(signals: IbisTable, truth: Path) -> leads.Sent:
    """One wrong lead for each segment of innocent customers that shares any wordings."""
    rows = pq.read_table(truth, columns=["account_id", "segment", "is_hostile"]).to_pylist()
    return _sent(signals, {row["account_id"]: row["segment"] for row in rows if not row["is_hostile"]})


def unrelated(signals: IbisTable, truth: Path) -> leads.Sent:
    """A true lead for each campaign of a world, to be sent where none of them is."""
    rows = pq.read_table(truth, columns=["account_id", "campaign"]).to_pylist()
    return _sent(signals, {row["account_id"]: row["campaign"] for row in rows if row["campaign"]})


def _sent(signals: IbisTable, segment: Mapping[str, str]) -> leads.Sent:
    """A lead for each segment: the wordings that its accounts use and hardly anybody else."""
    shown = signals.filter(signals.sketch.notnull()).select("account_id", fingerprint=signals.sketch.unnest())
    pairs = shown.filter(shown.fingerprint != 0).distinct().to_pyarrow()
    holders: dict[int, list[str]] = defaultdict(list)
    for account_id, value in zip(pairs["account_id"].to_pylist(), pairs["fingerprint"].to_pylist(), strict=True):
        holders[value].append(account_id)
    used: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for value, accounts in holders.items():
        counts: dict[str, int] = defaultdict(int)
        for account_id in accounts:
            counts[segment.get(account_id, "")] += 1
        name, inside = max(counts.items(), key=lambda item: (item[1], item[0]))
        if name and inside >= 3 and len(accounts) - inside <= RARE_SHARE * len(segment):
            used[name].append((inside, value))
    table = [
        row for name, values in sorted(used.items()) for row in _rows(name, sorted(values, reverse=True)[:MOST_VALUES])
    ]
    return leads.sent(
        pa.Table.from_pylist(table, arrow_schema(LEADS)), {(KEY.group_id, KEY.epoch): KEY}, datetime.now(UTC)
    )


def _rows(name: str, values: list[tuple[int, int]]) -> list[dict[str, object]]:
    now = datetime.now(UTC)
    words = keyed(np.array([value for _, value in values], np.int64), leads.KIND, KEY)
    return [
        {
            "lead_id": f"indicator--{name}",
            "sender": "identity--planted",
            "campaign_ref": f"campaign--{name}",
            "sender_verdict": "distillation",
            "kind": leads.KIND,
            "value": keyed_name(word),
            "group_id": KEY.group_id,
            "epoch": KEY.epoch,
            "key_id": None,
            "precision": TRUSTED,
            "valid_from": now - timedelta(days=1),
            "valid_until": now + timedelta(days=1),
            "received_at": now,
        }
        for word in words.tolist()
    ]
