"""Who may do what: every route asks for a role, every role opens what is its own, and failures are counted."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.testclient import TestClient

from stillwatch.server import ServerSettings, Service, app, application, opened
from stillwatch.server.access import OPEN, ROLES, guards
from stillwatch.server.failures import ALLOWED, REMEMBERED, WITHIN, Failures
from stillwatch.server.settings import Listening, Storing
from stillwatch.server.tables import api_keys, audit

NO_SUCH = "no-such-thing"
STREAMS = {"/v1/decisions/deltas"}  # have no end: only that they stay shut is tried here


def calls(client: TestClient) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Every route with each of its methods, and its roles."""
    for path, methods, roles in guards(client.app):  # type: ignore[arg-type]
        for method in sorted(methods - {"HEAD"}):
            yield method, path, roles


def called(client: TestClient, method: str, path: str, headers: dict[str, str]) -> int:
    """The status of a call whose parameters name nothing there is; a stream is not read to its end."""
    import re

    place = re.sub(r"\{\w+(:\w+)?\}", NO_SUCH, path)
    with client.stream(method, place, headers=headers) as reply:
        return reply.status_code


def test_every_route_asks_for_a_role_but_those_listed(client: TestClient) -> None:
    open_to_all = {path for _, path, roles in calls(client) if not roles}
    assert open_to_all == OPEN


