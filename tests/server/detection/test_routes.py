"""What analysts see and say over HTTP."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from tests.server.conftest import NOON
from tests.server.detection import worlds
from tests.server.detection.test_findings import campaign

from stillwatch.server import Service
from stillwatch.server.detection import findings
from stillwatch.server.detection.findings import Output
from stillwatch.server.detection.routes import router
from stillwatch.server.tables import analyst_verdicts, audit

Keys = Callable[..., dict[str, str]]


@pytest.fixture
def analyst(key_for: Keys) -> dict[str, str]:
    return key_for("analyst")


def test_every_route_needs_its_role(client: TestClient, key_for: Keys) -> None:
    said = {"verdict": "innocent", "because": "known"}
    wrong, ingest = key_for("enforcer"), key_for("ingest")
    for route in router.routes:
        assert isinstance(route, APIRoute)
        path = route.path.replace("{campaign_id}", "c-1").replace("{account_id:path}", "a")
        for method in route.methods:
            body = said if path.endswith("verdict") else None
            assert client.request(method, path, json=body).status_code == 401
            assert client.request(method, path, json=body, headers=wrong).status_code == 403
            assert client.request(method, path, json=body, headers=ingest).status_code == 403
    assert client.post("/v1/detections", headers=key_for("analyst")).status_code == 403


def test_campaigns_come_latest_first_in_pages_and_by_verdict_and_state(
    client: TestClient, service: Service, analyst: dict[str, str]
) -> None:
    found = [campaign(f"c-{n}", 3, verdict="coordinated" if n % 2 else "distillation") for n in range(5)]
    for n, one in enumerate(found):
        one["last_seen_at"] = (NOON + timedelta(hours=n // 2)).isoformat()
    with service.database.write() as connection:
        findings.record(connection, Output(found, {}), number=7, now=NOON)
    every, after = [], None
    while True:
        page = {"limit": 2, "state": "open"} | ({"after": after} if after else {})
        told = client.get("/v1/campaigns", params=page, headers=analyst).json()
        assert len(told["campaigns"]) <= 2
        every += [row["campaign_id"] for row in told["campaigns"]]
        after = told["next"]
        if after is None:
            break
    assert every == ["c-4", "c-2", "c-3", "c-0", "c-1"]
    gone = client.get("/v1/campaigns?state=dormant&verdict=distillation", headers=analyst).json()["campaigns"]
    assert [row["verdict"] for row in gone] == ["distillation"], "the one of the real detection"
    odd = client.get("/v1/campaigns?verdict=coordinated", headers=analyst).json()["campaigns"]
    assert [row["campaign_id"] for row in odd] == ["c-3", "c-1"]
    assert "document" not in odd[0]


def test_a_campaign_is_shown_with_what_it_rests_on_and_its_accounts_in_pages(
    client: TestClient, analyst: dict[str, str]
) -> None:
    [row] = client.get("/v1/campaigns?verdict=distillation", headers=analyst).json()["campaigns"]
    whole = client.get(f"/v1/campaigns/{row['campaign_id']}", headers=analyst).json()
    assert {"evidence", "harvest", "coordination", "benign_hypotheses", "analyst_verdicts"} <= whole.keys()
    assert "harvest-001" not in str(whole)
    path = f"/v1/campaigns/{row['campaign_id']}/accounts"
    first = client.get(path, params={"limit": 15}, headers=analyst).json()
    rest = client.get(path, params={"limit": 15, "after": first["next"]}, headers=analyst).json()
    ids = [account["account_id"] for page in (first, rest) for account in page["accounts"]]
    assert ids == [f"harvest-{number:03}" for number in range(1, 21)]
    assert first["accounts"][0]["left_at"] is None
    assert rest["next"] is None


def test_an_explanation_can_be_shown_to_the_holder(client: TestClient, analyst: dict[str, str]) -> None:
    told = client.get("/v1/accounts/harvest-003/explanation", headers=analyst)
    assert told.status_code == 200
    assert told.json()["membership"]["verdict"] == "distillation"
    assert "harvest-004" not in told.text
    assert "harvest-003" in told.json()["text"]
    assert client.get("/v1/accounts/no/such/explanation", headers=analyst).status_code == 404


def test_a_verdict_is_kept_with_its_author_and_has_a_detection_run(
    client: TestClient, service: Service, analyst: dict[str, str]
) -> None:
    said = {"verdict": "innocent", "because": " spoke to them "}
    reply = client.post("/v1/accounts/harvest-003/verdict", json=said, headers=analyst)
    assert (reply.status_code, reply.json()["author"]) == (201, "key:analyst")
    assert reply.json()["because"] == "spoke to them"
    with service.database.read() as connection:
        assert connection.execute(sa.select(analyst_verdicts.c.subject)).scalars().all() == ["harvest-003"]
        actions = connection.execute(sa.select(audit.c.action).order_by(audit.c.sequence.desc()).limit(2)).scalars()
        assert set(actions) == {"account.verdict", "detection.requested"}
    newest = client.get("/v1/detections", headers=analyst).json()["detections"][0]
    assert (newest["outcome"], newest["requested_by"]) == ("requested", "key:analyst")
    assert client.post("/v1/accounts/people-001/verdict", json=said, headers=analyst).status_code == 404
    assert client.post("/v1/campaigns/c-none/verdict", json=said, headers=analyst).status_code == 404


def test_an_admin_has_a_detection_run_now(client: TestClient, key_for: Keys) -> None:
    admin = key_for("admin")
    assert client.post("/v1/detections", headers=admin).json() == {"number": 2, "outcome": "requested"}
    assert client.post("/v1/detections", headers=admin).status_code == 202
    told = client.get("/v1/detections?limit=5", headers=admin).json()["detections"]
    assert [(row["number"], row["outcome"]) for row in told] == [(2, "requested"), (1, "done")]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/campaigns?verdict=maybe", None),
        ("GET", "/v1/campaigns?state=asleep", None),
        ("GET", "/v1/campaigns?limit=0", None),
        ("GET", "/v1/campaigns?limit=1001", None),
        ("GET", "/v1/campaigns?after=%00", None),
        ("GET", "/v1/campaigns/c%00", None),
        ("GET", "/v1/accounts/a%00/explanation", None),
        ("POST", "/v1/accounts/a%00/verdict", {"verdict": "innocent", "because": "known"}),
        ("POST", "/v1/accounts/harvest-003/verdict", {"verdict": "innocent", "because": "  "}),
        ("POST", "/v1/accounts/harvest-003/verdict", {"verdict": "innocent", "because": "nul \0"}),
        ("POST", "/v1/accounts/harvest-003/verdict", {"verdict": "innocent", "because": "x" * 2_001}),
        ("POST", "/v1/accounts/harvest-003/verdict", {"verdict": "perhaps", "because": "known"}),
    ],
)
def test_what_cannot_be_understood_is_refused_in_words(
    client: TestClient, analyst: dict[str, str], method: str, path: str, body: Any
) -> None:
    reply = client.request(method, path, json=body, headers=analyst)
    assert reply.status_code == 422
    assert reply.json()["detail"]


def test_half_a_character_is_refused_too(client: TestClient, analyst: dict[str, str]) -> None:
    broken = b'{"verdict": "innocent", "because": "\\ud800"}'
    headers = {**analyst, "content-type": "application/json"}
    reply = client.post("/v1/accounts/harvest-003/verdict", content=broken, headers=headers)
    assert reply.status_code == 422


def test_before_the_first_detection_there_is_nothing_to_see(
    tmp_path_factory: pytest.TempPathFactory, clock: Callable[[], Any]
) -> None:
    from stillwatch.server import application, opened
    from stillwatch.server.access import made_key

    state = tmp_path_factory.mktemp("empty") / "state"
    with opened(worlds.settings(state), now=clock) as empty, TestClient(application(empty)) as client:
        key = made_key(empty.database, name="a", roles=["analyst"], by="tests", now=clock())
        headers = {"Authorization": f"Bearer {key}"}
        assert client.get("/v1/campaigns", headers=headers).json() == {"campaigns": [], "next": None}
        assert client.get("/v1/accounts/a/explanation", headers=headers).status_code == 404
