"""What recurs is the same whether kernels count it account by account or the engine counts it in tables."""

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import recurrence, rewordings, shelves, vocabularies
from stillwatch.linkage.recurrence import recurring
from stillwatch.linkage.shelves import ON_SHELVES, SKETCH, shelved
from stillwatch.linkage.vocabularies import MIN_TEXTS, TEXTS_PER_ACCOUNT, recurring_here, recurring_there
from stillwatch.records import SKETCH_SIZE

SCHEMA = pa.schema(
    [
        ("exchange_id", pa.int64()),
        ("account_id", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("sketch", pa.list_(pa.int64(), SKETCH_SIZE)),
        ("text_id", pa.int64()),
    ]
)
FINGERPRINTS = slice(SKETCH, SKETCH + SKETCH_SIZE)
CRITERION = {"least": MIN_TEXTS, "texts_per_account": TEXTS_PER_ACCOUNT, "threads": 2}


def log(rng: np.random.Generator, exchanges: int, accounts: int = 30) -> pa.Table:
    """Prompts of skeletons, some of them reworded, around items that few or many send, some again; some are missing."""
    skeletons = [rng.choice(2**62, 8, replace=False) for _ in range(12)]
    items = [rng.choice(2**62, 6, replace=False) for _ in range(exchanges // 3)]
    rows = []
    for number in rng.permutation(exchanges).tolist():
        account = int(rng.zipf(1.6)) % accounts
        words = skeletons[account % 12 if rng.random() < 0.7 else int(rng.integers(12))]
        kept = words[rng.random(8) < rng.choice([1.0, 0.7])]
        item = items[int(rng.integers(len(items)) if rng.random() < 0.8 else account)]
        sketch = [*kept.tolist(), *item.tolist()]
        is_bare = rng.random() < 0.05
        rows.append(
            {
                "exchange_id": number * 977 - 10**6,
                "account_id": f"a{account}" if not is_bare or rng.random() < 0.5 else f"bare{number}",
                "started_at": datetime(2026, 1, 1, tzinfo=UTC),
                "sketch": None if is_bare else sketch + [0] * (SKETCH_SIZE - len(sketch)),
                "text_id": None if is_bare else hash(tuple(sketch)),
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def both(table: pa.Table, folder: Path) -> tuple[list[object], list[object]]:
    found = []
    with EmbeddedEngine(folder / "spill", threads=2) as engine:
        for name, find in (("here", recurring_here), ("there", recurring_there)):
            (folder / name).mkdir()
            recurs = find(engine.memory(table), engine, folder / name)
            prompts = sorted(tuple(prompt) for prompt in recurs.prompts.to_pylist())
            found.append([recurs.fingerprints.tolist(), recurs.exact.tolist(), prompts])
    return found[0], found[1]


def oracle(table: pa.Table) -> list[int]:
    """The fingerprints that recur, by sets of Python."""
    texts: dict[int, set[tuple[str, int]]] = defaultdict(set)
    for row in table.to_pylist():
        for fingerprint in row["sketch"] or ():
            texts[fingerprint].add((row["account_id"], row["text_id"]))
    return sorted(
        fingerprint
        for fingerprint, held in texts.items()
        if fingerprint and len(held) >= max(MIN_TEXTS, TEXTS_PER_ACCOUNT * len({account for account, _ in held}))
    )


@pytest.mark.parametrize("seed", range(3))
def test_kernels_and_the_engine_find_the_same(seed: int, tmp_path: Path) -> None:
    table = log(np.random.default_rng(seed), 1500)
    here, there = both(table, tmp_path)
    assert here == there
    assert here[0] == oracle(table)
    assert all(here)


def test_they_do_so_where_the_sample_of_rewordings_is_thin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabularies, "MOST_LOOKED_AT", 500)
    monkeypatch.setattr(rewordings, "MOST_SAMPLED", 150)
    here, there = both(log(np.random.default_rng(4), 1500), tmp_path)
    assert here == there
    assert here[2]


def test_nothing_recurs_where_nothing_was_said(tmp_path: Path) -> None:
    bare = log(np.random.default_rng(5), 60).filter(pa.array([False] * 60))
    assert both(bare, tmp_path) == ([[], [], []], [[], [], []])


@pytest.mark.parametrize(("shelf_rows", "places"), [(100, 1 << 24), (10**6, 1 << 12), (37, 1 << 12)])
def test_many_shelves_and_small_tables_change_nothing(
    shelf_rows: int, places: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "SHELF_ROWS", shelf_rows)
    monkeypatch.setattr(recurrence, "MOST_PLACES", places)
    monkeypatch.setattr(recurrence, "FEWEST_PLACES", 1 << 8)
    table = log(np.random.default_rng(6), 2500).select(ON_SHELVES).drop_null()
    held = shelved(table.to_batches(max_chunksize=400), len(table), tmp_path / "shelves")
    assert recurring(held, (FINGERPRINTS.start, FINGERPRINTS.stop), **CRITERION).tolist() == oracle(table)


def test_keys_that_find_no_room_have_another_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrence, "MOST_PLACES", 1 << 9)
    monkeypatch.setattr(recurrence, "FEWEST_PLACES", 1 << 8)
    table = log(np.random.default_rng(7), 4000).select(ON_SHELVES).drop_null()
    held = shelved(table.to_batches(), 4000, tmp_path / "shelves")
    held.seen[:] = 255  # as if every fingerprint came often
    assert recurring(held, (FINGERPRINTS.start, FINGERPRINTS.stop), **CRITERION).tolist() == oracle(table)


def test_shelves_hold_every_row_once_and_an_account_is_on_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelves, "SHELF_ROWS", 200)
    table = log(np.random.default_rng(8), 900).select(ON_SHELVES).drop_null()
    held = shelved(table.to_batches(max_chunksize=64), 900, tmp_path / "shelves")
    rows = [held.rows(shelf) for shelf in range(held.count)]
    assert (held.count, held.size, held.accounts) == (5, len(table), len(table["account_id"].unique()))
    assert sorted(np.concatenate(rows)[:, FINGERPRINTS].tolist()) == sorted(table["sketch"].to_pylist())
    owners = [set(part[:, shelves.ACCOUNT].tolist()) for part in rows]
    assert sum(map(len, owners)) == len(set[int]().union(*owners)) == held.accounts
