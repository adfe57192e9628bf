"""What a state holds, in one file that is replaced in one step: nothing counts that it does not name.

    STATE/manifest.json     format, key, kernels, and every batch with the folder its rows are in
    STATE/parts/FOLDER      partial rollups, rejected rows, accounts; written once, never changed
    STATE/.lock             held by whoever writes the manifest
    STATE/.readers          shared by whoever reads parts: no folder goes while it is read
    STATE/.work-…           of a batch being read; removed with its process, or by the next writer

A batch is committed by moving its finished folder in and replacing the manifest. Before that the state is as it was,
after that it is as it will be, and a folder the manifest does not name is rubbish.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stillwatch import __version__
from stillwatch.errors import StoreError

FORMAT = 2  # of the parts; raised when a column of them changes its meaning
MANIFEST, FOLDERS, _LOCK, _READERS, _WORK = "manifest.json", "parts", ".lock", ".readers", ".work-"


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch: its id, the folder its rows are in (after compaction with others), and what was read.

    `days` since 1970 on which it has exchanges; `inputs` as in run.json; `columns` that its logs fill; `accounts_id`
    names the accounts given with it, null without; `sequence` counts up from batch to batch.
    """

    batch_id: str
    folder: str
    sequence: int
    ingested_at: str
    days: tuple[int, ...] = ()
    exchanges: int = 0
    duplicates: int = 0
    rejected: int = 0
    columns: tuple[str, ...] = ()
    inputs: tuple[Mapping[str, Any], ...] = ()
    accounts_id: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The batches of a state, and what made them: another key or other kernels cannot add to it."""

    key_id: str
    kernels: str
    batches: tuple[Batch, ...] = ()
    version: str = __version__
    format: int = FORMAT

    @property
    def folders(self) -> dict[str, frozenset[int]]:
        """The days of each folder, oldest batch first."""
        found: dict[str, frozenset[int]] = {}
        for batch in sorted(self.batches, key=lambda batch: batch.sequence):
            found[batch.folder] = found.get(batch.folder, frozenset()) | frozenset(batch.days)
        return found

    @property
    def next_sequence(self) -> int:
        """The number of the next batch."""
        return max((batch.sequence for batch in self.batches), default=0) + 1

    @property
    def accounts_id(self) -> str | None:
        """The accounts that came last."""
        given = sorted((batch.sequence, batch.accounts_id) for batch in self.batches if batch.accounts_id is not None)
        return given[-1][1] if given else None

    def batch(self, batch_id: str) -> Batch | None:
        """The batch of that id, if it is in."""
        return next((batch for batch in self.batches if batch.batch_id == batch_id), None)

    def plus(self, batch: Batch) -> "Manifest":
        """The manifest with one batch more."""
        return replace(self, batches=(*self.batches, batch))


def manifest_of(state: Path, key_id: str | None = None) -> Manifest | None:
    """What the state holds, or None when there is none yet.

    Raises:
        StoreError: the manifest is damaged, of another format, or made under another key than `key_id`.
    """
    path = state / MANIFEST
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        held = told["format"]
        if held == FORMAT:
            found = _manifest(told)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged. Restore it, or ingest the logs into another folder.") from error
    if held != FORMAT:
        raise StoreError(
            f"{state} has format {held} (stillwatch {told.get('version')}), this is format {FORMAT} (stillwatch "
            f"{__version__}). Ingest the logs into a new state, or use the stillwatch that made this one."
        )
    if key_id is not None and found.key_id != key_id:
        raise StoreError(
            f"{state} was made under key {found.key_id}, this run has key {key_id}: their hashes cannot be compared. "
            "Restore the earlier key file, or ingest the logs into another folder with --state."
        )
    return found


def exists(state: Path) -> bool:
    """Whether anything was taken into the state."""
    return (state / MANIFEST).exists()


def existing_manifest(state: Path, key_id: str | None = None) -> Manifest:
    """What the state holds.

    Raises:
        StoreError: there is no state, or it is damaged, of another format, or made under another key than `key_id`.
    """
    found = manifest_of(state, key_id)
    if found is None:
        raise StoreError(f"there is no state in {state}. Run `stillwatch ingest LOGS --state {state}` first.")
    return found


def _manifest(told: Mapping[str, Any]) -> Manifest:
    batches = tuple(
        Batch(**{**row, "days": tuple(row["days"]), "columns": tuple(row["columns"]), "inputs": tuple(row["inputs"])})
        for row in told["batches"]
    )
    return Manifest(**{**told, "batches": batches})


def write_manifest(state: Path, manifest: Manifest) -> None:
    """Replace the manifest in one step, and only once everything it names is on disk."""
    partial = state / f".{MANIFEST}.partial"
    with partial.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(state / MANIFEST)
    _sync(state)


def move_in(state: Path, finished: Path) -> str:
    """Move a finished folder among the parts, synced to disk; its new name, which no manifest knows yet."""
    for path in sorted(finished.iterdir()):
        _sync(path)
    _sync(finished)
    folders = state / FOLDERS
    folders.mkdir(exist_ok=True)
    target = Path(tempfile.mkdtemp(prefix="", dir=folders))
    finished.replace(target)
    _sync(folders)
    return target.name


def folder_of(state: Path, name: str) -> Path:
    """Where a folder of parts is."""
    return state / FOLDERS / name


def part_bytes(state: Path, folders: Sequence[str]) -> dict[str, int]:
    """Bytes on disk by part, summed over folders."""
    sizes: dict[str, int] = {}
    for name in folders:
        for path in folder_of(state, name).glob("*.parquet"):
            sizes[path.stem] = sizes.get(path.stem, 0) + path.stat().st_size
    return dict(sorted(sizes.items()))


@contextmanager
def writing(state: Path, *, waits_for_readers: bool = False) -> Iterator[None]:
    """Hold the state for a change of its manifest, after waiting for whoever holds it.

    Rubbish goes before and after, unless somebody may be reading it; with `waits_for_readers` it goes in any case.
    """
    with _made(state, _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove_rubbish(state, waits=False)
        yield
        _remove_rubbish(state, waits=waits_for_readers)


@contextmanager
def reading(state: Path) -> Iterator[None]:
    """Keep every folder of parts in place while it is read.

    Raises:
        StoreError: there is no state, or it is damaged or of another format.
    """
    existing_manifest(state)  # before a folder is made
    with _made(state, _READERS).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def work_folder(state: Path) -> Iterator[Path]:
    """A folder of this process beside the parts; when the process is killed, the next writer removes it.

    It is made under the lock: no writer may take it for rubbish before its own lock is held.
    """
    with _made(state, _LOCK).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        work = Path(tempfile.mkdtemp(prefix=_WORK, dir=state))
        lock = (work / _LOCK).open("a")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _made(state: Path, name: str) -> Path:
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / name).touch()
    except OSError as error:
        raise StoreError(f"cannot write to {state}: {error.strerror}. Choose another folder with --state.") from error
    return state / name


def _remove_rubbish(state: Path, *, waits: bool) -> None:
    """Remove folders that no manifest names, and work folders of processes that are gone."""
    for left in state.glob(f"{_WORK}*"):
        if not (left / _LOCK).exists() or not _is_held(left / _LOCK):
            shutil.rmtree(left, ignore_errors=True)
    manifest = manifest_of(state)
    named = set() if manifest is None else set(manifest.folders)
    rubbish = [path for path in (state / FOLDERS).glob("*") if path.name not in named]
    if not rubbish:
        return
    with _made(state, _READERS).open("a") as readers:
        try:
            fcntl.flock(readers, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        for path in rubbish:
            shutil.rmtree(path, ignore_errors=True)


def _is_held(lock: Path) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _sync(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
