"""${message}."""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision, down_revision = ${repr(up_revision)}, ${repr(down_revision)}
branch_labels = depends_on = None


def upgrade() -> None:
    """Bring the schema one step on."""
    ${upgrades if upgrades else "pass"}
