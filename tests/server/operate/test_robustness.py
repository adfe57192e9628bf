"""Whatever a client sends, within the specification or not, the service answers and it is never its own fault."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import APIRouter, Depends
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings

from stillwatch.errors import ServiceError
from stillwatch.server import ServerSettings, Service, app, application, opened
from stillwatch.server.access import ROLES, made_key, requires
from stillwatch.server.settings import Storing

EXAMPLES = 12  # of each operation and each way of asking; the lead of a release raises it
TIMEOUT_S = 180  # kernels are compiled by the first exchange that comes in
STREAMS = r"/deltas$"  # have no end
RAW = ("application/x-ndjson", "application/vnd.apache.arrow.stream", "application/x-protobuf")


@schemathesis.serializer(*RAW)
def as_bytes(_context: Any, value: Any) -> bytes:
    """What was made for a body of another kind than JSON, as it is, or as JSON where it is no bytes."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with opened(ServerSettings(storage=Storing(state=tmp_path_factory.mktemp("robust") / "state"))) as service:
        service.stopping.set()  # a stream that is asked for ends at once
        yield service


@pytest.fixture(scope="module")
def keys(held: Service) -> dict[str, dict[str, str]]:
    """Headers of a key for each role, of one with every role, and of none."""
    told = {role: [role] for role in ROLES} | {"all": list(ROLES)}
    made = {
        name: made_key(held.database, name=name, roles=roles, by="t", now=held.now()) for name, roles in told.items()
    }
    return {"none": {}, **{name: {"Authorization": f"Bearer {key}"} for name, key in made.items()}}


@pytest.fixture(scope="module")
def api(held: Service) -> Any:
    return specification(held)


def specification(service: Service) -> Any:
    """The specification of whatever the application has, streams left out."""
    return schemathesis.openapi.from_asgi("/openapi.json", application(service)).exclude(path_regex=STREAMS)


def failures(api: Any, headers: dict[str, str], examples: int) -> list[str]:
    """Operations that answered with a failure of their own, each with what was sent."""
    found = []
    for result in api.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=examples,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            deadline=None,
        )
        @given(case=operation.as_strategy())
        def asks(case: Any) -> None:
            reply = case.call(headers=headers, timeout=TIMEOUT_S)
            if reply.status_code >= 500:
                found.append(f"{reply.status_code} {case.as_curl_command()}")

        asks()
    return found


def test_no_operation_fails_by_itself_whatever_it_is_sent(api: Any, keys: dict[str, dict[str, str]]) -> None:
    assert failures(api, keys["all"], EXAMPLES) == []


@pytest.mark.parametrize("name", ["none", *ROLES])
def test_no_operation_fails_by_itself_whoever_asks(name: str, api: Any, keys: dict[str, dict[str, str]]) -> None:
    assert failures(api, keys[name], 1) == []  # what is sent is varied where every role is held


def test_a_route_that_fails_is_found(held: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    class Weak:
        router = APIRouter()

    def weak(count: int) -> None:
        raise ServiceError(f"no {count}")

    Weak.router.add_api_route("/v1/weak", weak, dependencies=[Depends(requires("admin"))])
    monkeypatch.setattr(app, "PARTS", (Weak,))
    key = made_key(held.database, name="weak", roles=["admin"], by="t", now=held.now())
    found = failures(specification(held), {"Authorization": f"Bearer {key}"}, 3)
    assert found
    assert all(words.startswith("503 ") for words in found)


BODIES = (
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'{"subject":"\\u0000","because":"x"}',
    b'{"subject":"\\ud800","because":"x"}',
    b'{"subject":"a","because":"x","until":"+99999-01-01T00:00:00Z"}',
    b'{"subject":"a","because":"x","until":1e308}',
    b"[" * 5000,
    b'{"subject":' + b"9" * 5000 + b"}",
)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_bodies_that_break_parsers_are_the_clients_fault(
    body: bytes, held: Service, keys: dict[str, dict[str, str]]
) -> None:
    with TestClient(application(held)) as client:
        headers = {**keys["admin"], "Content-Type": "application/json"}
        assert client.post("/v1/holds", headers=headers, content=body).status_code in (201, 400, 422)
        assert client.get("/v1/holds", headers=headers).status_code == 200
