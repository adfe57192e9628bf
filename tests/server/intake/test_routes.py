"""Bodies of every kind become the same signals, in nobody else's name, or a clear refusal."""

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from tests.ingest import otlp_bytes
from tests.server.conftest import NOON, Clock
from tests.server.intake import bodies

from stillwatch.errors import ServiceError
from stillwatch.server import ServerSettings, Service, application, opened
from stillwatch.server.settings import Storing, Taking

Headers = Callable[..., dict[str, str]]
KINDS = tuple(bodies.every_kind(bodies.rows(1)))
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_body_becomes_the_same_signals(
    kind: str, service: Service, client: TestClient, key_for: Headers
) -> None:
    told = bodies.rows(5)
    route, headers, body = bodies.every_kind(told)[kind]
    reply = client.post(route, content=body, headers={**key_for("ingest"), **headers})
    assert reply.status_code == 200, reply.text
    found = bodies.signals(service)
    assert [row["exchange_id"] for row in found] == [row["exchange_id"] for row in told]
    assert [row["account_id"] for row in found] == [row["account_id"] for row in told]
    assert [row["started_at"].isoformat() for row in found] == [row["started_at"] for row in told]
    assert [row["client_ip"] for row in found] == [service.key.identifier("ip", row["client_ip"]) for row in told]
    assert {row["model"] for row in found} == {"large"}
    assert len({row["text_id"] for row in found}) == len(told)
    assert all(row["sketch"] and row["embedding"] for row in found)


def test_no_prompt_and_no_address_is_in_the_journal(service: Service, client: TestClient, key_for: Headers) -> None:
    client.post("/v1/exchanges", content=bodies.lines(bodies.rows(3)), headers={**key_for("ingest"), **LINES})
    held = b"".join(path.read_bytes() for path in service.journal.folder.iterdir())
    assert b"acct-1" in held
    assert b"step by step" not in held
    assert b"198.51.100" not in held


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_never_speaks_for_accounts_of_another_namespace(
    kind: str, service: Service, client: TestClient, key_for: Headers
) -> None:
    told = [{**row, "account_id": name} for row, name in zip(bodies.rows(3), ("a", "north:a", "south:a"), strict=True)]
    route, headers, body = bodies.every_kind(told)[kind]
    reply = client.post(route, content=body, headers={**key_for("ingest", namespace="south"), **headers})
    assert reply.status_code == 200
    found = bodies.signals(service)
    assert [row["account_id"] for row in found] == ["south:a", "south:north:a", "south:south:a"]
    assert all(row["exchange_id"].startswith("south:") for row in found)


@pytest.mark.parametrize("route", ["/v1/traces", "/v1/logs", "/v1/litellm", "/v1/exchanges"])
def test_only_the_role_ingest_may_send(route: str, client: TestClient, key_for: Headers) -> None:
    assert client.post(route, content=b"").status_code == 401
    for role in ("enforcer", "analyst", "approver", "admin"):
        assert client.post(route, content=b"", headers=key_for(role)).status_code == 403


@pytest.mark.parametrize("kind", KINDS)
def test_gzip_is_undone(kind: str, service: Service, client: TestClient, key_for: Headers) -> None:
    route, headers, body = bodies.every_kind(bodies.rows(4))[kind]
    halves = gzip.compress(body[:100]) + gzip.compress(body[100:])
    sent = {**key_for("ingest"), **headers, "Content-Encoding": "gzip"}
    assert client.post(route, content=halves, headers=sent).status_code == 200
    assert len(bodies.signals(service)) == 4


def test_a_body_in_chunks_is_put_together(service: Service, client: TestClient, key_for: Headers) -> None:
    content = otlp_bytes.request(bodies.spans(bodies.rows(50)))

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), 1_000):
            yield content[start : start + 1_000]

    reply = client.post("/v1/traces", content=pieces(), headers={**key_for("ingest"), **bodies.PROTOBUF})
    assert (reply.status_code, reply.content) == (200, b"")
    assert len(bodies.signals(service)) == 50


def test_a_batch_sent_again_is_told_and_not_kept_twice(service: Service, client: TestClient, key_for: Headers) -> None:
    mine, yours = {**key_for("ingest"), **LINES}, {**key_for("ingest"), **LINES}
    first = client.post("/v1/exchanges", content=bodies.lines(bodies.rows(3)), headers=mine).json()
    again = client.post("/v1/exchanges", content=bodies.lines(bodies.rows(3)), headers=mine).json()
    assert (first["duplicate"], first["accepted"], again["duplicate"], again["accepted"]) == (False, 3, True, 0)
    assert first["batch_id"] == again["batch_id"]
    named = {"X-Stillwatch-Batch-Id": "7"}
    for headers, body, is_duplicate in (
        (mine, bodies.rows(2, first=10), False),
        (mine, bodies.rows(2, first=20), True),
        (yours, bodies.rows(2, first=30), False),
    ):
        reply = client.post("/v1/exchanges", content=bodies.lines(body), headers={**headers, **named})
        assert reply.json()["duplicate"] is is_duplicate
    assert len(bodies.signals(service)) == 7


