"""What was decided about accounts, who approved it, and a number that moves with every change."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from stillwatch.server.tables.base import Document, Moment, kept, metadata

ACCOUNT_ID_CHARACTERS = 500  # longer ids are not decided about

# One row per decision. `campaign_id` is null when a person decided by hand. `source` is the policy with version and
# rule, `newcomer`, or `person`; `author` answers for it. `state` is proposed, active, undone, expired, withdrawn or
# replaced; the last four have an end. `changed` is the number of the change that touched the row last.
decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", String(20), primary_key=True),
    Column("account_id", String(ACCOUNT_ID_CHARACTERS), nullable=False, index=True),
    Column("campaign_id", String(100)),
    Column("action", String(20), nullable=False),
    Column("check", String(40)),
    Column("because", Text, nullable=False),
    Column("evidence", Document, nullable=False),
    Column("source", String(300), nullable=False),
    Column("author", String(250), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("approvals_needed", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("ended_at", Moment),
    Column("ended_by", String(250)),
    Column("ended_because", Text),
    Column("changed", BigInteger, nullable=False, index=True),
    Index("ix_decisions_campaign_id_state", "campaign_id", "state"),
    Index("ix_decisions_state_expires_at", "state", "expires_at"),
    info=kept("decisions_days", "ended_at"),
)

# One row per decision and person who approved it.
approvals = Table(
    "approvals",
    metadata,
    Column(
        "decision_id", String(20), ForeignKey("decisions.decision_id", ondelete="CASCADE"), primary_key=True, index=True
    ),
    Column("principal", String(250), primary_key=True),
    Column("at", Moment, nullable=False),
    info=kept(None),
)

# One row per action that somebody stopped, whatever the settings say: it is in shadow for everybody.
brakes = Table(
    "brakes",
    metadata,
    Column("action", String(20), primary_key=True),
    Column("principal", String(250), nullable=False),
    Column("at", Moment, nullable=False),
    Column("because", Text, nullable=False),
    info=kept(None),
)

# One row per thing that others follow: the number of its newest change.
changes = Table(
    "changes",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("number", BigInteger, nullable=False),
    info=kept(None),
)
