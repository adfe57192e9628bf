"""A clock that jumps, by hours or years and either way, neither stops the service nor makes it forget."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs
from tests.server.conftest import NOON, Clock
from tests.server.intake import bodies

from stillwatch.server import Service
from stillwatch.server.database import Database
from stillwatch.server.intake import fold
from stillwatch.server.operate import retention
from stillwatch.state.manifest import manifest_of

YEARS = 3 * 365


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=YEARS)])
def test_a_lease_that_a_clock_ahead_took_holds_nobody_up(service: Service, ahead: timedelta) -> None:
    database: Database = service.database
    assert database.lease("fold", "died", now=NOON + ahead, seconds=60)
    assert database.lease("fold", "lives", now=NOON, seconds=60)
    assert not database.lease("fold", "third", now=NOON, seconds=60)


def test_clocks_that_differ_a_little_share_work_one_at_a_time(service: Service) -> None:
    database: Database = service.database
    assert database.lease("fold", "ahead", now=NOON + timedelta(minutes=10), seconds=60)
    assert not database.lease("fold", "behind", now=NOON, seconds=60)


def told_of(service: Service) -> list[str]:
    with capture_logs() as lines:
        retention.look(service)
    return [line["event"] for line in lines]


@pytest.mark.parametrize("days", [YEARS, -YEARS])
def test_nothing_is_removed_in_the_first_day_after_a_jump(
    service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    went: list[int] = []
    monkeypatch.setattr(retention, "retain", lambda _: went.append(1) or {})
    assert told_of(service) == ["retention_waits"], "the first look of all"
    clock.pass_by(days=1)
    assert (told_of(service), len(went)) == (["retained"], 1)
    clock.pass_by(days=days)
    assert (told_of(service), len(went)) == (["retention_waits"], 1)
    clock.pass_by(days=-days)  # somebody set it right
    assert (told_of(service), len(went)) == (["retention_waits"], 1)
    clock.pass_by(days=1)
    assert (told_of(service), len(went)) == (["retained"], 2)


def test_a_look_that_a_crash_broke_off_removes_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "retain", None)
    (service.settings.storage.state / retention.LOOKED_AT).write_text("2026-0")
    assert told_of(service) == ["retention_waits"]


@pytest.mark.parametrize("jump", [timedelta(days=YEARS), timedelta(hours=-20)])
def test_what_comes_in_around_a_jump_is_kept_and_counts_once(
    service: Service, client: TestClient, key_for: Callable[..., dict[str, str]], clock: Clock, jump: timedelta
) -> None:
    headers, rows = key_for("ingest"), bodies.rows(6)
    for content in (rows[:3], rows):
        reply = client.post("/v1/exchanges", content=bodies.lines(content), headers=headers)
        assert (reply.status_code, reply.json()["accepted"]) == (200, len(content)), reply.text
        clock.moment += jump
    fold(service)
    manifest = manifest_of(service.settings.storage.state)
    assert manifest is not None
    assert sum(batch.exchanges for batch in manifest.batches) == len(rows)
