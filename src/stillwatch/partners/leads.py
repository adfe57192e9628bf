"""Leads: what the inbox holds as values that the next detection looks for. A lead is never proof.

Why:    a partner has seen a campaign that may come to us, or has been here all along. Its word makes us look; only
        what we see ourselves makes a case.
Misses: values under keys that we do not hold; the detection leaves them out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch import store
from stillwatch.partners.inbox import Inbox
from stillwatch.partners.moments import moment
from stillwatch.partners.outcomes import LEAST_PRECISION, Record, records
from stillwatch.partners.received import Received, Standing
from stillwatch.records import LEADS, arrow_schema


@dataclass(frozen=True, slots=True)
class Sender:
    """What one sender's leads come to: indicators in force, left out for whatever reason, and how it has done."""

    partner: str
    sender: str
    indicators: int
    values: int
    left_out: Mapping[str, int]  # reason: indicators
    record: Record
    is_heard: bool  # its precision is not under the bound
    last_received_at: datetime | None
    valid_until: datetime | None  # of the indicator in force that lasts longest


def leads(inbox: Inbox, now: datetime, *, least_precision: float = LEAST_PRECISION) -> pa.Table:
    """Every value in force, columns as in `records.LEADS`, in order of its key.

    In force is what is neither expired, revoked nor replaced by what we cannot read, indicates a campaign that its
    sender has not revoked, and comes from a sender whose leads have been right often enough.

    Raises:
        StoreError: the inbox is damaged.
    """
    done = records(inbox.out, now=now)
    found = [
        (received, campaign, done.get(received.made_by, Record()).precision, verdict)
        for name in inbox.partners()
        for received, campaign, verdict in _in_force(inbox.objects(name), now)
    ]
    return _table([one for one in found if one[2] >= least_precision])


def _table(found: list[tuple[Received, str, float, str | None]]) -> pa.Table:
    """One row for each value, by columns: there may be millions."""
    schema = arrow_schema(LEADS)
    heads = [
        {
            "lead_id": received.object_id,
            "sender": received.made_by,
            "campaign_ref": campaign,
            "sender_verdict": verdict,
            **{name: received.body[name] for name in ("kind", "group_id", "epoch", "key_id")},
            "precision": precision,
            "valid_from": moment(received.body["valid_from"]),
            "valid_until": moment(received.body["valid_until"]),
            "received_at": received.received_at,
        }
        for received, campaign, precision, verdict in found
    ]
    values = [received.body["values"] for received, _, _, _ in found]
    whole = pa.schema([field for field in schema if field.name != "value"])
    of_row = pa.array(np.repeat(np.arange(len(heads)), [len(some) for some in values]), pa.int64())
    table = pa.Table.from_pylist(heads, schema=whole).take(of_row)
    table = table.append_column("value", pa.array(list(chain.from_iterable(values)), pa.string()))
    return table.select(schema.names).cast(schema).sort_by([("lead_id", "ascending"), ("value", "ascending")])


def write_leads(inbox: Inbox, now: datetime, *, least_precision: float = LEAST_PRECISION) -> pa.Table:
    """Write them to the folder, where the next detection reads them; what was written.

    Raises:
        StoreError: the inbox is damaged, or the folder cannot be written.
    """
    table = leads(inbox, now, least_precision=least_precision)
    inbox.folder.mkdir(parents=True, exist_ok=True)
    partial = inbox.folder / f".{store.LEADS}.partial"  # not beside the leads: a run that starts clears what is there
    pq.write_table(table, partial, compression="zstd")
    partial.replace(inbox.out / store.LEADS)
    return table


def senders(inbox: Inbox, now: datetime, *, least_precision: float = LEAST_PRECISION) -> list[Sender]:
    """What every sender's leads come to, by partner.

    Raises:
        StoreError: the inbox is damaged.
    """
    done = records(inbox.out, now=now)
    return [
        _sender(name, sender, inbox.objects(name), done.get(sender, Record()), least_precision, now)
        for name in inbox.partners()
        for sender in inbox.senders(name)
    ]


def _sender(
    name: str, sender: str, objects: Mapping[str, Received], record: Record, least: float, now: datetime
) -> Sender:
    own = {object_id: received for object_id, received in objects.items() if received.made_by == sender}
    campaigns = _campaigns(own)
    indicators = [received for received in own.values() if received.kind == "indicator"]
    left_out: dict[str, int] = {}
    in_force = []
    for received in indicators:
        reason = _left_out(received, campaigns, now)
        if reason is None:
            in_force.append(received)
        else:
            left_out[reason] = left_out.get(reason, 0) + 1
    return Sender(
        name,
        sender,
        len(in_force),
        sum(len(received.body["values"]) for received in in_force),
        left_out,
        record,
        record.precision >= least,
        max((received.received_at for received in indicators), default=None),
        max((_until(received) for received in in_force), default=None),
    )


def _in_force(objects: Mapping[str, Received], now: datetime) -> Iterator[tuple[Received, str, str | None]]:
    """Every indicator in force, with the campaign that it indicates and what its sender says of that."""
    campaigns = _campaigns(objects)
    for received in objects.values():
        if received.kind == "indicator" and _left_out(received, campaigns, now) is None:
            name = campaigns[received.object_id]
            campaign = objects.get(name)
            if campaign is None or campaign.made_by != received.made_by:
                yield received, name, None
            else:
                yield received, name, campaign.body.get("verdict")


def _left_out(received: Received, campaigns: Mapping[str, str], now: datetime) -> str | None:
    """Why an indicator is not in force; None when it is."""
    if received.standing is not Standing.current:
        return received.standing.value
    since, until = (moment(received.body.get(name)) for name in ("valid_from", "valid_until"))
    if until is None or until <= now:
        return "expired"
    if since is None or since > now:
        return "not yet valid"
    return None if received.object_id in campaigns else "without a campaign"


def _campaigns(objects: Mapping[str, Received]) -> dict[str, str]:
    """The campaign that each indicator indicates, by the word of the same sender; the first by id of several."""
    found: dict[str, str] = {}
    for tie in objects.values():
        if tie.kind != "relationship" or tie.standing is not Standing.current:
            continue
        source, target = tie.body["source"], tie.body["target"]
        campaign = objects.get(target)
        if campaign is not None and campaign.standing is Standing.revoked:
            continue
        if tie.made_by == getattr(objects.get(source), "made_by", None):
            found[source] = min(target, found.get(source, target))
    return found


def _until(received: Received) -> datetime:
    until = moment(received.body["valid_until"])
    if until is None:
        raise ValueError("an indicator in force lasts until some moment")
    return until
