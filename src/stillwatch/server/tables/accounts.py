"""Accounts as they are told, the checks they are asked for, and the results that were taken in already."""

import pyarrow as pa
from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from stillwatch.records import ACCOUNTS, TIMESTAMP
from stillwatch.server.tables.base import Moment, kept, metadata

ID_CHARS = 500  # of an account, with its namespace; of any other value told of it


def _type(kind: pa.DataType) -> Moment | String:
    return Moment() if kind == TIMESTAMP else String(ID_CHARS)


# One row per account: the columns of records.ACCOUNTS, identifiers hashed. `sequence` grows with every change, so that
# a reader that knows how far it has come sees what is new. The indexes count who signed up with what, and when.
accounts = Table(
    "accounts",
    metadata,
    *(
        Column(c.name, _type(c.type), primary_key=c.name == "account_id", nullable=not c.required)
        for c in ACCOUNTS.columns
    ),
    Column("updated_at", Moment, nullable=False),
    Column("sequence", BigInteger, nullable=False, unique=True),
    Index("ix_accounts_device", "device_fingerprint", "created_at"),
    Index("ix_accounts_address", "signup_ip", "created_at"),
    Index("ix_accounts_prefix", "signup_ip_prefix", "created_at"),
    Index("ix_accounts_domain", "email_domain", "created_at"),
    Index("ix_accounts_pattern", "email_domain", "email_pattern", "created_at"),
    info=kept("accounts_days", "updated_at"),
)

# One row per check asked of an account; accounts/verifications.py draws its states. `programme` is null when no
# programme asked, `decision_id` when no decision did. `reference` is what the vendor calls it by, from its start on.
# `renew_at`: when a pass is asked for again; `renewed_by`: the row that asks. `evidence_digest` names the evidence,
# which stays with whoever looked at it.
verifications = Table(
    "verifications",
    metadata,
    Column("verification_id", String(40), primary_key=True),
    Column("account_id", String(ID_CHARS), nullable=False, index=True),
    Column("check", String(40), nullable=False),
    Column("programme", String(40)),
    Column("state", String(16), nullable=False),
    Column("asked_because", String(500), nullable=False),
    Column("asked_by", String(200), nullable=False),
    Column("decision_id", String(100), index=True),
    Column("created_at", Moment, nullable=False, index=True),
    Column("deadline_at", Moment, nullable=False),
    Column("renew_after_days", Integer),
    Column("started_at", Moment),
    Column("reference", String(64), unique=True),
    Column("decided_at", Moment),
    Column("decided_by", String(200)),
    Column("decided_because", String(500)),
    Column("evidence_digest", String(128)),
    Column("appealed_at", Moment),
    Column("appealed_by", String(200)),
    Column("appeal_because", String(500)),
    Column("renew_at", Moment),
    Column("renewed_by", String(40)),
    Index("ix_verifications_deadline", "state", "deadline_at"),
    info=kept("accounts_days", "created_at"),
)

# One row per signed webhook that was taken in: the same id again changes nothing.
webhook_receipts = Table(
    "webhook_receipts",
    metadata,
    Column("webhook_id", String(200), primary_key=True),
    Column("verification_id", String(40), nullable=False),
    Column("received_at", Moment, nullable=False, index=True),
    info=kept(None),  # accounts/results.py forgets them
)
