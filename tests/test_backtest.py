"""A policy tried on past campaigns, beside the one in use: whom it touches, and which innocents."""

import json
from pathlib import Path

import pytest
from tests.flow import planted, scans
from typer.testing import CliRunner

from stillwatch import store
from stillwatch.backtest import backtest
from stillwatch.cli import app
from stillwatch.errors import InputError, SettingsError
from stillwatch.subjects import record_verdict

HARSH = """
name = "harsh"
version = 3
[checks]
default = ["identity"]
[[rules]]
name = "everybody"
because = "Takes part."
campaign = { verdicts = ["distillation", "coordinated", "explained"] }
outcome = { action = "suspend", approvals = 2, expires_after_days = 7 }
"""
NOBODY = HARSH.replace('["distillation", "coordinated", "explained"]', '["coordinated"]').replace("harsh", "nobody")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a scan of the planted world."""
    folder = tmp_path_factory.mktemp("backtest")
    scans.scan(planted.write(folder / "world"), folder / "out", exemplars=False)
    record_verdict(folder / "out", "harvest-003", "innocent", "A customer we know.", author="tests")
    return folder / "out"


def policy(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_accounts_are_counted_by_action_beside_the_policy_in_use(out: Path, tmp_path: Path) -> None:
    tried = backtest(policy(tmp_path, HARSH), out)
    campaigns = store.read_campaigns(out)
    members = {
        verdict: {a for c in campaigns if c["verdict"] == verdict for a in c["account_ids"]}
        for verdict in ("distillation", "explained")
    }
    suspended = {name for name, (action, _) in tried.touched.items() if action == "suspend"}
    assert suspended == members["distillation"]
    assert {name for name, (action, _) in tried.touched.items() if action == "observe"} == members["explained"], (
        "limits hold"
    )
    assert (tried.policy, tried.in_use) == ("harsh 3", "default 1")
    recommended = {a for c in campaigns for d in c["recommended_decisions"] for a in d["account_ids"]}
    assert set(tried.touched_in_use) == recommended | {"harvest-003"}, "before the analyst spoke"
    by_action = {row[0]: row for row in tried.rows()}
    assert by_action["suspend"][2:4] == (len(suspended), 1)
    assert by_action["all"][2:] == (len(tried.touched), 1, len(tried.touched_in_use), 1)
    assert [row[0] for row in tried.rows()][-1] == "all"


def test_innocents_come_from_verdicts_verified_organisations_and_a_file(out: Path, tmp_path: Path) -> None:
    listed = tmp_path / "innocents.txt"
    listed.write_text("harvest-001\n\n harvest-002 \nno-such-account\n", encoding="utf-8")
    tried = backtest(policy(tmp_path, HARSH), out, innocents=listed, accounts=out.parent / "world" / "accounts.parquet")
    assert tried.as_json()["innocents_touched"] == ["harvest-001", "harvest-002", "harvest-003"]
    assert {"company-000", "harvest-001"} <= set(tried.innocents)
    assert "people-001" not in tried.innocents
    assert tried.not_known == ()


def test_a_policy_that_touches_nobody_frees_everybody(out: Path, tmp_path: Path) -> None:
    told = backtest(policy(tmp_path, NOBODY), out).as_json()
    assert (told["accounts"], told["newly_touched"]) == ([], [])
    assert "harvest-001" in told["no_longer_touched"]


def test_of_several_detections_the_strongest_decision_about_an_account_counts(out: Path, tmp_path: Path) -> None:
    past = tmp_path / "past"
    for day in ("1", "2"):
        (past / day).mkdir(parents=True)
        for path in out.iterdir():
            if path.is_file():
                (past / day / path.name).write_bytes(path.read_bytes())
    store.write_json(past / "2" / store.CAMPAIGNS, [])
    one, many = (backtest(policy(tmp_path, HARSH), folder) for folder in (out, past))
    assert many.touched == one.touched
    store.write_json(past / "1" / store.CAMPAIGNS, [])
    assert backtest(policy(tmp_path, HARSH), past).touched == {}


def test_the_command_prints_a_table_csv_or_json(out: Path, tmp_path: Path) -> None:
    words = ["policy", "backtest", str(policy(tmp_path, HARSH)), "--out", str(out)]
    table = CliRunner().invoke(app, words)
    assert (table.exit_code, "suspend" in table.stdout) == (0, True)
    told = json.loads(CliRunner().invoke(app, [*words, "--format", "json"]).stdout)
    assert told["rows"][-1]["action"] == "all"
    comma = CliRunner().invoke(app, [*words, "--format", "csv"]).stdout.splitlines()
    assert comma[0] == "action,check,accounts,innocent,accounts in use,innocent in use"


def test_what_cannot_be_tried_is_said(out: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there was no scan"):
        backtest(policy(tmp_path, HARSH), tmp_path)
    with pytest.raises(InputError, match="one a line"):
        backtest(policy(tmp_path, HARSH), out, innocents=tmp_path / "none.txt")
    copied = tmp_path / "copied"
    copied.mkdir()
    run = store.read_run(out)
    store.write_json(copied / store.RUN, {**run, "settings": {**run["settings"], "policy": "gone.toml"}})
    with pytest.raises(SettingsError, match="the policy in use"):
        backtest(policy(tmp_path, HARSH), copied)
