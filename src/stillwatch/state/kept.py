"""What detection reads: the merged rollups of a window, and what a run needs beside them. Never a log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch import ingest
from stillwatch.engines.base import Engine
from stillwatch.errors import StoreError
from stillwatch.intake import Intake
from stillwatch.records import ACCOUNTS, REJECTED, arrow_schema
from stillwatch.state.batches import ACCOUNT_ROWS, REJECTED_ROWS, SEQUENCE, newest_accounts, with_sequence
from stillwatch.state.manifest import Batch, Manifest, existing_manifest, folder_of
from stillwatch.state.parts import Rollups, Window, filled_columns, merged, straight


@dataclass(frozen=True, slots=True)
class Kept:
    """Rollups of every exchange once, the accounts, and what was left out.

    `exemplars` are prompts sampled in memory, by number of the exchange: a state has none.
    """

    rollups: Rollups
    accounts: pa.Table
    key: ingest.Key
    work: Path
    inputs: Sequence[Mapping[str, Any]]
    exchanges: int
    duplicates: int
    rejected: pa.Table
    exemplars: Mapping[int, tuple[str, str]]


def rolled(taken: Intake, engine: Engine) -> Kept:
    """The rollups of logs just read, as a state of that one batch would give them."""
    columns = taken.columns or filled_columns(taken.signals)
    numbers = ingest.exchange_keys(pa.array(list(taken.exemplars), pa.string()), taken.key).to_pylist()
    return Kept(
        rollups=straight(taken.signals, engine, work=taken.work, columns=columns, foreign=taken.foreign),
        accounts=taken.accounts,
        key=taken.key,
        work=taken.work,
        inputs=taken.inputs,
        exchanges=taken.exchanges,
        duplicates=taken.duplicates,
        rejected=taken.rejected,
        exemplars=dict(zip(numbers, taken.exemplars.values(), strict=True)),
    )


def kept(
    state: Path,
    engine: Engine,
    *,
    key: ingest.Key,
    work: Path,
    window: Window,
    accounts: pa.Table,
) -> Kept:
    """The rollups of a window of a state; rows of `accounts` count before those that the state has.

    Raises:
        StoreError: there is no state, or it was made under another key or in another format.
    """
    manifest = existing_manifest(state, key.key_id)
    batches = [batch for batch in manifest.batches if window.is_open or window.holds(batch.days)]
    days = manifest.folders
    folders = list(dict.fromkeys(batch.folder for batch in batches if batch.inputs))
    if not folders:
        raise StoreError(
            f"{state} holds no batch with exchanges in this window. `stillwatch state show --state {state}` says which "
            "days it has."
        )
    columns = frozenset(name for batch in batches for name in batch.columns)
    parts = [(folder_of(state, name), days[name]) for name in folders]
    rollups = merged(parts, engine, work=work, columns=columns, window=window)
    return Kept(
        rollups=rollups,
        accounts=_accounts(state, manifest, accounts),
        key=key,
        work=work,
        inputs=[entry for batch in batches for entry in batch.inputs],
        exchanges=int(rollups.activity.exchanges.sum().to_pyarrow().as_py() or 0),
        duplicates=sum(batch.duplicates for batch in batches),
        rejected=_rejected(state, batches),
        exemplars={},
    )


def _accounts(state: Path, manifest: Manifest, given: pa.Table) -> pa.Table:
    """The newest row of every account."""
    schema = arrow_schema(ACCOUNTS).append(SEQUENCE)
    paths = [folder_of(state, name) / ACCOUNT_ROWS for name in manifest.folders]
    tables = [pq.read_table(path).select(schema.names).cast(schema) for path in paths if path.exists()]
    newest = with_sequence(given.cast(arrow_schema(ACCOUNTS)), manifest.next_sequence)
    return newest_accounts(pa.concat_tables([schema.empty_table(), *tables, newest])).drop_columns(SEQUENCE.name)


def overlaid(accounts: pa.Table, newer: pa.Table) -> pa.Table:
    """The accounts with every cell that `newer` fills in its place, and the accounts that only `newer` has."""
    rest = [name for name in ACCOUNTS.names if name != "account_id"]
    both = accounts.join(newer, "account_id", join_type="full outer", right_suffix="_newer")
    columns = {name: pc.coalesce(both[f"{name}_newer"], both[name]) for name in rest}
    return pa.table({"account_id": both["account_id"], **columns}).cast(arrow_schema(ACCOUNTS)).sort_by("account_id")


def _rejected(state: Path, batches: Sequence[Batch]) -> pa.Table:
    schema = arrow_schema(REJECTED)
    paths = [folder_of(state, name) / REJECTED_ROWS for name in dict.fromkeys(batch.folder for batch in batches)]
    return pa.concat_tables(
        [schema.empty_table(), *(pq.read_table(path).cast(schema) for path in paths if path.exists())]
    )
