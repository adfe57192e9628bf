"""Sessions and sets over HTTP: each wrong request has its answer, and nobody gets more than was counted."""

import json
import secrets
from datetime import timedelta
from itertools import product

import pytest
import sqlalchemy as sa
from tests.server.conftest import Clock
from tests.server.psi.conftest import Held, Holding

from stillwatch.server.psi import jobs, sessions
from stillwatch.server.tables import psi_inputs, psi_sessions, psi_sets
from stillwatch.sharing import psi

OCTETS = {"Content-Type": "application/octet-stream"}
SECRET = psi.secret_of(bytes(range(32)))


def page(count: int = 100) -> bytes:
    digests = [secrets.token_bytes(32) for _ in range(count)]
    return b"".join(psi.blinded(digests, secret=SECRET, session_id="s"))


@pytest.fixture
def north(held: Held, tokens: list[str]) -> dict[str, str]:
    held.offer(tokens)
    return held.headers("north")


def opened(held: Held, headers: dict[str, str], size: int = 100) -> str:
    made = held.client.post("/v1/psi/sessions", headers=headers, json={"kind": "device", "size": size})
    assert made.status_code == 201, made.text
    return str(made.json()["session_id"])


def test_a_page_is_answered_in_order_and_another_time_not_at_all(held: Held, north: dict[str, str]) -> None:
    session_id, points = opened(held, north), page()
    url = f"/v1/psi/sessions/{session_id}/points"
    answered = held.client.post(f"{url}/0", headers=north | OCTETS, content=points)
    assert answered.status_code == 200
    assert answered.headers["content-type"] == "application/octet-stream"
    assert len(psi.points_in(answered.content)) == 100
    again = held.client.post(f"{url}/0", headers=north | OCTETS, content=page())
    assert (again.status_code, "answered once" in again.json()["detail"]) == (409, True)
    assert held.client.post(f"{url}/1", headers=north | OCTETS, content=points).status_code == 422


