"""The signals table: what is kept of each exchange, then the columns of every signal."""

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from stillwatch.records import SIGNALS, arrow_schema
from stillwatch.signals import text

BLOCK_ROWS = 4096  # tokens of one block stay in the processor's cache


@cache
def signal_modules() -> tuple[ModuleType, ...]:
    """Every module of this folder that declares COLUMNS: to add a signal is to add a file."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = (import_module(f"stillwatch.signals.{name}") for name in names)
    return tuple(module for module in modules if hasattr(module, "COLUMNS"))


def signals(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The signals of a batch of exchanges, one row each, in their order."""
    schema = arrow_schema(SIGNALS)
    starts = range(0, batch.num_rows, BLOCK_ROWS)
    blocks = [_block(batch.slice(start, BLOCK_ROWS), schema) for start in starts]
    if len(blocks) == 1:
        return blocks[0]
    return pa.concat_batches(blocks) if blocks else pa.RecordBatch.from_pylist([], schema)


def _block(exchanges: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    tokenised = text.read(exchanges)
    columns: dict[str, pa.Array] = {}
    for module in signal_modules():
        columns.update(module.signal(tokenised))
    kept = (columns[name] if name in columns else tokenised.column(name) for name in schema.names)
    arrays = [value.cast(field.type) for value, field in zip(kept, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
