"""Folders of one week, or of a stream, become one folder: fewer files to open, fewer embeddings, the same answers.

Why:    hourly batches make 168 folders a week, a stream thousands a day, and each keeps eight embeddings of an account
        and day.
Misses: a batch that spans two weeks stays as it is.
Source: folders of one size are merged as in O'Neil et al., "The log-structured merge-tree (LSM-tree)", Acta Informatica
        33 (1996). The manifest changes in one step, so a crash leaves either the small folders or the large one.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch import rollups
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.state.batches import ACCOUNT_ROWS, REJECTED_ROWS, newest_accounts, write_accounts
from stillwatch.state.manifest import (
    Batch,
    Manifest,
    existing_manifest,
    exists,
    folder_of,
    move_in,
    reading,
    write_manifest,
    writing,
)
from stillwatch.state.parts import PARTS, path_of
from stillwatch.state.stream import STREAM

FIRST_MONDAY = 4  # days since 1970
FAN_IN = 8  # folders of streams that become one: each row is written again once for every eightfold


@dataclass(frozen=True, slots=True)
class Compacted:
    """How many folders of parts there were, and how many there are."""

    before: int
    after: int


def compacted(state: Path, engine: Engine, *, work: Path) -> Compacted:
    """Merge the folders of every week; a state with nothing to merge stays as it is."""
    with writing(state):
        manifest = existing_manifest(state)
        moved: dict[str, str] = {}
        for number, names in enumerate(_weeks(state, manifest)):
            finished = work / f"week-{number}"
            finished.mkdir()
            _merge([folder_of(state, name) for name in names], finished, engine)
            moved.update(dict.fromkeys(names, move_in(state, finished)))
        if moved:
            write_manifest(state, _with_folders(manifest, moved))
        return Compacted(len(manifest.folders), len({moved.get(name, name) for name in manifest.folders}))


def has_alike(state: Path) -> bool:
    """Whether `streams_merged` would find anything to do."""
    return exists(state) and bool(_alike(existing_manifest(state)))


def streams_merged(state: Path, engine: Engine, *, work: Path, pending: Callable[[], Collection[str]]) -> int:
    """Merge folders of streams that are of one size, FAN_IN at a time, until there are fewer; how many were merged.

    A stream leaves a small folder every few seconds. Batches come in while folders are merged; folders that somebody
    else changed meanwhile stay as they are. Of the segments in their records only those `pending`, whose file is still
    there, have to be known by name.
    """
    count = 0
    while exists(state):
        with reading(state):
            units = _alike(existing_manifest(state))
            if not units:
                return count
            finished = work / f"streams-{count}"
            finished.mkdir()
            _merge([folder_of(state, unit[0].folder) for unit in units], finished, engine)
        if not _replaced(state, units, finished, pending()):
            return count
        count += len(units)
    return count


def _replaced(state: Path, units: Sequence[Sequence[Batch]], finished: Path, pending: Collection[str]) -> bool:
    """Put the folder that they were merged to in the place of some; not when any of them is another by now."""
    merged = [batch for unit in units for batch in unit]
    with writing(state):
        manifest = existing_manifest(state)
        if any(batch not in manifest.batches for batch in merged):
            return False
        one = _as_one(merged, move_in(state, finished), pending)
        others = tuple(batch for batch in manifest.batches if batch not in merged)
        write_manifest(state, replace(manifest, batches=(*others, one)))
    return True


def _alike(manifest: Manifest) -> list[list[Batch]]:
    """FAN_IN folders of streams of about one size, oldest first, each with its batches; none when there are fewer."""
    folders: dict[str, list[Batch]] = {}
    for batch in sorted(manifest.batches, key=lambda batch: batch.sequence):
        folders.setdefault(batch.folder, []).append(batch)
    tiers: dict[int, list[list[Batch]]] = {}
    for unit in folders.values():
        if all(batch.batch_id.startswith(STREAM) for batch in unit):
            size = sum(batch.exchanges for batch in unit)
            tiers.setdefault(int(math.log(size + 1, FAN_IN)), []).append(unit)
    full = (tiers[tier] for tier in sorted(tiers) if len(tiers[tier]) >= FAN_IN)
    return next(full, [])[:FAN_IN]


def _as_one(batches: Sequence[Batch], folder: str, pending: Collection[str]) -> Batch:
    """The record of several batches that are one now."""
    told = hashlib.sha256("\n".join(batch.batch_id for batch in batches).encode()).hexdigest()[:24]
    inputs = [entry for batch in batches for entry in batch.inputs]
    known = [entry for entry in inputs if entry["file"] in pending]
    rest = [entry for entry in inputs if entry["file"] not in pending]
    sums = {name: sum(int(entry[name]) for entry in rest) for name in ("rows", "rejected")}
    return replace(
        max(batches, key=lambda batch: batch.sequence),
        batch_id=STREAM + told,
        folder=folder,
        days=tuple(sorted({day for batch in batches for day in batch.days})),
        exchanges=sum(batch.exchanges for batch in batches),
        duplicates=sum(batch.duplicates for batch in batches),
        rejected=sum(batch.rejected for batch in batches),
        columns=tuple(sorted({name for batch in batches for name in batch.columns})),
        inputs=(*known, {"file": "stream", **sums}),
    )


def _weeks(state: Path, manifest: Manifest) -> list[list[str]]:
    """Folders that belong together: of one week each, and those that hold accounts only."""
    groups: dict[int | None, list[str]] = {}
    for name, days in manifest.folders.items():
        weeks = {(day - FIRST_MONDAY) // 7 for day in days}
        if len(weeks) == 1:
            groups.setdefault(weeks.pop(), []).append(name)
        elif not path_of(folder_of(state, name), "activity").exists():
            groups.setdefault(None, []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _with_folders(manifest: Manifest, moved: Mapping[str, str]) -> Manifest:
    return replace(
        manifest,
        batches=tuple(replace(batch, folder=moved.get(batch.folder, batch.folder)) for batch in manifest.batches),
    )


def _merge(folders: Sequence[Path], finished: Path, engine: Engine) -> None:
    """Write what the folders hold into one."""
    for part in PARTS:
        paths = [path_of(folder, part) for folder in folders if path_of(folder, part).exists()]
        if paths:
            engine.write(_one(part, ibis.union(*map(engine.read, paths))), path_of(finished, part))
    for name in (REJECTED_ROWS, ACCOUNT_ROWS):
        tables = [pq.read_table(folder / name) for folder in folders if (folder / name).exists()]
        if tables and name == ACCOUNT_ROWS:
            write_accounts(finished, newest_accounts(pa.concat_tables(tables)))
        elif tables:
            pq.write_table(pa.concat_tables(tables), finished / name, compression="zstd")


def _one(part: str, rows: IbisTable) -> IbisTable:
    """The rows of one part, merged as far as days allow; ordered where this makes them small."""
    if part == "activity":
        return rollups.merged_activity(rows)
    if part == "traits":
        return rollups.merged_traits(rows, daily=True)
    if part == "artefacts":
        return rollups.merged_artefacts(rows, daily=True)
    if part == "sessions":
        return rows.distinct()
    return rollups.sampled(rows).order_by(["account_id", "started_at", "exchange_id"])
