"""Partial rollups: what one batch leaves on disk, and what many of them merge to.

    activity    account, hour, model, capability                     sums
    traits      account, kind, value, day                            sums, least and greatest
    artefacts   artefact, account, issued or sent back, day          sums, least and greatest
    sessions    account, day, stretch without ten minutes of silence stretches that touch are one
    content     one row per exchange, with eight embeddings per account and day

Reading is a GROUP BY over all of them, in any order. Every row belongs to one UTC day, so a window of days is a filter.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from stillwatch import rollups
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.records import SIGNALS

PARTS = ("activity", "traits", "artefacts", "sessions", "content")
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Window:
    """Days since 1970, UTC, from `since` until before `until`; null is open."""

    since: int | None = None
    until: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether every day lies in it."""
        return self.since is None and self.until is None

    def holds(self, days: Collection[int]) -> bool:
        """Whether any of the days lies in it."""
        return any(self.rows_on(day) for day in days)

    def rows_on(self, day: int) -> bool:
        """Whether the day lies in it."""
        return (self.since is None or day >= self.since) and (self.until is None or day < self.until)

    def cut(self, rows: IbisTable, day: IbisTable) -> IbisTable:
        """The rows whose day lies in it."""
        if self.since is not None:
            rows = rows.filter(day >= self.since)
        return rows if self.until is None else rows.filter(day < self.until)


@dataclass(frozen=True, slots=True)
class Rollups:
    """Merged rollups of a window: `starts` of sessions, the others as in `records`; `columns` that logs filled.

    Only `embedded` is content with embeddings: to find those that are kept takes work that no other reader should pay.
    They are sampled already, or `per_day` says how many of an account and day whoever reads them is to keep.
    """

    activity: IbisTable
    traits: IbisTable
    artefacts: IbisTable
    starts: IbisTable
    content: IbisTable
    embedded: IbisTable
    columns: frozenset[str]
    per_day: int | None = None


def write_parts(signals: IbisTable, engine: Engine, folder: Path) -> None:
    """Write the partial rollups of a batch's signals into a folder."""
    partial = {
        "activity": rollups.activity(signals),
        "traits": rollups.daily_traits(signals),
        "artefacts": rollups.daily_artefacts(signals),
        "sessions": rollups.sessions(signals),
        "content": rollups.content(signals),
    }
    for name in PARTS:
        engine.write(partial[name], path_of(folder, name))


def filled_columns(signals: IbisTable) -> frozenset[str]:
    """Names of the columns of the signals that hold anything."""
    held = {name: signals[name].notnull().any() for name in SIGNALS.names if name in signals.columns}
    row = signals.aggregate(**held).to_pyarrow().to_pylist()[0]
    return frozenset(name for name, holds in row.items() if holds)


def without_empty(rows: IbisTable, columns: frozenset[str]) -> IbisTable:
    """The rows with a constant for every signal that holds nothing: it is neither read nor computed with.

    `columns` are the signals that hold anything. Vectors that are kept as bytes are lists where there are none.
    """
    empty = [name for name in rows.columns if name in SIGNALS.names and name not in columns]
    return rows.mutate(**{name: ibis.null(_plain_type(name, rows[name].type())) for name in empty}) if empty else rows


def _plain_type(name: str, kind: Any) -> Any:  # noqa: ANN401 - as Ibis has them
    return dt.Array(dt.dtype(str(SIGNALS.column(name).type.value_type))) if kind.is_binary() else kind


def path_of(folder: Path, part: str) -> Path:
    """Where a folder keeps one of its parts."""
    return folder / f"{part}.parquet"


