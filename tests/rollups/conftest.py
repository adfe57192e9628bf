"""Signals of a few exchanges, and an engine to roll them up with."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillwatch.engines.base import IbisTable
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import SIGNALS, arrow_schema

Row = dict[str, Any]
Table = Callable[[list[Row]], IbisTable]
STARTS_AT = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(tmp_path_factory.mktemp("engine"), memory_limit="200MB", threads=2) as engine:
        yield engine


@pytest.fixture
def signals(engine: EmbeddedEngine, tmp_path: Path) -> Table:
    """Rows as a table of the engine; columns that a row does not name are null."""

    def table(rows: list[Row]) -> IbisTable:
        path = tmp_path / f"signals-{len(list(tmp_path.iterdir()))}.parquet"
        return engine.write(engine.memory(pa.Table.from_pylist(rows, arrow_schema(SIGNALS))), path)

    return table


@pytest.fixture
def rows() -> list[Row]:
    """Two hundred exchanges of six accounts, with nulls in every column that may hold them."""
    rng = random.Random(17)

    def maybe(value: Any) -> Any:
        return None if rng.random() < 0.25 else value

    return [
        {
            "exchange_id": f"x{number}",
            "started_at": STARTS_AT + timedelta(seconds=rng.randrange(40_000), microseconds=rng.randrange(10**6)),
            "account_id": f"a{rng.randrange(6)}",
            "model": rng.choice(("large", "small")),
            "capability": maybe(rng.choice(("general", "reasoning"))),
            "client_ip": maybe(f"ip{rng.randrange(5)}"),
            "client_ip_prefix": maybe(f"net{rng.randrange(3)}"),
            "user_agent": maybe(f"agent{rng.randrange(3)}"),
            "tls_fingerprint": maybe(f"ja4{rng.randrange(3)}"),
            "system_prompt_id": maybe(rng.randrange(-4, 4)),
            "metadata_keys_id": maybe(rng.randrange(3)),
            "reasoning_issued": maybe([f"r{rng.randrange(9)}", f"r{rng.randrange(9)}"]),
            "reasoning_replayed": maybe([f"r{rng.randrange(9)}"]),
            "input_tokens": maybe(rng.randrange(1_000)),
            "output_tokens": maybe(rng.randrange(2**40)),
            "reasoning_tokens": maybe(rng.randrange(1_000)),
        }
        for number in range(200)
    ]
