"""Folders of one week become one folder: fewer files to open, fewer embeddings, the same answers.

Why:    hourly batches make 168 folders a week, and each of them keeps eight embeddings of an account and day.
Misses: a batch that spans two weeks stays as it is.
Source: own. The manifest changes in one step, so a crash leaves either the small folders or the large one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch import rollups
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.state.batches import ACCOUNT_ROWS, REJECTED_ROWS, newest_accounts, write_accounts
from stillwatch.state.manifest import Manifest, existing_manifest, folder_of, move_in, write_manifest, writing
from stillwatch.state.parts import PARTS, path_of

FIRST_MONDAY = 4  # days since 1970


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
