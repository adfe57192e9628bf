"""The benchmark of the harvest test keeps sources apart, finds thresholds as trying all does, and prints its tables."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench.harvest.corpus import corpus
from bench.harvest.methods import embeddings, recurring
from bench.harvest.protocol import CELLS, KINDS, Cell, Window, rounds, window
from bench.harvest.rates import Side, caught, threshold
from bench.harvest.reliability import judged, markdown

ROOT = Path(__file__).parents[2]
_WORDS = "apple river stone cloud paper window garden music bridge lemon silver forest candle basket"
WORDS = _WORDS.split()


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven repositories of people's words and two of distillation, one of which also has a legitimate family."""
    rng = np.random.default_rng(5)
    rows = []
    for n in range(7):
        own = rng.permutation(WORDS)[:8]
        for _ in range(60):
            rows.append((" ".join(rng.choice(own, 9)), f"people/{n}:a.json", "chat", "legitimate"))
    for name in ("lab/one", "people/3"):
        for _ in range(60):
            text = "Solve the following problem and write every step of it down: " + " ".join(rng.choice(WORDS, 6))
            rows.append((text, f"{name}:b.json", "cot", "distillation"))
    rows += [("a lone prompt", "people/few:c.json", "chat", "legitimate")] * 3
    path = tmp_path_factory.mktemp("prompts") / "prompts.parquet"
    columns = {name: [row[i] for row in rows] for i, name in enumerate(("text", "source", "family", "label"))}
    pq.write_table(pa.table(columns), path)
    return path


def test_a_stream_is_a_repository_and_a_family_with_enough_prompts(prompts: Path) -> None:
    read = corpus(prompts)
    assert set(read.legitimate) == {(f"people/{n}", "chat") for n in range(7)}
    assert set(read.distillation) == {("lab/one", "cot"), ("people/3", "cot")}


def test_no_repository_is_ever_on_two_sides(prompts: Path) -> None:
    read = corpus(prompts)
    placebos = []
    for dealt in rounds(read, 14, np.random.default_rng(1)):
        parts = (dealt.reference, dealt.calibration, dealt.test, dealt.placebo, dealt.distillation)
        names = [{stream[0] for stream in part} for part in parts]
        placebo = names[3]
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                assert one & other <= placebo
        assert not set(np.concatenate(list(dealt.known.values()))) & set(np.concatenate(list(dealt.own.values())))
        placebos += placebo
    assert sorted(placebos) == sorted([f"people/{n}" for n in range(7)] * 2)


def test_a_window_holds_the_share_of_the_source_in_every_account(prompts: Path) -> None:
    read = corpus(prompts)
    dealt = next(rounds(read, 1, np.random.default_rng(1)))
    source = read.distillation["lab/one", "cot"]
    cell = Cell(queries=40, accounts=5, share=0.25)
    drawn = window(dealt.test, cell, source, np.random.default_rng(2))
    for account in range(5):
        rows = drawn.rows[drawn.account == account]
        assert len(rows) == 40
        assert np.isin(rows, source).sum() == 10
    assert not np.isin(window(dealt.test, cell, None, np.random.default_rng(2)).rows, source).any()


def test_wording_that_recurs_is_found_and_words_of_ones_own_are_not(prompts: Path) -> None:
    read = corpus(prompts)
    template, people = read.distillation["lab/one", "cot"], read.legitimate["people/0", "chat"]
    rows = np.concatenate([template[:20], people[:20]])
    alone = recurring(read, Window(rows, np.zeros(40, dtype=np.int64)))
    assert alone[:20].all()
    assert not alone[20:].any()
    one_account = np.concatenate([np.zeros(20, dtype=np.int64), np.arange(20)])
    assert not recurring(read, Window(rows, one_account)).any()


def test_embeddings_are_summed_as_numpy_sums_them(prompts: Path) -> None:
    read = corpus(prompts)
    rows = read.distillation["lab/one", "cot"]
    found = embeddings(read, rows)
    assert found.exchanges == len(rows)
    assert found.sums == tuple(read.components[rows].sum(axis=0, dtype=np.int64).tolist())
    narrow, wide = found.narrowness, embeddings(read, np.arange(420)).narrowness
    assert narrow is not None
    assert wide is not None
    assert narrow > wide


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.3, 1.0])
def test_the_threshold_is_the_lowest_that_trying_all_of_them_finds(rate: float) -> None:
    rng = np.random.default_rng(3)
    values, weights = rng.integers(0, 12, 50).astype(float), rng.random(50)
    weights /= weights.sum()
    allowed = [limit for limit in values if caught(values, weights, limit) <= rate + 1e-12]
    assert threshold(values, weights, rate) == min(allowed)


def test_every_source_weighs_the_same_however_many_windows_it_has() -> None:
    side = Side(np.zeros((5, 3)), np.array([0, 0, 0, 0, 1]), ["a", "b"])
    assert side.weights().tolist() == pytest.approx([0.125] * 4 + [0.5])
    assert side.weights(np.array([0, 2])).tolist() == pytest.approx([0.0] * 4 + [1.0])


@pytest.mark.nightly
def test_one_command_prints_the_tables_of_both_kinds(prompts: Path) -> None:
    command = [sys.executable, "-m", "bench.harvest", "--prompts", str(prompts), "--rounds", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "round 2 of 2" in done.stderr
    assert done.stdout.count("\n## ") == len(KINDS)
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    for cell in CELLS:
        assert sum(line.startswith(f"| {cell.name} |") for line in rows) == 3 * len(KINDS)
    tables = [line.count("|") for line in rows]
    assert all(one == other or other in (5, 7) for one, other in pairwise(tables))


def test_a_file_that_lacks_a_column_is_refused_in_words(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "p.parquet")
    command = [sys.executable, "-m", "bench.harvest", "--prompts", str(tmp_path / "p.parquet")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lacks the column(s) source, family, label" in done.stderr


def test_reliability_counts_legitimate_and_hostile_clusters_apart(tmp_path: Path) -> None:
    truth = [{"account_id": name, "is_hostile": name.startswith("h")} for name in ("h1", "h2", "l1", "l2")]
    pq.write_table(pa.Table.from_pylist(truth), tmp_path / "truth.parquet")
    campaigns = [
        {"account_ids": ["h1", "h2"], "harvest": {"p_value": 0.0004, "result": "proven"}},
        {"account_ids": ["l1", "l2"], "harvest": {"p_value": 0.3, "result": "not_proven"}},
        {"account_ids": ["l1", "l2"], "harvest": {"p_value": None, "result": "not_tested"}},
        {"account_ids": ["h1", "l1", "l2"], "harvest": {"p_value": 0.01, "result": "not_proven"}},
    ]
    (tmp_path / "campaigns.json").write_text(json.dumps(campaigns), encoding="utf-8")
    found = judged(tmp_path / "campaigns.json", tmp_path / "truth.parquet")
    assert [row.is_hostile for row in found] == [True, False, None]
    table = markdown(found)
    assert "| 0.001 | 0 of 1 (0.0% to 97.5%) | 1 of 1 (2.5% to 100.0%) |" in table
    assert table.endswith("| harvest proven | 0 of 1 (0.0% to 97.5%) | 1 of 1 (2.5% to 100.0%) |")
