"""The client and the check against the service's own decisions: made by hand, told live or in shadow, undone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.client.conftest import becomes
from tests.server.gateways.conftest import serving

from stillwatch.client import NONE, Client
from stillwatch.server import ServerSettings, Service, application, opened
from stillwatch.server.gateways.routes import router
from stillwatch.server.settings import Deciding, Storing

pytest.importorskip("stillwatch.server.decisions.snapshot", reason="NOT TESTED: the part that decides is not here yet")

Headers = dict[str, str]
REASON = "Planted by a test of the gateways."


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service of the real time, which its HTTP replies tell as well; verify and throttle are live."""
    settings = ServerSettings(
        storage=Storing(state=tmp_path / "state"), decisions=Deciding(live=("verify", "throttle"))
    )
    with opened(settings) as held:
        yield held


def test_what_people_decide_reaches_a_gateways_process_and_its_checks_and_is_taken_back(
    service: Service, key_for: Callable[..., Headers]
) -> None:
    app = application(service)
    app.include_router(router)
    analyst, enforcer = key_for("analyst", "approver"), key_for("enforcer")
    key = enforcer["Authorization"].removeprefix("Bearer ")
    with serving(app) as port, TestClient(app) as people:

        def decide(account_id: str, action: str) -> str:
            asked = {"account_id": account_id, "action": action, "because": REASON}
            reply = people.post("/v1/decisions", json=asked, headers=analyst)
            assert reply.status_code == 201, reply.text
            decision_id: str = reply.json()["decision_id"]
            return decision_id

        def status(account_id: str) -> int:
            told = {"x-stillwatch-key": key, "x-account-id": account_id}
            return people.get("/v1/check/v1/messages", headers=told).status_code

        decide("early", "verify")
        decide("shadowed", "observe")
        client = Client(f"http://127.0.0.1:{port}", key, refresh_s=0.2)
        try:
            assert client.wait(20)
            assert becomes(lambda: client.decision("early").action == "verify")
            late = decide("late", "verify")
            assert becomes(lambda: client.decision("late").action == "verify")
            assert client.decision("late").decision_id == late
            shadowed = client.decision("shadowed")
            assert (shadowed.action, shadowed.shadow) == ("none", "observe")
            assert [status(account_id) for account_id in ("early", "late", "other")] == [403, 403, 200]
            people.post(f"/v1/decisions/{late}/undo", json={"because": REASON}, headers=analyst)
            assert becomes(lambda: client.decision("late") is NONE)
            assert status("late") == 200
            assert client.health().failures == 0
        finally:
            client.close()
