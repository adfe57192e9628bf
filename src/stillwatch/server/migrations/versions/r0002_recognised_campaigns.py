"""recognised campaigns."""

import sqlalchemy as sa
from alembic import op

from stillwatch.server.tables.base import Document, Moment

revision, down_revision = "r0002", "r0001"
branch_labels = depends_on = None


def upgrade() -> None:
    """Bring the schema one step on."""
    op.create_table(
        "recognised_campaigns",
        sa.Column("campaign_ref", sa.String(length=100), nullable=False),
        sa.Column("sender", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("support", sa.String(length=20), nullable=False),
        sa.Column("document", Document, nullable=False),
        sa.Column("first_seen_at", Moment(), nullable=False),
        sa.Column("last_seen_at", Moment(), nullable=False),
        sa.Column("accounts", sa.BigInteger(), nullable=False),
        sa.Column("exchanges", sa.BigInteger(), nullable=False),
        sa.Column("detected_at", Moment(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("told_support", sa.String(length=20), nullable=True),
        sa.Column("told_accounts", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("campaign_ref", name=op.f("pk_recognised_campaigns")),
        info={"retention": "decisions_days", "since": "last_seen_at"},
    )
