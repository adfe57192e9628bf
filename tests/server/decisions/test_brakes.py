"""The brake: one person stops an action everywhere, and an approver lets it go on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import Clock
from tests.server.decisions.conftest import campaign, recommended

from stillwatch.server import ServerSettings, Service, audit, opened
from stillwatch.server.decisions import snapshot_of
from stillwatch.server.decisions.brakes import router
from stillwatch.server.settings import Deciding, Storing

WHY = {"because": "It throttles a whole class."}
Keys = Callable[..., dict[str, str]]


@pytest.fixture
def service(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[Service]:
    live = Deciding(live=("throttle", "verify"))
    with opened(ServerSettings(storage=Storing(tmp_path / "state", database_url), decisions=live), now=clock) as held:
        yield held


def doing(client: TestClient, key: dict[str, str]) -> list[str]:
    return [client.get(f"/v1/decisions/{one}", headers=key).json()["action"] for one in "ab"]


def test_a_brake_stops_an_action_for_everybody_and_a_release_lets_it_go_on(
    client: TestClient, service: Service, key_for: Keys, reconciled: Callable[..., Any], clock: Clock
) -> None:
    other = snapshot_of(service.database, service.settings.decisions, now=clock)
    reconciled(campaign(recommended("throttle", ["a"]), recommended("verify", ["b"])))
    key = key_for("enforcer", "analyst")
    assert doing(client, key) == ["throttle", "verify"]
    before = service.snapshot.version
    told = client.post("/v1/actions/throttle/brake", headers=key, json=WHY).json()
    acting = {one["action"]: (one["is_named"], one["is_live"], one["braked_by"]) for one in told}
    assert acting["throttle"] == (True, False, "key:enforcer-analyst")
    assert (acting["verify"], acting["suspend"]) == ((True, True, None), (False, False, None))
    assert doing(client, key) == ["none", "verify"]
    assert service.snapshot.since(before) is None  # copies read anew
    other.refresh(service.database)
    assert b'"action":"none","shadow":"throttle"' in other.reply(b"a")
    assert client.post("/v1/actions/throttle/release", headers=key, json=WHY).status_code == 403
    client.post("/v1/actions/throttle/release", headers=key_for("approver"), json=WHY)
    assert doing(client, key) == ["throttle", "verify"]
    with service.database.read() as connection:
        assert audit.broken(connection) is None


def test_a_brake_holds_when_the_service_is_started_again(
    client: TestClient, service: Service, key_for: Keys, reconciled: Callable[..., Any], clock: Clock
) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    for _ in range(2):  # the second time changes who, and nothing else
        assert client.post("/v1/actions/throttle/brake", headers=key_for("analyst"), json=WHY).status_code == 200
    with opened(service.settings, now=clock) as again:
        assert b'"action":"none","shadow":"throttle"' in again.snapshot.reply(b"a")


def test_releasing_makes_nothing_live_that_the_settings_do_not_name(
    client: TestClient, service: Service, key_for: Keys
) -> None:
    for act in ("brake", "release", "release"):
        told = client.post(f"/v1/actions/suspend/{act}", headers=key_for("approver"), json=WHY).json()
    assert {one["action"]: one["is_live"] for one in told}["suspend"] is False


def test_the_brake_needs_a_role_a_reason_and_an_action_that_exists(client: TestClient, key_for: Keys) -> None:
    for route in router.routes:
        assert any(getattr(one.call, "roles", None) for one in route.dependant.dependencies)  # type: ignore[attr-defined]
    key = key_for("approver")
    assert client.get("/v1/actions", headers=key).status_code == 200
    assert client.get("/v1/actions").status_code == 401
    assert client.post("/v1/actions/throttle/brake", headers=key_for("enforcer"), json=WHY).status_code == 403
    assert client.post("/v1/actions/throttle/brake", headers=key).status_code == 422
    assert client.post("/v1/actions/ban/brake", headers=key, json=WHY).status_code == 422
