"""The routes: who may ask, what is told, and that nothing a client sends is answered with a failure of ours."""

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from tests.server.conftest import Clock
from tests.server.decisions.conftest import CAMPAIGN_ID, campaign, recommended
from tests.server.decisions.serving import connected, request, served

from stillwatch.server import Service, audit
from stillwatch.server.access import made_key
from stillwatch.server.decisions import deltas
from stillwatch.server.decisions.routes import read_by_one, router
from stillwatch.server.tables import api_keys
from stillwatch.server.tables import audit as audit_table

Keys = Callable[..., dict[str, str]]
Run = Callable[..., Any]
Rows = Callable[..., list[Any]]
BY_HAND = {"account_id": "a", "action": "suspend", "because": "It resells what it takes."}


@pytest.fixture
def person(service: Service, clock: Clock) -> Callable[..., dict[str, str]]:
    """Headers of a named person's key."""

    def made(name: str, *roles: str) -> dict[str, str]:
        return {"X-API-Key": made_key(service.database, name=name, roles=roles, by="tests", now=clock())}

    return made


def test_every_route_has_a_role() -> None:
    for route in router.routes:
        roles = [getattr(one.call, "roles", None) for one in route.dependant.dependencies]  # type: ignore[attr-defined]
        assert any(roles), route


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/v1/decisions/a", "enforcer"),
        ("POST", "/v1/decisions/bulk", "enforcer"),
        ("GET", "/v1/decisions/snapshot", "enforcer"),
        ("GET", "/v1/decisions/deltas", "enforcer"),
        ("GET", "/v1/decisions", "analyst"),
        ("POST", "/v1/decisions", "analyst"),
        ("POST", "/v1/decisions/approve", "approver"),
        ("POST", f"/v1/decisions/{'0' * 20}/approve", "approver"),
        ("POST", f"/v1/decisions/{'0' * 20}/undo", "analyst or approver"),
    ],
)
def test_nobody_gets_in_without_the_role(client: TestClient, key_for: Keys, method: str, path: str, role: str) -> None:
    others = {"ingest", "enforcer", "analyst", "approver"} - set(role.split(" or "))
    assert client.request(method, path).status_code == 401
    refused = client.request(method, path, headers=key_for(*others))
    assert (refused.status_code, f"the role {role};" in refused.json()["detail"]) == (403, True)


def test_a_gateway_is_told_one_account_and_many(client: TestClient, key_for: Keys, reconciled: Run) -> None:
    reconciled(campaign(recommended("throttle", ["a", "b"])))
    key = key_for("enforcer")
    one = client.get("/v1/decisions/a", headers=key)
    assert (one.headers["content-type"], one.headers["cache-control"]) == ("application/json", "no-store")
    asked = {"account_ids": ["b", "nobody", "a", "a"]}
    many = client.post("/v1/decisions/bulk", headers=key, json=asked).json()["decisions"]
    assert [(row["account_id"], row["shadow"]) for row in many] == [
        ("b", "throttle"),
        ("nobody", None),
        ("a", "throttle"),
        ("a", "throttle"),
    ]
    assert one.json() == many[2]
    assert client.post("/v1/decisions/bulk", headers=key, json={"account_ids": []}).json() == {"decisions": []}
    too_many = client.post("/v1/decisions/bulk", headers=key, json={"account_ids": ["a"] * 10_001})
    assert too_many.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"account_ids":[1]}',
        b'{"account_ids":"a"}',
        b'{"account_ids":["\\ud800"]}',
        b'{"account_ids":["\xff"]}',
        b'{"account_ids":[],"more":1}',
        b'{"\\ud800":1}',
        b"[" * 20_000,
    ],
    ids=range(11),
)
def test_a_bad_body_is_told_as_such(client: TestClient, key_for: Keys, body: bytes) -> None:
    headers = {**key_for("enforcer"), "Content-Type": "application/json"}
    assert client.post("/v1/decisions/bulk", headers=headers, content=body).status_code in (400, 422)


