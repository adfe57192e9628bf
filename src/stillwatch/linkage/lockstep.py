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
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from stillwatch.linkage.coincidences import (
    AFTER,
    BEFORE,
    EVERYBODY,
    HOUR_MIN,
    SEEN,
    VARIANCE,
    Asked,
    Known,
    counted,
    repeats,
    running,
)
from stillwatch.linkage.holdings import Floats, Ints, each_once, owners
from stillwatch.linkage.parts import in_parts

REACH_MIN = 2  # minutes between two starts that count as together
SHIFTS_MIN = tuple(shift for shift in range(-45, 46, 5) if shift)  # where chance is read off, minutes from a start
MIN_TOGETHER = 3  # starts of an account that must coincide before it is in step with anybody
IN_STEP_P_VALUE = 0.01  # of one account, to count as in step with its cluster
MIN_IN_STEP = 3  # accounts in step before their cluster is
CLUSTER_P_VALUE = 0.05  # of so many accounts in step by chance
DAY_MIN = 1440
TIMETABLE_DAYS = 3  # days on which an account starts at the same minute before this is its timetable
TIMETABLE_SHARE = 0.25  # of an account's starts in the same minutes of the hour, likewise
FEW_STARTS = 8  # starts that an account needs before a share of them is a habit


@dataclass(frozen=True, slots=True)
class Starts:
    """Starts of sessions by account, then time, timetables left out; see `coincidences.Known`."""

    known: Known

    @property
    def minutes(self) -> Ints:
        """Minutes since 1970: (starts,)."""
        return self.known.minutes

    @property
    def first(self) -> Ints:
        """First start of each account: (accounts + 1,)."""
        return self.known.first


@dataclass(frozen=True, slots=True)
class Together:
    """How often some accounts start together with others: each (accounts,).

    Where fewer than MIN_TOGETHER are seen, `expected` and `variance` are not worked out, and zero.
    """

    seen: Ints
    expected: Floats
    variance: Floats

    @property
    def p_values(self) -> Floats:
        """Chance of as many coincidences; 1 where fewer than MIN_TOGETHER were seen.

        Where others start in bursts, coincidences come in bursts: they count as so many fewer.
        """
        return _tail(self.seen, self.expected, self.variance)


def _tail(seen: NDArray[np.number], expected: Floats, variance: Floats) -> Floats:
    mean = np.maximum(expected, 1e-9)
    burst = np.maximum(variance / mean, 1.0)
    tail = stats.poisson.sf(np.ceil(seen / burst) - 1, mean / burst)
    return np.where(seen >= MIN_TOGETHER, tail, 1.0)


def starts(table: pa.Table, account_ids: Sequence[str]) -> Starts:
    """Index starts (account_id, minute); several accounts of one principal count as one account."""
    owner, minute = owners(table["account_id"], account_ids), table["minute"].to_numpy().astype(np.int64)
    owner, minute = owner[owner >= 0], minute[owner >= 0]
    earliest = int(minute.min()) if len(minute) else 0
    span = int(minute.max()) - earliest + 1 if len(minute) else 1
    account, minutes = np.divmod(each_once(owner * span + (minute - earliest)), span)
    minutes += earliest
    free = ~_scheduled(account, minutes, len(account_ids))
    account, minutes = account[free], minutes[free]
    density = np.bincount(minutes % HOUR_MIN, minlength=HOUR_MIN) + 1.0
    usual, shifts = _usual(density / density.sum()), np.array(SHIFTS_MIN)
    ratio = usual[:, None] / usual[(np.arange(HOUR_MIN)[:, None] + shifts) % HOUR_MIN]
    first = np.searchsorted(account, np.arange(len(account_ids) + 1)).astype(np.int64)
    everybody, origin = running(minutes, int(shifts.max()) + REACH_MIN)
    return Starts(Known(minutes, first, everybody, origin, ratio, shifts, REACH_MIN))


def is_in_step(p_values: Floats) -> bool:
    """Whether a cluster starts together, given what `together` says of each member."""
    count = int((p_values <= IN_STEP_P_VALUE).sum())
    return count >= MIN_IN_STEP and in_step_p_value(count, len(p_values)) <= CLUSTER_P_VALUE


