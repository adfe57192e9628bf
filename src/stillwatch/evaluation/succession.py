"""Accounts that follow each other in the places of a campaign: chains without a gap, or sweeps and refills from stock.

Why:    a banned account is replaced, and its successor takes over the work of its place ("hydra cluster").
Misses: places that are given up, and campaigns that grow while they run.
Source: providers' reports of 23 February and 10 September 2026; how often accounts are banned is not disclosed.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.hostile import Campaign
from stillwatch.evaluation.owners import split
from stillwatch.evaluation.people import DAY_S, Columns, Plan

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SHORTEST_S = DAY_S / 4  # life of an account


@dataclass(frozen=True, slots=True)
class Chains:
    """Accounts that follow each other without a gap; the numbers of `reward-model`."""

    length: tuple[int, int] = (1, 6)  # accounts that follow each other in one place
    failover_h: float = 3.0  # mean time from a ban to the successor's first request
    at_once: float = 0.6  # of the places are filled when the campaign begins
    built_up: float = 0.4  # part of its time within which the others are
    load_spread: float = 0.8  # of the logarithm of an account's load: quotas level it


@dataclass(frozen=True, slots=True)
class Sweeps:
    """A provider that bans many at once, and places refilled from stock; the numbers of `many-languages`."""

    count: int = 4  # in the window, five days apart: people look at what they ban
    swept: float = 0.22  # of the accounts at work: more would show the provider to know the campaign already
    banned_days: float = 60.0  # mean time to a ban outside of sweeps: few, in three weeks
    refilled_h: float = 10.0  # mean time to the successor's first request: stock is bought when it is needed
    at_once: float = 0.7  # of the places are filled when the campaign begins
    built_up: float = 0.3  # part of its time within which the others are
    load_spread: float = 0.9  # of the logarithm of an account's load: credits and quotas of programmes level it
    stolen_load: float = 0.4  # of another account's: the owner pays, and would notice


def chained(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns, chains: Chains) -> Ints:
    """Divide the time of each place among the accounts that follow each other in it; return the place of each."""
    count, start_s, span_s = len(people["rate"]), *_time(campaign, plan)
    place, places = split(rng, count, *chains.length)
    opens = np.where(rng.random(places) < chains.at_once, 0.0, rng.uniform(0, chains.built_up, places))[place]
    life = rng.gamma(1.5, 1, count)  # a ban is not long in coming, nor certain on any day
    until = np.cumsum(life) - np.concatenate([[0.0], np.cumsum(np.bincount(place, life))[:-1]])[place]
    until /= np.bincount(place, life)[place]
    begins = np.where(np.diff(place, prepend=-1) > 0, 0.0, np.roll(until, 1))
    begins_s, ends_s = (start_s + (opens + (1 - opens) * share) * span_s for share in (begins, until))
    failover_s = rng.exponential(chains.failover_h * 3600, count)
    people["from_s"] = begins_s + np.minimum(failover_s, 0.5 * (ends_s - begins_s))
    people["to_s"] = ends_s
    _load(campaign, people, rng.lognormal(0, chains.load_spread, count))
    people["day_share"] = rng.beta(8, 2, count)
    return place


def swept(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns, sweeps: Sweeps) -> Ints:
    """From when to when each account works, until a ban after which another takes its place; return the places."""
    count, start_s, span_s = len(people["rate"]), *_time(campaign, plan)
    parts = np.arange(sweeps.count) + plan.stream("sweeps", campaign.aim).uniform(0.1, 0.9, sweeps.count)
    sweeps_s = parts / sweeps.count * span_s
    lives: list[tuple[int, float, float]] = []
    place = 0
    while len(lives) < count:
        at = 0.0 if rng.random() < sweeps.at_once else rng.uniform(0, sweeps.built_up) * span_s
        at += min(rng.exponential(2) * 3600, SHORTEST_S)
        while at < span_s - SHORTEST_S:
            until = _ban(rng, at, sweeps_s, sweeps)
            lives.append((place, start_s + at, start_s + min(until, span_s)))
            at = until + rng.exponential(sweeps.refilled_h) * 3600
        place += 1
    places, begins, ends = (np.array(column) for column in zip(*lives[:count], strict=True))
    stolen = people.get("role", np.full(count, None, object)) == "compromised"
    people["from_s"] = np.where(stolen, 0.0, begins)
    people["to_s"] = np.where(stolen, plan.days * DAY_S, ends)
    spread = rng.lognormal(0, sweeps.load_spread, count)
    _load(campaign, people, spread * np.where(stolen, sweeps.stolen_load, 1.0))
    people["day_share"] = rng.beta(6, 2, count)
    return places.astype(np.int64)


def _time(campaign: Campaign, plan: Plan) -> tuple[float, float]:
    """When a campaign begins, and for how long it is at work, in seconds."""
    window_s = plan.days * DAY_S
    return campaign.from_share * window_s, (campaign.to_share - campaign.from_share) * window_s


def _load(campaign: Campaign, people: Columns, weight: Floats) -> None:
    """Divide the campaign's traffic over its accounts by their weight."""
    lasts = people["to_s"] - people["from_s"]
    total = campaign.exchanges / campaign.accounts * len(weight)
    people["rate"] = total * weight / (weight * lasts).sum() * DAY_S


def _ban(rng: np.random.Generator, at: float, sweeps_s: Floats, sweeps: Sweeps) -> float:
    """When an account that begins at `at` is banned: singly, or within two hours of a sweep."""
    single = at + max(rng.exponential(sweeps.banned_days) * DAY_S, SHORTEST_S)
    for sweep_s in sweeps_s[sweeps_s > at + SHORTEST_S]:
        if rng.random() < sweeps.swept:
            return min(single, float(sweep_s) + rng.uniform(0, 7_200))
    return single
