"""Where a release goes: into the collection of its recipient, in the caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from stillwatch.errors import SharingError


class Publish(Protocol):
    """Hands released objects to a collection, in the caller's transaction."""

    def __call__(
        self, connection: sa.Connection, objects: Sequence[Mapping[str, Any]], /, *, collection_id: str, now: datetime
    ) -> object:
        """Objects as they left the gate; it asks nobody whether they may."""


def publish(
    connection: sa.Connection, objects: Sequence[Mapping[str, Any]], /, *, collection_id: str, now: datetime
) -> object:
    """Hand released objects to a collection.

    Raises:
        SharingError: there is no such collection.
    """
    del connection, objects, now
    raise SharingError(f"There is no collection {collection_id}. Nothing was released.")