def merged(
    folders: Sequence[tuple[Path, Collection[int]]],
    engine: Engine,
    *,
    work: Path,
    columns: frozenset[str],
    window: Window = Window(),
) -> Rollups:
    """What the parts in some folders, each with its days, merge to; written to `work` where it takes a GROUP BY."""
    raw = {part: _all(part, [folder for folder, _ in folders], engine, work) for part in PARTS}
    counts = Counter(day for _, days in folders for day in days)
    again = sorted(day for day, count in counts.items() if count > 1 and window.rows_on(day))
    activity = window.cut(raw["activity"], rollups.day(raw["activity"].hour_at))
    if again:
        activity = engine.write(rollups.merged_activity(activity), work / "activity.parquet")
    traits = window.cut(raw["traits"], raw["traits"].day)
    artefacts = window.cut(raw["artefacts"], raw["artefacts"].day)
    sessions = window.cut(raw["sessions"], raw["sessions"].first_s // DAY_S)
    kept = window.cut(raw["content"], rollups.day(raw["content"].started_at))
    embedded = without_empty(_content(kept, again), columns)
    return Rollups(
        activity=activity,
        traits=engine.write(rollups.merged_traits(traits), work / "exchange_traits.parquet"),
        artefacts=engine.write(rollups.shared_artefacts(artefacts), work / "artefacts.parquet"),
        starts=engine.write(rollups.session_starts(sessions), work / "starts.parquet"),
        content=without_empty(kept, columns).drop("embedding"),
        embedded=embedded,
        columns=columns,
    )


def straight(
    signals: IbisTable, engine: Engine, *, work: Path, columns: frozenset[str], foreign: rollups.Foreign | None = None
) -> Rollups:
    """What the partial rollups of these signals alone would merge to, without days and without writing them first.

    The content is read off the signals; the others are written to `work`. `foreign` are the artefacts that an account
    sent back without having been issued them, null when they are not known.
    """
    signals = without_empty(signals, columns)
    written = {
        "activity": rollups.activity(signals),
        "artefacts": _artefacts(signals, foreign, engine, work),
        "starts": rollups.session_starts(rollups.spans(signals)),
        "appearances": rollups.appearances(signals),
    }
    tables = {name: engine.write(table, work / f"{name}.parquet") for name, table in written.items()}
    seen = tables.pop("appearances")
    traits = engine.write(rollups.exchange_traits(signals, seen), work / "exchange_traits.parquet")
    content = embedded = rollups.unsampled(signals)
    per_day = rollups.EMBEDDINGS_PER_DAY if "embedding" in columns and engine.threads_here else None
    if "embedding" in columns and per_day is None:
        chosen = rollups.chosen(content, content.text_id.notnull())  # every text of which there is a number has one
        embedded = rollups.embedded(content, engine.write(chosen, work / "chosen.parquet"))
    content = content.drop("embedding")
    return Rollups(traits=traits, content=content, embedded=embedded, columns=columns, per_day=per_day, **tables)


def _artefacts(signals: IbisTable, foreign: rollups.Foreign | None, engine: Engine, work: Path) -> IbisTable:
    """Artefacts sent back by an account that was not issued them: `foreign` ones, if they are known."""
    if foreign is None or not len(foreign.artefacts):
        return rollups.exchanged_artefacts(signals if foreign is None else signals.limit(0))
    exchanges = engine.memory(pa.table({"exchange_key": foreign.exchanges}))
    holding = engine.write(rollups.handling(signals, exchanges), work / "handling.parquet")
    return rollups.exchanged_artefacts(signals, engine.memory(rollups.prefixes(foreign.artefacts)), holding)


def _all(part: str, folders: Sequence[Path], engine: Engine, work: Path) -> IbisTable:
    """One part of all folders as one table: links in one folder, because an engine reads a folder at a time."""
    paths = [path_of(folder, part) for folder in folders]
    if len(paths) == 1:
        return engine.read(paths[0])
    gathered = work / "kept" / part
    gathered.mkdir(parents=True)
    for number, path in enumerate(paths):
        path_of(gathered, f"{number:06}").symlink_to(path.resolve())
    return engine.read(gathered)


def _content(rows: IbisTable, again: Sequence[int]) -> IbisTable:
    """The rows, those of days that stand in several parts with their embeddings sampled anew."""
    if not again:
        return rows
    is_again = rollups.day(rows.started_at).isin(again)
    return ibis.union(rows.filter(~is_again), rollups.sampled(rows.filter(is_again)))
