"""One scan, or one detection over a state, from flags to files: the run boundary around the pipeline."""

import importlib
import importlib.metadata
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch import __version__, decisions, ingest, leads, sharing, state, store
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.errors import SettingsError
from stillwatch.intake import Intake, account_rows, intake, too_many_rejected
from stillwatch.pipeline import Campaign, Earlier, Found, found
from stillwatch.recognised import sentence
from stillwatch.records import ACCOUNT_VERDICTS, OF_CAMPAIGNS, arrow_schema
from stillwatch.report import report
from stillwatch.settings import Settings, checked, groups_path, key_path, key_secret
from stillwatch.sharing.groups import group_keys
from stillwatch.spread import spread_intake
from stillwatch.state import Kept

Progress = Callable[[str, int, int], None]
_LIBRARIES = ("duckdb", "ibis-framework", "numba", "numpy", "pyarrow", "graspologic-native")


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan found and wrote."""

    campaigns: list[Campaign]
    run: dict[str, Any]


def scan(settings: Settings, *, progress: Progress) -> Scanned:
    """Read logs, find campaigns, write every output file. Running again gives the same and replaces what stood there.

    Raises:
        StillwatchError: settings, input, store or engine; nothing that stood in the folder is lost.
    """
    with _run_in(settings, progress) as run:
        taken = run.take(settings, run.engine, key=run.key, work=run.work, progress=run.clock)
        store.write_table(settings.out / store.REJECTED, taken.rejected)
        refusal = too_many_rejected(taken, settings.max_rejected_share)
        if refusal is not None:
            raise refusal
        run.clock("rollups", 0, 0)
        return _found(settings, state.rolled(taken, run.engine), run)


def detect(
    folder: Path, settings: Settings, *, window: state.Window, progress: Progress, known: pa.Table | None = None
) -> Scanned:
    """Find campaigns in the merged rollups of a state and write what a scan writes; no log is read.

    `known` tells of accounts as in `records.ACCOUNTS`, identifiers hashed already: what it says of one counts before
    what the state says.

    Raises:
        StillwatchError: settings, input, store or engine; nothing that stood in the output folder is lost.
    """
    with _run_in(settings, progress) as run, state.reading(folder):
        run.clock("rollups", 0, 0)
        accounts, rejected = account_rows(settings, run.key)
        kept = state.kept(folder, run.engine, key=run.key, work=run.work, window=window, accounts=accounts)
        told = kept.accounts if known is None else state.overlaid(kept.accounts, known)
        kept = replace(kept, accounts=told, rejected=pa.concat_tables([kept.rejected, rejected]))
        store.write_table(settings.out / store.REJECTED, kept.rejected)
        return _found(settings, kept, run)


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run holds while it lasts."""

    engine: Any  # an engine, or a cluster; the import waits for whoever wants one
    take: Callable[..., Intake]  # how logs get into it
    key: ingest.Key
    work: Path
    clock: "_Clock"


@contextmanager
def _run_in(settings: Settings, progress: Progress) -> Iterator[_Run]:
    """The output folder, held; a key that fits it; and an engine."""
    _refuse_early(settings)
    key = ingest.Key(key_secret(key_path()))
    clock = _Clock(progress)
    with store.locked(settings.out) as work:
        store.check_key(settings.out, key.key_id)
        with _engine(settings, work) as (engine, take):
            yield _Run(engine, take, key, work, clock)


def _found(settings: Settings, kept: Kept, run: _Run) -> Scanned:
    """The campaigns in what is kept, written."""
    out = settings.out
    sent = leads.sent(store.read_leads(out), group_keys(settings.groups or groups_path()), datetime.now(UTC))
    earlier = Earlier(store.read_known(out), store.read_seen(out), store.read_verdicts(out), sent)
    return _written(settings, kept, found(kept, run.engine, settings, earlier=earlier, progress=run.clock), run.clock)