def swallowed(routes: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Routes that an earlier one of the same method answers instead: method, the earlier path, the later one."""
    found = []
    for number, (method, later) in enumerate(routes):
        called = re.sub(r"{[^}]*}", "x", later)
        for other, earlier in routes[:number]:
            pattern = re.sub(r"{\w+}", "[^/]+", re.sub(r"{\w+:path}", ".*", earlier))
            if other == method and re.fullmatch(pattern, called):
                found.append((method, earlier, later))
    return found


def test_no_route_swallows_a_later_one(client: TestClient) -> None:
    assert swallowed([(method, path) for method, path, _ in calls(client)]) == []
    assert swallowed([("GET", "/a/{id:path}"), ("GET", "/a/{id}/b"), ("POST", "/a/b"), ("GET", "/a/{id:path}")]) == [
        ("GET", "/a/{id:path}", "/a/{id}/b"),
        ("GET", "/a/{id:path}", "/a/{id:path}"),
    ]


def test_what_is_asked_of_an_account_reaches_its_own_route_whatever_the_id_holds(
    client: TestClient, key_for: Callable[..., dict[str, str]]
) -> None:
    headers, answers = key_for("admin"), {}
    verdict = {"verdict": "innocent", "because": "We asked."}
    for method, last in (("GET", ""), ("GET", "/explanation"), ("POST", "/verdict"), ("POST", "/erase")):
        reply = client.request(method, f"/v1/accounts/a/b{last}", headers=headers, json=verdict if last else None)
        answers[last] = reply.json().get("detail", "done")
    assert answers == {
        "": "There is no such account.",
        "/explanation": "The last detection saw no such account, or there was none yet.",
        "/verdict": "No campaign has or had this account, and it bears no recognised one.",
        "/erase": "done",
    }


def test_a_part_that_forgets_the_role_does_not_start(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless:
        router = APIRouter()

    Careless.router.add_api_route("/v1/everything", lambda: {})
    monkeypatch.setattr(app, "PARTS", (*app.PARTS, Careless))
    with pytest.raises(RuntimeError, match="routes without a role: /v1/everything"):
        application(service)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_its_own_routes_and_no_other(
    role: str, client: TestClient, key_for: Callable[..., dict[str, str]]
) -> None:
    headers = key_for(role)
    opens = {role} | ({"enforcer", "analyst", "approver"} if role == "admin" else set())
    for method, path, roles in calls(client):
        if not roles or (path in STREAMS and roles & opens):
            continue
        status = called(client, method, path, headers)
        assert (status == 403) == (not roles & opens), (method, path, status)
        assert status not in (401, 500), (method, path, status)


def test_without_a_valid_key_nothing_opens(client: TestClient) -> None:
    for headers in ({}, {"Authorization": "Bearer sw_0123456789ab_" + "A" * 43}, {"X-API-Key": "x"}):
        for method, path, roles in calls(client):
            if roles:
                assert called(client, method, path, headers) in (401, 429), (method, path)


def test_many_failures_are_asked_to_wait_and_a_valid_key_still_passes(
    client: TestClient, service: Service, clock: Any, key_for: Callable[..., dict[str, str]]
) -> None:
    wrong = {"X-API-Key": "wrong"}
    statuses = [client.get("/metrics", headers=wrong).status_code for _ in range(ALLOWED + 2)]
    assert statuses == [401] * ALLOWED + [429] * 2
    assert client.get("/metrics", headers=wrong).headers["retry-after"] == "60"
    assert client.get("/metrics", headers=key_for("admin")).status_code == 200
    clock.pass_by(seconds=WITHIN.total_seconds())
    assert client.get("/metrics", headers=wrong).status_code == 401


def test_failures_are_remembered_of_so_many_addresses_and_no_more(clock: Any) -> None:
    failures = Failures()
    for number in range(REMEMBERED + 50):
        failures.note(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", clock())
    assert len(failures) == REMEMBERED


def test_all_addresses_of_one_network_of_ipv6_count_as_one(clock: Any) -> None:
    failures = Failures()
    too_many = [failures.note(f"2001:db8::{number:x}", clock()) for number in range(ALLOWED + 1)]
    assert too_many == [False] * ALLOWED + [True]
    assert not failures.note("2001:db8:0:1::1", clock())
    assert not failures.note("2001:db8::1", clock() + WITHIN + timedelta(seconds=1))


def test_the_token_of_the_settings_reads_metrics_and_nothing_else(tmp_path: Path, clock: Any) -> None:
    token = "t" * 24
    settings = ServerSettings(server=Listening(metrics_token=token), storage=Storing(state=tmp_path))
    headers = {"Authorization": f"Bearer {token}"}
    with opened(settings, now=clock) as held, TestClient(application(held)) as client:
        assert client.get("/metrics", headers=headers).status_code == 200
        assert client.get("/metrics", headers={"Authorization": f"Bearer {token}x"}).status_code == 401
        for method, path, roles in calls(client):
            if roles and path != "/metrics":
                assert called(client, method, path, headers) in (401, 429), (method, path)
    assert token not in repr(settings)


def test_keys_are_made_listed_and_revoked_and_the_audit_log_knows(run: Callable[..., Any], tmp_path: Path) -> None:
    place = ("--state", tmp_path / "state")
    made = run("keys", "make", "--name", "edge", "--role", "ingest", "--namespace", "eu", "--expires-days", 9, *place)
    key_id = made.out.split("_")[1]
    assert run("keys", "revoke", key_id, *place).err == f"{key_id} is revoked.\n"
    listed = run("keys", "list", "--format", "csv", *place).out
    assert f"{key_id},edge,ingest,eu," in listed
    assert made.out.strip() not in listed
    with opened(ServerSettings(storage=Storing(state=tmp_path / "state"))) as held, held.database.read() as connection:
        rows = connection.execute(sa.select(audit.c.action, audit.c.subject)).all()
        [key] = connection.execute(sa.select(api_keys)).mappings()
    assert [tuple(row) for row in rows] == [("key.made", key_id), ("key.revoked", key_id)]
    assert (key["expires_at"] - key["created_at"]).days == 9
    assert key["revoked_at"] is not None


def test_a_key_that_does_not_exist_cannot_be_revoked(run: Callable[..., Any], tmp_path: Path) -> None:
    run("keys", "make", "--name", "edge", "--role", "ingest", "--state", tmp_path)
    done = run("keys", "revoke", "0" * 12, "--state", tmp_path)
    assert (done.code, done.err) == (1, "stillwatch: there is no key 000000000000; see `stillwatch keys list`\n")


def test_a_role_that_does_not_exist_is_refused(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("keys", "make", "--name", "a", "--role", "god", "--state", tmp_path)
    assert done.code == 2
    assert "roles god: give some of ingest, enforcer, analyst, approver, admin, partner" in done.err