@pytest.mark.parametrize(
    "changes",
    [
        {"account_id": ""},
        {"account_id": "a\0"},
        {"account_id": "a\n"},
        {"account_id": "a" * 501},
        {"account_id": "\ud800"},
        {"action": "ban"},
        {"because": "short"},
        {"because": "\0 and a reason"},
        {"because": "\udfff and a reason"},
        {"expires_after_days": 0},
        {"expires_after_days": 366},
        {"check": "identity"},
        {"action": "verify", "check": "blood"},
        {"author": "somebody else"},
    ],
)
def test_a_bad_decision_is_told_as_such(client: TestClient, key_for: Keys, rows: Rows, changes: dict[str, Any]) -> None:
    headers = {**key_for("analyst"), "Content-Type": "application/json"}
    refused = client.post("/v1/decisions", headers=headers, content=json.dumps({**BY_HAND, **changes}))
    assert (refused.status_code, rows()) == (422, [])


@pytest.mark.parametrize(
    "path", ["?limit=0", "?state=gone", "?campaign_id=%00", "?account_id=%00", "?after=x", "?after=" + "0" * 20]
)
def test_a_bad_question_is_told_as_such(client: TestClient, key_for: Keys, path: str) -> None:
    assert client.get(f"/v1/decisions{path}", headers=key_for("analyst")).status_code in (404, 422)


def test_a_manual_suspension_needs_two_other_people_each_of_whom_counts_once(
    client: TestClient, service: Service, person: Keys, clock: Clock
) -> None:
    service.snapshot.act_on(["suspend"])
    ann, ben, cem = (person(name, "analyst", "approver", "enforcer") for name in ("ann", "ben", "cem"))
    made = client.post("/v1/decisions", headers=ann, json=BY_HAND)
    assert (made.status_code, made.json()["state"], made.json()["author"]) == (201, "proposed", "key:ann")
    path = f"/v1/decisions/{made.json()['decision_id']}/approve"
    assert client.post(path, headers=ann).status_code == 403
    first = client.post(path, headers=ben)
    assert (first.json()["state"], [one["principal"] for one in first.json()["approvals"]]) == ("proposed", ["key:ben"])
    assert client.post(path, headers=ben).status_code == 409
    assert client.post(path, headers=person("ben", "approver")).status_code == 409  # a second key of the same name
    assert client.get("/v1/decisions/a", headers=ann).json()["action"] == "none"
    assert client.post(path, headers=cem).json()["state"] == "active"
    assert client.get("/v1/decisions/a", headers=ann).json()["action"] == "suspend"
    assert client.post(path, headers=person("dan", "approver")).status_code == 409
    clock.pass_by(days=7)
    assert client.get("/v1/decisions/a", headers=ann).json()["action"] == "none"
    with service.database.read() as connection:
        assert audit.broken(connection) is None
        acts = connection.execute(sa.select(audit_table.c.action).order_by(audit_table.c.sequence)).scalars().all()
    assert [act for act in acts if act.startswith("decision")] == [
        "decision.made",
        "decision.approved",
        "decision.approved",
    ]


@pytest.mark.parametrize("action", ["observe", "verify", "throttle"])
def test_a_manual_decision_that_needs_nobody_is_told_at_once(client: TestClient, person: Keys, action: str) -> None:
    ann = person("ann", "analyst", "enforcer")
    made = client.post("/v1/decisions", headers=ann, json={**BY_HAND, "action": action, "expires_after_days": 2})
    assert (made.json()["state"], made.json()["campaign_id"], made.json()["source"]) == ("active", None, "person")
    assert client.get("/v1/decisions/a", headers=ann).json()["shadow"] == action


