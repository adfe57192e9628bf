"""Small worlds, made once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stillwatch.evaluation import simulate


@pytest.fixture(scope="session")
def february(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world of three campaigns."""
    out = tmp_path_factory.mktemp("february")
    simulate(out, scenario="feb2026", scale=0.006, days=14, seed=3)
    return out


@pytest.fixture
def ask(february: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Rows of a query over the small world: exchanges, accounts, truth, and `known`, which is exchanges with truth."""

    def rows(query: str, folder: Path = february, **values: object) -> list[tuple[Any, ...]]:
        with duckdb.connect() as connection:
            for name in ("accounts", "truth"):
                connection.execute(f"create view {name} as from '{folder}/{name}.parquet'")
            connection.execute(f"create view exchanges as from '{folder}/exchanges/*.parquet'")
            connection.execute("create view known as select * from exchanges join truth using (account_id)")
            return connection.execute(query, values or None).fetchall()

    return rows
