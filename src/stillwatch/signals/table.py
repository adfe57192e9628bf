"""The signals table: what is kept of each exchange, then the columns of every signal."""

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from stillwatch.records import EXCHANGES, SIGNALS, arrow_schema
from stillwatch.signals import text

BLOCK_ROWS = 4096  # tokens of one block stay in the processor's cache
TEXTS = ("system_prompt", "prompt", "metadata")  # what signals are derived from; without any of it all are null
NULL_ROWS = 65_536  # as many as a batch has at most
_SCHEMA = arrow_schema(SIGNALS)


@cache
def signal_modules() -> tuple[ModuleType, ...]:
    """Every module of this folder that declares COLUMNS: to add a signal is to add a file."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = (import_module(f"stillwatch.signals.{name}") for name in names)
    return tuple(module for module in modules if hasattr(module, "COLUMNS"))


def inputs() -> tuple[str, ...]:
    """The columns of exchanges that signals keep or read."""
    read = {name for module in signal_modules() for name in module.READS}
    return tuple(name for name in EXCHANGES.names if name in read or name in SIGNALS.names)


def signals(batch: pa.RecordBatch, schema: pa.Schema = _SCHEMA) -> pa.RecordBatch:
    """The signals of a batch of exchanges, one row each, in their order; `schema` may want texts as dictionaries."""
    present = {name for name in TEXTS if text.column(batch, name).null_count < batch.num_rows}
    modules = [module for module in signal_modules() if present.intersection(module.READS)]
    made = _derived(batch, modules, BLOCK_ROWS if present - {"metadata"} else batch.num_rows) if modules else {}
    arrays = [made[name] if name in made else _kept(batch, name) for name in schema.names]
    arrays = [_as(values, field.type) for values, field in zip(arrays, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _derived(exchanges: pa.RecordBatch, modules: Sequence[ModuleType], block_rows: int) -> dict[str, pa.Array]:
    """The columns of some signals."""
    blocks: list[dict[str, pa.Array]] = []
    for start in range(0, exchanges.num_rows, block_rows):
        block = text.Batch(exchanges.slice(start, block_rows))
        columns: dict[str, pa.Array] = {}
        for module in modules:
            columns.update(module.signal(block))
        blocks.append(columns)
    return {name: pa.concat_arrays([block[name] for block in blocks]) for name in blocks[0]}


def _kept(exchanges: pa.RecordBatch, name: str) -> pa.Array:
    """A column of the exchanges, or a signal of which there is nothing to read."""
    position = exchanges.schema.get_field_index(name)
    if position >= 0 and name in EXCHANGES.names:
        return exchanges.column(position)
    return _nulls(SIGNALS.column(name).type, exchanges.num_rows)


def _nulls(kind: pa.DataType, rows: int) -> pa.Array:
    """Nulls, made once for every type: a null sketch is 128 bytes, and a log without text has one a row."""
    return _many_nulls(kind, -(-rows // NULL_ROWS) * NULL_ROWS).slice(0, rows)


@cache
def _many_nulls(kind: pa.DataType, rows: int) -> pa.Array:
    return pa.nulls(rows, kind)


def _as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if values.type == kind:
        return values
    return values.dictionary_encode() if pa.types.is_dictionary(kind) else values.cast(kind)
