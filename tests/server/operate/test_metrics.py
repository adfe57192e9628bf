"""What is counted on the way of an exchange: taken in, folded, detected, decided, told, and asked for by a gateway."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from tests.server.conftest import Clock
from tests.server.decisions.conftest import campaign, recommended
from tests.server.detection.test_findings import campaign as found_campaign
from tests.server.intake import bodies

from stillwatch.server import Service, alerts, decisions, metrics
from stillwatch.server.detection import findings
from stillwatch.server.detection.detector import Detector
from stillwatch.server.detection.hands import Hands
from stillwatch.server.intake import fold
from stillwatch.server.intake.watching import Watch
from stillwatch.server.settings import Taking

Headers = Callable[..., dict[str, str]]
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def scraped(client: TestClient, key_for: Headers) -> Callable[[], Samples]:
    """Read the metrics: values by name and the values of labels."""
    headers = key_for("admin")

    def read() -> Samples:
        families = text_string_to_metric_families(client.get("/metrics", headers=headers).text)
        return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}

    return read


def more(after: Samples, before: Samples) -> Samples:
    """How much more there is of each number of our own."""
    found = {name: value - before.get(name, 0.0) for name, value in after.items() if name[0].startswith("stillwatch_")}
    return {(name[0].removeprefix("stillwatch_"), *name[1:]): value for name, value in found.items()}


def test_what_comes_in_is_counted_until_it_is_in_the_state(
    service: Service, client: TestClient, key_for: Headers, clock: Clock, scraped: Callable[[], Samples]
) -> None:
    before, headers = scraped(), key_for("ingest")
    content = bodies.lines([*bodies.rows(3), {"account_id": "a"}])
    for _ in range(2):
        reply = client.post("/v1/exchanges", content=content, headers=headers)
        assert (reply.json()["accepted"], reply.json()["rejected"]) in ((3, 1), (0, 0)), reply.text
    clock.pass_by(seconds=40)
    waiting = scraped()
    told = more(waiting, before)
    assert told["intake_exchanges_total", "lines"] == 3
    assert told["intake_rejected_total", "lines"] == 1
    assert told["intake_bytes_total", "lines"] == len(content)
    assert told["intake_duplicates_total",] == 1
    assert waiting["stillwatch_intake_pending_bytes",] == service.journal.pending_bytes() > 0
    assert waiting["stillwatch_fold_lag_seconds",] == 40
    fold(service)
    folded = scraped()
    assert (folded["stillwatch_intake_pending_bytes",], folded["stillwatch_fold_lag_seconds",]) == (0, 0)


def test_a_watched_file_is_counted_once(service: Service, tmp_path: Path, scraped: Callable[[], Samples]) -> None:
    path = tmp_path / "in" / "log.jsonl"
    path.parent.mkdir()
    path.write_bytes(bodies.lines(bodies.rows(4)))
    before = scraped()
    for _ in range(2):  # the second time as if after a restart
        watch = Watch(_watching(service, path.parent))
        watch.look()
        watch.look()
    told = more(scraped(), before)
    assert told["intake_exchanges_total", "watched"] == 4
    assert told["intake_bytes_total", "watched"] == path.stat().st_size
    assert told["intake_duplicates_total",] == 1


def _watching(service: Service, folder: Path) -> Any:
    return replace(service, settings=replace(service.settings, intake=Taking(watch=(str(folder / "*"),))))


def test_what_is_detected_decided_and_told_is_counted(
    service: Service,
    client: TestClient,
    key_for: Headers,
    clock: Clock,
    scraped: Callable[[], Samples],
    monkeypatch: Any,
) -> None:
    client.post("/v1/exchanges", content=bodies.lines(bodies.rows(2)), headers=key_for("ingest"))
    fold(service)
    one = {**found_campaign("c-1", 3), **campaign(recommended("throttle", ["a", "b"]), recommended("verify", ["c"]))}
    output = findings.Output([one], {"counts": {"exchanges": 2, "accounts": 2}})
    monkeypatch.setattr(findings, "output_of", lambda _out: output)
    hands, before = Hands(decisions.reconcile, decisions.attach, alerts.tell), scraped()
    Detector(service, hands, command=(sys.executable, "-c", "raise SystemExit(1)")).turn()
    clock.pass_by(seconds=service.settings.detection.every_s)
    Detector(service, hands, command=(sys.executable, "-c", "pass")).turn()
    service.snapshot.refresh(service.database)
    service.snapshot.act_on(["throttle"])
    after = scraped()
    told = more(after, before)
    assert (told["detection_seconds_count",], told["detection_failures_total",]) == (2, 1)
    assert after["stillwatch_detected_at_seconds",] == clock().timestamp()
    assert [after["stillwatch_campaigns", name] for name in ("distillation", "coordinated")] == [1, 0]
    assert after["stillwatch_decisions", "throttle", "live"] == 2
    assert after["stillwatch_decisions", "verify", "shadow"] == 1
    assert sum(value for name, value in after.items() if name[0] == "stillwatch_decisions") == 3
    assert after["stillwatch_queued", "outbox_waiting"] > 0
    assert after["stillwatch_queued", "outbox_dead"] == 0


def test_answers_to_gateways_are_counted(client: TestClient, key_for: Headers, scraped: Callable[[], Samples]) -> None:
    before, key = scraped(), key_for("enforcer")["Authorization"].split()[1]
    for sent in ({"x-account-id": "a"}, {}):
        assert client.get("/v1/check", headers={"x-stillwatch-key": key, **sent}).status_code == 200
    assert client.get("/v1/check", headers={"x-stillwatch-key": "wrong"}).status_code == 503
    told = more(scraped(), before)
    assert [told["gateway_answers_total", name] for name in ("none", "no_account", "unknown_key")] == [1, 1, 1]


def test_every_metric_of_the_service_is_set_somewhere() -> None:
    code = "".join(path.read_text("utf-8") for path in Path(metrics.__file__).parent.rglob("*.py"))
    names = [name for name, value in vars(metrics).items() if hasattr(value, "collect") and name.islower()]
    assert len(names) > 15
    missing = [name for name in names if not re.search(rf"metrics\.{name}\.|import .*\b{name}\b", code)]
    assert missing == []
