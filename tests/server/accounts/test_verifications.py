"""Verifications: every step along an arrow and no other, told and audited; a pass counts in the next detection."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from tests.server.conftest import NOON

from stillwatch.server import ServerSettings, Service, application, audit, opened
from stillwatch.server.access import made_key
from stillwatch.server.accounts import account_rows, require
from stillwatch.server.accounts.asking import ask_as_decided
from stillwatch.server.accounts.jobs import look_at_clock
from stillwatch.server.accounts.verifications import ARROWS, DEADLINE_DAYS, STATES
from stillwatch.server.settings import Deciding, Storing, Verifying
from stillwatch.server.tables import Moment, metadata, outbox, verifications
from stillwatch.server.tables import audit as audit_table

POLICY = """
name = "ours"
version = 4
[checks]
default = ["identity"]
[programmes.education]
required = ["email", "programme_documents"]
renew_after_days = 90
[[rules]]
name = "watch"
because = "Nothing more is called for."
campaign = { verdicts = ["coordinated"] }
outcome = { action = "observe", approvals = 0, expires_after_days = 5 }
"""


@pytest.fixture
def service(tmp_path: Path, clock: Any, database_url: str) -> Iterator[Service]:
    """A service over either database, with a policy of its own."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    made = ServerSettings(
        storage=Storing(state=tmp_path / "state", database=database_url),
        decisions=Deciding(policy=str(policy)),
        verification=Verifying(start_url="https://kyc.example/start?ref={reference}&what={check}"),
    )
    with opened(made, now=clock) as held:
        yield held


class People:
    """Everybody who has a part in a verification, each with a key."""

    def __init__(self, service: Service, client: TestClient) -> None:
        self.service, self.client = service, client
        self._keys: dict[str, str] = {}

    def post(self, who: str, path: str, body: Any = None, roles: tuple[str, ...] = ()) -> Any:
        answer = self.client.post(path, json=body, headers=self.headers(who, roles))
        return answer.status_code, answer.json()

    def get(self, who: str, path: str) -> Any:
        return self.client.get(path, headers=self.headers(who)).json()

    def headers(self, who: str, roles: tuple[str, ...] = ()) -> dict[str, str]:
        if who not in self._keys:
            self._keys[who] = made_key(
                self.service.database, name=who, roles=roles or (who,), by="tests", now=self.service.now()
            )
        return {"Authorization": f"Bearer {self._keys[who]}"}

    def ask(self, check: str = "identity", account_id: str = "a-1") -> str:
        body = {"account_id": account_id, "check": check, "because": "A colleague wants to know."}
        status, row = self.post("analyst", "/v1/verifications", body)
        assert (status, row["state"]) == (201, "required"), row
        return str(row["verification_id"])

    def step(self, who: str, verification_id: str, step: str, **body: Any) -> Any:
        return self.post(who, f"/v1/verifications/{verification_id}/{step}", body or None)

    def bring_to(self, state: str) -> str:
        """A verification in that state."""
        verification_id = self.ask()
        if state in ("pending", "passed", "failed", "appealed"):
            assert self.step("ingest", verification_id, "start")[0] == 200
        if state in ("passed", "failed", "appealed"):
            result = "passed" if state == "passed" else "failed"
            assert self.step("analyst", verification_id, "result", result=result, because="I looked.")[0] == 200
        if state == "appealed":
            assert self.step("admin", verification_id, "appeal", because="It was my brother.")[0] == 200
        if state == "expired":
            self.service.now.pass_by(days=DEADLINE_DAYS)  # type: ignore[attr-defined]  # the tests' clock
            look_at_clock(self.service)
        assert self.get("analyst", f"/v1/verifications/{verification_id}")["state"] == state
        return verification_id


@pytest.fixture
def people(service: Service, client: TestClient) -> People:
    return People(service, client)


def told_kinds(service: Service) -> list[str]:
    with service.database.read() as connection:
        return list(connection.execute(sa.select(outbox.c.kind).order_by(outbox.c.at)).scalars())


