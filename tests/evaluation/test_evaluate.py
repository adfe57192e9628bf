"""A scan held against the truth."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from stillwatch.errors import InputError
from stillwatch.evaluation import evaluate
from stillwatch.evaluation.measures import Accusation, Share, b_cubed, purity
from stillwatch.records import TRUTH, arrow_schema

START = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.integers(0, 60), st.integers(1, 60))
def test_the_interval_is_where_the_binomial_tails_are_a_fortieth(hits: int, total: int) -> None:
    share = Share(min(hits, total), total)
    assert share.low is not None
    assert share.high is not None
    assert 0 <= share.low <= share.share <= share.high <= 1
    if share.hits:
        assert binom.sf(share.hits - 1, total, share.low) == pytest.approx(0.025, rel=1e-6)
    if share.hits < total:
        assert binom.cdf(share.hits, total, share.high) == pytest.approx(0.025, rel=1e-6)


def test_nobody_accused_of_a_thousand_still_bounds_the_share_from_above() -> None:
    share = Share(0, 1000)
    assert (share.share, share.low) == (0.0, 0.0)
    assert share.high == pytest.approx(1 - 0.025 ** (1 / 1000))


def test_a_share_of_nothing_is_null() -> None:
    assert Share(0, 0).as_json() == {"hits": 0, "total": 0, "share": None, "low": None, "high": None}
    assert Accusation(0, 0, 0).f1 is None


def test_f1_is_the_harmonic_mean() -> None:
    accused = Accusation(right=6, wrong=2, missed=4)
    precision, recall = 6 / 8, 6 / 10
    assert accused.f1 == pytest.approx(2 * precision * recall / (precision + recall))


def test_purity_and_b_cubed_of_a_case_worked_by_hand() -> None:
    truth = {"a1": "A", "a2": "A", "a3": "A", "b1": "B", "x": None, "y": None}
    found = {"a1": "1", "a2": "1", "x": "1", "b1": "2"}
    assert purity(found, truth) == pytest.approx(3 / 4)
    # a1, a2: 2 of the 3 members share their origin; a3 alone: 1; b1: 1 of 1. Recall: 2/3, 2/3, 1/3, 1.
    assert b_cubed(found, truth) == (
        pytest.approx((2 / 3 + 2 / 3 + 1 + 1) / 4),
        pytest.approx((2 / 3 * 2 + 1 / 3 + 1) / 4),
    )


def test_a_perfect_scan_is_pure_and_a_lump_of_everybody_is_not() -> None:
    truth = {f"{name}{k}": name for name in "AB" for k in range(5)} | {f"x{k}": None for k in range(10)}
    right = {account: origin for account, origin in truth.items() if origin}
    assert (purity(right, truth), b_cubed(right, truth)) == (1.0, (1.0, 1.0))
    lump = dict.fromkeys(truth, "1")
    assert purity(lump, truth) == pytest.approx(0.25)
    assert b_cubed(lump, truth)[0] == pytest.approx(0.25)
    assert purity({}, truth) is None
    assert b_cubed({}, {"x": None}) == (None, None)


@pytest.fixture
def case(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Campaign A of four accounts and one victim, campaign B of two, five developers, three students."""

    def made(verdicts: dict[str, tuple[str, str]], name: str = "out", last: datetime = START) -> tuple[Path, Path]:
        members = [(f"a{k}", True, "A", "operator", "A") for k in range(4)] + [
            ("v", True, "A", "compromised", "developers")
        ]
        members += [(f"b{k}", True, "B", "relay", "B") for k in range(2)]
        members += [(f"d{k}", False, None, None, "developers") for k in range(5)]
        members += [(f"s{k}", False, None, None, "classes") for k in range(3)]
        labels = [name for name in TRUTH.names if name != "controller"]
        rows = [dict(zip(labels, row, strict=True)) for row in members]
        world, out = tmp_path / "world", tmp_path / name
        (world / "exchanges").mkdir(parents=True, exist_ok=True)
        out.mkdir()
        pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(TRUTH)), world / "truth.parquet")
        sent = [(row[0], START + timedelta(days=day)) for row in members for day in range(10)]
        sent += [("b1", START + timedelta(days=9))] * 20
        ids, at = zip(*sent, strict=True)
        pq.write_table(pa.table({"account_id": ids, "started_at": at}), world / "exchanges" / "all.parquet")
        found = [{"account_id": a, "campaign_id": c, "verdict": v} for a, (c, v) in verdicts.items()]
        schema = pa.schema([(column, pa.string()) for column in ("account_id", "campaign_id", "verdict")])
        pq.write_table(pa.Table.from_pylist(found, schema=schema), out / "accounts.parquet")
        campaigns = [
            {"campaign_id": c, "verdict": v, "last_seen_at": last.isoformat()}
            for c, v in dict(verdicts.values()).items()
        ]
        (out / "campaigns.json").write_text(json.dumps(campaigns))
        return out, world / "truth.parquet"

    return made


