"""Exchanges for the tests of the signals."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from stillwatch.records import EXCHANGES, arrow_schema

REQUIRED = {"exchange_id": "x", "started_at": datetime(2026, 1, 1, tzinfo=UTC), "account_id": "a", "model": "m"}

MakeBatch = Callable[[Sequence[Mapping[str, object]]], pa.RecordBatch]


@pytest.fixture(scope="session")
def make_batch() -> MakeBatch:
    """A batch of exchanges from the fields that matter to a test; the required ones are filled in."""

    def make(rows: Sequence[Mapping[str, object]]) -> pa.RecordBatch:
        full = [{**REQUIRED, "exchange_id": f"x{i}", **row} for i, row in enumerate(rows)]
        return pa.RecordBatch.from_pylist(full, arrow_schema(EXCHANGES))

    return make


@pytest.fixture(scope="session")
def signal_of(make_batch: MakeBatch) -> Callable[..., dict[str, object]]:
    """The signals of one exchange, as a dictionary."""
    from stillwatch.signals import signals

    def one(prompt: str | None = None, **fields: object) -> dict[str, object]:
        return signals(make_batch([{"prompt": prompt, **fields}])).to_pylist()[0]

    return one