STEPS: dict[str, tuple[str, dict[str, Any]]] = {
    "start": ("ingest", {}),
    "result": ("analyst", {"result": "passed", "because": "I looked."}),
    "appeal": ("admin", {"because": "No."}),
    "decide": ("approver", {"result": "passed", "because": "I looked again."}),
}
LEADS_TO = {("required", "start"), ("pending", "result"), ("failed", "appeal"), ("expired", "appeal")}


@pytest.mark.parametrize("state", STATES)
def test_every_step_that_no_arrow_allows_is_refused_and_changes_nothing(people: People, state: str) -> None:
    verification_id = people.bring_to(state)
    before = people.get("analyst", f"/v1/verifications/{verification_id}")
    for step, (who, body) in STEPS.items():
        if (state, step) in LEADS_TO | {("appealed", "decide")}:
            continue
        status, reply = people.step(who, verification_id, step, **body)
        assert status == 409, (step, reply)
        assert state in reply["detail"]
    assert people.get("analyst", f"/v1/verifications/{verification_id}") == before


def test_the_arrows_lead_from_states_to_states_and_out_of_passed_none_leads() -> None:
    assert {state for arrow in ARROWS for state in arrow} == set(STATES)
    assert not [arrow for arrow in ARROWS if arrow[0] == "passed" or arrow[1] == "required"]


def test_a_check_is_asked_begun_and_passed_and_the_next_detection_reads_it(service: Service, people: People) -> None:
    people.post("ingest", "/v1/accounts", {"account_id": "a-1", "plan": "pro", "verification_level": "email"})
    verification_id = people.ask("identity")
    status, started = people.step("ingest", verification_id, "start")
    assert (status, started["state"]) == (200, "pending")
    assert started["url"] == f"https://kyc.example/start?ref={started['reference']}&what=identity"
    service.now.pass_by(hours=2)  # type: ignore[attr-defined]
    body = {"result": "passed", "because": "Passport seen.", "evidence_digest": "sha256:ab12"}
    status, passed = people.step("analyst", verification_id, "result", **body)
    assert (status, passed["state"], passed["evidence_digest"]) == (200, "passed", "sha256:ab12")
    with service.database.read() as connection:
        row = account_rows(connection).to_pylist()[0]
        assert audit.broken(connection) is None
    assert (row["verification_level"], row["verified_at"], row["plan"]) == ("identity", service.now(), "pro")
    assert told_kinds(service) == ["verification.required", "verification.passed"]


def test_every_step_is_audited_with_who_took_it(service: Service, people: People) -> None:
    verification_id = people.bring_to("appealed")
    with service.database.read() as connection:
        wanted = sa.select(audit_table).where(audit_table.c.subject == verification_id).order_by("sequence")
        acts = connection.execute(wanted).mappings().all()
    assert [(act["action"], act["principal"]) for act in acts] == [
        ("verification.required", "key:analyst"),
        ("verification.pending", "key:ingest"),
        ("verification.failed", "key:analyst"),
        ("verification.appealed", "key:admin"),
    ]
    assert [act["before"] for act in acts] == [None, *({"state": s} for s in ("required", "pending", "failed"))]


def test_an_appeal_is_decided_by_somebody_who_had_no_part_in_it(service: Service, people: People) -> None:
    verification_id = people.ask()
    everything = ("analyst", "admin", "approver")
    people.headers("boss", everything)
    people.step("boss", verification_id, "start")
    people.step("boss", verification_id, "result", result="failed", because="Blurred.")
    people.step("admin", verification_id, "appeal", because="Here is a better picture.")
    decision = {"result": "passed", "because": "The better picture is fine."}
    assert people.step("boss", verification_id, "decide", **decision)[0] == 403
    assert people.step("admin", verification_id, "decide", **decision)[0] == 403
    status, row = people.step("approver", verification_id, "decide", **decision)
    assert (status, row["state"], row["decided_by"]) == (200, "passed", "key:approver")
    assert told_kinds(service) == [f"verification.{s}" for s in ("required", "failed", "appealed", "passed")]


