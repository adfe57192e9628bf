"""When requests arrive: per account and day, in sessions, waves, shifts, batches, rounds, lots or before a deadline.

Why:    lockstep and round-the-clock use are published signs; nightly jobs and classes show them too.
Misses: holidays, outages, and accounts whose habits drift.
Source: Wang et al. (2024), BurstGPT, arXiv:2401.17644: bursty, heavy-tailed gaps. Simpler here.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.crews import crews
from stillwatch.evaluation.parts import mix, stream
from stillwatch.evaluation.people import BATCH, COUNTRIES, DAY_S, DEADLINE, HOURS, LOTS, ROUNDS, SHIFTS, WAVES, Columns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WAVES_PER_DAY = 40
ROUND_S = (2_000, 5_000)  # between the beginnings of two training rounds, by whose they are
LOTS_PER_DAY = 4  # of a crew
DRAINED_S = 600  # mean time after which somebody of the crew takes from a lot
MOST_PER_DAY = 4000.0  # requests of one account
_CDF = np.cumsum(np.array(HOURS, np.float64) / np.sum(HOURS, axis=1, keepdims=True), axis=1)
_OFFSET_S = np.array([row[1] for row in COUNTRIES]) * 3600


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The requests of one population on one day, ordered by account and session."""

    account: Ints  # position in the population
    at_s: Floats  # seconds since the start of the world
    session: npt.NDArray[np.uint64]
    position: Ints  # place of the request in its session


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Gaps between requests of one session, relative to their median, and answer lengths likewise."""

    gaps: Floats
    lengths: Floats


BUILT_IN_RHYTHM = Rhythm(np.empty(0), np.empty(0))


def arrivals(people: Columns, day: int, rng: np.random.Generator, rhythm: Rhythm, salt: int) -> Arrivals:
    """All requests of a population on one day."""
    counts = _counts(people, day, rng)
    account = np.repeat(np.arange(len(counts)), counts)
    batch = people["timing"][account] == BATCH
    sessions = np.maximum(1, np.round(counts / people["session_mean"])).astype(np.int64)
    sessions = np.where(people["timing"] == BATCH, 1 + counts // 400, sessions)
    key = account << 20 | (rng.random(len(account)) * sessions[account]).astype(np.int64)
    key.sort()
    account = key >> 20
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.empty(0, np.int64)
    size = np.diff(np.append(first, len(key)))
    position = np.arange(len(key)) - np.repeat(first, size)
    gaps = _gaps(rng, rhythm, len(key)) * np.where(batch, 5.0, people["gap_s"][account])
    gaps[first] = 0.0
    offset = np.cumsum(gaps)
    offset -= np.repeat(offset[first], size)
    length = offset[first + size - 1] if len(first) else np.empty(0)
    squeeze = np.minimum(1.0, 0.9 * DAY_S / np.maximum(length, 1.0))
    start = _delayed(people, account[first], key[first] << 12 | day, _starts(people, account[first], day, rng))
    start = np.minimum(start, DAY_S - 1 - length * squeeze)
    at = day * DAY_S + np.repeat(start, size) + offset * np.repeat(squeeze, size)
    return Arrivals(account, at, mix(key, salt * 4096 + day + 1), position)


def _counts(people: Columns, day: int, rng: np.random.Generator) -> Ints:
    overlap = np.minimum(people["to_s"], (day + 1) * DAY_S) - np.maximum(people["from_s"], day * DAY_S)
    alive = np.clip(overlap / DAY_S, 0.0, 1.0)
    weekend = people["weekend"] if day % 7 in (5, 6) else np.ones(len(alive))
    usual = people["day_share"] * (5 + 2 * people["weekend"]) / 7
    active = rng.random(len(alive)) < np.clip(people["day_share"] * weekend, 0.02, 1.0)
    due = np.where(people["timing"] == DEADLINE, _urgency(people["deadline_s"] / DAY_S - day), 1.0)
    mean = people["rate"] * alive * active * due / np.maximum(usual, 0.02) * rng.gamma(2, 0.5, len(alive))
    return rng.poisson(np.minimum(mean, MOST_PER_DAY))


def _urgency(days_left: Floats) -> Floats:
    near = (days_left > 0) & (days_left <= 4)
    return np.where(near, 7.0 / np.maximum(days_left, 0.8), 0.4)


def _starts(people: Columns, account: Ints, day: int, rng: np.random.Generator) -> Floats:
    """Second of the day at which each session begins."""
    count, timing = len(account), people["timing"][account]
    local = _CDF[people["hours"][account]]
    hour = (local < rng.random(count)[:, None]).sum(axis=1)
    start = ((hour + rng.random(count)) * 3600 - _OFFSET_S[people["country"][account]]) % DAY_S
    waves = timing == WAVES
    if waves.any():
        start[waves] = _wave_times(people["beat"][account[waves]], day, rng)
    rounds = timing == ROUNDS
    if rounds.any():
        start[rounds] = _round_times(people["beat"][account[rounds]], day, rng)
    lots = timing == LOTS
    if lots.any():
        start[lots] = _lot_times(people, account[lots], day, rng)
    shifts = timing == SHIFTS
    turn = (mix(account, 3) + np.uint64(day)) % np.uint64(4)
    start[shifts] = (turn[shifts] + rng.random(int(shifts.sum()))) * DAY_S / 4
    due = (timing == DEADLINE) & (people["deadline_s"][account] // DAY_S == day)
    left = people["deadline_s"][account] % DAY_S
    start[due] = np.maximum(left - rng.exponential(5 * 3600, count), 0.0)[due]
    return start


def _delayed(people: Columns, account: Ints, session: Ints, start: Floats) -> Floats:
    """The starts of sessions, late by a random time where an account keeps its schedule loosely; round the day."""
    if "jitter_s" not in people or not people["jitter_s"].any():
        return start
    chance = ((mix(session, 19) >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53
    return (start - np.log(chance) * people["jitter_s"][account]) % DAY_S


def _wave_times(beat: Ints, day: int, rng: np.random.Generator) -> Floats:
    """A time out of the day's schedule of each dispatcher, with the delay of its queue."""
    times = np.empty(len(beat))
    for one in np.unique(beat):
        schedule = stream("waves", int(one), day).uniform(0, DAY_S - 600, WAVES_PER_DAY)
        chosen = beat == one
        times[chosen] = schedule[rng.integers(WAVES_PER_DAY, size=int(chosen.sum()))]
    return times + rng.exponential(45, len(beat))