def test_an_undo_needs_a_reason_and_is_told_at_once(
    client: TestClient, person: Keys, reconciled: Run, rows: Rows
) -> None:
    reconciled(campaign(recommended("throttle", ["a", "b"])))
    ann = person("ann", "analyst", "enforcer")
    path = f"/v1/decisions/{rows(account_id='a')[0].decision_id}/undo"
    assert client.post(path, headers=ann).status_code == 422
    done = client.post(path, headers=ann, json={"because": "They are a class."}).json()
    assert (done["state"], done["ended_by"], done["ended_because"]) == ("undone", "key:ann", "They are a class.")
    assert [client.get(f"/v1/decisions/{one}", headers=ann).json()["shadow"] for one in "ab"] == [None, "throttle"]
    assert client.post(path, headers=ann, json={"because": "They are a class."}).status_code == 409
    missing = client.post(f"/v1/decisions/{'0' * 20}/undo", headers=ann, json={"because": "They are a class."})
    assert missing.status_code == 404


def test_undoing_a_proposal_ends_what_stands_until_then_as_well(
    client: TestClient, person: Keys, reconciled: Run, rows: Rows
) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    reconciled(campaign(recommended("suspend", ["a"])))
    path = f"/v1/decisions/{rows(state='proposed')[0].decision_id}/undo"
    client.post(path, headers=person("ann", "approver"), json={"because": "They are a class."})
    assert {row.state for row in rows()} == {"undone"}


def test_a_person_may_decide_again_what_was_undone(
    client: TestClient, person: Keys, reconciled: Run, rows: Rows
) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    ann = person("ann", "analyst", "enforcer")
    client.post(f"/v1/decisions/{rows()[0].decision_id}/undo", headers=ann, json={"because": "They are a class."})
    client.post("/v1/decisions", headers=ann, json={**BY_HAND, "action": "throttle"})
    reconciled(campaign(recommended("throttle", ["a"])))
    assert [row.state for row in rows()] == ["undone", "active"]
    assert client.get("/v1/decisions/a", headers=ann).json()["author"] == "key:ann"


def test_a_whole_campaign_is_approved_and_undone_at_once(
    client: TestClient, service: Service, person: Keys, reconciled: Run, rows: Rows
) -> None:
    everybody = [f"acct-{number:04}" for number in range(2_500)]
    reconciled(campaign(recommended("throttle", everybody)))
    reconciled(campaign(recommended("suspend", everybody[:2_400]), recommended("throttle", everybody[2_400:])))
    ann, ben = person("ann", "approver"), person("ben", "approver", "analyst")
    asked = {"campaign_id": CAMPAIGN_ID, "action": "suspend"}
    for who, active in ((ann, 0), (ann, None), (ben, 2_400)):
        done = client.post("/v1/decisions/approve", headers=who, json=asked).json()
        assert done == {"changed": 0 if active is None else 2_400, "active": active or 0}
    assert (len(rows(state="replaced")), len(rows(state="active"))) == (2_400, 2_500)
    assert json.loads(service.snapshot.reply(b"acct-0000"))["shadow"] == "suspend"
    told = {"campaign_id": CAMPAIGN_ID, "because": "They are a class."}
    assert client.post("/v1/decisions/undo", headers=ben, json=told).json() == {"changed": 2_500, "active": 0}
    assert client.post("/v1/decisions/undo", headers=ben, json=told).json() == {"changed": 0, "active": 0}
    assert len(service.snapshot) == 0
    reconciled(campaign(recommended("throttle", everybody)))
    assert len(service.snapshot) == 0


def test_decisions_are_listed_newest_first_in_pages(
    client: TestClient, key_for: Keys, reconciled: Run, clock: Clock
) -> None:
    reconciled(campaign(recommended("throttle", ["a", "b", "c"])))
    clock.pass_by(minutes=1)
    reconciled(campaign(recommended("throttle", ["a", "b"]), recommended("suspend", ["c", "d"])))
    key, seen, after = key_for("analyst"), [], ""
    while after is not None:
        page = client.get(f"/v1/decisions?limit=2{after and '&after='}{after}", headers=key).json()
        seen += page["decisions"]
        after = page["next"]
    assert sorted((one["account_id"], one["state"]) for one in seen) == [
        ("a", "active"),
        ("b", "active"),
        ("c", "active"),
        ("c", "proposed"),
        ("d", "proposed"),
    ]
    assert [one["created_at"] for one in seen] == sorted((one["created_at"] for one in seen), reverse=True)
    found = client.get(f"/v1/decisions?campaign_id={CAMPAIGN_ID}&state=proposed", headers=key).json()
    assert {one["account_id"] for one in found["decisions"]} == {"c", "d"}
    assert client.get("/v1/decisions?campaign_id=c-none", headers=key).json() == {"decisions": [], "next": None}


