"""The check over HTTP and gRPC: what gateways are told, and that we are never why a request fails."""

import hashlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.server.gateways.conftest import READY_S, Asking, Decided

from stillwatch.errors import ServiceError, SettingsError
from stillwatch.server import ServerSettings
from stillwatch.server.access import Principal
from stillwatch.server.gateways import Checks, authorization
from stillwatch.server.gateways.authorization import listening, running
from stillwatch.server.settings import Checking, Listening, load_server_settings

Headers = dict[str, str]
Reply = tuple[int, Headers, str]


@pytest.fixture
def http(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as held:
        yield held


@pytest.fixture(params=["http", "grpc"])
def ask(request: pytest.FixtureRequest, asking: Asking, app: FastAPI, enforcer: str) -> Iterator[Callable[..., Reply]]:
    """Asks as Envoy does over either protocol: status, headers (of the answer, or for the upstream) and body."""
    if request.param == "http":
        with TestClient(app) as client:
            yield lambda key=enforcer, **headers: _by_http(client, key, headers)
        return
    with listening(asking, "127.0.0.1:0") as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = external_auth_pb2_grpc.AuthorizationStub(channel)
        yield lambda key=enforcer, **headers: _by_grpc(stub, key, headers)


def _by_http(client: TestClient, key: str, headers: Headers) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = client.post("/v1/check/v1/chat/completions?x=1", headers={"x-stillwatch-key": key, **sent})
    return response.status_code, dict(response.headers), response.text


def _by_grpc(stub: Any, key: str, headers: Headers) -> Reply:
    request = external_auth_pb2.CheckRequest()
    request.attributes.request.http.headers.update({n.replace("_", "-"): value for n, value in headers.items()})
    try:
        response = stub.Check(request, timeout=20, metadata=(("x-stillwatch-key", key),))
    except grpc.RpcError as error:
        return (503 if error.code() is grpc.StatusCode.UNAVAILABLE else 500), {}, error.details() or ""
    if response.HasField("ok_response"):
        assert response.status.code == 0
        return 200, {each.header.key: each.header.value for each in response.ok_response.headers}, ""
    told = response.denied_response
    assert response.status.code in (7, 8)
    return told.status.code, {each.header.key: each.header.value for each in told.headers}, told.body


def test_everybody_else_is_served_and_every_header_is_set(ask: Callable[..., Reply]) -> None:
    status, headers, body = ask(x_account_id="nobody")
    assert (status, body) == (200, "")
    told = {name: value for name, value in headers.items() if name.startswith("x-stillwatch-")}
    assert set(told.values()) == {"none"}
    assert len(told) == 7


def test_a_suspended_account_is_refused_with_a_reference_and_nothing_more(
    ask: Callable[..., Reply], decided: Decided
) -> None:
    decided.decide("a", "suspend")
    status, headers, body = ask(x_account_id="a")
    assert status == 403
    assert headers["content-type"] == "application/json"
    assert "decision-a" in body
    assert "campaign" not in body + str(headers)


def test_a_throttled_account_is_served_at_its_rate_and_then_told_when_to_come_back(
    ask: Callable[..., Reply], decided: Decided
) -> None:
    decided.decide("a", "throttle", limits={"requests_per_minute": 2})
    assert [ask(x_account_id="a")[0] for _ in range(3)] == [200, 429, 429]
    assert 1 <= int(ask(x_account_id="a")[1]["retry-after"]) <= 30


def test_the_limits_of_a_shaped_account_go_to_the_upstream(ask: Callable[..., Reply], decided: Decided) -> None:
    decided.decide("a", "shape")
    status, headers, _ = ask(x_account_id="a")
    told = {name.removeprefix("x-stillwatch-"): value for name, value in headers.items()}
    assert status == 200
    assert (told["max-output-tokens"], told["logprobs"], told["reasoning"]) == ("64", "strip", "withhold")


def test_what_is_in_shadow_is_told_and_not_done(ask: Callable[..., Reply], decided: Decided) -> None:
    decided.decide("a", "none", shadow="suspend")
    status, headers, _ = ask(x_account_id="a")
    assert (status, headers["x-stillwatch-action"], headers["x-stillwatch-shadow"]) == (200, "none", "suspend")


def test_a_request_without_an_account_is_served(ask: Callable[..., Reply], decided: Decided) -> None:
    decided.decide("", "suspend")
    assert ask()[0] == 200
    assert ask(x_account_id="x" * 5000)[0] == 200


@pytest.mark.parametrize("key", ["", "sw_000000000000_wrong"])
def test_a_wrong_key_is_a_failure_and_no_refusal(ask: Callable[..., Reply], decided: Decided, key: str) -> None:
    decided.decide("a", "suspend")
    assert ask(key, x_account_id="a")[0] == 503


def test_a_key_without_the_role_is_a_failure_and_no_refusal(
    ask: Callable[..., Reply], decided: Decided, key_for: Callable[..., Headers]
) -> None:
    decided.decide("a", "suspend")
    analyst = key_for("analyst", "ingest")["Authorization"].removeprefix("Bearer ")
    assert ask(analyst, x_account_id="a")[0] == 503


def test_whoever_asks_with_the_usual_headers_is_told_what_is_wrong_with_the_key(
    http: TestClient, decided: Decided, key_for: Callable[..., Headers]
) -> None:
    decided.decide("a", "suspend")
    asked = {"x-account-id": "a"}
    assert http.get("/v1/check", headers=asked).status_code == 401
    assert http.get("/v1/check", headers={**asked, **key_for("analyst")}).status_code == 403
    refused = http.get("/v1/check", headers={**asked, **key_for("enforcer")})
    assert refused.headers["x-stillwatch-code"] == "account_suspended"


def test_a_fault_of_ours_is_a_failure_and_no_refusal(ask: Callable[..., Reply], decided: Decided) -> None:
    decided.fails = True
    assert ask(x_account_id="a")[0] == 503


def test_a_gateway_speaks_of_the_accounts_of_its_key_only(
    ask: Callable[..., Reply], decided: Decided, key_for: Callable[..., Headers]
) -> None:
    decided.decide("a", "suspend")
    decided.decide("east:b", "suspend")
    east = key_for("enforcer", namespace="east")["Authorization"].removeprefix("Bearer ")
    assert [ask(east, x_account_id=account)[0] for account in "ab"] == [200, 403]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_any_method_and_path_is_answered(http: TestClient, enforcer: str, decided: Decided, method: str) -> None:
    decided.decide("a", "suspend")
    headers = {"x-stillwatch-key": enforcer, "x-account-id": "a"}
    for path in ("", "/", "/v1/messages", "/a%2Fb/../c;d?e=%00", "/" + "x" * 2000):
        assert http.request(method, "/v1/check" + path, headers=headers).status_code == 403


def test_a_gateway_that_passes_on_one_status_is_told_the_true_one_in_a_header(
    http: TestClient, enforcer: str, decided: Decided
) -> None:
    decided.decide("a", "throttle", limits={"requests_per_minute": 0.01})
    headers = {"x-stillwatch-key": enforcer, "x-account-id": "a", "x-stillwatch-refuse-with": "403"}
    assert http.get("/v1/check", headers=headers).status_code == 200
    refused = http.get("/v1/check", headers=headers)
    assert (refused.status_code, refused.headers["x-stillwatch-status"]) == (403, "429")
    assert http.get("/v1/check", headers={**headers, "x-stillwatch-refuse-with": "200"}).status_code == 429


def test_the_account_can_be_the_hash_of_a_token_or_a_filters_metadata(
    asking: Asking, decided: Decided, enforcer: str
) -> None:
    digest = hashlib.sha256(b"sk-1").hexdigest()
    places = ("bearer_sha256:Authorization", "metadata:envoy.filters.http.jwt_authn:payload.sub")
    asking.checks = Checks(Checking(account=places))
    decided.decide(digest, "suspend")
    decided.decide("subject-1", "suspend")
    with listening(asking, "127.0.0.1:0") as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = external_auth_pb2_grpc.AuthorizationStub(channel)
        assert _by_grpc(stub, enforcer, {"authorization": "Bearer sk-1"})[0] == 403
        assert _by_grpc(stub, enforcer, {"authorization": "Basic sk-1"})[0] == 200
        request = external_auth_pb2.CheckRequest()
        held = request.attributes.metadata_context.filter_metadata["envoy.filters.http.jwt_authn"]
        held.update({"payload": {"sub": "subject-1"}})
        response = stub.Check(request, timeout=20, metadata=(("x-stillwatch-key", enforcer),))
        assert response.denied_response.status.code == 403
        assert dict(response.dynamic_metadata)["reference"] == "decision-subject-1"


def test_verify_can_be_told_instead_of_refused(
    asking: Asking, http: TestClient, enforcer: str, decided: Decided
) -> None:
    decided.decide("a", "verify")
    headers = {"x-stillwatch-key": enforcer, "x-account-id": "a"}
    refused = http.get("/v1/check", headers=headers)
    assert (refused.status_code, refused.headers["x-stillwatch-check"]) == (403, "identity")
    asking.checks = Checks(Checking(verify="tell"))
    told = http.get("/v1/check", headers=headers)
    assert (told.status_code, told.headers["x-stillwatch-check"]) == (200, "identity")


@pytest.mark.anyio
async def test_a_key_is_looked_up_once_in_a_while_and_outlives_the_database() -> None:
    asked: list[str] = []
    now = [0.0]

    class Keys:
        is_gone = False

        def principal(self, _authorization: str, key: str) -> Principal | None:
            asked.append(key)
            if self.is_gone:
                raise ServiceError("planted")
            return Principal("key:x", frozenset({"enforcer"})) if key == "good" else None

    service, checks = Keys(), Checks(clock=lambda: now[0])
    for _ in range(5):
        assert await checks.principal(service, "good") is not None
        assert await checks.principal(service, "bad") is None
    assert asked.count("good") == 1
    service.is_gone = True
    now[0] = 1000.0
    assert await checks.principal(service, "good") is not None
    with pytest.raises(ServiceError):
        await checks.principal(service, "other")


def test_grpc_is_off_unless_a_port_is_named_and_a_port_in_use_is_told(asking: Asking) -> None:
    with running(asking) as port:
        assert port == 0
    with listening(asking, "127.0.0.1:0") as taken:
        asking.settings = ServerSettings(server=Listening(grpc_port=taken))
        with pytest.raises(SettingsError, match="grpc_port"), running(asking):
            pass


def test_connections_of_grpc_are_so_many_and_say_hello_in_time(asking: Asking) -> None:
    bounds = Listening(max_connections=2, header_timeout_s=0.5)
    asking.settings = replace(asking.settings, server=bounds)
    with listening(asking, "127.0.0.1:0") as port:
        silent = [socket.create_connection(("127.0.0.1", port), timeout=READY_S) for _ in range(3)]
        for connection in reversed(silent):  # the third at once, the others when their time is over
            with connection:
                while connection.recv(1 << 16):
                    pass


def test_a_question_over_grpc_that_is_too_long_is_refused_and_the_next_one_answered(
    asking: Asking, enforcer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorization, "MOST_BYTES", 4_096)
    with listening(asking, "127.0.0.1:0") as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = external_auth_pb2_grpc.AuthorizationStub(channel).Check
        asked = external_auth_pb2.CheckRequest()
        asked.attributes.request.http.headers["x-account-id"] = "a"
        asked.attributes.request.http.body = "b" * 5_000
        with pytest.raises(grpc.RpcError) as refused:
            check(asked, metadata=[("x-stillwatch-key", enforcer)], timeout=READY_S)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        asked.attributes.request.http.body = ""
        assert check(asked, metadata=[("x-stillwatch-key", enforcer)], timeout=READY_S).status.code == 0


@pytest.mark.parametrize(
    "wrong",
    [{"account": ("cookie:x",)}, {"account": ()}, {"verify": "maybe"}, {"processes": 0}, {"account": ("header:a b",)}],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    environment = {f"STILLWATCH_GATEWAYS_{name.upper()}": _text(value) for name, value in wrong.items()}
    with pytest.raises(SettingsError, match="gateways"):
        load_server_settings(None, environment)
    assert load_server_settings(None, {}).gateways == replace(Checking())


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
