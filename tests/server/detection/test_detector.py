"""The loop, with real children: what a detection finds ends up in SQL, whole or not at all, however the child ends."""

import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs
from tests.flow import scans
from tests.server.conftest import Clock
from tests.server.detection import worlds
from tests.server.detection.conftest import Detected
from tests.server.detection.worlds import Recorded

from stillwatch import store
from stillwatch.server import Service, opened
from stillwatch.server.detection import runs
from stillwatch.server.detection.detector import Detector, output_folder
from stillwatch.server.detection.hands import Hands
from stillwatch.server.tables import audit, campaign_accounts, campaigns, detections


def rows(service: Service, table: sa.Table) -> list[Any]:
    with service.database.read() as connection:
        return list(connection.execute(sa.select(table)).mappings())


def wait_until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something another thread does, at most so long."""
    done = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if is_so():
            return
        done.wait(0.02)
    pytest.fail("it did not happen")


def python(code: str) -> tuple[str, ...]:
    """A child of the test's own."""
    return (sys.executable, "-c", code)


@pytest.fixture
def empty(tmp_path: Path, clock: Clock) -> Any:
    """A service over a state of which only the manifest is looked at."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "manifest.json").write_text("{}")
    with opened(worlds.settings(tmp_path / "state"), now=clock) as held:
        yield held


def test_a_detection_leaves_campaigns_members_and_the_record_of_the_run(service: Service, detected: Detected) -> None:
    [campaign] = [row for row in rows(service, campaigns) if row["verdict"] == "distillation"]
    assert (campaign["state"], campaign["run"]) == ("open", 1)
    members = {row["account_id"] for row in rows(service, campaign_accounts) if row["left_at"] is None}
    mine = {name for name in members if name.startswith("harvest")}
    assert len(mine) == campaign["accounts"] == 20
    assert "harvest-001" not in str(campaign["document"])
    [run] = rows(service, detections)
    assert (run["outcome"], run["reason"]) == ("done", None)
    assert run["exchanges"] == len(worlds.early())
    assert run["seconds"] > 0
    assert detected.recorded.reconciled == [
        ([row["campaign_id"] for row in store.read_campaigns(output_folder(service.settings))], "default 1")
    ]
    assert [told[:2] for told in detected.recorded.told] == [("campaign.opened", campaign["campaign_id"])]
    acts = [row["action"] for row in rows(service, audit)]
    assert acts.count("campaign.opened") == len(rows(service, campaigns))
    assert acts[-1] == "detection.ended"


def test_what_an_account_proved_reaches_the_detection(service: Service) -> None:
    members = {row["account_id"] for row in rows(service, campaign_accounts)}
    assert "harvest-001" in members
    assert worlds.VERIFIED not in members


def test_campaigns_after_a_stream_of_batches_equal_those_of_one_scan(detected: Detected, tmp_path: Path) -> None:
    scans.scan(detected.world, tmp_path / "out", exemplars=False)
    whole = (tmp_path / "out" / store.CAMPAIGNS).read_bytes()
    assert (detected.state / "detections" / store.CAMPAIGNS).read_bytes() == whole


def test_an_analyst_who_clears_a_campaign_is_heard_by_the_next_detection(
    detected: Detected, service: Service, key_for: Callable[..., dict[str, str]], client: Any
) -> None:
    name = next(row["campaign_id"] for row in rows(service, campaigns) if row["verdict"] == "distillation")
    said = {"verdict": "innocent", "because": "They are our own evaluation accounts."}
    reply = client.post(f"/v1/campaigns/{name}/verdict", json=said, headers=key_for("analyst"))
    assert reply.status_code == 201
    recorded = Recorded()
    Detector(service, recorded.hands).turn()
    assert [row["outcome"] for row in rows(service, detections)] == ["done", "done"]
    after = {row["campaign_id"]: row["verdict"] for row in rows(service, campaigns)}
    assert after[name] == "explained"
    assert recorded.told == []


def test_nothing_is_detected_again_until_there_is_something_new(empty: Service, clock: Clock) -> None:
    with empty.database.write() as connection:
        inputs = runs.inputs_of(connection, empty.settings.storage.state, "")
        assert inputs is not None
        number = runs.begun(connection, inputs, now=clock())
        runs.ended(connection, number, "done", now=clock())
    detector = Detector(empty, Recorded().hands, command=python("raise SystemExit(1)"))
    clock.pass_by(hours=1)
    detector.turn()
    assert len(rows(empty, detections)) == 1
    (empty.settings.storage.state / "manifest.json").write_text("{} ")
    detector.turn()
    assert [row["outcome"] for row in rows(empty, detections)] == ["done", "failed"]
    detector.turn()
    assert len(rows(empty, detections)) == 2, "not before every_s has passed"
    clock.pass_by(seconds=empty.settings.detection.every_s)
    detector.turn()
    assert len(rows(empty, detections)) == 3


def test_without_a_state_nothing_runs(tmp_path: Path) -> None:
    with opened(worlds.settings(tmp_path / "state")) as service:
        Detector(service, Recorded().hands).turn()
        assert rows(service, detections) == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import sys; sys.stderr.write('state is of another key'); sys.exit(1)", "exit 1: state is of another key"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL: it said nothing"),
        ("pass", "the detection ended well and left no run.json"),
    ],
)
def test_a_child_that_fails_is_told_and_changes_nothing(empty: Service, code: str, reason: str) -> None:
    recorded = Recorded()
    with capture_logs() as logs:
        Detector(empty, recorded.hands, command=python(code)).turn()
    [run] = rows(empty, detections)
    assert (run["outcome"], run["reason"]) == ("failed", reason)
    assert [(line["event"], line["reason"]) for line in logs] == [("detection_ended", reason)]
    assert (rows(empty, campaigns), recorded.reconciled, recorded.told) == ([], [], [])


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "manifest.json").write_text("{}")
    with opened(worlds.settings(tmp_path / "state", at_most_s=0.3)) as service:
        Detector(service, Recorded().hands, command=python("import time; time.sleep(600)")).turn()
        [run] = rows(service, detections)
        assert (run["outcome"], run["reason"]) == ("failed", "it took longer than detection.at_most_s, 0.3 s")


def test_stopping_ends_the_child_at_once_even_one_that_will_not_hear(empty: Service, monkeypatch: Any) -> None:
    monkeypatch.setattr("stillwatch.server.detection.detector.GRACE_S", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    detector = Detector(empty, Recorded().hands, command=python(deaf))
    thread = threading.Thread(target=detector.turn)
    thread.start()
    wait_until(lambda: [row["outcome"] for row in rows(empty, detections)] == ["running"])
    detector.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert [row["outcome"] for row in rows(empty, detections)] == ["stopped"]
    detector.turn()
    assert len(rows(empty, detections)) == 1, "nothing begins once it is stopped"


def test_a_detection_whose_process_died_is_told_as_interrupted(empty: Service, clock: Clock) -> None:
    with empty.database.write() as connection:
        runs.begun(connection, "earlier", now=clock() - timedelta(hours=1))
    Detector(empty, Recorded().hands, command=python("raise SystemExit(1)")).turn()
    assert [row["outcome"] for row in rows(empty, detections)] == ["interrupted", "failed"]


def test_campaigns_and_decisions_change_together_or_not_at_all(service: Service, clock: Clock) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no decision today")

    before = rows(service, campaigns)
    with service.database.write() as connection:
        connection.execute(campaigns.delete())
        runs.requested(connection, by="tests", now=clock())
    hands = Recorded().hands
    with pytest.raises(RuntimeError, match="no decision today"):
        Detector(service, Hands(refuse, hands.attach, hands.tell), command=python("pass")).turn()
    assert rows(service, campaigns) == []
    with service.database.write() as connection:
        runs.requested(connection, by="tests", now=clock())
    Detector(service, hands, command=python("pass")).turn()
    assert [row["outcome"] for row in rows(service, detections)] == ["done", "interrupted", "done"]
    assert [row["campaign_id"] for row in rows(service, campaigns)] == [row["campaign_id"] for row in before]