@contextmanager
def _engine(settings: Settings, work: Path) -> Iterator[tuple[Any, Callable[..., Intake]]]:
    """The engine that was asked for, and how logs get into it."""
    if settings.engine == "embedded":
        with EmbeddedEngine(work, memory_limit=settings.memory_limit, threads=settings.threads) as engine:
            yield engine, partial(intake, packed=True)
        return
    options = {"master": settings.spark_master, "folder": settings.work, "memory_limit": settings.memory_limit}
    with _spark_engine()(work, **options) as engine:
        yield engine, spread_intake


def _spark_engine() -> type[Any]:
    """The Spark engine, imported by name: it is an extra, and whoever does without it should not wait for it.

    Raises:
        SettingsError: the extra is not installed.
    """
    try:
        return importlib.import_module("stillwatch.engines.spark").SparkEngine
    except ModuleNotFoundError as error:
        missing = (error.name or "pyspark").partition(".")[0]
        if missing not in ("pyspark", "py4j", "grpc"):
            raise
        message = f"--engine spark needs {missing}, which is not installed: pip install 'stillwatch[spark]'"
        raise SettingsError(message) from error


def _refuse_early(settings: Settings) -> None:
    """Raise now what would otherwise be raised after all logs are read."""
    checked(settings)
    decisions.load_policy(settings.policy)
    sharing.bundle([], now=datetime.now(UTC), tlp=settings.tlp)


def account_verdicts(campaigns: list[Campaign]) -> pa.Table:
    """One row per account in a campaign; columns as in `records.ACCOUNT_VERDICTS`."""
    rows = []
    for campaign in campaigns:
        decided = {
            account_id: decision
            for decision in campaign["recommended_decisions"]
            for account_id in decision["account_ids"]
        }
        for account_id in campaign["account_ids"]:
            decision = decided.get(account_id, {})
            rows.append(
                {
                    "account_id": account_id,
                    "campaign_id": campaign["campaign_id"],
                    "verdict": campaign["verdict"],
                    "probability": campaign["probability"],
                    "decision": decision.get("action"),
                    "check": decision.get("check"),
                    "reason": decision.get("because"),
                }
            )
    rows.sort(key=lambda row: row["account_id"])
    return pa.Table.from_pylist(rows, schema=arrow_schema(ACCOUNT_VERDICTS))


def _written(settings: Settings, kept: Kept, result: Found, clock: "_Clock") -> Scanned:
    """Make all results, then write them, the record of the run last."""
    clock("report", 0, 0)
    out, verdicts = settings.out, account_verdicts(result.campaigns)
    now = datetime.now(UTC)
    run = _run(settings, kept, result, clock, now)
    bundle = sharing.bundle(result.campaigns, now=now, tlp=settings.tlp, key_id=kept.key.key_id)
    text = report(result.campaigns, links=result.links, accounts=verdicts, run=run, recognised=result.recognised)
    store.write_json(out / store.CAMPAIGNS, result.campaigns)
    store.write_json(out / store.KNOWN, result.known)
    store.write_table(out / store.ACCOUNTS, verdicts)
    store.write_table(out / store.LINKS, result.links)
    store.write_table(out / store.SEEN, result.seen)
    store.write_table(out / store.VOCABULARY, result.vocabulary)
    store.write_table(out / store.LEAD_MATCHES, result.lead_matches)
    store.write_json(out / store.RECOGNISED, result.recognised)
    store.write_text(out / store.BUNDLE, bundle)
    store.write_text(out / store.REPORT, text)
    run["seconds"] = clock.seconds()
    run["peak_memory_bytes"] = peak_memory_bytes()
    run["finished_at"] = datetime.now(UTC).isoformat()
    store.write_json(out / store.RUN, run)
    return Scanned(result.campaigns, run)


