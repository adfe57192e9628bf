"""One batch of logs into a state: once, whole or not at all, whoever else is at it.

1. The batch is named by what its files hold. A name that is in already changes nothing.
2. Rollups are made in a folder beside the state, without holding anybody up.
3. Under the lock: exchanges that stand in other batches within a week are taken out, the folder is moved in, and
the manifest that names it replaces the old one.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch import ingest, rollups
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.errors import StoreError
from stillwatch.intake import Intake, account_rows, intake, too_many_rejected
from stillwatch.settings import Settings
from stillwatch.state import numbers
from stillwatch.state.kernels import kernels
from stillwatch.state.manifest import (
    Batch,
    Manifest,
    folder_of,
    manifest_of,
    move_in,
    work_folder,
    write_manifest,
    writing,
)
from stillwatch.state.parts import filled_columns, path_of, write_parts

LOOK_BACK_DAYS = 7  # between two deliveries of one exchange; longer and it counts twice
REJECTED_ROWS, ACCOUNT_ROWS = "rejected.parquet", "accounts.parquet"
SEQUENCE = pa.field("sequence", pa.int64())  # beside the columns of accounts: which delivery a row came with
_READ_BYTES = 1 << 20

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a batch: whether it was in already, and whether its accounts are news."""

    batch: Batch
    was_known: bool
    has_new_accounts: bool


def batch_id(settings: Settings) -> str:
    """The name of a batch: what its files hold and how they are to be read, not where they lie or in which order.

    Raises:
        InputError: nothing matches an input pattern.
        SettingsError: the field map cannot be read.
    """
    told = sorted(_digest(path) for path in ingest.input_files(settings.logs))
    told += [str(settings.input_format), str(settings.started_at)]
    told += [_digest(settings.field_map)] if settings.field_map else []
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:24]


def ingested(
    state: Path, settings: Settings, engine: Engine, *, key: ingest.Key, work: Path, progress: Progress
) -> Ingested:
    """Take one batch into the state, and the accounts given with it; `work` lies in the state.

    Raises:
        InputError: nothing matches, or too many rows were rejected; they are listed in the state's rejected.parquet.
        StoreError: the state was made under another key, by another version or by other kernels.
    """
    name = batch_id(settings)
    known = checked_manifest(state, key).batch(name)
    if known is None:
        taken = intake(settings, engine, key=key, work=work, progress=progress)
        _refuse(taken, state, settings)
        progress("rollups", 0, 0)
        finished = finished_parts(taken.signals, engine, work / "batch")
        with writing(state):
            held = checked_manifest(state, key)
            known = held.batch(name)  # unless another writer was faster with the same batch
            if known is None:
                place = Place(state, held, engine, work)
                batch = committed(name, taken, finished, place, accounts_id=_accounts_id(settings))
                return Ingested(batch, was_known=False, has_new_accounts=batch.accounts_id is not None)
    return Ingested(known, was_known=True, has_new_accounts=_with_new_accounts(state, settings, key))


def checked_manifest(state: Path, key: ingest.Key) -> Manifest:
    """The manifest to add to; a new one for a new state.

    Raises:
        StoreError: the state was made under another key, by another version or by other kernels.
    """
    held = manifest_of(state, key.key_id)
    if held is None:
        return Manifest(key.key_id, kernels())
    if held.kernels != kernels():
        raise StoreError(
            f"{state} was made by the text kernels of stillwatch {held.version}; what this version makes of a prompt "
            "is something else, so that one wording would be two. Ingest the logs into a new state, or use it again."
        )
    return held


def _digest(path: Path) -> str:
    """What a file holds, as SHA-256."""
    held = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                held.update(block)
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}. A batch is named by what its files hold.") from error
    return held.hexdigest()


def _refuse(taken: Intake, state: Path, settings: Settings) -> None:
    """Raise when too many rows were rejected, and leave the list of them."""
    refusal = too_many_rejected(taken, settings.max_rejected_share)
    if refusal is not None:
        pq.write_table(taken.rejected, state / REJECTED_ROWS)
        raise refusal


@dataclass(frozen=True, slots=True)
class Place:
    """Where a batch goes: the state, what it holds, and what to work with."""

    state: Path
    held: Manifest
    engine: Engine
    work: Path


