"""Moments as STIX and TAXII write them, and as they are kept: microseconds since 1970, versions as text that sorts."""

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z", re.ASCII)
_DIGITS = 9  # after the second, of a version as it is kept
_US = timedelta(microseconds=1)


def in_us(moment: datetime) -> int:
    """A moment in microseconds since 1970."""
    return (moment - _EPOCH) // _US


def at_us(number: int) -> datetime:
    """The moment so many microseconds after 1970."""
    return _EPOCH + number * _US


def told(number: int) -> str:
    """The moment so many microseconds after 1970, as TAXII wants it: six digits after the second."""
    return at_us(number).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def us_of(text: str) -> int | None:
    """Microseconds since 1970 of a moment as text, the digits after the sixth dropped; None when it is none."""
    version = version_of(text)
    if version is None:
        return None
    return in_us(datetime.fromisoformat(f"{version[:26]}+00:00"))


def version_of(text: object) -> str | None:
    """A moment as the text that versions are compared by; None when it is none."""
    found = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        datetime.fromisoformat(f"{found[1]}+00:00")
    except ValueError:
        return None
    return f"{found[1]}.{(found[2] or '').ljust(_DIGITS, '0')}Z"


def told_version(version: str) -> str:
    """A version as the object has it: no zeros at the end, but at least three digits after the second."""
    whole, _, digits = version.removesuffix("Z").partition(".")
    return f"{whole}.{digits.rstrip('0').ljust(3, '0')}Z"