def test_the_snapshot_is_a_version_and_a_row_a_line(
    client: TestClient, service: Service, key_for: Keys, reconciled: Run
) -> None:
    everybody = [f"acct-{number:04}" for number in range(1_000)]
    reconciled(campaign(recommended("throttle", everybody)))
    key = key_for("enforcer")
    plain = client.get("/v1/decisions/snapshot", headers={**key, "Accept-Encoding": "identity"})
    first, *others = plain.text.splitlines()
    assert (plain.headers["content-type"], "content-encoding" in plain.headers) == ("application/x-ndjson", False)
    assert json.loads(first) == {"version": service.snapshot.version, "count": 1_000}
    assert [json.loads(row)["account_id"] for row in others] == everybody
    assert plain.headers["etag"] == f'"{service.snapshot.version}"'


def test_so_many_read_the_snapshot_at_once_and_room_comes_back_however_they_end(
    client: TestClient, service: Service, key_for: Keys, reconciled: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    key, path = key_for("enforcer"), "/v1/decisions/snapshot"
    monkeypatch.setattr(service.snapshot, "readers", threading.BoundedSemaphore(2))
    held = [read_by_one(service.snapshot, b"")[1] for _ in range(2)]
    next(held[0])
    full = client.get(path, headers=key)
    assert (full.status_code, full.headers["retry-after"]) == (503, "5")
    assert client.get("/v1/decisions/a", headers=key).status_code == 200
    for _ in range(2):  # one that was begun, and one that never was
        held.pop()
        assert [client.get(path, headers=key).status_code for _ in range(3)] == [200] * 3
    spent = [read_by_one(service.snapshot, b"")[1] for _ in range(2)]
    assert [len(list(lines)) for lines in spent] == [2, 2]  # read to their end, and still held by somebody
    assert [client.get(path, headers=key).status_code for _ in range(3)] == [200] * 3
    monkeypatch.setattr(service.snapshot, "whole", None)
    for _ in range(3):
        with pytest.raises(TypeError):
            client.get(path, headers=key)


@pytest.mark.parametrize(
    ("accepts", "is_packed"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.00", False),
        ("br", False),
    ],
)
def test_the_snapshot_is_packed_when_that_is_accepted(
    service: Service, key_for: Keys, reconciled: Run, accepts: str, is_packed: bool
) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    asked = request(
        "/v1/decisions/snapshot", {**key_for("enforcer"), "Accept-Encoding": accepts, "Connection": "close"}
    )
    with served(service) as port, connected(port) as connection:
        connection.sendall(asked)
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    body = b"".join(chunk for chunk in body.split(b"\r\n")[1:-3:2]) if not is_packed else unchunked(body)
    assert (b"content-encoding: gzip" in head) == is_packed
    text = gzip.decompress(body) if is_packed else body
    assert json.loads(text.splitlines()[0])["count"] == 1


def unchunked(body: bytes) -> bytes:
    """The body of a chunked answer."""
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole, body = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return whole


@pytest.mark.parametrize("given", ['"{}"', 'W/"{}"', '"other", "{}"'])
def test_a_snapshot_that_is_known_is_not_sent_again(
    client: TestClient, service: Service, key_for: Keys, reconciled: Run, given: str
) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    headers = {**key_for("enforcer"), "If-None-Match": given.format(service.snapshot.version)}
    same = client.get("/v1/decisions/snapshot", headers=headers)
    assert (same.status_code, same.content) == (304, b"")
    reconciled()
    assert client.get("/v1/decisions/snapshot", headers=headers).status_code == 200


@pytest.fixture
def streaming(service: Service) -> Iterator[int]:
    with served(service) as port:
        yield port


class Stream:
    """A stream of deltas, read as it comes."""

    def __init__(self, connection: socket.socket, path: str, headers: dict[str, str]) -> None:
        connection.sendall(request(path, headers))
        self.file = connection.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline() != b"\r\n":
            pass
        self.text = b""

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def until(self, wanted: bytes) -> str:
        """What comes until the wanted text has, or the end."""
        while wanted not in self.text:
            size = int(self.file.readline() or b"0", 16)
            if size == 0:
                break
            self.text += self.file.read(size)
            self.file.readline()
        text, self.text = self.text, b""
        return text.decode()


def messages(text: str) -> list[tuple[str, str]]:
    """Kind and data of each message."""
    found = []
    for block in text.split("\n\n"):
        told = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in told:
            found.append((told["event"], told["data"]))
    return found


def test_changes_are_told_as_they_happen_and_a_client_goes_on_where_it_was(
    service: Service, streaming: int, key_for: Keys, reconciled: Run
) -> None:
    key, start = key_for("enforcer"), service.snapshot.version
    with connected(streaming) as connection, Stream(connection, f"/v1/decisions/deltas?since={start}", key) as stream:
        assert stream.status == 200
        stream.until(b"retry")
        reconciled(campaign(recommended("throttle", ["a"])))
        text = stream.until(b'"account_id":"a"')
        assert f"id: {service.snapshot.version}\nevent: decision\n" in text
        assert [(kind, json.loads(data)["shadow"]) for kind, data in messages(text)] == [("decision", "throttle")]
    seen = service.snapshot.version
    reconciled(campaign(recommended("verify", ["b"])))
    with (
        connected(streaming) as connection,
        Stream(connection, "/v1/decisions/deltas?since=ignored", {**key, "Last-Event-ID": seen}) as stream,
    ):
        text = stream.until(service.snapshot.version.encode())
        told = {json.loads(data)["account_id"]: json.loads(data)["shadow"] for _, data in messages(text)}
    assert told == {"a": None, "b": "verify"}


@pytest.mark.parametrize("since", ["", "?since=0123456789ab-7", "?since=%00"])
def test_a_client_whose_version_is_not_known_is_told_to_read_the_snapshot(
    service: Service, streaming: int, key_for: Keys, reconciled: Run, since: str
) -> None:
    with (
        connected(streaming) as connection,
        Stream(connection, f"/v1/decisions/deltas{since}", key_for("enforcer")) as stream,
    ):
        told = messages(stream.until(b"reset\ndata: "))
        assert told == [("reset", json.dumps({"version": service.snapshot.version}, separators=(",", ":")))]
        reconciled(campaign(recommended("throttle", ["a"])))
        assert messages(stream.until(b'"account_id":"a"'))[0][0] == "decision"


def test_a_silent_line_says_that_it_is_alive_and_ends_when_the_key_is_revoked(
    service: Service, streaming: int, key_for: Keys, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deltas, "SILENCE_S", 0.05)
    with (
        connected(streaming) as connection,
        Stream(connection, f"/v1/decisions/deltas?since={service.snapshot.version}", key_for("enforcer")) as stream,
    ):
        assert ": still here" in stream.until(b": still here")
        with service.database.write() as writing:
            writing.execute(api_keys.update().values(revoked_at=clock()))
        stream.until(b"never")  # comes back because the line ends


def test_streams_end_when_the_server_stops(service: Service, key_for: Keys) -> None:
    with ExitStack() as held:
        with served(service) as port:
            connection = held.enter_context(connected(port))
            stream = held.enter_context(Stream(connection, "/v1/decisions/deltas", key_for("enforcer")))
            stream.until(b"reset")
        stream.until(b"never")  # comes back because the line ends
    assert service.snapshot.versions.followers == 0
