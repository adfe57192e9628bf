"""What is chosen on shelves is what the engine chooses: embeddings of a day, texts that families are learned from."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stillwatch import rollups
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import shelves
from stillwatch.linkage.vocabularies import recurring_here
from stillwatch.records import EMBEDDING_SIZE, SKETCH_SIZE

# Packages have functions of these names.
content, families, vocabularies = map(
    import_module, ("stillwatch.rollups.content", "stillwatch.linkage.families", "stillwatch.linkage.vocabularies")
)
PER_DAY = 3
START = datetime(2026, 1, 1, 21, tzinfo=UTC)


def log(seed: int, exchanges: int = 1200, accounts: int = 25) -> pa.Table:
    """Exchanges in any order over three days, of accounts that send few or many texts, some of no writing system."""
    rng = np.random.default_rng(seed)
    texts = rng.integers(-(2**60), 2**60, exchanges // 2)
    has_text = rng.random(exchanges) < 0.9
    said = texts[rng.integers(len(texts), size=exchanges)]
    sketches = [rng.integers(1, 60, SKETCH_SIZE).tolist() if known else None for known in has_text]
    is_written = said % 5 != 0
    return pa.table(
        {
            "exchange_id": pa.array(rng.permutation(exchanges) * 977 - 10**6, pa.int64()),
            "account_id": [f"a{number % accounts}" for number in rng.zipf(1.5, exchanges)],
            "started_at": pa.array(
                [START + timedelta(minutes=int(rng.integers(3 * 1440))) for _ in range(exchanges)],
                pa.timestamp("us", tz="UTC"),
            ),
            "script": pa.array(["latin" if held else None for held in is_written & has_text], pa.string()),
            "sketch": pa.array(sketches, pa.list_(pa.int64(), SKETCH_SIZE)),
            "text_id": pa.array(said, pa.int64(), mask=~has_text),
            "system_prompt_id": pa.array(said % 7, pa.int64(), mask=said % 3 == 0),
            "embedding": pa.array(
                [[1] * EMBEDDING_SIZE if known else None for known in has_text], pa.list_(pa.int8(), EMBEDDING_SIZE)
            ),
        }
    )


@pytest.mark.parametrize(("seed", "shelf_rows"), [(0, 10**6), (1, 100)])
def test_embeddings_of_the_same_exchanges_are_kept(
    seed: int, shelf_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "EMBEDDINGS_PER_DAY", PER_DAY)
    monkeypatch.setattr(shelves, "SHELF_ROWS", shelf_rows)
    table = log(seed)
    with EmbeddedEngine(tmp_path / "spill", threads=2) as engine:
        rows = engine.memory(table)
        wanted = rollups.chosen(rows).to_pyarrow()["exchange_id"].to_pylist()
        limits = recurring_here(rows, engine, tmp_path, PER_DAY).limits
    assert limits is not None
    held = [limits.kept(batch).is_valid() for batch in table.to_batches(max_chunksize=100)]
    kept = table.filter(pa.chunked_array(held))["exchange_id"].to_pylist()
    assert sorted(kept) == sorted(wanted)
    assert 0 < len(kept) < table["embedding"].is_valid().to_numpy().sum()


def test_nothing_is_left_out_where_nobody_asks(tmp_path: Path) -> None:
    with EmbeddedEngine(tmp_path / "spill", threads=2) as engine:
        assert recurring_here(engine.memory(log(2)), engine, tmp_path).limits is None


@pytest.mark.parametrize(("seed", "looked_at"), [(3, 10**6), (4, 300)])
def test_families_are_learned_from_the_same_texts(
    seed: int, looked_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "MOST_LOOKED_AT", looked_at)
    monkeypatch.setattr(vocabularies, "MAX_ACCOUNT_TEXTS", 4)
    monkeypatch.setattr(families, "MAX_ACCOUNT_TEXTS", 4)
    monkeypatch.setattr(families, "MAX_SAMPLE_TEXTS", 40)
    table = log(seed)
    with EmbeddedEngine(tmp_path / "spill", threads=2) as engine:
        rows = engine.memory(table)
        few = recurring_here(rows, engine, tmp_path).texts
        assert few is not None
        known = rows.filter(rows.text_id.notnull() & rows.script.notnull())
        drawn = (families._drawn_here(few, engine), families._drawn_there(known, engine, tmp_path))
        here, there = (
            sorted(zip(*(held[name].to_pylist() for name in ("account_id", "text_id")), strict=True))
            for held in (table.to_pyarrow() for table in drawn)
        )
    assert here == there
    assert 0 < len(here) < len(few)