def test_labels_without_a_controller_know_of_no_control_but_that_of_campaigns(
    case: Callable[..., tuple[Path, Path]],
) -> None:
    out, truth = case(dict.fromkeys(("a0", "a1", "d0"), ("1", "coordinated")))
    rows = pq.read_table(truth).drop_columns("controller")
    pq.write_table(rows, truth)
    claim = evaluate(out, truth).control["coordinated"]
    assert (claim.accounts, claim.wrong) == (Share(2, 3), {"developers": 1})


def test_what_takes_far_more_than_ordinary_is_counted_apart(case: Callable[..., tuple[Path, Path]]) -> None:
    found = {"a0": ("1", "distillation"), "b0": ("2", "coordinated"), "b1": ("2", "coordinated")}
    out, truth = case({**found, "s0": ("3", "coordinated"), "s1": ("3", "coordinated")})
    campaigns = json.loads((out / "campaigns.json").read_text())
    for one in campaigns:
        one["volume"] = {"result": "proven" if one["campaign_id"] == "2" else "not_proven"}
    (out / "campaigns.json").write_text(json.dumps(campaigns))
    result = evaluate(out, truth)
    assert result.distillation_or_large == Accusation(right=3, wrong=0, missed=3)
    assert result.distillation_or_coordinated == Accusation(right=3, wrong=2, missed=3)
    assert dict(result.large_by.segments) == {"developers": Share(0, 5), "classes": Share(0, 3)}
    assert result.control["distillation_or_large"].accounts == Share(2, 3)
    assert result.control["coordinated"].accounts == Share(2, 4)


GUILTY = {
    "a0": ("1", "distillation"),
    "a1": ("1", "distillation"),
    "a2": ("1", "distillation"),
    "d0": ("1", "distillation"),
}


def test_accounts_and_campaigns_are_counted_with_victims_apart(case: Callable[..., tuple[Path, Path]]) -> None:
    out, truth = case({**GUILTY, "v": ("1", "distillation"), "b0": ("2", "coordinated"), "s0": ("2", "coordinated")})
    result = evaluate(out, truth)
    assert result.distillation == Accusation(right=3, wrong=1, missed=3)
    assert result.distillation_or_coordinated == Accusation(right=4, wrong=2, missed=2)
    assert {each.campaign: (each.accused.hits, each.accused.total, each.is_found) for each in result.campaigns} == {
        "A": (3, 4, True),
        "B": (0, 2, False),
    }
    assert result.campaign_recall == Share(1, 2)
    assert result.campaign_precision == Share(1, 1)
    assert result.compromised == Share(1, 1)
    assert dict(result.segments) == {"developers": Share(1, 5), "classes": Share(0, 3)}
    assert dict(result.segments_linked) == {"developers": Share(1, 5), "classes": Share(1, 3)}
    assert result.wronged == Share(1, 8)
    assert result.wronged_per_million["observed"] == pytest.approx(125_000)
    assert result.purity == pytest.approx(3 / 4)
    assert dict(result.verdicts) == {"distillation": 1, "coordinated": 1}


def test_a_campaign_of_mostly_innocents_is_no_right_campaign(case: Callable[..., tuple[Path, Path]]) -> None:
    out, truth = case(dict.fromkeys(("a0", "d0", "d1", "d2"), ("1", "distillation")))
    result = evaluate(out, truth)
    assert result.campaign_precision == Share(0, 1)
    assert result.campaign_recall == Share(0, 2)


def test_explained_campaigns_accuse_nobody(case: Callable[..., tuple[Path, Path]]) -> None:
    out, truth = case({"d0": ("1", "explained"), "d1": ("1", "explained"), "a0": ("2", "insufficient_data")})
    result = evaluate(out, truth)
    assert result.distillation_or_coordinated == Accusation(0, 0, 6)
    assert result.distillation.precision.share is None


