"""True campaigns of a world, and for each the first run that reported it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from stillwatch.engines.base import IbisTable

from .prefix import Run, Runs
from .search import first_hour, is_steady

HOUR_US = 3_600_000_000
FEW = 5  # accounts of a campaign that make it exist
LONG_DAYS = 40  # from here on the share is what counts
MOST_SHARE, MOST_RUNS = 0.05, 2
ONE_BY_ONE_H = 72  # hours of a campaign that are all tried

Times = npt.NDArray[np.int64]
Rule = Callable[[Run, frozenset[str], frozenset[str]], bool]  # run, accounts at work by then, all hostile accounts


@dataclass(frozen=True, slots=True)
class TrueCampaign:
    """Accounts under one control; victims with stolen keys are left out."""

    name: str
    members: frozenset[str]
    exchanges_us: Times  # when its exchanges began, sorted
    joined_us: Mapping[str, int]  # first exchange of each member

    @property
    def days(self) -> float:
        """From its first exchange to its last."""
        return float(self.exchanges_us[-1] - self.exchanges_us[0]) / (24 * HOUR_US)

    def active(self, until_us: int) -> frozenset[str]:
        """Members with an exchange before that."""
        return frozenset(account for account, at in self.joined_us.items() if at < until_us)

    def share_before(self, until_us: int) -> float:
        """The share of its exchanges that began before that."""
        return float(np.searchsorted(self.exchanges_us, until_us)) / len(self.exchanges_us)


@dataclass(frozen=True, slots=True)
class Report:
    """The first run that reported a campaign; null hours and sizes where none did."""

    campaign: TrueCampaign
    rule: str
    after_h: int | None  # from its first exchange to the run
    leaked: float  # share of its exchanges before the run; all of them where there is none
    active: int | None
    accused: int | None
    minimum: int | None  # the run's minimum detectable campaign
    after_minimum: int | None  # runs since it reached that; null also where it never did
    is_steady: bool

    @property
    def is_met(self) -> bool:
        """Whether the target holds: little leaked of a long campaign, else reported within two runs."""
        if self.after_h is None:
            return False
        if self.campaign.days >= LONG_DAYS:
            return self.leaked <= MOST_SHARE
        return self.after_minimum is not None and self.after_minimum <= MOST_RUNS


def half_accused(run: Run, active: frozenset[str], hostile: frozenset[str]) -> bool:
    """Half of the campaign's accounts at work by then are in reported campaigns."""
    return bool(active) and 2 * len(run.accused & active) >= len(active)


def few_in_one(run: Run, active: frozenset[str], hostile: frozenset[str]) -> bool:
    """One reported campaign holds FEW of its accounts, and hostile accounts are at least half of it."""
    return any(len(one & active) >= FEW and 2 * len(one & hostile) >= len(one) for one in run.members)


RULES: Mapping[str, Rule] = {"half of its accounts": half_accused, f"a campaign with {FEW} of them": few_in_one}


def true_campaigns(truth: Path, signals: IbisTable) -> list[TrueCampaign]:
    """The campaigns of the truth that made any exchange, by name."""
    rows = pq.read_table(truth, columns=["account_id", "campaign", "role"]).to_pylist()
    origin = {r["account_id"]: r["campaign"] for r in rows if r["campaign"] and r["role"] != "compromised"}
    times: dict[str, list[int]] = {name: [] for name in origin.values()}
    joined: dict[str, dict[str, int]] = {name: {} for name in times}
    kept = signals.filter(signals.account_id.isin(sorted(origin))).select("account_id", "started_at").to_pyarrow()
    at_us = kept["started_at"].cast("int64").to_pylist()
    for account, at in zip(kept["account_id"].to_pylist(), at_us, strict=True):
        name = origin[account]
        times[name].append(at)
        joined[name][account] = min(at, joined[name].get(account, at))
    return [
        TrueCampaign(name, frozenset(joined[name]), np.sort(np.array(times[name], np.int64)), joined[name])
        for name in sorted(times)
        if times[name]
    ]


def reports(campaign: TrueCampaign, runs: Runs, hostile: frozenset[str], hours: int) -> list[Report]:
    """By each rule, the first of the runs at the end of every hour that reported the campaign."""
    begins_us = _us(runs.starts_at)
    start = int((campaign.exchanges_us[0] - begins_us) // HOUR_US)

    def active(hour: int) -> frozenset[str]:
        return campaign.active(begins_us + hour * HOUR_US)

    def is_large_enough(hour: int) -> bool:
        minimum = runs.at(hour).minimum_detectable
        return minimum is not None and len(active(hour)) >= minimum

    reached = first_hour(is_large_enough, start, hours)
    found = []
    for rule, holds in RULES.items():

        def is_reported(hour: int, holds: Rule = holds) -> bool:
            return holds(runs.at(hour), active(hour), hostile)

        hour = first_hour(is_reported, start, hours, one_by_one=ONE_BY_ONE_H)
        if hour is None:
            found.append(Report(campaign, rule, None, 1.0, None, None, None, None, is_steady=False))
            continue
        until_us, run = begins_us + hour * HOUR_US, runs.at(hour)
        found.append(
            Report(
                campaign=campaign,
                rule=rule,
                after_h=hour - start,
                leaked=campaign.share_before(until_us),
                active=len(active(hour)),
                accused=len(run.accused & campaign.members),
                minimum=run.minimum_detectable,
                after_minimum=None if reached is None else hour - reached,
                is_steady=is_steady(is_reported, hour, hours),
            )
        )
    return found


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
