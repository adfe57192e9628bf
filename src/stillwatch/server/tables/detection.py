"""Detections, the campaigns they found, who is in them, and what analysts said about either."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from stillwatch.server.tables.base import Document, Moment, kept, metadata

# One row per detection, in order of `number`. `outcome` is requested, running, done, failed, stopped or interrupted
# (its process died); `inputs` names everything it read, so that the next one can tell whether there is anything new.
detections = Table(
    "detections",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("requested_by", String(200)),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("seconds", Float),
    Column("exchanges", BigInteger),
    Column("accounts", BigInteger),
    Column("campaigns", Integer),
    Column("outcome", String(20), nullable=False),
    Column("reason", Text),
    Column("inputs", String(64)),
    info=kept("decisions_days", "ended_at"),
)

# One row per campaign ever found. `document` is the campaign of `campaigns.json` without any account id: who is in it
# stands in `campaign_accounts` alone. `state` is open when the last detection found it, else dormant; `run` is the
# detection that found it last. What was told of it, null when nothing was, says when it has grown enough to tell again.
campaigns = Table(
    "campaigns",
    metadata,
    Column("campaign_id", String(64), primary_key=True),
    Column("verdict", String(20), nullable=False),
    Column("state", String(10), nullable=False),
    Column("document", Document, nullable=False),
    Column("first_seen_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("accounts", BigInteger, nullable=False),
    Column("exchanges", BigInteger, nullable=False),
    Column("detected_at", Moment, nullable=False),
    Column("run", Integer, nullable=False),
    Column("told_verdict", String(20)),
    Column("told_accounts", BigInteger),
    Column("told_exchanges", BigInteger),
    info=kept("decisions_days", "last_seen_at"),
)

# One row per campaign and account that was ever a member; `left_at` is null while it is one. `is_compromised`: its key
# looks stolen, and its holder is a victim.
campaign_accounts = Table(
    "campaign_accounts",
    metadata,
    Column("campaign_id", String(64), primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("joined_at", Moment, nullable=False),
    Column("left_at", Moment),
    Column("is_compromised", Integer, nullable=False, default=0),
    Index("ix_campaign_accounts_account_id", "account_id"),
    info=kept("decisions_days", "left_at"),
)

# One row per verdict of an analyst, columns as in `records.VERDICT_RECORDS`; the newest of a subject counts.
analyst_verdicts = Table(
    "analyst_verdicts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("subject_kind", String(10), nullable=False),
    Column("verdict", String(10), nullable=False),
    Column("because", Text, nullable=False),
    Column("author", String(200), nullable=False),
    Column("decided_at", Moment, nullable=False),
    info=kept(None),
)

# One row per campaign of a partner that was ever recognised here. `document` is what `recognised.json` says of it,
# without any account id: who bears it stands in that file. `state` is open while the last detection recognised it, else
# dormant. What was told of it, null when nothing was, says when there is more to tell.
recognised_campaigns = Table(
    "recognised_campaigns",
    metadata,
    Column("campaign_ref", String(100), primary_key=True),
    Column("sender", String(100), nullable=False),
    Column("state", String(10), nullable=False),
    Column("support", String(20), nullable=False),
    Column("document", Document, nullable=False),
    Column("first_seen_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("accounts", BigInteger, nullable=False),
    Column("exchanges", BigInteger, nullable=False),
    Column("detected_at", Moment, nullable=False),
    Column("run", Integer, nullable=False),
    Column("told_support", String(20)),
    Column("told_accounts", BigInteger),
    info=kept("decisions_days", "last_seen_at"),
)
