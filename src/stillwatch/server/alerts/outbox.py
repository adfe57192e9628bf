"""Queue what others shall be told, in the transaction of what happened: both are kept, or neither.

Why:    a receiver that is down must not make us forget, and nobody must hear of what was then undone.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

import sqlalchemy as sa

from stillwatch.server.database import Database
from stillwatch.server.tables import outbox

KINDS = (
    "campaign.opened",
    "campaign.grew",
    "recognised.found",
    "recognised.grew",
    "verification.required",
    "verification.passed",
    "verification.failed",
    "verification.expired",
    "verification.appealed",
    "decision.made",
)
MOST_FACTS, MOST_ITEMS, MOST_CHARS = 40, 100, 500
_SUBJECT_CHARS = 500
# Names under which text of customers travels elsewhere; a fact of that name is left out, whoever tells it.
_CONTENT = frozenset(
    ("prompt", "prompts", "completion", "system_prompt", "skeleton", "skeletons", "template", "templates", "text")
)


class Held(Protocol):
    """What is needed of a service: its records and its clock. Named here, because the parts that it holds tell too."""

    @property
    def database(self) -> Database:
        """Where messages are queued."""

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock."""


def tell(
    through: Held | sa.Connection,
    kind: str,
    subject: str,
    facts: Mapping[str, Any],
    *,
    now: datetime | None = None,
) -> None:
    """Queue one message: within the caller's transaction when given its connection (and `now`), else in one of its own.

    Facts are numbers, truths, short texts and lists of them; anything else is left out. The subject is a campaign or an
    account; of `decision.made` it is the account that the facts name, or else a campaign.

    Raises:
        ValueError: there is no such kind, or a connection comes without the moment.
    """
    if kind not in KINDS:
        raise ValueError(f"no such kind of message: {kind}. There are: {', '.join(KINDS)}.")
    if isinstance(through, sa.Connection):
        if now is None:
            raise ValueError("give now= beside a connection")
        _queue(through, kind, subject, facts, now)
        return
    with through.database.write() as connection:
        _queue(connection, kind, subject, facts, through.now())


def _queue(connection: sa.Connection, kind: str, subject: str, facts: Mapping[str, Any], now: datetime) -> None:
    row = {"message_id": f"msg_{uuid4().hex}", "kind": kind, "subject": subject[:_SUBJECT_CHARS], "at": now}
    is_of_campaign = kind.startswith(("campaign.", "recognised.")) or (
        kind == "decision.made" and "account_id" not in facts
    )
    about = "campaign" if is_of_campaign else "account"
    connection.execute(outbox.insert().values(**row, subject_kind=about, facts=plain(facts), is_routed=False))


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that may be told: no text of customers, nothing nested, nothing long."""
    told = {name: _value(value) for name, value in list(facts.items())[:MOST_FACTS] if name not in _CONTENT}
    return {name: value for name, value in told.items() if value is not _LEFT_OUT}


_LEFT_OUT = object()


def _value(value: Any) -> Any:
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
        kept = [_scalar(item) for item in items[:MOST_ITEMS]]
        return [item for item in kept if item is not _LEFT_OUT]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MOST_CHARS]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else _LEFT_OUT
