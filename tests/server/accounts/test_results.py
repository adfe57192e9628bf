"""Results sent in by vendors: only signed, only fresh, only once."""

import base64
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from standardwebhooks import Webhook

from stillwatch.errors import SettingsError
from stillwatch.server import ServerSettings, Service, opened
from stillwatch.server.accounts import require
from stillwatch.server.accounts.jobs import jobs, look_at_clock
from stillwatch.server.accounts.results import verifiers
from stillwatch.server.accounts.verifications import found, started
from stillwatch.server.settings import Storing, Verifying
from stillwatch.server.tables import audit as audit_table
from stillwatch.server.tables import webhook_receipts

OLD, NEW, OTHER = ("whsec_" + base64.b64encode(bytes([i]) * 32).decode() for i in (1, 2, 3))
PATH = "/v1/webhooks/verification"


@pytest.fixture
def service(tmp_path: Path, clock: Any) -> Iterator[Service]:
    """A service with two secrets, of which one is in a file."""
    (tmp_path / "new").write_text(f"{NEW}\n")
    made = ServerSettings(
        storage=Storing(state=tmp_path / "state"),
        verification=Verifying(webhook_secrets=(OLD, f"file:{tmp_path / 'new'}")),
    )
    with opened(made, now=clock) as held:
        yield held


@pytest.fixture
def reference(service: Service) -> str:
    """What the vendor calls a check that was begun."""
    with service.database.write() as connection:
        asked = require(connection, "a-1", "identity", "Somebody asked.", None, service.now())
        return str(started(connection, asked, by="tests", now=service.now())["reference"])


def body_of(reference: str, kind: str = "verification.passed", **data: Any) -> str:
    return json.dumps({"type": kind, "timestamp": "2026-03-01T12:00:00Z", "data": {"reference": reference, **data}})


def signed(body: str, at: datetime, *, secret: str = OLD, webhook_id: str = "msg_1", **changed: str) -> dict[str, str]:
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, at, body),
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }


def state_of(service: Service, reference: str) -> str:
    from stillwatch.server.tables import verifications

    with service.database.read() as connection:
        wanted = sa.select(verifications.c.state).where(verifications.c.reference == reference)
        return str(connection.execute(wanted).scalar_one())


@pytest.mark.parametrize("secret", [OLD, NEW])
@pytest.mark.parametrize("result", ["passed", "failed"])
def test_a_signed_result_is_taken_in_under_either_secret(
    service: Service, client: TestClient, reference: str, secret: str, result: str
) -> None:
    body = body_of(reference, f"verification.{result}", because="Document read.", evidence_digest="sha256:00ff")
    answer = client.post(PATH, content=body, headers=signed(body, service.now(), secret=secret))
    assert (answer.status_code, answer.json()["state"]) == (200, result)
    with service.database.read() as connection:
        row = found(connection, answer.json()["verification_id"])
    assert (row["decided_by"], row["decided_because"], row["evidence_digest"]) == (
        "webhook",
        "Document read.",
        "sha256:00ff",
    )


def test_the_same_webhook_again_changes_nothing_and_gets_the_same_reply(
    service: Service, client: TestClient, reference: str
) -> None:
    body = body_of(reference)
    first = client.post(PATH, content=body, headers=signed(body, service.now()))
    service.now.pass_by(hours=3)  # type: ignore[attr-defined]
    again = client.post(PATH, content=body, headers=signed(body, service.now()))  # a retry, signed anew
    assert (again.status_code, again.json()) == (200, first.json())
    with service.database.read() as connection:
        acts = connection.execute(sa.select(audit_table.c.action)).scalars().all()
    assert acts.count("verification.passed") == 1