def test_pages_out_of_order_are_refused(held: Held, north: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PAGE_POINTS", 60)
    url = f"/v1/psi/sessions/{opened(held, north)}/points"
    assert held.client.post(f"{url}/1", headers=north | OCTETS, content=page(40)).status_code == 409
    assert held.client.post(f"{url}/0", headers=north | OCTETS, content=page(60)).status_code == 200
    assert held.client.post(f"{url}/1", headers=north | OCTETS, content=page(60)).status_code == 422
    assert held.client.post(f"{url}/1", headers=north | OCTETS, content=page(40)).status_code == 200
    assert held.client.post(f"{url}/2", headers=north | OCTETS, content=page(40)).status_code == 422


def test_pages_that_are_cut_off_or_too_long_are_refused_and_the_session_lives(
    held: Held, north: dict[str, str]
) -> None:
    url, points = f"/v1/psi/sessions/{opened(held, north)}/points/0", page()
    for cut in (0, 1, 31, 32, 3199, 3201):
        assert held.client.post(url, headers=north | OCTETS, content=(points + b"x")[:cut]).status_code == 422
    assert held.client.post(url, headers=north | OCTETS, content=points).status_code == 200


def test_points_that_are_none_end_the_session(held: Held, north: dict[str, str]) -> None:
    for bad in (bytes(32), bytes([1, *[0] * 31]), b"\xff" * 32):
        url = f"/v1/psi/sessions/{opened(held, north)}"
        sent = held.client.post(f"{url}/points/0", headers=north | OCTETS, content=page()[:-32] + bad)
        assert (sent.status_code, "not of the group" in sent.json()["detail"]) == (400, True)
        assert held.client.get(f"{url}/own/0", headers=north).status_code == 404


TYPES = ("application/json", "text/plain", "application/x-www-form-urlencoded", "")
BODIES = (b'"\\ud800"', b"\xff" * 3200, b"[" * 5000, b"null", b'"' + b"a" * 3200 + b'"')


def test_a_body_of_another_type_is_the_clients_fault(held: Held, north: dict[str, str]) -> None:
    for content_type, body in [*product(TYPES[:1], BODIES), *product(TYPES[1:], BODIES[:3])]:
        url = f"/v1/psi/sessions/{opened(held, north)}"
        sent = held.client.post(f"{url}/points/0", headers=north | {"Content-Type": content_type}, content=body)
        assert sent.status_code in (400, 422)
        assert held.client.delete(url, headers=north).status_code in (204, 404)


def test_a_page_that_is_far_too_long_is_refused(held: Held, north: dict[str, str]) -> None:
    url = f"/v1/psi/sessions/{opened(held, north)}/points/0"
    assert held.client.post(url, headers=north | OCTETS, content=bytes(9 << 20)).status_code == 413


def test_a_session_of_another_partner_is_as_if_there_were_none(held: Held, north: dict[str, str]) -> None:
    south, session_id = held.headers("south"), opened(held, north)
    unknown = secrets.token_hex(16)
    for method, path, body in (("POST", "points/0", page()), ("GET", "own/0", None), ("DELETE", "", None)):
        told = [
            held.client.request(
                method, f"/v1/psi/sessions/{name}/{path}".rstrip("/"), headers=south | OCTETS, content=body
            )
            for name in (session_id, unknown)
        ]
        assert [reply.status_code for reply in told] == [404, 404]
        assert told[0].json() == told[1].json()
    assert held.client.delete(f"/v1/psi/sessions/{session_id}", headers=north).status_code == 204


def test_a_session_that_is_over_cannot_be_replayed(held: Held, north: dict[str, str]) -> None:
    session_id = opened(held, north)
    url = f"/v1/psi/sessions/{session_id}"
    assert held.client.delete(url, headers=north).status_code == 204
    assert held.client.delete(url, headers=north).status_code == 404
    assert held.client.post(f"{url}/points/0", headers=north | OCTETS, content=page()).status_code == 404
    assert held.client.get(f"{url}/own/0", headers=north).status_code == 404


def test_a_session_expires(held: Held, north: dict[str, str], clock: Clock) -> None:
    url = f"/v1/psi/sessions/{opened(held, north)}"
    clock.pass_by(seconds=899)
    assert held.client.get(f"{url}/own/0", headers=north).status_code == 200
    clock.pass_by(seconds=1)
    assert held.client.get(f"{url}/own/0", headers=north).status_code == 404


def test_our_points_are_read_twice_at_most_and_are_the_same_each_time(held: Held, north: dict[str, str]) -> None:
    url = f"/v1/psi/sessions/{opened(held, north)}/own"
    replies = [held.client.get(f"{url}/0", headers=north) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[0].content == replies[1].content
    assert held.client.get(f"{url}/1", headers=north).status_code == 404


def test_what_is_over_is_removed_by_the_job(held: Held, north: dict[str, str], clock: Clock) -> None:
    opened(held, north)
    clock.pass_by(days=31)
    jobs.forget(held.service)
    with held.service.database.read() as connection:
        left = [connection.execute(sa.select(table)).all() for table in (psi_sessions, psi_sets)]
        assert left == [[], []]
        assert connection.execute(sa.select(psi_inputs)).all() != []
    clock.pass_by(days=1)
    jobs.forget(held.service)
    with held.service.database.read() as connection:
        assert connection.execute(sa.select(psi_inputs)).all() == []


def test_sessions_that_cannot_be_opened(held: Held, north: dict[str, str]) -> None:
    for told, status in (
        ({"size": 99}, 422),
        ({"size": 0}, 422),
        ({"size": 10**30}, 422),
        ({"more": 1}, 422),
        ({"kind": "payment"}, 404),
        ({"kind": "ip"}, 400),
        ({"kind": "\x00"}, 422),
    ):
        asked = {"kind": "device", "size": 100, **told}
        assert held.client.post("/v1/psi/sessions", headers=north, json=asked).status_code == status


def test_a_set_is_seen_by_whom_it_is_offered_to(held: Held, tokens: list[str]) -> None:
    held.offer(tokens, partners=["north"])
    asked = {"kind": "device", "size": 100}
    assert held.client.post("/v1/psi/sessions", headers=held.headers("south"), json=asked).status_code == 404
    assert held.client.post("/v1/psi/sessions", headers=held.headers("north"), json=asked).status_code == 201


def test_the_newest_set_of_a_kind_is_matched(held: Held, tokens: list[str], clock: Clock) -> None:
    held.offer(tokens)
    clock.pass_by(seconds=1)
    held.offer([*tokens, *(secrets.token_hex(16) for _ in range(100))])
    asked = {"kind": "device", "size": 100}
    made = held.client.post("/v1/psi/sessions", headers=held.headers("north"), json=asked)
    assert made.json()["own_size"] == 200


def test_sets_are_listed_without_what_is_in_them_and_withdrawn_once(held: Held, tokens: list[str]) -> None:
    set_id, ana = held.offer([*tokens, "192.0.2.1"], skip_refused=True, days=7), held.headers("bea", "analyst")
    (told,) = held.client.get("/v1/psi/sets", headers=ana).json()["sets"]
    assert (told["set_id"], told["size"], told["kind"], told["partners"]) == (set_id, 30, "device", None)
    assert set(told) == {"set_id", "kind", "partners", "size", "offered_by", "offered_at", "expires_at", "refused"}
    assert held.client.delete(f"/v1/psi/sets/{set_id}", headers=ana).status_code == 204
    assert held.client.delete(f"/v1/psi/sets/{set_id}", headers=ana).status_code == 404
    assert held.client.get("/v1/psi/sets", headers=ana).json() == {"sets": []}


WRONG_SETS = (
    ({"identifiers": ["192.0.2.1"]}, 400, "1 of 1 identifiers are refused"),
    ({"identifiers": ["192.0.2.1"], "kind": "ip"}, 400, "fewer than 2^32"),
    ({"identifiers": []}, 400, "holds 1 to 100,000"),
    ({"identifiers": ["192.0.2.1"], "skip_refused": True}, 400, "holds 1 to 100,000"),
    ({"identifiers": ["\ud800" * 30]}, 422, "valid string"),
    ({"identifiers": ["a\x00" * 30]}, 400, "refused"),
    ({"identifiers": ["a" * 400]}, 422, "at most 320"),
    ({"identifiers": [17]}, 422, "valid string"),
    ({"identifiers": ["x"], "days": 91}, 422, "less than or equal to 90"),
    ({"identifiers": ["x"], "partners": [""]}, 422, "at least 1"),
)


def test_sets_that_are_not_taken(held: Held) -> None:
    headers = held.headers("a", "analyst") | {"Content-Type": "application/json"}
    for told, status, words in WRONG_SETS:
        made = held.client.post("/v1/psi/sets", headers=headers, content=json.dumps({"kind": "device", **told}))
        assert (made.status_code, words in made.text, "192.0.2.1" in made.text) == (status, True, False)


def test_a_set_larger_than_the_settings_allow_is_not_taken(holding: Holding, tokens: list[str]) -> None:
    with holding(most_offered=29) as held:
        body = {"kind": "device", "identifiers": tokens}
        made = held.client.post("/v1/psi/sets", headers=held.headers("a", "analyst"), json=body)
        assert (made.status_code, "1 to 29" in made.text) == (400, True)


def test_roles_are_kept_apart(held: Held, north: dict[str, str]) -> None:
    asked = {"kind": "device", "size": 100}
    for name in ("ingest", "enforcer", "analyst", "approver", "admin"):
        assert held.client.post("/v1/psi/sessions", headers=held.headers(name, name), json=asked).status_code == 403
    for name in ("ingest", "enforcer", "approver", "partner"):
        assert held.client.get("/v1/psi/sets", headers=held.headers(f"x{name}", name)).status_code == 403
    assert held.client.get("/v1/psi/sets", headers=held.headers("admin", "admin")).status_code == 200
    assert held.client.post("/v1/psi/sessions", json=asked).status_code == 401


def test_what_was_sealed_under_another_key_is_told_and_not_guessed(held: Held, north: dict[str, str]) -> None:
    with held.service.database.write() as connection:
        connection.execute(psi_sets.update().values(sealed=b"x" * 100))
    reply = held.client.post("/v1/psi/sessions", headers=north, json={"kind": "device", "size": 100})
    assert (reply.status_code, "Offer the set again" in reply.text) == (503, True)


def test_the_clock_of_a_session_is_the_services(held: Held, north: dict[str, str], clock: Clock) -> None:
    made = held.client.post("/v1/psi/sessions", headers=north, json={"kind": "device", "size": 100}).json()
    assert made["expires_at"] == (clock() + timedelta(seconds=900)).isoformat().replace("+00:00", "Z")