def committed(name: str, taken: Intake, finished: Path, into: Place, *, accounts_id: str | None) -> Batch:
    """The batch, in the state: steps 3 of the module summary."""
    signals, engine = taken.signals, into.engine
    repeated = _repeated(finished, into)
    if len(repeated):
        twice = engine.memory(pa.table({"exchange_id": repeated}))
        kept = signals.anti_join(twice, signals.exchange_key == twice.exchange_id)
        signals = engine.write(kept, into.work / "new.parquet")
        finished = finished_parts(signals, engine, into.work / "batch_without_duplicates")
    columns = filled_columns(signals) if taken.columns is None or len(repeated) else taken.columns
    batch = Batch(
        batch_id=name,
        folder="",
        sequence=into.held.next_sequence,
        ingested_at=_now(),
        days=_days(engine.read(path_of(finished, "activity"))),
        exchanges=taken.exchanges - len(repeated),
        duplicates=taken.duplicates + len(repeated),
        rejected=taken.rejected.num_rows,
        columns=tuple(sorted(columns)),
        inputs=tuple(taken.inputs),
        accounts_id=accounts_id,
    )
    pq.write_table(taken.rejected, finished / REJECTED_ROWS, compression="zstd")
    if batch.accounts_id is not None:
        write_accounts(finished, with_sequence(taken.accounts, batch.sequence))
    return _added(into.state, into.held, batch, finished)


def _added(state: Path, held: Manifest, batch: Batch, finished: Path) -> Batch:
    """The batch with its folder moved in, once the manifest names it."""
    batch = replace(batch, folder=move_in(state, finished))
    write_manifest(state, held.plus(batch))
    return batch


def finished_parts(signals: IbisTable, engine: Engine, folder: Path) -> Path:
    """A new folder with the partial rollups of the signals."""
    folder.mkdir()
    write_parts(signals, engine, folder)
    return folder


def _days(activity: IbisTable) -> tuple[int, ...]:
    found = activity.select(day=rollups.day(activity.hour_at)).distinct().to_pyarrow()
    return tuple(sorted(found["day"].to_pylist()))


def _repeated(finished: Path, into: Place) -> numbers.Numbers:
    """Numbers of the exchanges that stand in another batch on a day at most LOOK_BACK_DAYS away."""
    new = numbers.runs(finished)
    ends = numbers.days(new)
    found = [np.zeros(0, np.int64)]
    if ends is not None:
        near = range(ends[0] - LOOK_BACK_DAYS, ends[1] + LOOK_BACK_DAYS + 1)
        for name, days in into.held.folders.items():
            if not days.isdisjoint(near):
                old = numbers.runs(folder_of(into.state, name))
                found.append(numbers.repeated(new, old, within_days=LOOK_BACK_DAYS))
    return np.unique(np.concatenate(found))


def _with_new_accounts(state: Path, settings: Settings, key: ingest.Key) -> bool:
    """Whether accounts given with a batch that is in already are news; then they are taken in by themselves."""
    accounts_id = _accounts_id(settings)
    if accounts_id is None:
        return False
    accounts, _ = account_rows(settings, key)
    with work_folder(state) as work, writing(state):
        held = checked_manifest(state, key)
        if held.accounts_id == accounts_id:
            return False
        finished = work / "batch"
        finished.mkdir()
        sequence = held.next_sequence
        write_accounts(finished, with_sequence(accounts, sequence))
        name = f"accounts-{sequence}-{accounts_id}"
        _added(state, held, Batch(name, "", sequence, _now(), accounts_id=accounts_id), finished)
    return True


def with_sequence(accounts: pa.Table, sequence: int) -> pa.Table:
    """The accounts with the number of the batch they came with."""
    return accounts.append_column(SEQUENCE, pa.array([sequence] * len(accounts), SEQUENCE.type))


def write_accounts(folder: Path, numbered: pa.Table) -> None:
    """The accounts of a folder of parts, each row with its sequence."""
    pq.write_table(numbered, folder / ACCOUNT_ROWS, compression="zstd")


def newest_accounts(numbered: pa.Table) -> pa.Table:
    """One row per account: the one that came with the latest batch, whatever its dates say."""
    ordered = numbered.sort_by([("account_id", "ascending"), ("sequence", "descending")])
    places = pa.array(range(len(ordered)), pa.int64())
    first = ordered.append_column("place", places).group_by("account_id").aggregate([("place", "min")])
    return ordered.take(first["place_min"].sort()) if len(ordered) else ordered


def _accounts_id(settings: Settings) -> str | None:
    return None if settings.accounts is None else _digest(settings.accounts)[:24]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
