"""A check that was passed ends what asked for it and does not come back: over SQLite and over PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from tests.server.conftest import Clock
from tests.server.decisions.conftest import CAMPAIGN_ID, campaign, recommended

from stillwatch.server import ServerSettings, Service, audit, decisions, opened
from stillwatch.server.accounts import require, verifications
from stillwatch.server.accounts.asking import ask_as_decided
from stillwatch.server.accounts.jobs import look_at_clock
from stillwatch.server.decisions import Reconciled, people
from stillwatch.server.decisions.passes import PASS_DAYS
from stillwatch.server.settings import Deciding, Storing
from stillwatch.server.tables import audit as audit_table
from stillwatch.server.tables import decisions as decided

Run = Callable[..., Reconciled]
Rows = Callable[..., list[Any]]
Headers = Callable[..., dict[str, str]]
DEFAULT = "payment"  # of the built-in policy, where a decision names no check
VERIFY_A = campaign(recommended("verify", ["a"]))


@pytest.fixture
def service(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[Service]:
    made = ServerSettings(
        storage=Storing(tmp_path / "state", database_url), decisions=Deciding(live=("verify", "throttle"))
    )
    with opened(made, now=clock) as held:
        yield held


def asked(service: Service, decision_id: str | None = None, check: str = "identity") -> str:
    """A check of account a that was begun."""
    with service.database.write() as connection:
        name = require(connection, "a", check, "A campaign used this account.", decision_id, service.now())
        verifications.started(connection, name, by="tests", now=service.now())
    return name


def resulted(service: Service, verification_id: str, result: str = "passed") -> None:
    with service.database.write() as connection:
        now = service.now()
        verifications.resulted(connection, verification_id, result, by="key:ann", now=now, default_check=DEFAULT)


def attached(service: Service, account_id: str = "a") -> str | None:
    with service.database.write() as connection:
        return decisions.attach(
            connection,
            account_id=account_id,
            campaign_id=CAMPAIGN_ID,
            because="It shares a template and a card with the campaign.",
            evidence=[{"kind": "template", "weight_bits": 9.0}],
            now=service.now(),
            expires_at=service.now().replace(day=28),
        )


def states(rows: Rows, **wanted: Any) -> list[tuple[str, str]]:
    return [(row.action, row.state) for row in rows(**wanted)]


def test_a_pass_frees_the_account_at_once_and_detection_does_not_bring_it_back(
    service: Service, client: TestClient, key_for: Headers, reconciled: Run, rows: Rows, clock: Clock
) -> None:
    enforcer, analyst = key_for("enforcer"), key_for("analyst")
    reconciled(VERIFY_A)
    look_at_clock(service)  # the decision is live: it asks
    clock.pass_by(hours=1)
    [made] = client.get("/v1/verifications?account_id=a", headers=analyst).json()["verifications"]
    path = f"/v1/verifications/{made['verification_id']}"
    assert client.post(f"{path}/start", headers=analyst).status_code == 200
    assert client.get("/v1/decisions/a", headers=enforcer).json()["action"] == "verify"
    before = service.snapshot.version
    told = client.post(f"{path}/result", json={"result": "passed", "because": "Seen."}, headers=analyst)
    assert (told.status_code, told.json()["state"]) == (200, "passed")
    assert client.get("/v1/decisions/a", headers=enforcer).json()["action"] == "none"
    assert service.snapshot.version != before, "whoever follows is told"
    [row] = rows()
    assert (row.state, row.ended_by, row.ended_at) == ("withdrawn", "key:analyst", clock())
    assert made["verification_id"] in row.ended_because
    clock.pass_by(minutes=5)
    assert reconciled(VERIFY_A) == Reconciled()
    look_at_clock(service)
    assert client.get("/v1/decisions/a", headers=enforcer).json()["action"] == "none"
    assert len(client.get("/v1/verifications?account_id=a", headers=analyst).json()["verifications"]) == 1


def test_what_a_pass_ended_is_in_the_audit_log(service: Service, reconciled: Run) -> None:
    reconciled(VERIFY_A)
    name = asked(service)
    resulted(service, name)
    with service.database.read() as connection:
        assert audit.broken(connection) is None
        act = connection.execute(sa.select(audit_table).where(audit_table.c.action == "decisions.answered")).one()
    assert (act.principal, act.subject, act.after["withdrawn"]) == ("key:ann", name, 1)


def test_stronger_actions_come_all_the_same(service: Service, reconciled: Run, rows: Rows) -> None:
    reconciled(VERIFY_A)
    resulted(service, asked(service))
    assert reconciled(campaign(recommended("throttle", ["a"]))) == Reconciled(taken=1)
    resulted(service, asked(service))
    assert states(rows) == [("verify", "withdrawn"), ("throttle", "active")]


@pytest.mark.parametrize("result", ["failed", "expired"])
def test_a_check_that_is_not_passed_leaves_the_decision_standing(
    service: Service, reconciled: Run, rows: Rows, clock: Clock, result: str
) -> None:
    reconciled(campaign(recommended("verify", ["a"], expires_after_days=30)))
    name = asked(service)
    if result == "failed":
        resulted(service, name, "failed")
    else:
        clock.pass_by(days=verifications.DEADLINE_DAYS)
        look_at_clock(service)
    assert states(rows) == [("verify", "active")]
    reconciled(campaign(recommended("verify", ["a"], expires_after_days=30)))
    assert states(rows) == [("verify", "active")]


def test_an_appeal_decided_as_passed_counts_the_same_and_a_failure_after_a_pass_ends_it(
    service: Service, reconciled: Run, rows: Rows, clock: Clock
) -> None:
    reconciled(VERIFY_A)
    name = asked(service)
    resulted(service, name, "failed")
    with service.database.write() as connection:
        verifications.appealed(connection, name, because="It was my brother.", by="key:adm", now=service.now())
    assert reconciled(VERIFY_A) == Reconciled()
    assert states(rows) == [("verify", "active")]
    resulted(service, name)
    assert states(rows) == [("verify", "withdrawn")]
    assert reconciled(VERIFY_A) == Reconciled()
    clock.pass_by(days=1)
    resulted(service, asked(service), "failed")
    assert reconciled(VERIFY_A) == Reconciled(taken=1)


def test_another_check_and_another_account_end_nothing(service: Service, reconciled: Run, rows: Rows) -> None:
    found = campaign(recommended("verify", ["a"], check="phone"), recommended("verify", ["b"]))
    reconciled(found)
    resulted(service, asked(service, check="identity"))
    assert states(rows) == [("verify", "active")] * 2
    assert reconciled(found) == Reconciled()


def test_a_pass_from_before_the_campaign_spoke_of_the_account_protects_nobody(
    service: Service, reconciled: Run, clock: Clock
) -> None:
    resulted(service, asked(service))
    clock.pass_by(minutes=1)
    assert reconciled(VERIFY_A) == Reconciled(taken=1)


def test_a_pass_protects_under_the_ids_that_descend_from_the_campaign(service: Service, reconciled: Run) -> None:
    reconciled(VERIFY_A)
    resulted(service, asked(service))
    lineage = [{"campaign_id": CAMPAIGN_ID, "relation": "split_from"}]
    heir = campaign(recommended("verify", ["a"]), campaign_id="c-heir", lineage=lineage)
    stranger = campaign(recommended("verify", ["a"]), campaign_id="c-stranger")
    assert reconciled(heir) == Reconciled()
    assert reconciled(heir, stranger) == Reconciled(taken=1)


@pytest.mark.parametrize("renew_after_days", [None, 30])
def test_a_pass_protects_until_it_is_due_for_renewal(
    service: Service, reconciled: Run, clock: Clock, renew_after_days: int | None
) -> None:
    reconciled(VERIFY_A)
    with service.database.write() as connection:
        programme = ("education", renew_after_days)
        told: dict[str, Any] = {"because": "A programme asks.", "by": "tests", "now": clock(), "programme": programme}
        name = verifications.asked(connection, "a", "identity", **told)
        verifications.started(connection, name, by="tests", now=clock())
    resulted(service, name)
    clock.pass_by(days=(renew_after_days or PASS_DAYS) - 1)
    assert reconciled(VERIFY_A) == Reconciled()
    clock.pass_by(days=1)
    assert reconciled(VERIFY_A) == Reconciled(taken=1)
    resulted(service, asked(service))
    clock.pass_by(days=1)
    assert reconciled(VERIFY_A) == Reconciled(), "the newer pass protects again"


@pytest.mark.parametrize("first", [None, DEFAULT], ids=["asked by the decision", "served by an open request"])
def test_a_newcomer_that_passes_what_it_was_asked_for_is_free_and_not_attached_again(
    service: Service, reconciled: Run, rows: Rows, clock: Clock, first: str | None
) -> None:
    open_one = None if first is None else asked(service, check=first)
    made = attached(service)
    with service.database.write() as connection:
        assert ask_as_decided(connection, decided, default_check=DEFAULT, now=clock()) == (first is None)
    clock.pass_by(minutes=1)
    resulted(service, open_one or asked(service, made, DEFAULT))
    assert [(row.state, row.check) for row in rows()] == [("withdrawn", DEFAULT)]
    clock.pass_by(minutes=1)
    assert attached(service) is None
    assert attached(service, "b") is not None
    clock.pass_by(days=PASS_DAYS)
    assert reconciled(campaign(recommended("verify", ["a"], check=DEFAULT))).taken == 1


def test_a_newcomer_that_passes_after_its_decision_lapsed_is_not_attached_again(
    service: Service, rows: Rows, clock: Clock
) -> None:
    made = attached(service)
    name = asked(service, made, DEFAULT)
    clock.pass_by(days=28)
    resulted(service, name)
    assert [row.state for row in rows()] == ["active"], "what is over is not ended a second time"
    assert attached(service) is None


def test_a_newcomer_is_not_freed_by_a_check_that_nobody_asked_it_for(service: Service, rows: Rows) -> None:
    attached(service)
    resulted(service, asked(service, check="email"))
    assert states(rows) == [("verify", "active")]


def test_newcomers_stay_while_the_campaign_accuses_even_when_all_it_accuses_have_passed(
    service: Service, reconciled: Run, rows: Rows
) -> None:
    reconciled(VERIFY_A)
    attached(service, "new")
    resulted(service, asked(service))
    assert reconciled(VERIFY_A) == Reconciled()
    assert states(rows, account_id="new") == [("verify", "active")]


def test_an_undo_stands_whatever_is_passed_and_a_decision_by_hand_is_answered_too(
    service: Service, client: TestClient, key_for: Headers, reconciled: Run, rows: Rows
) -> None:
    reconciled(VERIFY_A)
    with service.database.write() as connection:
        people.undo(connection, rows()[0].decision_id, because="Known.", principal="key:ann", now=service.now())
    by_hand = {"account_id": "a", "action": "verify", "check": "identity", "because": "Something is odd."}
    assert client.post("/v1/decisions", json=by_hand, headers=key_for("analyst")).status_code == 201
    resulted(service, asked(service))
    found = [(row.source == "person", row.state, row.ended_by) for row in rows()]
    assert sorted(found) == [(False, "undone", "key:ann"), (True, "withdrawn", "key:ann")]
    assert reconciled(VERIFY_A) == Reconciled()
