"""Moments as partners write them: RFC 3339 in UTC, and nothing else.

Why:    a reader of dates that guesses can be made to guess wrong. What fits no pattern is no moment.
Source: OASIS, "STIX Version 2.1", 2021, section 2.16 (timestamp).
"""

import re
from datetime import UTC, datetime

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")


def moment(told: object) -> datetime | None:
    """The moment that a text writes; None for everything that is not one.

    >>> moment("2026-03-01T12:00:00.5Z").microsecond
    500000
    >>> moment("yesterday") is moment(5) is None
    True
    """
    if not isinstance(told, str) or not _MOMENT.fullmatch(told):
        return None
    try:
        return datetime.fromisoformat(told).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def written(at: datetime) -> str:
    """A moment as partners and our own files write it, to the microsecond: texts sort as moments do."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
