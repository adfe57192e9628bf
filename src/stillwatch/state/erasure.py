"""An account out of a state: from every part of every batch, at once, and from the disk."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch.state.batches import ACCOUNT_ROWS
from stillwatch.state.manifest import existing_manifest, folder_of, move_in, work_folder, write_manifest, writing
from stillwatch.state.parts import PARTS, path_of

_ACCOUNT = "account_id"


def erased(state: Path, account_id: str) -> dict[str, int]:
    """Remove the account's rows; how many were removed from each part. Waits until nobody reads the state.

    Raises:
        StoreError: there is no state, or it is of another format.
    """
    existing_manifest(state)  # before a folder is made
    removed = dict.fromkeys((*PARTS, "accounts"), 0)
    with work_folder(state) as work, writing(state, waits_for_readers=True):
        manifest = existing_manifest(state)
        moved: dict[str, str] = {}
        for name in manifest.folders:
            folder = folder_of(state, name)
            if any(_holds(path, account_id) for path in _of_accounts(folder).values()):
                moved[name] = move_in(state, _without(folder, account_id, work / name, removed))
        if moved:
            batches = tuple(replace(b, folder=moved.get(b.folder, b.folder)) for b in manifest.batches)
            write_manifest(state, replace(manifest, batches=batches))
    return removed


def _of_accounts(folder: Path) -> dict[str, Path]:
    """The files of a folder whose rows belong to accounts."""
    paths = {**{part: path_of(folder, part) for part in PARTS}, "accounts": folder / ACCOUNT_ROWS}
    return {name: path for name, path in paths.items() if path.exists()}


def _holds(path: Path, account_id: str) -> bool:
    return any(
        pc.any(pc.equal(batch[_ACCOUNT], account_id)).as_py()
        for batch in pq.ParquetFile(path).iter_batches(columns=[_ACCOUNT])
    )


def _without(folder: Path, account_id: str, target: Path, removed: dict[str, int]) -> Path:
    """The folder written again without the account; counts what went into `removed`."""
    target.mkdir()
    named = {path: name for name, path in _of_accounts(folder).items()}
    for path in sorted(folder.iterdir()):
        file = pq.ParquetFile(path)
        with pq.ParquetWriter(target / path.name, file.schema_arrow, compression="zstd") as writer:
            for batch, gone in _filtered(file, account_id if path in named else None):
                writer.write_batch(batch)
                if gone:
                    removed[named[path]] += gone
    return target


def _filtered(file: pq.ParquetFile, account_id: str | None) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The batches of a file without the account, each with how many rows went."""
    for batch in file.iter_batches():
        kept = batch if account_id is None else batch.filter(pc.not_equal(batch[_ACCOUNT], account_id))
        yield kept, batch.num_rows - kept.num_rows