def test_another_webhook_cannot_turn_a_result_round(service: Service, client: TestClient, reference: str) -> None:
    for webhook_id, kind, status in (("msg_1", "passed", 200), ("msg_2", "failed", 409)):
        body = body_of(reference, f"verification.{kind}")
        headers = signed(body, service.now(), webhook_id=webhook_id)
        assert client.post(PATH, content=body, headers=headers).status_code == status
    assert state_of(service, reference) == "passed"


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook_signature": ""},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v1,AAAA"},
        {"webhook_signature": "é"},
        {"webhook_id": "msg_2"},
        {"webhook_id": ""},
        {"webhook_id": "x" * 201},
        {"webhook_timestamp": ""},
        {"webhook_timestamp": "nan"},
        {"webhook_timestamp": "1e9"},
        {"webhook_timestamp": "-1"},
        {"webhook_timestamp": "9" * 40},
        {"webhook_timestamp": "1772366401"},
    ],
)
def test_what_was_changed_on_the_way_is_refused(
    service: Service, client: TestClient, reference: str, changed: dict[str, str]
) -> None:
    body = body_of(reference)
    renamed = {name.replace("_", "-"): value for name, value in changed.items()}
    headers = {name: value.encode() for name, value in {**signed(body, service.now()), **renamed}.items()}
    answer = client.post(PATH, content=body, headers=headers)
    assert answer.status_code == 401
    assert state_of(service, reference) == "pending"


def test_a_changed_body_or_another_secret_is_refused(service: Service, client: TestClient, reference: str) -> None:
    body = body_of(reference, "verification.failed")
    headers = signed(body, service.now())
    assert client.post(PATH, content=body_of(reference), headers=headers).status_code == 401
    assert client.post(PATH, content=b"\xff" + body.encode(), headers=headers).status_code == 401
    assert client.post(PATH, content=body, headers=signed(body, service.now(), secret=OTHER)).status_code == 401
    assert client.post(PATH, content=body).status_code == 401
    assert state_of(service, reference) == "pending"


@pytest.mark.parametrize("seconds", [-301, 301, -86400])
def test_a_webhook_whose_time_is_minutes_off_is_refused(
    service: Service, client: TestClient, reference: str, seconds: int
) -> None:
    body = body_of(reference)
    headers = signed(body, service.now() + timedelta(seconds=seconds))
    assert client.post(PATH, content=body, headers=headers).status_code == 401


def test_one_right_signature_among_several_is_enough(service: Service, client: TestClient, reference: str) -> None:
    body = body_of(reference)
    right = signed(body, service.now())["webhook-signature"]
    headers = signed(body, service.now(), webhook_signature=f"v1a,xyz v1,AAAA {right}")
    assert client.post(PATH, content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[]", 422),
        ('{"type": "verification.maybe", "data": {"reference": "r"}}', 422),
        ('{"type": "verification.passed"}', 422),
        ('{"type": "verification.passed", "data": {"reference": 1}}', 422),
        ('{"type": "verification.passed", "data": {"reference": "r\\u0000"}}', 422),
        ('{"type": "verification.passed", "data": {"reference": "no such"}}', 404),
    ],
)
def test_what_is_signed_and_says_nothing_is_told_so(
    service: Service, client: TestClient, body: str, status: int
) -> None:
    assert client.post(PATH, content=body, headers=signed(body, service.now())).status_code == status
    assert client.post(PATH, content=b"x" * 70_000, headers=signed(body, service.now())).status_code == 413


def test_without_a_secret_nothing_is_taken_in(tmp_path: Path, clock: Any) -> None:
    from stillwatch.server import application

    with opened(ServerSettings(storage=Storing(state=tmp_path)), now=clock) as held:
        body = body_of("r")
        answer = TestClient(application(held)).post(PATH, content=body, headers=signed(body, held.now()))
    assert answer.status_code == 401


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "whsec_é", "no prefix" * 9, "file:/no/such/file"])
def test_a_secret_that_cannot_be_used_is_told_at_the_start_and_not_shown(service: Service, secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        verifiers(Verifying(webhook_secrets=(secret,)))
    assert "[verification] webhook_secrets" in str(caught.value)
    assert secret == "" or secret.startswith("file:") or len(secret) < 8 or secret not in str(caught.value)
    assert [job.name for job in jobs(service)] == ["verifications"]


def test_no_secret_shows_when_settings_are_printed(service: Service) -> None:
    assert OLD not in repr(service.settings)
    assert OLD not in repr(service)


def test_ids_are_forgotten_when_nobody_repeats_them_any_more(
    service: Service, client: TestClient, reference: str
) -> None:
    body = body_of(reference)
    client.post(PATH, content=body, headers=signed(body, service.now()))
    for days, left in ((29, 1), (2, 0)):
        service.now.pass_by(days=days)  # type: ignore[attr-defined]
        look_at_clock(service)
        with service.database.read() as connection:
            assert len(connection.execute(sa.select(webhook_receipts)).all()) == left
