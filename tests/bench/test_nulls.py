"""Null checks: dealing holders anew keeps all counts, and takes a planted campaign away; an emptied world is empty."""

import json
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bench.nulls.__main__ import main
from bench.nulls.emptied import empty
from bench.nulls.permuted import prepared, verdicts
from bench.nulls.shuffle import dealt
from hypothesis import given
from hypothesis import strategies as st
from tests.bench.worlds import Log, write_truth
from tests.flow import planted


@st.composite
def incidences(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Different edges between up to twelve accounts and eight values, and a segment for every account."""
    edges = draw(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 7)), unique=True, min_size=1, max_size=60))
    segment_of = np.array(draw(st.lists(st.integers(-1, 2), min_size=12, max_size=12)), dtype=np.int64)
    accounts, values = (np.array(end, dtype=np.int64) for end in zip(*edges, strict=True))
    return accounts, values, segment_of, draw(st.integers(0, 2**32 - 1))


@given(incidences())
def test_dealing_keeps_what_accounts_hold_and_how_many_hold_a_value(
    made: tuple[np.ndarray, np.ndarray, np.ndarray, int],
) -> None:
    accounts, values, segment_of, seed = made
    segments = segment_of[accounts]
    after = dealt(accounts, values, segments, np.random.default_rng(seed))
    assert Counter(after.tolist()) == Counter(accounts.tolist())
    assert len(set(zip(after.tolist(), values.tolist(), strict=True))) == len(values)
    assert (segment_of[after] == segments).all()
    assert (after[segments < 0] == accounts[segments < 0]).all()
    assert (dealt(accounts, values, segments, np.random.default_rng(seed)) == after).all()


def test_dealing_forgets_who_held_what() -> None:
    """Two values with the same forty holders share as many afterwards as chance would have it."""
    accounts = np.concatenate([np.arange(40), np.arange(40), np.arange(400)])
    values = np.concatenate([np.zeros(40), np.ones(40), 2 + np.arange(400)]).astype(np.int64)
    shared = []
    for seed in range(200):
        after = dealt(accounts, values, np.zeros(480, np.int64), np.random.default_rng(seed))
        shared.append(len(set(after[values == 0]) & set(after[values == 1])))
    held = np.bincount(accounts)  # 40 accounts hold three values, 360 hold one
    expected = 40 * 40 * (held * (held - 1.0)).sum() / held.sum() ** 2
    assert abs(np.mean(shared) - expected) < 4 * np.std(shared) / np.sqrt(len(shared)) + 0.1


def with_public_wordings() -> list[planted.Row]:
    """The planted world in which ordinary people have templates as well, two of forty that went round for each."""
    rng = random.Random(7)
    wordings = [" ".join(rng.choices(planted.WORDS, k=24)) for _ in range(40)]
    chosen = {number: rng.sample(wordings, 2) for number in range(planted.PEOPLE)}
    rows = planted.exchanges()
    for place, row in enumerate(rows):
        if planted.segment_of(row["account_id"]) == "people":
            own = chosen[int(row["account_id"].partition("-")[2])]
            rows[place] = {**row, "prompt": f"{own[place % 2]} {row['prompt']}"}
    return rows


@pytest.mark.nightly
def test_a_planted_campaign_is_reported_as_it_is_and_not_when_its_traits_are_dealt_anew(tmp_path: Path) -> None:
    world = planted.write(tmp_path / "world", with_public_wordings())
    (world / "logs").rename(world / "exchanges")
    with prepared(world, tmp_path / "work", whole=False) as of:
        as_it_is, _ = verdicts(of, None)
        assert as_it_is["distillation"] == 1
        for seed in range(2):
            found, cpu_s = verdicts(of, seed)
            assert set(found) <= {"explained", "insufficient_data"}
            assert cpu_s > 0
        assert verdicts(of, None)[0] == as_it_is  # nothing of a shuffle stays


def test_an_emptied_world_holds_no_trace_of_its_hostile_accounts(tmp_path: Path) -> None:
    log = Log()
    for name in ("bad", "good", "robbed"):
        for second in range(3):
            log.add(name, second)
    log.world(tmp_path)
    write_truth(tmp_path, hostile=["bad"], legitimate=["good"], victims=["robbed"])
    assert empty(tmp_path) == 1
    for path in (tmp_path / "accounts.parquet", tmp_path / "truth.parquet", *(tmp_path / "exchanges").iterdir()):
        assert set(pq.read_table(path)["account_id"].to_pylist()) == {"good"}


def test_results_that_are_kept_are_printed_with_their_intervals_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    about = "feb2026, scale 0.01, seed 200, built in, segments"
    rows = [{"about": f"{about}: as it is", "campaigns": {"distillation": 2}}]
    rows += [{"about": f"{about}: {seed}", "campaigns": {"explained": 1}} for seed in range(4)]
    rows[2]["campaigns"] = {"coordinated": 1}
    kept = [json.dumps({**row, "scenario": "feb2026", "cpu_s": 2.0}) for row in rows]
    (tmp_path / "permuted.jsonl").write_text("\n".join(kept) + '\n{"about": "feb')
    monkeypatch.setattr(sys, "argv", ["nulls", "permuted", "--seeds", "4", "--cache", str(tmp_path)])
    main()
    done = capsys.readouterr()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.out.splitlines() if line[:1] == "|"]
    assert lines[2][0] == "feb2026, traits as they are"
    assert lines[3][:3] == ["feb2026", "4", "4 of 4 (39.8 to 100.0 %)"]
    assert lines[3][3:6] == ["3 of 4 (19.4 to 99.4 %)", "75.1 %", "1 coordinated, 3 explained"]
    assert lines[2][4] == "100.0 %"
    assert done.err == ""


def test_nobody_holds_nothing_afterwards() -> None:
    nobody = np.zeros(0, np.int64)
    assert len(dealt(nobody, nobody, nobody, np.random.default_rng(0))) == 0
