"""Rows out of a state: those of an account, or those that are too old; from every batch, at once, and from the disk."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch.records import TIMESTAMP
from stillwatch.state.batches import ACCOUNT_ROWS
from stillwatch.state.manifest import existing_manifest, folder_of, move_in, work_folder, write_manifest, writing
from stillwatch.state.parts import DAY_S, PARTS, path_of

_ACCOUNT = "account_id"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Keeping:
    """Which rows of a file stay: the columns that say so, and whether each row of a batch does."""

    columns: tuple[str, ...]
    stays: Callable[[pa.RecordBatch], pa.Array]


def erased(state: Path, account_id: str) -> dict[str, int]:
    """Remove the account's rows; how many were removed from each part. Waits until nobody reads the state.

    Raises:
        StoreError: there is no state, or it is of another format.
    """
    keeping = Keeping((_ACCOUNT,), lambda batch: pc.not_equal(batch[_ACCOUNT], account_id))
    return _rewritten(state, dict.fromkeys((*PARTS, "accounts"), keeping))


def retained(state: Path, first_day: int, *, held: Collection[str] = ()) -> dict[str, int]:
    """Remove rollups of days before `first_day` (since 1970), but not those of accounts that are held.

    How many rows went from each part. Batches stay known, accounts stay. Waits until nobody reads the state.

    Raises:
        StoreError: there is no state, or it is of another format.
    """
    since = pa.scalar(_EPOCH + timedelta(days=first_day), TIMESTAMP)
    least = {
        "activity": ("hour_at", since),
        "traits": ("day", pa.scalar(first_day)),
        "artefacts": ("day", pa.scalar(first_day)),
        "sessions": ("first_s", pa.scalar(first_day * DAY_S)),
        "content": ("started_at", since),
    }
    names = pa.array(sorted(held), pa.string())

    def keeping(column: str, value: pa.Scalar) -> Keeping:
        def stays(batch: pa.RecordBatch) -> pa.Array:
            return pc.or_(pc.greater_equal(batch[column], value), pc.is_in(batch[_ACCOUNT], value_set=names))

        return Keeping((_ACCOUNT, column), stays)

    return _rewritten(state, {part: keeping(*least[part]) for part in PARTS})


def _rewritten(state: Path, keeping: Mapping[str, Keeping]) -> dict[str, int]:
    """Write again the folders in which some row does not stay; how many rows went, by part."""
    existing_manifest(state)  # before a folder is made
    removed = dict.fromkeys(keeping, 0)
    with work_folder(state) as work, writing(state, waits_for_readers=True):
        manifest = existing_manifest(state)
        moved: dict[str, str] = {}
        days: dict[str, frozenset[int]] = {}
        for name in manifest.folders:
            folder = folder_of(state, name)
            if any(_loses(path, keeping[part]) for part, path in _parts_of(folder) if part in keeping):
                finished = _without(folder, work / name, keeping, removed)
                days[name] = _days(path_of(finished, "activity"))
                moved[name] = move_in(state, finished)
        if moved:
            batches = tuple(
                replace(b, folder=moved[b.folder], days=tuple(d for d in b.days if d in days[b.folder]))
                if b.folder in moved
                else b
                for b in manifest.batches
            )
            write_manifest(state, replace(manifest, batches=batches))
    return removed


def _parts_of(folder: Path) -> list[tuple[str, Path]]:
    """The files of a folder whose rows belong to accounts."""
    paths = {**{part: path_of(folder, part) for part in PARTS}, "accounts": folder / ACCOUNT_ROWS}
    return [(name, path) for name, path in paths.items() if path.exists()]


def _loses(path: Path, keeping: Keeping) -> bool:
    file = pq.ParquetFile(path)
    return any(
        not pc.all(keeping.stays(batch), min_count=0).as_py()
        for batch in file.iter_batches(columns=list(keeping.columns))
    )


def _days(activity: Path) -> frozenset[int]:
    """The days on which a folder still has exchanges."""
    if not activity.exists():
        return frozenset()
    seconds = pc.cast(pq.read_table(activity, columns=["hour_at"])["hour_at"], pa.timestamp("s", "UTC"))
    return frozenset(pc.divide(pc.cast(seconds, pa.int64()), DAY_S).unique().to_pylist())


def _without(folder: Path, target: Path, keeping: Mapping[str, Keeping], removed: dict[str, int]) -> Path:
    """The folder written again with what stays; counts what went into `removed`."""
    target.mkdir()
    named = {path: part for part, path in _parts_of(folder)}
    for path in sorted(folder.glob("*.parquet")):
        part = named.get(path, "")
        file = pq.ParquetFile(path)
        with pq.ParquetWriter(target / path.name, file.schema_arrow, compression="zstd") as writer:
            for batch, gone in _filtered(file, keeping.get(part)):
                writer.write_batch(batch)
                if gone:
                    removed[part] += gone
    return target


def _filtered(file: pq.ParquetFile, keeping: Keeping | None) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The batches of a file with what stays, each with how many rows went."""
    for batch in file.iter_batches():
        kept = batch if keeping is None else batch.filter(keeping.stays(batch))
        yield kept, batch.num_rows - kept.num_rows