def test_otlp_replies_in_the_type_of_the_request(client: TestClient, key_for: Headers) -> None:
    told = [bodies.rows(1)[0], {**bodies.rows(1, first=1)[0], "account_id": None}]
    as_json, as_protobuf = ({**key_for("ingest"), **kind} for kind in (bodies.JSON, bodies.PROTOBUF))
    reply = client.post("/v1/traces", content=json.dumps(bodies.spans(told)), headers=as_json)
    assert reply.headers["content-type"] == "application/json"
    told_back = reply.json()["partialSuccess"]
    assert told_back["rejectedSpans"] == "1"
    assert "no account" in told_back["errorMessage"]
    reply = client.post("/v1/logs", content=otlp_bytes.request(bodies.log_records(told)), headers=as_protobuf)
    assert reply.headers["content-type"] == "application/x-protobuf"
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    if hasattr(ExportTraceServiceResponse(), "partial_success"):  # an old copy of the messages lacks it
        assert ExportTraceServiceResponse.FromString(reply.content).partial_success.rejected_spans == 1
    assert b"no account" in reply.content


@pytest.mark.parametrize(
    ("route", "headers", "body", "words"),
    [
        ("/v1/traces", bodies.PROTOBUF, b"\x0a\xff\xff", "no sense at byte 0"),
        ("/v1/logs", bodies.PROTOBUF, b"nonsense", "no sense at byte"),
        ("/v1/traces", bodies.JSON, b'{"resourceSpans": [', "ends before"),
        ("/v1/logs", bodies.JSON, b'{"resourceLogs": 3}', "unexpected shape"),
        ("/v1/litellm", bodies.JSON, b'[{"id": "a"', "ends before"),
        ("/v1/exchanges", LINES, b'{"account_id": "a", "started_at": 3\n', "at 1: not JSON"),
        ("/v1/exchanges", bodies.ARROW, b"ARROW1", "not a whole Arrow IPC stream"),
        ("/v1/exchanges", bodies.ARROW, bodies.arrow(bodies.rows(9))[:-300], "not a whole Arrow IPC stream"),
        ("/v1/exchanges", bodies.ARROW, bodies.arrow(bodies.rows(2), compression="lz4"), "compressed"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_and_where(
    route: str,
    headers: dict[str, str],
    body: bytes,
    words: str,
    service: Service,
    client: TestClient,
    key_for: Headers,
) -> None:
    reply = client.post(route, content=body, headers={**key_for("ingest"), **headers})
    assert reply.status_code == 400
    assert words in reply.content.decode("utf-8", "replace")
    assert bodies.signals(service) == []


def test_bad_rows_beside_good_ones_are_counted_and_the_good_ones_kept(
    service: Service, client: TestClient, key_for: Headers, clock: Clock
) -> None:
    good = bodies.rows(2)
    ahead = {**bodies.rows(1, first=2)[0], "started_at": (clock() + timedelta(days=1, seconds=1)).isoformat()}
    nearly = {**bodies.rows(1, first=3)[0], "started_at": (clock() + timedelta(hours=23)).isoformat()}
    body = bodies.lines([*good, {"account_id": "a"}, ahead, nearly]) + b"{broken\n"
    told = client.post("/v1/exchanges", content=body, headers={**key_for("ingest"), **LINES}).json()
    assert (told["accepted"], told["rejected"]) == (3, 3)
    reasons = {one["line"]: one["reason"] for one in told["reasons"]}
    assert set(reasons) == {3, 4, 6}
    assert "no usable time" in reasons[3]
    assert "ahead of the clock" in reasons[4]
    assert [frame.header.rejected for frame in bodies.journaled(service)] == [3]


def test_exchanges_without_an_id_get_the_same_one_every_time(
    service: Service, client: TestClient, key_for: Headers
) -> None:
    told = [{name: cell for name, cell in row.items() if name != "exchange_id"} for row in bodies.rows(3)]
    for batch in ("1", "2"):
        headers = {**key_for("ingest"), **LINES, "X-Stillwatch-Batch-Id": batch}
        client.post("/v1/exchanges", content=bodies.lines(told), headers=headers)
    ids = [row["exchange_id"] for row in bodies.signals(service)]
    assert len(ids) == 6
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3


def test_observers_are_told_what_is_durable_and_cannot_fail_a_request(
    service: Service, client: TestClient, key_for: Headers
) -> None:
    seen: list[pa.Table] = []

    def fail(_: pa.Table) -> None:
        raise RuntimeError

    def see(signals: pa.Table) -> None:
        assert len(bodies.signals(service)) == signals.num_rows
        seen.append(signals)

    service.observers.extend([fail, see])
    headers = {**key_for("ingest", namespace="south"), **LINES}
    assert client.post("/v1/exchanges", content=bodies.lines(bodies.rows(3)), headers=headers).status_code == 200
    assert seen[0]["account_id"].to_pylist() == ["south:acct-0", "south:acct-1", "south:acct-2"]
    assert seen[0]["account_id"].type == pa.string()


@pytest.mark.parametrize(
    ("route", "headers"),
    [
        ("/v1/traces", {"Content-Type": "text/plain"}),
        ("/v1/traces", {**bodies.PROTOBUF, "Content-Encoding": "br"}),
        ("/v1/litellm", bodies.ARROW),
        ("/v1/exchanges", {"Content-Type": "image/png"}),
    ],
)
def test_other_types_and_encodings_are_refused(
    route: str, headers: dict[str, str], client: TestClient, key_for: Headers
) -> None:
    assert client.post(route, content=b"x", headers={**key_for("ingest"), **headers}).status_code == 415


SMALL = Taking(max_body_bytes=100_000, max_pending_bytes=8 << 20)


@pytest.fixture
def small(tmp_path: Path, clock: Clock) -> Iterator[Service]:
    """A service with little room."""
    with opened(ServerSettings(storage=Storing(state=tmp_path / "state"), intake=SMALL), now=clock) as held:
        yield held


def _key(service: Service) -> dict[str, str]:
    from stillwatch.server.access import made_key

    return {"X-API-Key": made_key(service.database, name="k", roles=["ingest"], by="t", now=NOON), **LINES}


def test_a_body_above_the_limit_is_refused_however_it_says_its_size(small: Service) -> None:
    headers = _key(small)
    with TestClient(application(small)) as client:
        declared = client.post("/v1/exchanges", content=b"x" * 100_001, headers=headers)
        chunked = client.post("/v1/exchanges", content=iter([b"x" * 60_000] * 1_000), headers=headers)
        bomb = gzip.compress(b"\n" * 50_000_000)
        unpacking = client.post("/v1/exchanges", content=bomb, headers={**headers, "Content-Encoding": "gzip"})
        fine = client.post("/v1/exchanges", content=bodies.lines(bodies.rows(1)), headers=headers)
    assert [reply.status_code for reply in (declared, chunked, unpacking, fine)] == [413, 413, 413, 200]
    assert len(bomb) < 100_000
    assert small.gate._in_flight == 0


@pytest.mark.parametrize("packed", [b"not gzip", gzip.compress(b"x" * 999)[:-9]], ids=["other", "cut off"])
def test_what_is_not_gzip_is_refused(packed: bytes, client: TestClient, key_for: Headers) -> None:
    headers = {**key_for("ingest"), **LINES, "Content-Encoding": "gzip"}
    assert client.post("/v1/exchanges", content=packed, headers=headers).status_code == 400


def test_too_much_on_its_way_is_told_to_come_again(small: Service) -> None:
    headers = _key(small)
    with TestClient(application(small)) as client:
        (small.journal.folder / "left.segment").write_bytes(b"x" * (8 << 20))
        reply = client.post("/v1/exchanges", content=bodies.lines(bodies.rows(1)), headers=headers)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
        (small.journal.folder / "left.segment").unlink()
        assert client.post("/v1/exchanges", content=bodies.lines(bodies.rows(1)), headers=headers).status_code == 200
    assert small.gate._in_flight == 0


def test_a_full_disk_acknowledges_nothing_and_ends(
    service: Service, client: TestClient, key_for: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stillwatch.server import journal

    headers = {**key_for("ingest"), **LINES}
    client.post("/v1/exchanges", content=bodies.lines(bodies.rows(2)), headers=headers)
    write = journal._write

    def half(file: Any, content: bytes) -> None:
        write(file, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_write", half)
        refused = client.post("/v1/exchanges", content=bodies.lines(bodies.rows(2, first=2)), headers=headers)
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    again = client.post("/v1/exchanges", content=bodies.lines(bodies.rows(2, first=2)), headers=headers)
    assert again.json() == {**again.json(), "accepted": 2, "duplicate": False}
    assert sorted(row["exchange_id"] for row in bodies.signals(service)) == [
        row["exchange_id"] for row in bodies.rows(4)
    ]


def test_a_database_that_is_gone_is_told_to_come_again(
    service: Service, client: TestClient, key_for: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {**key_for("ingest"), **LINES}

    def gone() -> None:
        raise ServiceError("the database does not answer")

    monkeypatch.setattr(service.database, "read", gone)
    reply = client.post("/v1/exchanges", content=bodies.lines(bodies.rows(1)), headers=headers)
    assert (reply.status_code, "retry-after" in reply.headers) == (503, True)
    assert bodies.signals(service) == []