@pytest.mark.parametrize(
    ("who", "step"),
    [
        ("ingest", "result"),
        ("ingest", "appeal"),
        ("analyst", "appeal"),
        ("analyst", "decide"),
        ("approver", "appeal"),
        ("enforcer", "start"),
    ],
)
def test_nobody_takes_a_step_that_is_not_theirs(people: People, who: str, step: str) -> None:
    verification_id = people.ask()
    assert people.step(who, verification_id, step, **STEPS[step][1])[0] == 403


def test_asking_for_a_programme_asks_for_its_checks_once(service: Service, people: People) -> None:
    account = {"account_id": "s-1", "access_program": "education", "email": "kim@uni.example"}
    _, reply = people.post("ingest", "/v1/accounts", account)
    wanted = [(one["check"], one["state"], one["programme"]) for one in reply["required_checks"]]
    assert wanted == [("email", "required", "education"), ("programme_documents", "required", "education")]
    _, again = people.post("ingest", "/v1/accounts", account)
    assert again["required_checks"] == reply["required_checks"]
    for one in people.get("analyst", "/v1/verifications?account_id=s-1")["verifications"]:
        assert one["asked_because"] == "The education programme asks for this before it is given (policy ours 4)."
    assert told_kinds(service) == ["verification.required"] * 2
    _, free = people.post("ingest", "/v1/accounts", {"account_id": "s-2", "access_program": "free"})
    assert free["required_checks"] == []


def test_what_the_source_has_proven_itself_is_not_asked_for(people: People) -> None:
    account = {"account_id": "s-1", "access_program": "education", "verification_level": "phone"}
    _, reply = people.post("ingest", "/v1/accounts", account)
    states = {one["check"]: (one["state"], one["verification_id"] is None) for one in reply["required_checks"]}
    assert states == {"email": ("passed", True), "programme_documents": ("required", False)}


def test_no_update_takes_back_what_was_passed_here(service: Service, people: People) -> None:
    people.post("ingest", "/v1/accounts", {"account_id": "a-1", "verification_level": "contract"})
    verification_id = people.ask("identity")
    people.step("ingest", verification_id, "start")
    people.step("analyst", verification_id, "result", result="passed", because="Seen.")
    levels = []
    for told in ("contract", "none", "email", None):
        people.post("ingest", "/v1/accounts", {"account_id": "a-1", "verification_level": told})
        with service.database.read() as connection:
            levels.append(account_rows(connection).to_pylist()[0]["verification_level"])
    assert levels == ["contract", "identity", "identity", "identity"]  # a contract that ended is told by the source


def test_documents_are_no_level_of_their_own(service: Service, people: People) -> None:
    people.post("ingest", "/v1/accounts", {"account_id": "a-1"})
    verification_id = people.ask("programme_documents")
    people.step("ingest", verification_id, "start")
    people.step("analyst", verification_id, "result", result="passed", because="Seen.")
    with service.database.read() as connection:
        assert account_rows(connection).to_pylist()[0]["verification_level"] is None


def test_what_nobody_took_in_time_expires_and_can_be_appealed(service: Service, people: People) -> None:
    waiting, begun, late = people.ask("identity"), people.ask("phone"), people.ask("email")
    service.now.pass_by(days=DEADLINE_DAYS - 1)  # type: ignore[attr-defined]
    people.step("ingest", begun, "start")  # its deadline runs anew
    service.now.pass_by(days=1)  # type: ignore[attr-defined]
    look_at_clock(service)
    states = {
        one["verification_id"]: one["state"] for one in people.get("analyst", "/v1/verifications")["verifications"]
    }
    assert states == {waiting: "expired", begun: "pending", late: "expired"}
    assert people.step("admin", late, "appeal", because="I was ill.")[0] == 200
    assert told_kinds(service).count("verification.expired") == 2