def _run(settings: Settings, kept: Kept, result: Found, clock: "_Clock", now: datetime) -> dict[str, Any]:
    """What run.json says: versions, inputs, counts, seconds per stage, peak memory, and what could not be judged."""
    told = {name: value for name, value in asdict(settings).items() if name not in ("logs", "out")}
    return {
        "version": __version__,
        "libraries": {name: importlib.metadata.version(name) for name in _libraries(settings)},
        "key_id": kept.key.key_id,
        "started_at": clock.started_at.isoformat(),
        "finished_at": now.isoformat(),
        "settings": {
            name: value if isinstance(value, int | float | bool | None) else str(value) for name, value in told.items()
        },
        "inputs": kept.inputs,
        "counts": {
            "exchanges": kept.exchanges,
            "accounts": result.account_count,
            "rejected": kept.rejected.num_rows,
            "duplicates": kept.duplicates,
            "campaigns_by_verdict": dict(Counter(campaign["verdict"] for campaign in result.campaigns)),
        },
        "not_judged": _not_judged(kept, result),
        "recognised": [sentence(one) for one in result.recognised],
        "minimum_detectable_campaign": None
        if result.minimum_detectable is None
        else {
            "accounts": result.minimum_detectable.accounts,
            "assumes": result.minimum_detectable.assumes,
        },
        "seconds": clock.seconds(),
        "peak_memory_bytes": peak_memory_bytes(),
    }


def _libraries(settings: Settings) -> tuple[str, ...]:
    return (*_LIBRARIES, "pyspark") if settings.engine == "spark" else _LIBRARIES


def _not_judged(kept: Kept, result: Found) -> list[str]:
    """What the input does not allow to be judged, in words."""
    columns = {
        "sketch": "The logs hold no prompts: templates, items and harvesting could not be judged. Accounts that share "
        "no card, device or telephone and never begin their sessions together could not be linked.",
        "client_ip": "The logs hold no client addresses: shared networks could not be judged.",
        "user_agent": "The logs hold no user agents: shared tooling rests on prompts alone.",
        "reasoning_replayed": "No exchange sends back a reasoning artefact: replays could not be judged.",
    }
    told = [text for name, text in columns.items() if kept.exchanges and name not in kept.rollups.columns]
    if kept.accounts.num_rows == 0:
        told.append("No accounts were given: payment, devices, sign-up and verified organisations could not be judged.")
    elif kept.exchanges:
        told += _unknown_accounts(kept)
    if kept.exchanges == 0:
        told.append("The input holds no exchanges.")
    if result.minimum_detectable is None and kept.exchanges:
        told.append("With so few accounts no campaign, however large, would stand out from chance.")
    told += [] if result.recognised else _named_by_partners(result.lead_matches)
    missing = {f"{OF_CAMPAIGNS}{text}." for campaign in result.campaigns for text in campaign["missing"]}
    return told + sorted(missing)


def _named_by_partners(lead_matches: pa.Table) -> list[str]:
    """A sentence when accounts in no campaign bear what partners sent: it is here, and nobody is judged for it."""
    bearing = max((row["accounts"] for row in lead_matches.to_pylist() if row["campaign_id"] is None), default=0)
    if not bearing:
        return []
    return [
        f"{bearing:,} accounts in no campaign bear one lead of a partner, too few or too seldom for its campaign to be "
        f"recognised. {store.LINKS} names those that bear it steadily, under the kind lead."
    ]


def _unknown_accounts(kept: Kept) -> list[str]:
    """A sentence when the accounts file tells little about the accounts in the logs, as when their ids differ."""
    seen = kept.rollups.activity.select("account_id").distinct().to_pyarrow()["account_id"]
    known = int(pc.sum(pc.is_in(seen, kept.accounts["account_id"])).as_py())
    if 2 * known >= len(seen):
        return []
    return [
        f"The accounts file knows {known:,} of the {len(seen):,} accounts in the logs: payment, devices, sign-up and "
        "verified organisations of the others could not be judged. Check that both name accounts alike."
    ]


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _Clock:
    """Passes progress on and notes when each stage began."""

    def __init__(self, progress: Progress) -> None:
        self.started_at = datetime.now(UTC)
        self._progress = progress
        self._began: dict[str, float] = {}
        self._start = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        self._began.setdefault(stage, time.monotonic())
        self._progress(stage, done, total)

    def seconds(self) -> dict[str, float]:
        """Seconds each stage took so far, and in all."""
        now = time.monotonic()
        ends = [*list(self._began.values())[1:], now]
        spent = {stage: end - began for (stage, began), end in zip(self._began.items(), ends, strict=True)}
        return {stage: round(s, 3) for stage, s in {**spent, "total": now - self._start}.items()}
