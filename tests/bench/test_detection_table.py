"""The baselines are judged as stillwatch is, the oracle finds the best threshold, and one command prints one table."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench.detection.__main__ import BASELINES, SCENARIOS, _arguments, _name, _names, _simulated, main, report
from bench.detection.claims import claims_table
from bench.detection.comparison import comparison
from bench.detection.components import Pairs, joined_at
from bench.detection.drawn import drawn_report
from bench.detection.hourly import HOURLY, exposure
from bench.detection.judge import Truth, accusation, frontier, most_right, recalls, slices, truth, without_several
from bench.detection.measure import LINKED, STRICT, world_record
from bench.detection.record import WORLD as FACTS
from bench.detection.record import Record, Records, WorldName
from bench.detection.tables import HEADER, exposures, senders_table
from bench.detection.targets import LEFT_OUT, targets
from scipy import sparse
from scipy.sparse import csgraph
from tests.bench.worlds import Log, write_truth

from stillwatch.evaluation import evaluate, simulate
from stillwatch.records import ACCOUNT_VERDICTS, arrow_schema

ROOT = Path(__file__).parents[2]


def test_a_baseline_is_counted_as_stillwatch_evaluate_counts(tmp_path: Path) -> None:
    write_truth(tmp_path, hostile=["a", "b"], legitimate=["x"], victims=["v"])
    accused = ["a", "v", "x"]
    verdicts = [{"account_id": name, "campaign_id": "1", "verdict": "distillation"} for name in accused]
    out = tmp_path / "out"
    out.mkdir()
    pq.write_table(pa.Table.from_pylist(verdicts, schema=arrow_schema(ACCOUNT_VERDICTS)), out / "accounts.parquet")
    (out / "campaigns.json").write_text(json.dumps([{"campaign_id": "1", "verdict": "distillation"}]))
    found = evaluate(out, tmp_path / "truth.parquet")
    known = truth(tmp_path / "truth.parquet")
    assert accusation(known, accused) == (found.distillation, found.wronged)
    assert slices(known, accused) == found.wronged_by
    assert recalls(known, accused) == {each.campaign: each.accused for each in found.campaigns}


@pytest.mark.parametrize("precision", [0.3, 0.6, 0.9, 1.0])
def test_the_oracle_takes_the_threshold_that_trying_all_of_them_finds(precision: float) -> None:
    rng = np.random.default_rng(int(precision * 10))
    names = [f"n{number}" for number in range(60)]
    known = Truth(dict.fromkeys(names[:20], "c"), dict.fromkeys(names[20:55], "s"))  # the last five are victims
    ranking = np.round(rng.normal(size=60) + 1.5 * (np.arange(60) < 20), 1)
    ranking[rng.random(60) < 0.1] = np.nan
    hits = []
    for threshold in np.unique(ranking[~np.isnan(ranking)]):
        found, _ = accusation(known, [names[place] for place in np.flatnonzero(ranking >= threshold)])
        share = found.precision.share
        hits.append(found.right if share is not None and share >= precision else 0)
    useless = np.full(60, np.nan)
    assert most_right(frontier(known, names, [useless, ranking]), precision) == max(hits)


@pytest.mark.parametrize("min_size", [2, 3, 6])
def test_accounts_join_at_the_threshold_at_which_their_component_is_large_enough(min_size: int) -> None:
    rng = np.random.default_rng(min_size)
    left, right = np.triu_indices(15, k=1)
    kept = rng.random(len(left)) < 0.2
    pairs = Pairs(left[kept], right[kept], np.round(rng.random(kept.sum()), 2), 15)
    joined = joined_at(pairs, min_size)
    for low, high in pairwise(np.unique([-1.0, *pairs.similarity, 2.0])):
        threshold = (low + high) / 2  # between two similarities, where rounding decides nothing
        alike = pairs.similarity >= threshold
        edges = (np.ones(alike.sum()), (pairs.left[alike], pairs.right[alike]))
        _, label = csgraph.connected_components(sparse.csr_array(edges, shape=(15, 15)), directed=False)
        assert (np.bincount(label)[label] >= min_size).tolist() == (np.nan_to_num(joined, nan=-9) >= threshold).tolist()


@pytest.mark.nightly
def test_one_command_prints_one_table_over_stillwatch_and_a_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    for second in range(60):
        log.add("burst", 0.9 * second)
        log.add("steady", 60 * second)
    log.world(tmp_path)
    write_truth(tmp_path, hostile=["burst"], legitimate=["steady"])
    command = [sys.executable, "-m", "bench.detection", "--world", str(tmp_path), "--only", "rate_limit"]
    command += ["--cache", str(tmp_path / "cache")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:1] == "|"]
    assert lines[0] == list(HEADER)
    owners = "0 of 1 (97.50 %)"
    assert [line[:8] for line in lines[2:6]] == [
        ["planted", "stillwatch: distillation", "0", "0.00 %", "-", "0 (975,000)", owners, "-"],
        ["planted", "stillwatch: or coordinated and large", "0", "0.00 %", "-", "0 (975,000)", owners, "-"],
        ["planted", "stillwatch: or coordinated", "0", "0.00 %", "-", "0 (975,000)", owners, "-"],
        ["planted", "rate_limit", "1", "100.00 %", "100.00 %", "0 (975,000)", owners, "100.00 %"],
    ]
    monkeypatch.setattr(sys, "argv", [*command[2:], "--render"])
    main()
    again = capsys.readouterr()
    assert (again.out, again.err) == (done.stdout, "")


WORLD = WorldName("feb2026", 0.05, 100, "built in")


def stillwatch(right: int, wrong: int, missed: int) -> Record:
    campaigns = {"lab": (right, right + missed)}
    return Record(WORLD, "stillwatch: distillation", right, wrong, missed, legitimate=1000, campaigns=campaigns)


def test_records_are_read_back_as_they_were_written_and_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    full = Record(
        WORLD,
        "seat",
        right=3,
        owners=(1, 7),
        segments={"classes": (1, 9)},
        frontier=((1, 0), (3, 2)),
        exposure={"a": None, "b": 0.25},
    )
    first = Records(tmp_path)
    first.add(Record(WORLD, "seat"))
    first.add(full)
    first.add(stillwatch(1, 2, 3))
    path = tmp_path / "results.jsonl"
    path.write_text(path.read_text() + '{"world": {"scen')
    assert Records(tmp_path).all() == [full, stillwatch(1, 2, 3)]
    assert Records(tmp_path, refresh=["stillwatch"]).all() == [full]
    Records(tmp_path).add(stillwatch(4, 5, 6))  # after the line that was cut off
    assert Records(tmp_path).all() == [full, stillwatch(4, 5, 6)]


def test_the_oracle_is_asked_at_the_precision_of_stillwatch_in_the_same_world() -> None:
    baseline = Record(WORLD, "seat", missed=20, frontier=((4, 0), (9, 1), (15, 5)))
    assert comparison([stillwatch(10, 0, 10), baseline], ["seat"]).endswith("at equal precision: yes.")
    assert comparison([stillwatch(9, 1, 11), baseline], ["seat"]).endswith("not on feb2026.")
    assert comparison([stillwatch(15, 5, 5), baseline], ["seat"]).endswith("not on feb2026.")


def test_where_no_harvest_is_told_what_is_coordinated_is_compared_at_its_own_precision() -> None:
    told = Record(WORLD, LINKED, right=6, wrong=9, missed=4, strangers=2)
    records = [stillwatch(0, 0, 10), told, Record(WORLD, "fraudar", right=8, missed=2, frontier=((9, 0),))]
    favoured = replace(records[-1], method="seat", strangers=8, strangers_frontier=((3, 1), (5, 1), (9, 6)))
    cells = [cell.strip() for cell in comparison([*records, favoured], ["seat"]).splitlines()[2].split("|")]
    assert cells[2:8] == ["coordinated", "75.00 %", "60.00 %", "seat", "50.00 %", "yes"], "at 60 % it would be nine"
    better = replace(favoured, strangers_frontier=((7, 1),))
    assert comparison([*records, better], ["seat"]).endswith("not on feb2026.")
    assert "| distillation |" in comparison([stillwatch(1, 0, 9), *records[1:]], ["fraudar"])
    nobody = replace(told, right=0, missed=10)
    assert "| distillation |" in comparison([stillwatch(0, 0, 10), nobody, records[-1]], ["fraudar"])


def test_who_is_run_by_one_hand_and_poses_as_several_counts_neither_way_in_the_claim_of_control() -> None:
    known = Truth({"h": "c"}, {"x": "s", "a1": "abusers", "a2": "abusers"}, several=frozenset({"a1", "a2"}))
    found, _ = accusation(without_several(known), ["h", "x", "a1", "a2"])
    assert (found.right, found.wrong) == (1, 1)


def test_controllers_of_two_accounts_are_read_from_the_truth_and_truths_without_any_are_read_too(
    tmp_path: Path,
) -> None:
    path = tmp_path / "truth.parquet"
    write_truth(tmp_path, hostile=["h"], legitimate=["a", "b", "x"], victims=["v"])
    assert truth(path).several == frozenset()
    hands = {"a": "hand", "b": "hand", "x": "alone", "h": "c"}
    table = pq.read_table(path)
    names = pa.array([hands.get(name) for name in table["account_id"].to_pylist()], pa.string())
    pq.write_table(
        table.drop_columns([n for n in table.column_names if n == "controller"]).append_column("controller", names),
        path,
    )
    assert truth(path).several == {"a", "b"}


def test_coordinated_stands_beside_each_baseline_at_its_own_precision() -> None:
    world = WorldName("s", 1.0, 0, "built in")
    own = Record(world, LINKED, right=6, wrong=9, missed=4, strangers=2)
    baseline = Record(world, "fraudar", right=8, wrong=8, missed=2, strangers=8, strangers_frontier=((3, 1), (5, 6)))
    unknown = Record(world, "mmd", right=8, wrong=8, missed=2)
    table = claims_table([own, baseline, unknown], ["fraudar", "mmd"])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert [row[1] for row in rows[:2]] == [LINKED, "fraudar"]
    assert rows[0][2:] == ["8", "60.00 % (26.24 % to 87.84 %)", "75.00 %", "-"]
    assert rows[1][4:] == ["50.00 %", "30.00 %"], "at 75 % it finds three; five would be as precise as 45 %"


def test_who_sent_nothing_is_left_out_of_one_table() -> None:
    own = Record(WORLD, STRICT, right=6, wrong=1, missed=4, senders=(6, 8), senders_wronged=(1, 500))
    linked = Record(WORLD, LINKED, right=7, wrong=1, missed=3, senders=(7, 8))
    *_, row, every = senders_table([own, linked]).splitlines()
    assert row.split("|")[2:7] == every.split("|")[2:7]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert (cells[1], cells[2][:7], cells[3][:7], cells[4], cells[5][:5]) == ("8", "75.00 %", "87.50 %", "500", "2,000")
    assert senders_table([Record(WORLD, STRICT, right=6)]).count("\n") == 1, "nothing was measured: no row"


def test_hourly_exposure_is_read_from_the_table_of_its_own_command() -> None:
    text = """