def test_a_pass_is_asked_for_again_and_stays_a_pass(service: Service, people: People) -> None:
    _, reply = people.post("ingest", "/v1/accounts", {"account_id": "s-1", "access_program": "education"})
    email = reply["required_checks"][0]["verification_id"]
    people.step("ingest", email, "start")
    people.step("analyst", email, "result", result="passed", because="Clicked.")
    service.now.pass_by(days=90)  # type: ignore[attr-defined]
    look_at_clock(service)
    look_at_clock(service)
    mine = people.get("analyst", "/v1/verifications?account_id=s-1")["verifications"]
    emails = sorted((one["created_at"], one["state"]) for one in mine if one["check"] == "email")
    assert [state for _, state in emails] == ["passed", "required"]
    with service.database.read() as connection:
        assert account_rows(connection).to_pylist()[0]["verification_level"] == "email"
    _, again = people.post("ingest", "/v1/accounts", {"account_id": "s-1"})
    assert again["required_checks"][0]["state"] == "required"


def test_a_decision_asks_once_and_the_open_request_serves_others(service: Service) -> None:
    def ask(decision_id: str | None, check: str = "identity") -> str:
        with service.database.write() as connection:
            return require(connection, "a-1", check, "A campaign used this account.", decision_id, service.now())

    first = ask("d-1")
    assert ask("d-1") == ask("d-2") == ask(None) == first
    assert ask("d-1", "phone") != first
    service.now.pass_by(days=DEADLINE_DAYS)  # type: ignore[attr-defined]
    look_at_clock(service)
    assert ask("d-1") == first  # the same decision does not nag
    assert ask("d-3") != first
    with service.database.read() as connection:
        rows = connection.execute(sa.select(verifications.c.decision_id, verifications.c.asked_by)).all()
    assert sorted(rows) == [("d-1", "stillwatch"), ("d-1", "stillwatch"), ("d-3", "stillwatch")]


def test_a_source_and_its_analysts_see_only_their_namespace(
    service: Service, people: People, client: TestClient, key_for: Callable[..., dict[str, str]]
) -> None:
    mine = people.ask(account_id="web:a-1")
    people.ask(account_id="weber:a-1")
    web, app = key_for("analyst", namespace="web"), key_for("analyst", namespace="app")
    seen = client.get("/v1/verifications", headers=web).json()["verifications"]
    assert [one["verification_id"] for one in seen] == [mine]
    assert client.get(f"/v1/verifications/{mine}", headers=app).status_code == 404
    assert client.post(f"/v1/verifications/{mine}/start", headers=key_for("ingest", namespace="app")).status_code == 404
    assert client.post(f"/v1/verifications/{mine}/start", headers=key_for("ingest", namespace="web")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"account_id": "a", "check": "horoscope", "because": "x"},
        {"account_id": "a\x00", "check": "email", "because": "x"},
        {"account_id": "a", "check": "email", "because": ""},
        {"account_id": "a", "check": "email", "because": "x" * 501},
        {"account_id": "a", "check": "email", "because": "x", "colour": "red"},
    ],
)
def test_a_request_that_is_none_is_refused(people: People, body: dict[str, Any]) -> None:
    assert people.post("analyst", "/v1/verifications", body)[0] == 422


def test_what_is_not_there_is_not_found(people: People) -> None:
    for path in ("/v1/verifications/ver_0", "/v1/verifications/%00", "/v1/verifications/%E2%82%AC"):
        assert people.client.get(path, headers=people.headers("analyst")).status_code == 404
    assert people.get("analyst", "/v1/verifications?account_id=%00") == {"verifications": []}
    assert people.client.get("/v1/verifications?limit=0", headers=people.headers("analyst")).status_code == 422


def test_a_deadline_is_in_the_future_when_it_is_told(service: Service, people: People) -> None:
    row = people.get("analyst", f"/v1/verifications/{people.ask()}")
    assert row["deadline_at"] == (service.now() + timedelta(days=DEADLINE_DAYS)).isoformat().replace("+00:00", "Z")


def test_the_routes_are_those_of_the_application(service: Service) -> None:
    paths = application(service).openapi()["paths"]
    assert {"/v1/accounts", "/v1/verifications", "/v1/webhooks/verification"} <= set(paths)


