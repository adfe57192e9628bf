"""A copy of a world that lacks one family of evidence, as files: what the public command then sees.

Misses: families overlap in the real world (a device's client software, a card's country); here each is its own columns.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch.records import TIMESTAMP

DAY_US = 86_400_000_000
EXCHANGES, ACCOUNTS = "exchanges", "accounts"

# family -> table -> columns that are emptied
DROPPED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "nothing": {},
    "IP": {EXCHANGES: ("client_ip",), ACCOUNTS: ("signup_ip", "signup_ip_prefix")},
    "payment": {ACCOUNTS: ("payment_fingerprint",)},
    "device": {ACCOUNTS: ("device_fingerprint",)},
    "timing": {},
    "text": {EXCHANGES: ("prompt", "system_prompt", "completion")},
}
FAMILIES = tuple(DROPPED)


def without(family: str, world: Path, out: Path, *, seed: int) -> Path:
    """Write the accounts and exchanges of a world to OUT without one family of evidence; the truth goes along.

    Without timing, every exchange is at a random moment of its day: days are kept, since a log without days is no log.
    """
    (out / "exchanges").mkdir(parents=True)
    _copy(world / "accounts.parquet", out / "accounts.parquet", _emptied(DROPPED[family].get(ACCOUNTS, ())))
    _copy(world / "truth.parquet", out / "truth.parquet", lambda table: table)
    for number, path in enumerate(sorted((world / "exchanges").glob("*.parquet"))):
        change = _emptied(DROPPED[family].get(EXCHANGES, ()))
        if family == "timing":
            change = _scattered(np.random.default_rng((seed, number)))
        _copy(path, out / "exchanges" / path.name, change)
    return out


def _copy(path: Path, to: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """A file a row group at a time, so that a day of a large world need not fit into memory."""
    source = pq.ParquetFile(path)
    schema = change(source.schema_arrow.empty_table()).schema
    with pq.ParquetWriter(to, schema) as writer:
        for group in range(source.num_row_groups):
            writer.write_table(change(source.read_row_group(group)))


def _emptied(columns: tuple[str, ...]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        for name in set(columns) & set(table.column_names):
            place = table.schema.get_field_index(name)
            field = table.schema.field(name)
            nulls = pa.nulls(table.num_rows, field.type)
            table = table.set_column(place, field.with_nullable(True), nulls)
        return table

    return change


def _scattered(rng: np.random.Generator) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("started_at")
        at_us = np.asarray(table["started_at"].cast(TIMESTAMP).cast(pa.int64()))
        moved = at_us - at_us % DAY_US + rng.integers(DAY_US, size=len(at_us))
        field = table.schema.field("started_at")
        return table.set_column(place, field, pa.array(moved, pa.int64()).cast(TIMESTAMP).cast(field.type))

    return change
