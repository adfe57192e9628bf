"""Logs: only known fields, no word of a request and no secret, whoever writes them."""

import ast
import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn
from fastapi import APIRouter, Body, Depends
from fastapi.testclient import TestClient

from stillwatch.errors import StoreError
from stillwatch.server import Service, app, application
from stillwatch.server import logging as service_logging
from stillwatch.server.access import guards, requires

SECRET = "planted-secret-4711"
KEY = "sw_0123456789ab_" + "B" * 43


@pytest.fixture
def log() -> io.StringIO:
    """What is logged, in JSON."""
    stream = io.StringIO()
    uvicorn.Config(app, log_level="info")  # as another program may have: it prints by itself from now on
    service_logging.set_up(stream)
    return stream


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_field_nobody_allowed_is_left_out_and_named(log: io.StringIO) -> None:
    structlog.get_logger("stillwatch").info("taken_in", exchanges=3, prompt=SECRET, account_id="acct-1")
    [line] = lines(log)
    assert (line["event"], line["exchanges"], line["level"]) == ("taken_in", 3, "info")
    assert line["left_out"] == "account_id prompt"
    assert SECRET not in log.getvalue()


@pytest.mark.parametrize(
    "text",
    [KEY, f"Bearer {SECRET}", "whsec_" + SECRET, "eyJhbGciOi.eyJzdWIi.c2ln", f"postgresql://user:{SECRET}@host/db"],
)
def test_what_looks_like_a_secret_is_starred_even_in_a_known_field(text: str, log: io.StringIO) -> None:
    structlog.get_logger("stillwatch").error("job_failed", reason=f"before {text} after")
    [line] = lines(log)
    assert line["reason"].startswith("before ")
    assert "***" in line["reason"]
    assert SECRET not in log.getvalue()
    assert "BBBB" not in log.getvalue()
    assert "eyJ" not in log.getvalue()


def test_what_an_exception_says_is_told_only_when_the_words_are_ours() -> None:
    def told(error: Exception) -> dict[str, str]:
        try:
            raise error
        except Exception as caught:
            return service_logging.failure(caught)

    ours, theirs = told(StoreError("the disk is full")), told(ValueError(SECRET))
    assert ours["reason"] == "the disk is full"
    assert theirs["kind"] == "ValueError"
    assert theirs["where"].startswith("test_logging.py:")
    assert SECRET not in str(theirs)


def test_libraries_are_told_of_without_their_words(log: io.StringIO) -> None:
    logging.getLogger("multipart.parser").warning("could not read %s", SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    about = ("message of multipart.parser", "Exception in ASGI application")  # threads of other tests may log as well
    first, second = (line for line in lines(log) if line["event"] in about)
    assert first["event"] == "message of multipart.parser"
    assert (second["event"], second["kind"]) == ("Exception in ASGI application", "ValueError")
    assert SECRET not in log.getvalue()


def test_every_field_that_the_service_logs_is_known() -> None:
    calls = [
        (path.name, call)
        for path in Path(service_logging.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(("log.info", "log.warning", "log.error"))
    ]
    assert len(calls) > 10
    told_fields = {(name, field.arg) for name, call in calls for field in call.keywords if field.arg is not None}
    assert {one for one in told_fields if one[1] not in service_logging.FIELDS} == set()


def test_an_observer_that_fails_is_told_without_its_words(
    service: Service, client: TestClient, log: io.StringIO, key_for: Callable[..., dict[str, str]]
) -> None:
    def broken(_signals: object) -> None:
        raise ValueError(SECRET)

    service.observers.append(broken)
    row = {"started_at": service.now().isoformat(), "account_id": "a", "model": "m", "prompt": "Name a planet."}
    assert client.post("/v1/exchanges", json=row, headers=key_for("ingest")).json()["accepted"] == 1
    [line] = [line for line in lines(log) if line["event"] == "observer_failed"]
    assert line["kind"] == "ValueError"
    assert SECRET not in log.getvalue()


class Leaky:
    """A part that fails with what it was sent in its mouth."""

    router = APIRouter()


@Leaky.router.post("/v1/leaky", dependencies=[Depends(requires("admin"))])
def leaky(prompt: str = Body(embed=True)) -> None:
    raise ValueError(prompt)


def test_planted_secrets_reach_no_log_and_no_error_through_any_route(
    service: Service, log: io.StringIO, key_for: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PARTS", (*app.PARTS, Leaky))
    admin, replies = key_for("admin"), []
    with TestClient(application(service), raise_server_exceptions=False) as client:
        for path, methods, _ in guards(client.app):  # type: ignore[arg-type]
            place = path.replace("{", SECRET).replace("}", "")
            for method in sorted(methods - {"HEAD"}):
                for headers in (admin, {"Authorization": f"Bearer {KEY}"}, {"X-API-Key": SECRET}):
                    for body in (
                        f'{{"prompt": "{SECRET}"}}',
                        f'{{"prompt": {{"{SECRET}": 1}}, "x": "\\ud800"}}',
                        SECRET,
                    ):
                        sent = {**headers, "Cookie": SECRET, "User-Agent": SECRET, "Content-Type": "application/json"}
                        with client.stream(method, f"{place}?q={SECRET}", headers=sent, content=body) as reply:
                            if "event-stream" not in reply.headers.get("content-type", ""):
                                reply.read()
                                replies.append((path, reply.status_code, reply.text))
    assert ("/v1/leaky", 500, "Internal Server Error") in replies
    assert [row for row in replies if SECRET in row[2] and row[1] >= 400] == []
    told = log.getvalue()
    assert '"route": "/v1/leaky"' in told
    assert "request_failed" in told
    assert SECRET not in told
    assert "BBBB" not in told
    assert admin["Authorization"].split()[1] not in told