def test_two_requests_at_once_ask_for_each_check_once(service: Service, people: People) -> None:
    account = {"account_id": "s-1", "access_program": "education"}
    headers = people.headers("ingest")
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(people.client.post, "/v1/accounts", json=account, headers=headers) for _ in range(8)]
        replies = [one.result() for one in sent]
    assert {reply.status_code for reply in replies} == {200}
    assert len({str(reply.json()["required_checks"]) for reply in replies}) == 1
    assert sum(reply.json()["is_new"] for reply in replies) == 1
    assert len(people.get("analyst", "/v1/verifications")["verifications"]) == 2


def decided(decisions: sa.Table, decision_id: str, **values: Any) -> dict[str, Any]:
    row = {
        "decision_id": decision_id,
        "account_id": "a-1",
        "action": "verify",
        "check": "phone",
        "because": "A campaign used this account.",
        "state": "active",
        "campaign_id": "c-1",
        "evidence": {},
        "source": "policy ours 4, rule watch",
        "author": "policy",
        "created_at": NOON,
        "expires_at": NOON + timedelta(days=30),
        "approvals_needed": 0,
        "changed": 1,
        **values,
    }
    return {name: value for name, value in row.items() if name in decisions.c}


@pytest.fixture
def decisions(service: Service) -> sa.Table:
    """The table of decisions; where the part that decides is not there, one with the columns that are read of it."""
    if "decisions" in metadata.tables:
        return metadata.tables["decisions"]
    names = ("decision_id", "account_id", "action", "check", "because", "state")
    made = sa.Table(
        "decisions",
        sa.MetaData(),
        *(sa.Column(name, sa.String(500)) for name in names),
        sa.Column("created_at", Moment),
        sa.Column("expires_at", Moment),
    )
    made.create(service.database.engine)
    return made


def test_live_decisions_to_verify_become_requests_once(service: Service, decisions: sa.Table) -> None:
    rows = [
        decided(decisions, "d-1"),
        decided(decisions, "d-2"),  # the same account and check: one request serves both
        decided(decisions, "d-3", account_id="a-3", check=None),
        decided(decisions, "d-4", account_id="a-4", state="proposed"),
        decided(decisions, "d-5", account_id="a-5", action="throttle", check=None),
        decided(decisions, "d-6", account_id="a-6", expires_at=NOON),
    ]
    with service.database.write() as connection:
        connection.execute(decisions.insert(), rows)
    asked = []
    for _ in range(3):
        with service.database.write() as connection:
            asked.append(ask_as_decided(connection, decisions, default_check="identity", now=service.now()))
    assert asked == [3, 0, 0]  # d-2 was due with d-1, and was served by its request
    with service.database.read() as connection:
        columns = (verifications.c.account_id, verifications.c.check, verifications.c.decision_id)
        found = sorted(connection.execute(sa.select(*columns)).all())
    assert found == [("a-1", "phone", "d-1"), ("a-3", "identity", "d-3")]


def test_a_pass_serves_the_decisions_that_were_taken_before_it(
    service: Service, people: People, decisions: sa.Table
) -> None:
    def ask() -> int:
        with service.database.write() as connection:
            return ask_as_decided(connection, decisions, default_check="identity", now=service.now())

    with service.database.write() as connection:
        connection.execute(decisions.insert(), [decided(decisions, name) for name in ("d-1", "d-2")])
    assert ask() == 2
    (asked,) = people.get("analyst", "/v1/verifications")["verifications"]
    people.step("ingest", asked["verification_id"], "start")
    people.step("analyst", asked["verification_id"], "result", result="passed", because="Called back.")
    assert ask() == 0
    service.now.pass_by(days=1)  # type: ignore[attr-defined]
    with service.database.write() as connection:
        connection.execute(decisions.insert(), [decided(decisions, "d-3", created_at=service.now())])
    assert ask() == 1  # what is decided later is a question of its own
