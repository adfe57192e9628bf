"""Alembic runs this: over the connection it is given, in the transaction that is open."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

from stillwatch.server.tables import Moment, metadata


def rendered(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Types of ours by their names, so that a step reads like a table."""
    name = "Moment" if isinstance(item, Moment) else "Document" if isinstance(item, sa.JSON) else None
    if kind != "type" or name is None:
        return False
    autogen.imports.add(f"from stillwatch.server.tables.base import {name}")
    return f"{name}" if name == "Document" else "Moment()"


connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_item=rendered, render_as_batch=True)
context.run_migrations()