def test_exposure_is_counted_in_exchanges_not_in_accounts(case: Callable[..., tuple[Path, Path]]) -> None:
    out, truth = case({**GUILTY, "b1": ("2", "distillation")})
    assert evaluate(out, truth).exposure_accounted == pytest.approx((30 + 30) / (60 + 20))


def test_without_exchanges_or_with_one_run_exposure_says_it_was_not_measured(
    case: Callable[..., tuple[Path, Path]],
) -> None:
    out, truth = case(GUILTY)
    (truth.parent / "exchanges" / "all.parquet").unlink()
    (truth.parent / "exchanges").rmdir()
    result = evaluate(out, truth)
    assert (result.exposure_accounted, result.exposure_before_detection) == (None, {})
    assert "not measured" in str(result.exposure_accounted_note)
    assert result.exposure_before_detection_note == "one run: not measured"


def test_accounts_that_sent_nothing_are_counted_apart_too(case: Callable[..., tuple[Path, Path]]) -> None:
    """Two of the hostile accounts and one developer send nothing, which no scan can see."""
    out, truth = case({**GUILTY, "b0": ("2", "coordinated")})
    folder = truth.parent / "exchanges" / "all.parquet"
    sent = pq.read_table(folder)
    silent = pc.is_in(sent["account_id"], pa.array(["a3", "b1", "d4"]))
    pq.write_table(sent.filter(pc.invert(silent)), folder)
    result = evaluate(out, truth)
    assert result.distillation == Accusation(3, 1, 3)
    assert result.senders is not None
    assert (result.senders.distillation, result.senders.wronged) == (Share(3, 4), Share(1, 7))
    assert result.senders.distillation_or_coordinated == Share(4, 4)
    told = next(table for table in result.as_tables() if table.title == "Accounts that sent anything")
    assert [row[1] for row in told.rows] == ["3 of 4", "4 of 4", "1 of 7"]
    folder.unlink()
    folder.parent.rmdir()
    assert evaluate(out, truth).senders is None
    assert all(table.title != told.title for table in evaluate(out, truth).as_tables())


def test_daily_runs_tell_how_much_had_leaked_before_detection(case: Callable[..., tuple[Path, Path]]) -> None:
    early, _ = case({"a0": ("1", "distillation")}, "day-2", START + timedelta(days=2))
    late, truth = case(GUILTY, "day-4", START + timedelta(days=4))
    result = evaluate(late, truth, runs=[early, late])
    assert result.exposure_before_detection["A"] == pytest.approx(0.5)  # days 0 to 4 of 0 to 9
    assert result.exposure_before_detection["B"] is None
    assert result.exposure_before_detection_note is None


def test_accounts_the_truth_does_not_know_are_reported_and_not_judged(case: Callable[..., tuple[Path, Path]]) -> None:
    out, truth = case({**GUILTY, "stranger": ("1", "distillation")})
    result = evaluate(out, truth)
    assert result.unknown_accounts == 1
    assert result.distillation == Accusation(3, 1, 3)


def test_a_scan_that_returned_nothing_is_an_evaluation_too(case: Callable[..., tuple[Path, Path]]) -> None:
    out, truth = case({})
    result = evaluate(out, truth)
    assert result.distillation == Accusation(0, 0, 6)
    assert result.purity is None
    assert all(isinstance(cell, str) for table in result.as_tables() for row in table.rows for cell in row)


def test_the_evaluation_is_json_and_tables_of_text(case: Callable[..., tuple[Path, Path]]) -> None:
    out, truth = case(GUILTY)
    result = evaluate(out, truth)
    read = json.loads(result.as_json())
    assert read == result.as_dict()
    assert read["wronged"]["segments"]["classes"]["high"] == pytest.approx(1 - 0.025 ** (1 / 3))
    for table in result.as_tables():
        assert table.rows
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert all(isinstance(cell, str) for row in table.rows for cell in row)


def test_wrong_files_say_what_to_pass(case: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    out, truth = case(GUILTY)
    with pytest.raises(InputError, match="does not exist"):
        evaluate(tmp_path / "nowhere", truth)
    with pytest.raises(InputError, match="lacks the columns"):
        evaluate(out, out / "accounts.parquet")
    (out / "campaigns.json").unlink()
    with pytest.raises(InputError, match=r"campaigns\.json"):
        evaluate(out, truth)


def test_evaluating_needs_no_terminal_library() -> None:
    code = "import stillwatch.evaluation, sys; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
