"""Runs as of an hour: the pipeline after intake, on the exchanges and accounts that existed by then.

Why:    scanning a window once per hour reads every log hundreds of times; signals are functions of one exchange, so
    they are derived once and cut at the hour.
Misses: a run here has no earlier campaigns and no verdicts, so ids are not carried over. What the accounts table says
    is today's state, but for accounts that did not exist and verifications that had not happened.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.engines.base import Engine
from stillwatch.intake import Intake
from stillwatch.leads import NOTHING_SENT, Sent
from stillwatch.pipeline import Campaign, Earlier, found
from stillwatch.records import LEAD_KIND
from stillwatch.settings import Settings
from stillwatch.state import rolled
from stillwatch.store import read_seen, read_verdicts


@dataclass(frozen=True, slots=True)
class Run:
    """What a run reported."""

    members: tuple[frozenset[str], ...]  # the accounts of each campaign that counts as reported
    minimum_detectable: int | None

    @property
    def accused(self) -> frozenset[str]:
        """All accounts in reported campaigns."""
        return frozenset().union(*self.members)


@dataclass(frozen=True, slots=True)
class Made:
    """What a run found: verdict and accounts of each campaign."""

    campaigns: tuple[tuple[str, frozenset[str]], ...]
    minimum_detectable: int | None
    named: frozenset[str]  # accounts that bear a lead of a partner
    recognised: tuple[tuple[str, str, frozenset[str]], ...] = ()  # campaign of a partner, support, who bears it

    def reported(self, verdicts: frozenset[str]) -> Run:
        """What counts as reported."""
        return Run(tuple(ids for verdict, ids in self.campaigns if verdict in verdicts), self.minimum_detectable)


@dataclass
class Runs:
    """One run per hour, made when asked for; with what partners sent, where they sent anything."""

    taken: Intake
    engine: Engine
    settings: Settings
    starts_at: datetime
    verdicts: frozenset[str]  # of a campaign that counts as reported
    say: Callable[[str], None]
    sent: Sent = NOTHING_SENT
    made: dict[int, Made] = field(default_factory=dict)

    def at(self, hour: int) -> Run:
        """The run at the end of the hour, counted from the start of the world."""
        return self._made(hour).reported(self.verdicts)

    def named(self, hour: int) -> frozenset[str]:
        """The accounts that bear a lead of a partner at the end of the hour."""
        return self._made(hour).named

    def recognised(self, hour: int) -> tuple[tuple[str, str, frozenset[str]], ...]:
        """Campaigns of partners that are recognised then, with what speaks for each and the accounts that bear it."""
        return self._made(hour).recognised

    def _made(self, hour: int) -> Made:
        if hour not in self.made:
            self.made[hour] = self._run(self.starts_at + timedelta(hours=hour))
        return self.made[hour]

    def _run(self, until: datetime) -> Made:
        work = self.taken.work / f"until-{until:%Y%m%dT%H}-{len(self.sent.rows)}"
        work.mkdir(parents=True)
        earlier = Earlier([], read_seen(work), read_verdicts(work), self.sent)
        result = found(
            rolled(prefix(self.taken, until, work), self.engine),
            self.engine,
            self.settings,
            earlier=earlier,
            progress=_silent,
        )
        shutil.rmtree(work)
        self.say(f"run as of {until:%Y-%m-%d %H}:00: {_told(result.campaigns)}")
        told = tuple((c["verdict"], frozenset(c["account_ids"])) for c in result.campaigns)
        known = tuple((one["campaign_ref"], one["support"], frozenset(one["account_ids"])) for one in result.recognised)
        smallest = result.minimum_detectable
        return Made(told, None if smallest is None else smallest.accounts, _named(result.links), known)


def _named(links: pa.Table) -> frozenset[str]:
    return frozenset(links.filter(pc.equal(links["kind"], LEAD_KIND))["account_id"].to_pylist())


def prefix(taken: Intake, until: datetime, work: Path) -> Intake:
    """What had come in before `until`. Each signal is of one exchange, so those that remain are what a run then saw."""
    signals = taken.signals.filter(taken.signals.started_at < until)
    return replace(taken, signals=signals, accounts=_accounts(taken.accounts, until), work=work, exemplars={})


def _accounts(accounts: pa.Table, until: datetime) -> pa.Table:
    """Accounts created before `until`, or at an unknown time; later verifications have not happened."""
    at = pa.scalar(until, accounts["created_at"].type)
    accounts = accounts.filter(pc.fill_null(pc.less(accounts["created_at"], at), True))
    late = pc.fill_null(pc.greater_equal(accounts["verified_at"], at), False)
    for name, before in (("verification_level", "none"), ("verified_at", None)):
        place, column = accounts.column_names.index(name), accounts[name]
        changed = pc.if_else(late, pa.scalar(before, column.type), column)
        accounts = accounts.set_column(place, accounts.schema.field(name), changed)
    return accounts


def _told(campaigns: Sequence[Campaign]) -> str:
    """Accounts by verdict."""
    counts: Counter[str] = Counter()
    for campaign in campaigns:
        counts[campaign["verdict"]] += len(campaign["account_ids"])
    return ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(counts.items())) or "nothing"


def _silent(stage: str, done: int, total: int) -> None:
    """A run among hundreds says nothing."""