def in_step_p_value(count: int, members: int) -> float:
    """Chance that `count` of so many members are in step; on half of both, because being in step is mutual."""
    return float(stats.binom.sf(-(-count // 2) - 1, -(-members // 2), IN_STEP_P_VALUE)) if count else 1.0


def together(of: Starts, accounts: Ints, others: Ints) -> Together:
    """How often each of `accounts` starts together with any of `others` but itself."""
    return each_together(of, [accounts], [others])


def each_together(of: Starts, accounts: Sequence[Ints], others: Sequence[Ints]) -> Together:
    """The same for several sets of accounts, each with its others, one after the other."""
    rows = _joined(accounts)
    return _together(of, Asked(*_ranges(others), *_ranges(accounts), np.arange(len(rows)), MIN_TOGETHER))


def p_values_of(of: Starts, accounts: Sequence[Ints], others: Sequence[Ints]) -> list[Floats]:
    """Chance of as many coincidences for each account of each set, with the others of the set."""
    ends = np.cumsum([len(part) for part in accounts])[:-1]
    return np.split(each_together(of, accounts, others).p_values, ends) if len(accounts) else []


def pairs_together(of: Starts, groups: Sequence[Ints], left: Ints, right: Ints) -> Floats:
    """Chance that accounts of the left group start together with the right as often as they do, pair by pair.

    The groups have no accounts in common.
    """
    order = np.argsort(right, kind="stable")
    sizes = np.array([len(groups[group]) for group in left[order].tolist()], dtype=np.int64)
    pair = np.repeat(np.arange(len(left)), sizes)
    near, first = np.unique(right[order], return_index=True)
    account, others = _joined([groups[group] for group in left[order].tolist()]), [groups[i] for i in near.tolist()]
    first_row = np.searchsorted(pair, np.append(first, len(left)))
    found = _together(of, Asked(*_ranges(others), account, first_row, pair, MIN_TOGETHER))
    seen, expected, variance = (
        np.bincount(pair, weights=one, minlength=len(left)).astype(np.float64)
        for one in (found.seen, found.expected, found.variance)
    )
    p_values = np.empty(len(left))
    p_values[order] = _tail(seen, expected, variance)
    return p_values


def _together(of: Starts, asked: Asked) -> Together:
    sums = np.zeros((len(asked.account), 5))
    in_parts(partial(counted, of.known, asked, sums), _costs(of, asked))
    # Outages and short logs make everybody begin at once: of the three readings of chance the largest counts.
    chance = sums[:, [BEFORE, AFTER, EVERYBODY]].max(axis=1, initial=0.0)
    return Together(sums[:, SEEN].astype(np.int64), chance, sums[:, VARIANCE])


def _costs(of: Starts, asked: Asked) -> Ints:
    """About how many starts and minutes are looked at for each set: (sets,)."""
    starts = np.append(0, np.cumsum(np.diff(of.first)[asked.account]))
    of_rows = np.diff(starts[asked.first_row]) * len(of.known.shifts)
    return np.asarray(of_rows + (np.diff(asked.first_row) > 0) * len(of.known.everybody))


def _ranges(parts: Sequence[Ints]) -> tuple[Ints, Ints]:
    """The parts one after the other, and where each begins, the end of the last included."""
    return _joined(parts), np.append(0, np.cumsum([len(part) for part in parts])).astype(np.int64)


def _joined(parts: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _usual(density: Floats) -> Floats:
    """By minute of the hour: share of everybody's starts within REACH_MIN, of shares by minute (60,)."""
    near = np.arange(HOUR_MIN)[:, None] + np.arange(-REACH_MIN, REACH_MIN + 1)
    return np.asarray(density[near % HOUR_MIN].sum(axis=1))


def _scheduled(account: Ints, minutes: Ints, account_count: int) -> NDArray[np.bool_]:
    """Starts at a minute of the day, or of the hour, at which their account starts again and again: (starts,)."""
    daily = repeats(account, minutes % DAY_MIN, account_count, DAY_MIN)
    hourly = repeats(account, minutes % HOUR_MIN, account_count, HOUR_MIN)
    all_starts = np.bincount(account, minlength=account_count)[account]
    return (daily >= TIMETABLE_DAYS) | ((all_starts >= FEW_STARTS) & (hourly > TIMETABLE_SHARE * all_starts))
