"""Do accounts begin their sessions together, minute by minute, more often than their habits explain?

Why:    one dispatcher sends its accounts to work in waves. Customers share a working day, not a minute.
Misses: dispatchers on a fixed timetable (whoever starts at the same minute of the day or hour again and again is left
        out, as scheduled jobs of strangers do), waves loosened beyond a few minutes, accounts with few sessions.
Source: own. In spirit SynchroTrap (Cao et al., CCS 2014), but against local density instead of a similarity threshold:
        what is counted is how many others begin within REACH_MIN of a start. Chance is the same count at moments up to
        three quarters of an hour before, or after, or as everybody else begins around it, whichever is most: hours,
        deadlines, busy days and outages explain themselves. Shifting one of two series against the other is the usual
        null of cross-correlograms: Perkel, Gerstein & Moore, Biophys. J. 7 (1967) 419-440.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from stillwatch.linkage.coincidences import AFTER, BEFORE, EVERYBODY, SEEN, VARIANCE, Around, Asked, counted, running
from stillwatch.linkage.holdings import Floats, Ints
from stillwatch.linkage.labels import distinct

REACH_MIN = 2  # minutes between two starts that count as together
SHIFTS_MIN = tuple(shift for shift in range(-45, 46, 5) if shift)  # where chance is read off, minutes from a start
MIN_TOGETHER = 3  # starts of an account that must coincide before it is in step with anybody
IN_STEP_P_VALUE = 0.01  # of one account, to count as in step with its cluster
MIN_IN_STEP = 3  # accounts in step before their cluster is
CLUSTER_P_VALUE = 0.05  # of so many accounts in step by chance
DAY_MIN, HOUR_MIN = 1440, 60
TIMETABLE_DAYS = 3  # days on which an account starts at the same minute before this is its timetable
TIMETABLE_SHARE = 0.25  # of an account's starts in the same minutes of the hour, likewise
FEW_STARTS = 8  # starts that an account needs before a share of them is a habit


@dataclass(frozen=True, slots=True)
class Starts:
    """Starts of sessions by account, then time, timetables left out.

    `minutes` (starts,) since 1970; `first` (accounts + 1,) first start of each account; `usual` (60,) share of all
    accounts' starts within REACH_MIN of each minute of the hour; `passed` (minutes of the log + 1,) everybody's starts
    before each minute since `origin`.
    """

    minutes: Ints
    first: Ints
    usual: Floats
    passed: Ints
    origin: int


@dataclass(frozen=True, slots=True)
class Together:
    """How often some accounts start together with others: each (accounts,)."""

    seen: Ints
    expected: Floats
    variance: Floats

    @property
    def p_values(self) -> Floats:
        """Chance of as many coincidences; 1 where fewer than MIN_TOGETHER were seen.

        Where others start in bursts, coincidences come in bursts: they count as so many fewer.
        """
        return _tail(self.seen, self.expected, self.variance)

    @property
    def p_value(self) -> float:
        """The same for all of the accounts at once."""
        return float(_tail(np.array([self.seen.sum()]), self.expected.sum(), self.variance.sum())[0])


def _tail(seen: NDArray[np.number], expected: Floats, variance: Floats) -> Floats:
    mean = np.maximum(expected, 1e-9)
    burst = np.maximum(variance / mean, 1.0)
    tail = stats.poisson.sf(np.ceil(seen / burst) - 1, mean / burst)
    return np.where(seen >= MIN_TOGETHER, tail, 1.0)


def starts(table: pa.Table, account_ids: Sequence[str]) -> Starts:
    """Index starts (account_id, minute); several accounts of one principal count as one account."""
    names = pa.array(account_ids, pa.string())
    owners = pa.table({"account_id": names, "account": pa.array(range(len(names)), pa.int64())})
    known = table.join(owners, "account_id", join_type="inner")
    minute = np.asarray(known["minute"], np.int64)
    earliest = int(minute.min()) if len(minute) else 0
    account, minutes = distinct(np.stack([np.asarray(known["account"], np.int64), minute - earliest]))
    minutes += earliest
    free = ~_scheduled(account, minutes, len(account_ids))
    account, minutes = account[free], minutes[free]
    counted = np.bincount(minutes % HOUR_MIN, minlength=HOUR_MIN) + 1.0
    first = np.searchsorted(account, np.arange(len(account_ids) + 1)).astype(np.int64)
    origin = int(minutes.min()) if len(minutes) else 0
    passed = running(minutes, origin, 0)
    return Starts(minutes, first, _usual(counted / counted.sum()), passed, origin)


def is_in_step(p_values: Floats) -> bool:
    """Whether a cluster starts together, given what `together` says of each member."""
    count = int((p_values <= IN_STEP_P_VALUE).sum())
    return count >= MIN_IN_STEP and in_step_p_value(count, len(p_values)) <= CLUSTER_P_VALUE


def in_step_p_value(count: int, members: int) -> float:
    """Chance that `count` of so many members are in step; on half of both, because being in step is mutual."""
    return float(stats.binom.sf(-(-count // 2) - 1, -(-members // 2), IN_STEP_P_VALUE)) if count else 1.0


def together(of: Starts, accounts: Ints, others: Ints) -> Together:
    """How often each of `accounts` starts together with any of `others` but itself."""
    is_other = np.zeros(len(of.first) - 1, dtype=bool)
    is_other[others] = True
    return _together(of, accounts, is_other[accounts], _around(of, others))


def pairs_together(of: Starts, groups: Sequence[Ints], left: Ints, right: Ints) -> Floats:
    """Chance that accounts of the left group start together with the right as often as they do, pair by pair.

    The groups have no accounts in common.
    """
    sums = np.zeros((3, len(left)))
    order = np.argsort(right, kind="stable")
    near, last = None, -1
    for pair in order.tolist():
        if near is None or right[pair] != last:
            near, last = _around(of, groups[right[pair]]), right[pair]
        accounts = groups[left[pair]]
        found = _together(of, accounts, np.zeros(len(accounts), dtype=bool), near)
        sums[:, pair] = found.seen.sum(), found.expected.sum(), found.variance.sum()
    return _tail(*sums)


def _together(of: Starts, accounts: Ints, is_other: NDArray[np.bool_], near: Around) -> Together:
    sums = np.zeros((len(accounts), 5))
    first, last = of.first[accounts], of.first[accounts + 1]
    counted(Asked(of.minutes, first, last, np.where(is_other, last, first)), near, sums)
    # Outages and short logs make everybody begin at once: of the three readings of chance the largest counts.
    chance = sums[:, [BEFORE, AFTER, EVERYBODY]].max(axis=1, initial=0.0)
    return Together(sums[:, SEEN].astype(np.int64), chance, sums[:, VARIANCE])


def _around(of: Starts, others: Ints) -> Around:
    theirs = of.minutes[_places(of.first[others], of.first[others + 1])]
    upto = running(theirs, of.origin, len(of.passed) - 1)
    return Around(upto, of.passed, of.origin, of.usual, np.array(SHIFTS_MIN), REACH_MIN)


def _places(first: Ints, last: Ints) -> Ints:
    """The numbers from each first to before each last, one run after another."""
    counts = last - first
    return np.asarray(np.arange(int(counts.sum())) + np.repeat(first - (np.cumsum(counts) - counts), counts))


def _usual(density: Floats) -> Floats:
    """By minute of the hour: share of everybody's starts within REACH_MIN, of shares by minute (60,)."""
    near = np.arange(HOUR_MIN)[:, None] + np.arange(-REACH_MIN, REACH_MIN + 1)
    return np.asarray(density[near % HOUR_MIN].sum(axis=1))


def _scheduled(account: Ints, minutes: Ints, account_count: int) -> NDArray[np.bool_]:
    """Starts at a minute of the day, or of the hour, at which their account starts again and again: (starts,)."""
    of_day = account * DAY_MIN + minutes % DAY_MIN
    daily = _repeats(of_day, 1)
    hourly = _repeats(account * HOUR_MIN + minutes % HOUR_MIN, 1)
    all_starts = np.bincount(account, minlength=account_count)[account]
    return (daily >= TIMETABLE_DAYS) | ((all_starts >= FEW_STARTS) & (hourly > TIMETABLE_SHARE * all_starts))


def _repeats(keys: Ints, reach: int) -> Ints:
    """How many keys lie within `reach` of each, itself included; minutes next to midnight or the hour may differ."""
    ordered = np.sort(keys)
    upper = np.searchsorted(ordered, keys + reach, side="right")
    return (upper - np.searchsorted(ordered, keys - reach, side="left")).astype(np.int64)
