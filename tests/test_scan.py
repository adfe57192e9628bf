"""The run boundary: what is refused before anything is read, and what the tables of the output say."""

from pathlib import Path

import pytest
from tests.flow import planted

from stillwatch import scan as module
from stillwatch.errors import SettingsError, SharingError, StillwatchError
from stillwatch.records import ACCOUNT_VERDICTS, arrow_schema
from stillwatch.scan import account_verdicts, scan
from stillwatch.settings import KEY_VARIABLE, Settings


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key"))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    planted.write_part(tmp_path / "logs.parquet", planted.exchanges()[:20])
    return tmp_path / "logs.parquet"


def quiet(*_: object) -> None:
    """No progress."""


def test_a_damaged_policy_and_an_unknown_marking_are_refused_before_a_log_is_read(logs: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("rules = 3", encoding="utf-8")
    stages: list[str] = []
    flags: list[tuple[dict[str, object], type[StillwatchError]]] = [
        ({"policy": policy}, SettingsError),
        ({"tlp": "purple"}, SharingError),
        ({"memory_limit": "plenty"}, SettingsError),
    ]
    for given, error in flags:
        settings = Settings(logs=(str(logs),), out=tmp_path / "out", **given)
        with pytest.raises(error):
            scan(settings, progress=lambda stage, *_: stages.append(stage))
    assert stages == []
    assert not (tmp_path / "out").exists()


def test_a_failure_of_the_report_leaves_every_earlier_result(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(logs=(str(logs),), out=tmp_path / "out")
    scan(settings, progress=quiet)
    before = {path.name: path.read_bytes() for path in settings.out.iterdir() if path.name != "rejected.parquet"}
    monkeypatch.setattr(module, "report", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scan(settings, progress=quiet)
    after = {path.name: path.read_bytes() for path in settings.out.iterdir() if path.name != "rejected.parquet"}
    assert after == before


def test_progress_names_the_stages_in_order(logs: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    scan(Settings(logs=(str(logs),), out=tmp_path / "out"), progress=lambda stage, *_: stages.append(stage))
    order = ["ingest", "rollups", "templates", "linkage", "campaigns", "decisions", "report"]
    assert list(dict.fromkeys(stages)) == order


def test_seconds_of_the_stages_add_up_to_less_than_the_whole(logs: Path, tmp_path: Path) -> None:
    seconds = scan(Settings(logs=(str(logs),), out=tmp_path / "out"), progress=quiet).run["seconds"]
    assert sum(spent for stage, spent in seconds.items() if stage != "total") <= seconds["total"] + 0.01
    assert min(seconds.values()) >= 0


def test_an_account_carries_the_verdict_of_its_campaign_and_its_own_decision() -> None:
    campaign = {
        "campaign_id": "c-1",
        "verdict": "distillation",
        "probability": None,
        "account_ids": ["a", "b"],
        "recommended_decisions": [
            {"action": "verify", "check": "phone", "account_ids": ["b"], "because": "the first rule"}
        ],
    }
    table = account_verdicts([campaign])
    assert table.schema == arrow_schema(ACCOUNT_VERDICTS)
    assert [(row["account_id"], row["decision"], row["check"], row["reason"]) for row in table.to_pylist()] == [
        ("a", None, None, None),
        ("b", "verify", "phone", "the first rule"),
    ]


def test_no_campaigns_are_an_empty_table_with_its_columns() -> None:
    assert account_verdicts([]).schema == arrow_schema(ACCOUNT_VERDICTS)
