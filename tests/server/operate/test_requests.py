"""Around every request: counted by route, cut off when its body is too long or too slow, answered without its words."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Body, Depends, Request
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from stillwatch.errors import ServiceError
from stillwatch.server import Service, app, application, metrics
from stillwatch.server.access import requires
from stillwatch.server.detection import runs
from stillwatch.server.operate import requests, scraping
from stillwatch.server.operate.requests import JSON_BYTES
from stillwatch.server.settings import Taking


class Echo:
    """A part that reads a body."""

    router = APIRouter()


@Echo.router.post("/v1/echo/{name}", dependencies=[Depends(requires("admin"))])
def echo(name: str, count: int = Body(embed=True)) -> dict[str, int]:
    return {name: count}


@pytest.fixture
def limited(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr(app, "PARTS", (*app.PARTS, Echo))
    limits = Taking(max_body_bytes=1000, body_timeout_s=0.3)
    return replace(service, settings=replace(service.settings, intake=limits))


def scraped(client: TestClient, headers: dict[str, str]) -> dict[tuple[str, ...], float]:
    text = client.get("/metrics", headers=headers).text
    families = text_string_to_metric_families(text)
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_requests_are_counted_by_route_and_status_and_never_by_path(
    limited: Service, key_for: Callable[..., dict[str, str]]
) -> None:
    headers = key_for("admin")
    with TestClient(application(limited)) as client:
        before = scraped(client, headers)
        client.post("/v1/echo/acct-17", headers=headers, json={"count": 3})
        client.post("/v1/echo/acct-17", headers=headers, json={"count": "many"})
        client.get("/v1/no-such-route/acct-17", headers=headers)
        after = scraped(client, headers)
        assert "acct-17" not in client.get("/metrics", headers=headers).text

    def more(*labels: str) -> float:
        name = ("stillwatch_requests_total", *sorted(labels))
        return after.get(name, 0.0) - before.get(name, 0.0)

    assert more("POST", "/v1/echo/{name}", "200") == 1
    assert more("POST", "/v1/echo/{name}", "422") == 1
    assert more("GET", "unknown", "404") == 1
    assert after["process_resident_memory_bytes",] > 0


def test_a_body_that_is_too_long_is_cut_off(limited: Service, key_for: Callable[..., dict[str, str]]) -> None:
    with TestClient(application(limited)) as client:
        reply = client.post("/v1/echo/a", headers=key_for("admin"), content=b" " * 1001)
    assert (reply.status_code, reply.json()) == (413, {"detail": "The body is longer than 1000 bytes."})


def test_bodies_that_are_read_whole_fit_in_memory_together_and_room_comes_back(
    limited: Service, key_for: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "ALL_JSON_BYTES", 400)
    headers = key_for("admin") | {"Content-Type": "application/json"}
    with TestClient(application(limited)) as client:
        for _ in range(3):
            full = client.post("/v1/echo/a", headers=headers, content=b" " * 401)
            assert (full.status_code, full.headers["retry-after"]) == (503, "5")
            assert client.post("/v1/echo/a", headers=headers, content=b'{"count": 1}' + b" " * 388).status_code == 200
        assert client.post("/v1/raw", headers=headers, content=b" " * 900).json() == 900, "it counts its own"


@Echo.router.post("/v1/raw", dependencies=[Depends(requires("admin"))])
async def raw(request: Request) -> int:
    return len(await request.body())


def test_a_stranger_cannot_have_a_large_body_read_and_a_stream_is_read_with_a_key_only(
    service: Service, key_for: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PARTS", (*app.PARTS, Echo))
    large = b" " * (JSON_BYTES + 1)
    with TestClient(application(service)) as client:
        assert client.post("/v1/echo/a", content=large).status_code == 413
        assert client.post("/v1/raw", content=large).status_code == 401
        assert client.post("/v1/raw", content=large, headers=key_for("admin")).json() == len(large)


def test_a_body_that_does_not_come_in_time_is_cut_off(limited: Service, key_for: Callable[..., dict[str, str]]) -> None:
    sent: list[dict[str, Any]] = []
    began = False

    async def receive() -> dict[str, Any]:
        nonlocal began
        if began:
            await asyncio.Event().wait()
        began = True
        return {"type": "http.request", "body": b"{", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", key_for("admin")["Authorization"].encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/echo/a", "headers": headers, "query_string": b""}
    asyncio.run(application(limited)({**scope, "client": ("127.0.0.1", 1), "server": ("x", 80)}, receive, send))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def test_what_was_misread_is_told_by_place_and_never_quoted(
    limited: Service, key_for: Callable[..., dict[str, str]]
) -> None:
    with TestClient(application(limited)) as client:
        for body in (b'{"count": "planted-secret"}', b'{"count": "\\ud800"}', b'{"\\ud800": 1}', b"planted-secret"):
            reply = client.post(
                "/v1/echo/a", headers={**key_for("admin"), "Content-Type": "application/json"}, content=body
            )
            assert reply.status_code == 422
            assert set(reply.json()["detail"][0]) == {"loc", "msg", "type"}
            assert "planted" not in reply.text


def test_ready_says_what_is_missing_to_those_who_have_a_role(
    client: TestClient, service: Service, key_for: Callable[..., dict[str, str]]
) -> None:
    headers = key_for("enforcer")
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.get("/readyz", headers=headers).json() == {"status": "ready", "missing": {}}
    service.settings.storage.state.rename(service.settings.storage.state.with_name("moved"))
    reply = client.get("/readyz")
    assert (reply.status_code, reply.json()) == (503, {"status": "not ready"})
    assert "state" in client.get("/readyz", headers=headers).json()["missing"]
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz", headers={"X-API-Key": "wrong"}).json() == {"status": "not ready"}


def test_a_detection_that_has_not_ended_well_for_long_is_not_ready(
    client: TestClient, service: Service, clock: Any, key_for: Callable[..., dict[str, str]]
) -> None:
    headers = key_for("admin")

    def missing_after(outcome: str, **passed: float) -> Any:
        with service.database.write() as connection:
            number = runs.begun(connection, "inputs", now=clock())
            runs.ended(connection, number, outcome, now=clock())
        clock.pass_by(**passed)
        return client.get("/readyz", headers=headers).json()["missing"]

    assert missing_after("done", hours=9) == {}  # nothing new has come since
    assert missing_after("done", seconds=0) == {}
    assert missing_after("failed", seconds=3 * service.settings.detection.every_s + 900) == {}
    assert missing_after("failed", seconds=1) == {"detection": "has not ended well for 1801 s"}
    assert missing_after("done", hours=9) == {}


def test_metrics_tell_what_gateways_let_pass_and_what_is_looked_up_when_they_are_read(
    client: TestClient, key_for: Callable[..., dict[str, str]]
) -> None:
    admin, gateway = key_for("admin"), key_for("enforcer")
    before = scraped(client, admin)["stillwatch_fail_opens_total",]
    assert client.post("/v1/fail-opens", headers=gateway, json={"count": 3}).status_code == 204
    assert client.post("/v1/fail-opens", headers=gateway, json={"count": -3}).status_code == 422
    client.post("/v1/holds", headers=admin, json={"subject": "a", "because": "x"})
    after = scraped(client, admin)
    assert after["stillwatch_fail_opens_total",] - before == 3
    assert after["stillwatch_holds",] == 1
    assert after["stillwatch_disk_free_bytes",] > 0


def test_metrics_are_told_even_when_something_cannot_be_looked_up(
    client: TestClient, key_for: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_service: Service) -> None:
        raise ServiceError("gone")

    monkeypatch.setattr(scraping, "AT_SCRAPE", (gone,))
    assert scraped(client, key_for("admin"))["process_start_time_seconds",] > 0


@pytest.mark.parametrize(
    ("method", "path", "is_told"),
    [
        ("GET", "/v1/check", False),
        ("POST", "/v1/check/v1/chat/completions", False),
        ("GET", "/v1/decisions/acct-1", False),
        ("GET", "/healthz", False),
        ("GET", "/readyz", False),
        ("GET", "/metrics", False),
        ("POST", "/v1/check?wrong", True),
        ("POST", "/v1/decisions/bulk", True),
        ("GET", "/v1/campaigns/none", True),
    ],
)
def test_what_is_asked_thousands_of_times_a_second_is_logged_only_when_it_goes_wrong(
    method: str, path: str, is_told: bool, client: TestClient, key_for: Callable[..., dict[str, str]]
) -> None:
    headers = {"X-API-Key": "wrong"} if path.endswith("wrong") else key_for("admin")
    with capture_logs() as logs:
        reply = client.request(method, path, headers=headers, json={"account_ids": []} if "bulk" in path else None)
    assert (reply.status_code >= 400) == (path in ("/v1/check?wrong", "/v1/campaigns/none"))
    assert [line["status"] for line in logs if line["event"] == "request"] == [reply.status_code] * is_told


def test_refusals_of_checks_are_told_in_one_line_for_each_kind(
    client: TestClient, key_for: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "SUM_S", 0.5)
    headers = key_for("ingest")
    with capture_logs() as logs:
        for path in ("/v1/check", "/v1/check", "/v1/check/a", "/v1/check/b", "/v1/check"):
            assert client.get(path, headers=headers).status_code == 403
        until = time.monotonic() + 20
        while len(told := [line for line in logs if line["event"] == "requests_refused"]) < 2:
            assert time.monotonic() < until
            client.get("/healthz")
    assert {line["route"]: (line["status"], line["count"]) for line in told} == {
        "/v1/check": (403, 3),
        "/v1/check/{path:path}": (403, 2),
    }
    assert not [line for line in logs if line["event"] == "request"]


def test_every_metric_is_in_the_docs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operate.md").read_text("utf-8")
    names = {family.name for family in metrics.REGISTRY.collect() if family.name.startswith("stillwatch_")}
    assert names
    assert [name for name in sorted(names) if f"`{name}" not in page] == []
