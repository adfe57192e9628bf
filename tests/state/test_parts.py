"""Signals that hold nothing are constants, of the type that they had."""

from pathlib import Path

import pyarrow as pa

from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import SIGNALS, arrow_schema
from stillwatch.state.parts import filled_columns, without_empty


def test_a_signal_that_holds_nothing_is_a_null_of_its_type_and_the_others_stay(tmp_path: Path) -> None:
    rows = [{"exchange_id": f"e{n}", "account_id": "a", "model": "m", "started_at": n, "text_id": n} for n in range(3)]
    with EmbeddedEngine(tmp_path / "work", memory_limit="200MB", threads=1) as engine:
        table = engine.write(engine.memory(pa.Table.from_pylist(rows, arrow_schema(SIGNALS))), tmp_path / "s.parquet")
        table = table.mutate(place=table.client_ip)  # no signal: it stays, though it holds nothing
        found = without_empty(table, filled_columns(table))
        assert found.schema() == table.schema()
        assert found.order_by("text_id").to_pyarrow().to_pylist() == table.order_by("text_id").to_pyarrow().to_pylist()
        sql = str(engine._connection.compile(found))
    assert 'CAST(NULL AS BIGINT) AS "intents"' in sql
    assert 'CAST(NULL AS BIGINT) AS "text_id"' not in sql
