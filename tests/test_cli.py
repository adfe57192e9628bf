"""The command line: data on standard output, words on standard error, exit codes that a script can trust."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.flow import planted

from stillwatch import __version__, cli
from stillwatch.cli.output import Format, print_campaigns
from stillwatch.settings import KEY_VARIABLE

COMMANDS = ["", "simulate", "scan", "evaluate", "campaigns", "campaigns list", "campaigns show", "campaigns export"]
COMMANDS += ["explain", "verdict", "erase", "policy", "policy check", "doctor"]
COMMANDS += ["ingest", "detect", "state", "state show", "state compact"]
COMMANDS += ["share", "share pull", "share receive", "share push", "share leads", "share feedback"]
COMMANDS += [
    "serve",
    "keys",
    "keys make",
    "keys list",
    "keys revoke",
    "database",
    "database upgrade",
    "database current",
]
COMMANDS += ["partners", "partners add", "partners change", "partners list", "partners remove", "partners grant"]
COMMANDS += ["collections", "collections add", "collections list"]
COMMANDS += ["share psi"]
COMMANDS += [f"share psi {name}" for name in ("match", "offer", "sets", "withdraw", "hash-list")]


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted world with a scan in `out`; not to be written to."""
    folder = planted.write(tmp_path_factory.mktemp("cli") / "world")
    words = ["scan", str(folder / "logs"), "--accounts", str(folder / "accounts.parquet"), "--out", str(folder / "out")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, str(folder / "key"))
        patch.setattr(sys, "argv", ["stillwatch", *words])
        patch.setattr(sys, "stdout", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 0
    return folder


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process, under the key of the scan."""

    def run(*words: object) -> Ended:
        monkeypatch.setenv(KEY_VARIABLE, str(folder / "key"))
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr(sys, "argv", ["stillwatch", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, run: Run) -> None:
    done = run(*command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert f"stillwatch {command}".strip() in done.out


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version") == Ended(0, f"{__version__}\n", "")


def test_every_command_is_in_the_list_above() -> None:
    top = {command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback}
    groups = {group.name for group in cli.app.registered_groups}
    assert top | groups == {command for command in COMMANDS if command and " " not in command}


def test_starting_it_loads_no_library_that_a_scan_needs() -> None:
    code = "import sys; sys.argv = ['stillwatch', '--help']\nfrom stillwatch import cli\n"
    code += "try: cli.main()\nexcept SystemExit: pass\nprint('|'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stderr.strip().split("|")) & {"numba", "ibis", "pyarrow", "duckdb", "scipy", "stix2"} == set()


@pytest.mark.parametrize(
    "words",
    [
        ("scan",),
        ("scan", "logs", "--no-such-flag"),
        ("no-such-command",),
        ("scan", "logs", "--threads", "none"),
        ("scan", "logs", "--fdr", "0.9"),
        ("scan", "logs", "--memory-limit", "plenty"),
        ("scan", "logs", "--max-rejected-share", "2"),
        ("verdict", "a", "perhaps", "--because", "x"),
        ("campaigns", "list", "--format", "xml"),
        ("policy", "check", "no-such-file.toml"),
    ],
)
def test_wrong_usage_exits_with_two_and_says_why(
    words: tuple[str, ...], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("scan", "{0}/no-such-*.jsonl", "--out", "{0}/new"), "no input file matches"),
        (("campaigns", "list", "--out", "{0}"), "there was no scan in"),
        (("campaigns", "show", "c-000000000000", "--out", "{1}/out"), "there is no campaign c-000000000000"),
        (("verdict", "nobody", "guilty", "--because", "x", "--out", "{1}/out"), "nobody is no campaign and no account"),
        (("verdict", "harvest-000", "guilty", "--because", " ", "--out", "{1}/out"), "--because is empty"),
        (("explain", "harvest-000", "--out", "{0}"), "there was no scan in"),
        (("explain", "harvest-999", "--out", "{1}/out"), "saw no account harvest-999. Check the id"),
        (("erase", "--account", "a", "--out", "{0}"), "there was no scan in"),
        (("erase", "--account", "a", "--out", "{1}/out", "--holds", "{0}/none.csv"), "there is no file of holds"),
        (("scan", "{1}/logs", "--out", "{0}/new", "--tlp", "purple"), "TLP 'purple' is not known"),
    ],
)
def test_a_failure_exits_with_one_and_one_line(
    words: tuple[str, ...], why: str, run: Run, folder: Path, tmp_path: Path
) -> None:
    done = run(*(word.format(tmp_path, folder) for word in words))
    assert (done.code, done.out) == (1, "")
    assert why in done.err
    assert done.err.startswith("stillwatch: ")
    assert done.err.count("\n") == 1


def test_campaigns_where_none_were_asked_for_exit_with_three_and_are_written(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    words = ("scan", folder / "logs", "--accounts", folder / "accounts.parquet", "--out", tmp_path / "out")
    done = run(*words, "--fail-on-campaigns", "--format", "json")
    assert done.code == 3
    assert json.loads(done.out)[0]["verdict"] == "distillation"
    assert (tmp_path / "out" / "report.html").exists()


def test_no_campaigns_exit_with_zero_though_none_were_asked_for(run: Run, tmp_path: Path) -> None:
    people = [row for row in planted.exchanges() if planted.segment_of(row["account_id"]) == "people"][:50]
    planted.write_part(tmp_path / "people.parquet", people)
    done = run("scan", tmp_path / "people.parquet", "--out", tmp_path / "out", "--fail-on-campaigns")
    assert done.code == 0
    assert done.out == "Campaigns: none\n"


def test_words_about_a_scan_go_to_standard_error(run: Run, tmp_path: Path) -> None:
    rows = planted.exchanges()[:20]
    planted.write_part(tmp_path / "a.parquet", [*rows, *rows[:3]])
    (tmp_path / "b.jsonl").write_text('{"account_id": "a"}\n', encoding="utf-8")
    done = run("scan", tmp_path, "--out", tmp_path / "out", "--format", "json")
    assert json.loads(done.out) == []
    for said in ("20 exchanges of", "3 duplicate exchanges were dropped", "1 rows were rejected", "Report: "):
        assert said in done.err


def test_json_is_what_stands_in_the_file(run: Run, folder: Path) -> None:
    done = run("campaigns", "list", "--format", "json", "--out", folder / "out")
    assert json.loads(done.out) == json.loads((folder / "out" / "campaigns.json").read_text(encoding="utf-8"))
    assert done.err == ""


def test_csv_has_one_row_per_campaign_and_plain_numbers(run: Run, folder: Path) -> None:
    done = run("campaigns", "list", "--format", "csv", "--out", folder / "out")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["verdict"] for row in rows] == ["distillation", "explained"]
    assert [int(row["accounts"]) for row in rows] == [planted.HARVEST, planted.CLASS]


def test_a_piped_table_has_one_line_per_campaign_start_and_keeps_every_cell_whole(run: Run, folder: Path) -> None:
    text = run("campaigns", "list", "--out", folder / "out").out
    for campaign in json.loads((folder / "out" / "campaigns.json").read_text(encoding="utf-8")):
        [line] = [line for line in text.splitlines() if line.startswith(campaign["campaign_id"])]
        tokens = f"{campaign['exposure']['output_tokens']:,}"
        for cell in (campaign["verdict"], tokens, campaign["first_seen_at"][:10], campaign["last_seen_at"][:10]):
            assert f" {cell} " in line
    assert "\x1b" not in text


def test_a_narrow_terminal_gets_whole_cells_and_the_sentences_below(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # how a terminal is feigned
    wide = run("campaigns", "list", "--out", folder / "out").out
    monkeypatch.undo()
    narrow = narrow_table(folder, monkeypatch)
    assert max(map(len, narrow.splitlines())) <= 80
    assert "distillation" in narrow
    assert "…" not in narrow + wide
    assert narrow.count("further out than") == wide.count("further out than")


def narrow_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The campaigns as a terminal of 80 columns shows them, without its colours."""
    import rich.console

    plain = rich.console.Console

    def terminal(**given: int) -> rich.console.Console:
        return plain(file=shown, force_terminal=True, color_system=None, width=given.get("width", 80), _environ={})

    shown = io.StringIO()
    monkeypatch.setattr(rich.console, "Console", terminal)
    campaigns = json.loads((folder / "out" / "campaigns.json").read_text(encoding="utf-8"))
    print_campaigns(campaigns, Format.table)
    return shown.getvalue()


def test_one_campaign_is_printed_as_json(run: Run, folder: Path) -> None:
    first = json.loads((folder / "out" / "campaigns.json").read_text(encoding="utf-8"))[0]
    done = run("campaigns", "show", first["campaign_id"], "--out", folder / "out")
    assert json.loads(done.out) == first


def test_an_exported_bundle_carries_the_marking_asked_for(run: Run, folder: Path) -> None:
    bundle = json.loads(run("campaigns", "export", "--tlp", "green", "--out", folder / "out").out)
    assert bundle["type"] == "bundle"
    assert "TLP:GREEN" in json.dumps(bundle)


def explained(run: Run, folder: Path, account: str) -> str:
    """What `explain` prints, on one line; it names no other account and no raw identifier."""
    done = run("explain", account, "--out", folder / "out")
    assert (done.code, done.err) == (0, "")
    assert set(re.findall(r"(?:harvest|class|company|people)-\d{3}", done.out)) <= {account}
    assert not re.search(r"198\.1|203\.0|card-|device-|university-x|firm-y|\.example", done.out)
    assert "\x1b" not in done.out
    return " ".join(done.out.split())


def test_a_member_learns_why_it_is_in_a_campaign(run: Run, folder: Path) -> None:
    words = explained(run, folder, "harvest-000")
    campaign = json.loads((folder / "out" / "campaigns.json").read_text(encoding="utf-8"))[0]
    assert f"one of {planted.HARVEST} accounts in campaign {campaign['campaign_id']}" in words
    assert "the same payment instrument as 5 of the 23 other accounts; nobody else has it" in words
    assert "100% of them bear prompts that mainly accounts of this campaign send" in words
    assert f"{len(campaign['benign_hypotheses'])} were tested. The one that came closest, and fell: " in words
    [decision] = [d for d in campaign["recommended_decisions"] if "harvest-000" in d["account_ids"]]
    assert decision["because"] in words


def test_a_student_learns_which_innocent_reading_holds(run: Run, folder: Path) -> None:
    words = explained(run, folder, "class-000")
    assert "The strongest, which holds: class assignment." in words
    assert "What is recommended for this account Nothing." in words


def test_whoever_is_in_no_campaign_learns_that(run: Run, folder: Path) -> None:
    assert "It is in no campaign, and nothing is recommended for it." in explained(run, folder, "people-001")
    assert "It belongs to an organisation that was verified." in explained(run, folder, "company-000")


def test_an_explanation_as_json_holds_counts_and_no_names(run: Run, folder: Path) -> None:
    done = run("explain", "harvest-000", "--format", "json", "--out", folder / "out")
    told = json.loads(done.out)
    assert told["account_id"] == "harvest-000"
    assert told["membership"]["bits"] == pytest.approx(sum(tie["bits"] for tie in told["membership"]["ties"]))
    assert told["activity"]["first_seen_on"] == "2026-03-02"
    assert set(re.findall(r"(?:harvest|class|company|people)-\d{3}", done.out)) == {"harvest-000"}
    outside = json.loads(run("explain", "people-001", "--format", "json", "--out", folder / "out").out)
    assert outside["membership"] is None


def test_the_built_in_policy_is_fine(run: Run) -> None:
    done = run("policy", "check")
    assert (done.code, done.err) == (0, "")
    assert "fine" in done.out


def test_another_key_on_the_same_folder_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    before = (folder / "out" / "run.json").read_bytes()
    (folder / "key").rename(tmp_path / "key")
    try:
        done = run("scan", folder / "logs", "--out", folder / "out")
    finally:
        (folder / "key").unlink(missing_ok=True)
        (tmp_path / "key").rename(folder / "key")
    assert done.code == 1
    assert "their hashes cannot be compared" in done.err
    assert (folder / "out" / "run.json").read_bytes() == before


def test_the_doctor_names_the_key_file_and_never_the_key(run: Run, folder: Path) -> None:
    done = run("doctor")
    assert done.code == 0
    assert str(folder / "key") in done.out
    assert (folder / "key").read_bytes().hex() not in done.out


def test_simulate_lists_its_scenarios(run: Run, tmp_path: Path) -> None:
    done = run("simulate", tmp_path / "sim", "--list")
    assert done.code == 0
    assert "feb2026" in done.out
    assert not (tmp_path / "sim").exists()


def test_simulate_adds_a_population_to_a_scenario_and_refuses_an_unknown_one(run: Run, tmp_path: Path) -> None:
    world = (tmp_path / "sim", "--scenario", "cot-cleaner", "--scale", "0.01", "--days", "1")
    done = run("simulate", *world, "--customers", "raters=0.1")
    assert done.code == 0
    assert json.loads((tmp_path / "sim" / "world.json").read_text())["added"] == {"raters": 0.1}
    refused = run("simulate", *world, "--customers", "strangers=0.1")
    assert refused.code != 0
    assert "strangers" in refused.err


def test_simulate_leaves_prompts_out_on_request_and_refuses_real_ones_beside(run: Run, tmp_path: Path) -> None:
    world = (tmp_path / "sim", "--scenario", "cot-cleaner", "--scale", "0.01", "--days", "1", "--no-text")
    assert run("simulate", *world).code == 0
    assert json.loads((tmp_path / "sim" / "world.json").read_text())["with_text"] is False
    (day,) = (tmp_path / "sim" / "exchanges").iterdir()
    logged = pq.read_table(day, columns=["prompt", "system_prompt", "client_ip"])
    assert [column.null_count for column in logged.columns] == [logged.num_rows, logged.num_rows, 0]
    refused = run("simulate", *world, "--prompts", tmp_path / "prompts.parquet")
    assert refused.code != 0
    assert "--no-text" in refused.err
