"""What partners sent, made ready for linkage; and which campaigns bear it, for the senders to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.engines.base import Engine, IbisTable
from stillwatch.linkage import NO_LEADS, Leads, Received
from stillwatch.records import LEAD_MATCHES, LEADS, arrow_schema
from stillwatch.sharing import GroupKey, keyed


@dataclass(frozen=True, slots=True)
class Sent:
    """What partners sent: rows as in `records.LEADS`, of wordings whose key is held, and the same for linkage."""

    rows: pa.Table
    leads: Leads

    @property
    def harvests(self) -> dict[str, float]:
        """Of campaigns that their senders found to be distillation: how often the sender proved right."""
        told = zip(self.rows["campaign_ref"].to_pylist(), self.rows["sender_verdict"].to_pylist(), strict=True)
        return {name: self.leads.precision[name] for name, verdict in told if verdict == "distillation"}


NOTHING_SENT = Sent(arrow_schema(LEADS).empty_table(), NO_LEADS)
KIND = "wording"  # of the rows that linkage can use; other kinds are for people to look at
GroupKeys = Mapping[tuple[str, int], GroupKey]


def sent(received: pa.Table, keys: GroupKeys, at: datetime) -> Sent:
    """What is usable at a moment of what was received, columns as in `records.LEADS`; leads most trusted first."""
    rows = _usable(received, keys, at)
    return Sent(rows, _leads(rows, keys))


def _usable(received: pa.Table, keys: GroupKeys, at: datetime) -> pa.Table:
    """The wordings that are valid then and whose key is held."""
    moment = pa.scalar(at, received.schema.field("valid_from").type)
    valid = pc.and_(pc.less_equal(received["valid_from"], moment), pc.greater(received["valid_until"], moment))
    rows = received.filter(pc.and_(valid, pc.equal(received["kind"], KIND)))
    names = zip(rows["group_id"].to_pylist(), rows["epoch"].to_pylist(), strict=True)
    return rows.filter(pa.array([name in keys for name in names], pa.bool_()))


def _leads(rows: pa.Table, keys: GroupKeys) -> Leads:
    """The rows as linkage takes them: one lead per campaign of a sender."""
    trust: dict[str, float] = {}
    for name, precision in zip(rows["campaign_ref"].to_pylist(), rows["precision"].to_pylist(), strict=True):
        trust[name] = min(trust.get(name, 1.0), precision)
    names = sorted(trust, key=lambda name: (-trust[name], name))
    number = {name: i for i, name in enumerate(names)}
    under: dict[tuple[str, int], dict[int, int]] = {}
    for row in rows.select(["group_id", "epoch", "value", "campaign_ref"]).to_pylist():
        values = under.setdefault((row["group_id"], row["epoch"]), {})
        value, mine = int(row["value"], 16), number[row["campaign_ref"]]
        values[value] = min(values.get(value, mine), mine)
    received = [
        Received(partial(keyed, kind=KIND, key=keys[name]), campaign_of) for name, campaign_of in sorted(under.items())
    ]
    return Leads({name: trust[name] for name in names}, received)


def matches(of: Sent, templated: IbisTable, campaigns: Sequence[Mapping[str, Any]], engine: Engine) -> pa.Table:
    """Which campaigns bear which leads, and how many accounts in none; columns as in `records.LEAD_MATCHES`."""
    schema = arrow_schema(LEAD_MATCHES)
    if not of.leads.precision:
        return schema.empty_table()
    members = [(account, c["campaign_id"], c["verdict"]) for c in campaigns for account in c["account_ids"]]
    names = ("account_id", "campaign_id", "verdict")
    columns = {name: pa.array([row[i] for row in members], pa.string()) for i, name in enumerate(names)}
    bearing = templated.filter(templated.lead.notnull()).left_join(engine.memory(pa.table(columns)), "account_id")
    counted = bearing.group_by(["lead", "campaign_id", "verdict"]).aggregate(
        accounts=bearing.account_id.nunique(),
        exchanges=bearing.count(),
        first_seen_at=bearing.started_at.min().truncate("h"),
        last_seen_at=bearing.started_at.max().truncate("h"),
    )
    about = [of.rows[name].to_pylist() for name in ("campaign_ref", "lead_id", "sender")]
    senders = sorted(set(zip(*about, strict=True)))
    found = [
        {**row, "lead_id": lead_id, "sender": sender}
        for row in counted.to_pyarrow().to_pylist()
        for campaign, lead_id, sender in senders
        if campaign == of.leads.campaigns[row["lead"]]
    ]
    found.sort(key=lambda row: (row["lead_id"], row["campaign_id"] or ""))
    return pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in found], schema)
