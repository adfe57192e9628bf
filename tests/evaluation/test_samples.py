"""Worlds whose prompts and rhythm come from files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillwatch.errors import InputError
from stillwatch.evaluation import simulate
from stillwatch.evaluation.samples import read_rhythm

Ask = Callable[..., list[tuple[Any, ...]]]


def prompts_file(path: Path, **replaced: list[str | None] | None) -> Path:
    """Texts that say whose they are, from sources and families nobody has heard of."""
    sides = ("distillation", "legitimate")
    columns: dict[str, list[str | None] | None] = {
        "text": [f"{side} text number {k} about subject {k % 7}" for side in sides for k in range(200)],
        "source": [f"origin-{k % 3}" for _ in sides for k in range(200)],
        "family": [f"kin-{k % 5}" for _ in sides for k in range(200)],
        "label": [side for side in sides for _ in range(200)],
        "capability": [("reasoning", "general", None)[k % 3] for _ in sides for k in range(200)],
        "language": [("en", "zh", None)[k % 3] for _ in sides for k in range(200)],
    }
    columns |= replaced
    pq.write_table(pa.table({name: values for name, values in columns.items() if values is not None}), path)
    return path


def test_campaigns_send_harvest_texts_and_customers_never_do(tmp_path: Path, ask: Ask) -> None:
    file = prompts_file(tmp_path / "prompts.parquet")
    simulate(tmp_path / "w", scenario="two-pools", scale=0.003, days=4, seed=1, prompts=file)
    rows = ask(
        "select coalesce(campaign, segment), avg((prompt like '%distillation text%')::int), "
        "avg((prompt like '%legitimate text%')::int) from known where role is distinct from 'compromised' group by 1",
        tmp_path / "w",
    )
    harvest = {name: share for name, share, _ in rows}
    own = {name: share for name, _, share in rows}
    assert all(share == 0 for name, share in harvest.items() if not name.startswith("pool"))
    assert min(harvest["pool-1"], harvest["pool-2"]) > 0.7
    assert min(own[name] for name in ("coders", "evaluators", "judges")) > 0.6


def test_some_harvest_texts_are_sent_verbatim_under_a_system_prompt(tmp_path: Path, ask: Ask) -> None:
    file = prompts_file(tmp_path / "prompts.parquet")
    simulate(tmp_path / "w", scenario="jun2026", scale=0.001, days=3, seed=4, prompts=file)
    [(bare, wrapped, unprompted)] = ask(
        "select count(*) filter (prompt like 'distillation text%'), "
        "count(*) filter (prompt like '%_distillation text%'), "
        "count(*) filter (prompt like 'distillation text%' and system_prompt is null) "
        "from known where campaign = 'june'",
        tmp_path / "w",
    )
    assert bare > 0
    assert wrapped > bare
    assert unprompted == 0


@pytest.mark.parametrize("missing", ["family", "capability", "language", "source"])
def test_a_file_without_an_optional_column_still_works(tmp_path: Path, missing: str) -> None:
    file = prompts_file(tmp_path / "prompts.parquet", **{missing: None})
    assert simulate(tmp_path / "w", scenario="jun2026", scale=0.0005, days=1, prompts=file).exchanges > 0


def test_a_file_with_one_label_serves_both_sides(tmp_path: Path, ask: Ask) -> None:
    file = prompts_file(tmp_path / "prompts.parquet", label=["legitimate"] * 400)
    simulate(tmp_path / "w", scenario="jun2026", scale=0.0005, days=2, prompts=file)
    [(hostile,)] = ask("select count(*) from known where is_hostile and prompt like '%text number%'", tmp_path / "w")
    assert hostile > 0


def test_an_unusable_file_of_prompts_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lacks the columns label"):
        simulate(
            tmp_path / "w", scenario="jun2026", scale=0.001, prompts=prompts_file(tmp_path / "a.parquet", label=None)
        )
    short = prompts_file(tmp_path / "b.parquet", text=["ab"] * 400)
    with pytest.raises(InputError, match="no text of 4"):
        simulate(tmp_path / "w", scenario="jun2026", scale=0.001, prompts=short)
    (tmp_path / "c.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        simulate(tmp_path / "w", scenario="jun2026", scale=0.001, prompts=tmp_path / "c.parquet")


def timing_file(path: Path, gaps: np.ndarray[Any, Any], sessions: int) -> Path:
    each = len(gaps) // sessions
    table = {
        "t_s": np.concatenate([np.cumsum(gaps[k * each : (k + 1) * each]) for k in range(sessions)]),
        "input_tokens": np.full(each * sessions, 100),
        "output_tokens": np.tile([50, 100, 1000, 100, 100], each * sessions)[: each * sessions],
        "session_id": [f"s{k}" for k in range(sessions) for _ in range(each)],
        "source": ["recorder"] * (each * sessions),
    }
    pq.write_table(pa.table(table), path)
    return path


def test_rhythm_keeps_the_burstiness_and_lengths_of_the_recording(tmp_path: Path) -> None:
    gaps = np.random.default_rng(1).lognormal(3.0, 1.5, 4000)
    rhythm = read_rhythm(timing_file(tmp_path / "t.parquet", gaps, 8))
    relative = gaps / np.median(gaps)
    assert abs(np.median(rhythm.gaps) - 1) < 0.05
    assert np.allclose(np.quantile(rhythm.gaps, [0.1, 0.9]), np.quantile(relative, [0.1, 0.9]), rtol=0.1)
    assert set(np.round(rhythm.lengths, 6)) == {0.5, 1.0, 10.0}


def test_a_recorded_rhythm_changes_when_requests_come(tmp_path: Path, ask: Ask) -> None:
    file = timing_file(tmp_path / "t.parquet", np.tile([1.0, 1.0, 1.0, 40.0], 500), 4)
    asked = "select count(*) filter (output_tokens % 7 = 0), sum(epoch_us(started_at) % 1000003) from exchanges"
    simulate(tmp_path / "a", scenario="jun2026", scale=0.0005, days=1)
    simulate(tmp_path / "b", scenario="jun2026", scale=0.0005, days=1, timing=file)
    assert ask(asked, tmp_path / "a") != ask(asked, tmp_path / "b")


def test_a_recording_with_too_few_gaps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="200 are needed"):
        read_rhythm(timing_file(tmp_path / "t.parquet", np.ones(20), 2))


SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not SHARED.is_dir(), reason="no corpus of real prompts beside the checkout")
@pytest.mark.parametrize("scenario", ["feb2026", "reward-model", "many-languages"])
def test_real_prompts_and_real_traces_make_a_world(tmp_path: Path, scenario: str) -> None:
    made = simulate(
        tmp_path,
        scenario=scenario,
        scale=0.001,
        days=2,
        prompts=SHARED / "prompts_dev.parquet",
        timing=SHARED / "traces_dev.parquet",
    )
    assert made.exchanges > 1000