| world | campaign | reported when there is | hours after its start | exchanges before |
|---|---|---|---:|---:|
| feb2026 | lab-a | half of its accounts | 24 | 12.5% |
| feb2026 | lab-a | a campaign with 5 of them | 12 | 6.0% |
| feb2026 | lab-b | half of its accounts | never | 100.0% |
"""
    assert exposure(text) == {"lab-a": 0.125, "lab-b": None}
    with pytest.raises(ValueError, match="exchanges before"):
        exposure(text.replace("exchanges before", "leaked"))


def test_hourly_exposure_goes_before_that_of_a_few_runs() -> None:
    few = replace(stillwatch(1, 0, 0), exposure={"lab": 0.5}, runs=4)
    assert exposures([few]) == {"lab": [0.5]}
    assert exposures([few, Record(WORLD, HOURLY, exposure={"lab": 0.02})]) == {"lab": [0.02]}


def test_targets_are_met_missed_or_not_measured() -> None:
    answers = [target.is_met for target in targets([stillwatch(96, 0, 4)], [])]
    assert answers == [True, True, *[None] * 9]
    wronged = [target.is_met for target in targets([stillwatch(90, 10, 10)], [])]
    assert wronged == [False, False, *[None] * 9]


def test_the_world_left_out_of_tuning_has_targets_of_its_own() -> None:
    def own(*records: Record) -> list[bool | None]:
        return [target.is_met for target in targets(records, []) if target.wanted.startswith(LEFT_OUT)]

    new = replace(stillwatch(90, 0, 10), world=replace(WORLD, scenario=LEFT_OUT))
    assert own(stillwatch(96, 0, 4)) == [None, None]
    assert own(stillwatch(96, 0, 4), new) == [False, True]
    assert LEFT_OUT in SCENARIOS


def drawn_record(seed: int, campaigns: dict[str, tuple[int, int]], **more: Any) -> Record:
    found = sum(hits for hits, _ in campaigns.values())
    missed = sum(count for _, count in campaigns.values()) - found
    world = WorldName(LEFT_OUT, 0.05, seed, "built in")
    return Record(world, STRICT, right=found, missed=missed, campaigns=campaigns, **more)


def test_campaigns_of_one_name_are_kept_apart_by_the_seed_that_drew_them_and_pooled_below() -> None:
    records = [
        drawn_record(1001, {"drawn-1": (10, 40)}, wrong=3, legitimate=900, owners=(2, 800)),
        drawn_record(1000, {"drawn-1": (40, 40), "drawn-2": (30, 60)}, legitimate=100, owners=(0, 90)),
        replace(drawn_record(1001, {"drawn-1": (20, 40)}, wrong=9, legitimate=900, owners=(8, 800)), method=LINKED),
        Record(
            WorldName(LEFT_OUT, 0.05, 1000, "built in"),
            FACTS,
            makes={"drawn-1": "a ring"},
            sharing={"drawn-1": (10, 40)},
        ),
    ]
    text = drawn_report(records)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert [(*row[:5], row[6]) for row in lines[2:5]] == [
        ("1000", "drawn-1", "a ring", "40", "25.00 %", "100.00 %"),
        ("1000", "drawn-2", "-", "60", "-", "50.00 %"),
        ("1001", "drawn-1", "-", "40", "-", "50.00 %"),
    ]
    strict, linked = lines[8:]
    spread = "58.33 % on average; 37.50 %, 50.00 %, 75.00 %"
    assert strict[:3] == ["distillation", "66.67 % (9.43 % to 99.16 %)", spread]
    assert strict[5:] == ["3 of 1,000", "2 of 890"]
    assert [linked[0], linked[2], *linked[5:]] == ["or coordinated", "50.00 %", "9 of 900", "8 of 800"]
    assert drawn_report([]) == "Not measured."
    page = report(records, [])
    assert page.count("| drawn-1 ") == 2, "not among the campaigns whose names stay the same"
    assert "| 1000 | drawn-1 " in page


def test_the_drawn_world_is_made_of_its_own_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--seed", "7", "8"])
    names = _names(_arguments())
    assert [name.seed for name in names if name.scenario == LEFT_OUT] == list(range(1000, 1020))
    assert {name.seed for name in names if name.scenario != LEFT_OUT} == {7, 8}
    asked = ["bench", "--scenario", "feb2026", LEFT_OUT, "--seed", "7", "--drawn-seeds", "3", "1005-1006"]
    monkeypatch.setattr(sys, "argv", asked)
    assert [(name.scenario, name.seed) for name in _names(_arguments())] == [
        ("feb2026", 7),
        *((LEFT_OUT, seed) for seed in (3, 1005, 1006)),
    ]
    monkeypatch.setattr(sys, "argv", ["bench", "--scenario", "feb2026"])
    assert LEFT_OUT not in {name.scenario for name in _names(_arguments())}


def test_what_a_seed_drew_is_kept_with_the_facts_of_its_world(tmp_path: Path) -> None:
    simulate(tmp_path / "w", scenario=LEFT_OUT, scale=0.002, days=2, seed=3)
    name = WorldName(LEFT_OUT, 0.002, 3, "built in")
    facts = world_record(name, tmp_path / "w", truth(tmp_path / "w" / "truth.parquet"))
    assert set(facts.makes) == set(facts.sharing)
    assert all("a day for" in words for words in facts.makes.values())
    Records(tmp_path).add(facts)
    assert Records(tmp_path).all() == [facts]


def test_customers_that_come_to_a_world_are_part_of_its_name_and_of_how_it_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(sys, "argv", ["bench", "--scenario", "two-pools", "--seed", "7", "--customers", "raters=0.04"])
    monkeypatch.setattr(subprocess, "run", lambda command, **_: ran.append(command))
    wanted = _arguments()
    name = _name(wanted, "two-pools", 7)
    assert name.source == "built in; with raters=0.04"
    _simulated(wanted, name, tmp_path)
    assert ran[0][-2:] == ["--customers", "raters=0.04"]


def test_every_baseline_is_in_the_folder_cites_its_source_and_is_explained() -> None:
    page = (ROOT / "docs" / "baselines.md").read_text(encoding="utf-8")
    for name in BASELINES:
        module = (ROOT / "bench" / "detection" / f"{name}.py").read_text(encoding="utf-8")
        assert "\nSource: " in module
        assert "\nDeviates: " in module
        assert f"`{name}`" in page
