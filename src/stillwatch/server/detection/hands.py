"""What detection has others do: decide, attach a newcomer, tell people. Given by whoever puts the service together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa


class Reconcile(Protocol):
    """Brings the decisions in line with the campaigns of a detection, in the caller's transaction."""

    def __call__(
        self, connection: sa.Connection, campaigns: Sequence[Mapping[str, Any]], /, *, now: datetime, policy_name: str
    ) -> object:
        """Campaigns as in campaigns.json, all of them."""


class Attach(Protocol):
    """Has a newcomer verify itself until a moment, and no more."""

    def __call__(
        self,
        connection: sa.Connection,
        /,
        *,
        account_id: str,
        campaign_id: str,
        because: str,
        evidence: Sequence[Any],
        now: datetime,
        expires_at: datetime,
    ) -> object:
        """Evidence as in a campaign, one trait per independent group."""


class Tell(Protocol):
    """Queues what people are to be told of a campaign, in the caller's transaction."""

    def __call__(
        self, connection: sa.Connection, kind: str, subject: str, facts: dict[str, Any], /, *, now: datetime
    ) -> object:
        """Kinds are campaign.opened and .grew, recognised.found and .grew; the subject is the campaign's id."""


@dataclass(frozen=True, slots=True)
class Hands:
    """The three of them."""

    reconcile: Reconcile
    attach: Attach
    tell: Tell