def _round_times(beat: Ints, day: int, rng: np.random.Generator) -> Floats:
    """A round out of the day's: they come at an even distance, whatever the hour, and ask all at once."""
    times = np.empty(len(beat))
    for one in np.unique(beat):
        own = stream("rounds", int(one))
        every, phase = own.uniform(*ROUND_S), own.random()
        schedule = np.arange(np.ceil(day * DAY_S / every - phase), np.ceil((day + 1) * DAY_S / every - phase))
        chosen = beat == one
        times[chosen] = (rng.choice(schedule, int(chosen.sum())) + phase) * every - day * DAY_S
    return times + rng.exponential(90, len(beat))


def _lot_times(people: Columns, account: Ints, day: int, rng: np.random.Generator) -> Floats:
    """A time after one of the day's lots of the account's crew came in, at hours that its timetable prefers."""
    lot = mix(rng.integers(LOTS_PER_DAY, size=len(account)) + day * LOTS_PER_DAY, 83)
    came = mix(crews(people, account, day) ^ lot, 97)
    part = (came >> np.uint64(40)).astype(np.float64) / 2**24
    hour = (_CDF[people["hours"][account]] < part[:, None]).sum(axis=1)
    minute = (mix(came, 103) >> np.uint64(40)).astype(np.float64) / 2**24
    local = (hour + minute) * 3600 - people["timetable_s"][account]
    return (local + rng.exponential(DRAINED_S, len(account))) % DAY_S


def _gaps(rng: np.random.Generator, rhythm: Rhythm, count: int) -> Floats:
    if len(rhythm.gaps):
        return rhythm.gaps[rng.integers(len(rhythm.gaps), size=count)]
    return rng.lognormal(0.0, 1.0, count)
