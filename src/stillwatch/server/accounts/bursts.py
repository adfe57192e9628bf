"""Sign-ups that come in a burst: many in one hour with one device, one shape of address, or one range of addresses.

Why:    accounts opened by program come many at once, from one machine or with addresses made by one rule.
Misses: programs that take their time; machines cloned from one image (a computer pool) look like one device.
Source: Poisson and binomial tail tests of a count against its usual rate; the levels are our own.

    device    more sign-ups in the hour than its own usual rate explains
    pattern   more of the domain's sign-ups have this shape than usual: a day on which everybody comes changes nothing.
              Only for domains in wide use, because a class or a company has one rule for its own addresses
    range     noticed and never weighed: a class, an office and a carrier look the same
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from scipy import stats

from stillwatch.server.tables import accounts

WINDOW = timedelta(hours=1)
USUAL = timedelta(days=7)  # before the window: what the usual rate is taken from
MIN_SIGNUPS = {"device": 5, "email_pattern": 10, "ip_prefix": 10}  # in the window, before anything is tested
P_VALUE = 1e-6  # about one false burst in a million sign-ups
MIN_DOMAIN_SIGNUPS = 200  # in the usual time: a domain in wide use
LEAST_RATE = 0.05  # sign-ups per hour of a device never seen before
_MOST_COUNTED = 5000  # more are not told apart


@dataclass(frozen=True, slots=True)
class Burst:
    """A kind of trait that came in a burst, how many sign-ups with it, and whether that weighs anything."""

    kind: str
    signups: int
    weighs: bool


def bursts(connection: sa.Connection, row: Mapping[str, Any]) -> list[Burst]:
    """The bursts that an account signed up in; none when nobody told when it did."""
    at = row["created_at"]
    if at is None:
        return []
    found = [_of_device(connection, row, at), _of_pattern(connection, row, at), _of_prefix(connection, row, at)]
    return [burst for burst in found if burst is not None]


def _of_device(connection: sa.Connection, row: Mapping[str, Any], at: datetime) -> Burst | None:
    here = _holds(row, "device_fingerprint")
    if here is None:
        return None
    signups = _count(connection, here, at - WINDOW, at)
    if signups < MIN_SIGNUPS["device"]:
        return None
    usual = max(_count(connection, here, at - WINDOW - USUAL, at - WINDOW) / (USUAL / WINDOW), LEAST_RATE)
    return Burst("device", signups, True) if stats.poisson.sf(signups - 1, usual) < P_VALUE else None


def _of_pattern(connection: sa.Connection, row: Mapping[str, Any], at: datetime) -> Burst | None:
    domain = _holds(row, "email_domain")
    shape = _holds(row, "email_pattern")
    if domain is None or shape is None:
        return None
    both, began = sa.and_(domain, shape), at - WINDOW
    signups = _count(connection, both, began, at)
    if signups < MIN_SIGNUPS["email_pattern"]:
        return None
    of_domain = _count(connection, domain, began - USUAL, began)
    if of_domain < MIN_DOMAIN_SIGNUPS:
        return None
    share = (_count(connection, both, began - USUAL, began) + 1) / (of_domain + 1)
    p_value = stats.binom.sf(signups - 1, _count(connection, domain, began, at), min(share, 1.0))
    return Burst("email_pattern", signups, True) if p_value < P_VALUE else None


def _of_prefix(connection: sa.Connection, row: Mapping[str, Any], at: datetime) -> Burst | None:
    here = _holds(row, "signup_ip_prefix")
    if here is None:
        return None
    signups = _count(connection, here, at - WINDOW, at)
    return Burst("ip_prefix", signups, False) if signups >= MIN_SIGNUPS["ip_prefix"] else None


def _holds(row: Mapping[str, Any], column: str) -> sa.ColumnElement[bool] | None:
    return None if row[column] is None else accounts.c[column] == row[column]


def _count(connection: sa.Connection, here: sa.ColumnElement[bool], after: datetime, until: datetime) -> int:
    """Accounts that signed up in (after, until], as far as they are counted."""
    some = sa.select(sa.literal(1)).where(here, accounts.c.created_at > after, accounts.c.created_at <= until)
    counted = sa.select(sa.func.count()).select_from(some.limit(_MOST_COUNTED).subquery())
    return int(connection.execute(counted).scalar_one())
