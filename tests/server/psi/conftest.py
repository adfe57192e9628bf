"""A service that offers sets, really served, and keys of partners."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import Clock
from tests.server.decisions.serving import served

from stillwatch.server import ServerSettings, Service, application, opened
from stillwatch.server.access import made_key
from stillwatch.server.settings import Matching, Storing


@dataclass(frozen=True)
class Held:
    """A service with what tests do to it."""

    service: Service
    client: TestClient

    def key(self, name: str, *roles: str) -> str:
        return made_key(
            self.service.database, name=name, roles=roles or ("partner",), by="tests", now=self.service.now()
        )

    def headers(self, name: str, *roles: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key(name, *roles)}"}

    def offer(self, identifiers: list[str], kind: str = "device", **told: Any) -> str:
        body = {"kind": kind, "identifiers": identifiers, **told}
        made = self.client.post("/v1/psi/sets", headers=self.headers("ana", "analyst"), json=body)
        assert made.status_code == 201, made.text
        return str(made.json()["set_id"])


Holding = Callable[..., Any]


@pytest.fixture
def holding(tmp_path: Path, clock: Clock) -> Holding:
    """Open a service with these limits, over a database of the caller's choice."""

    @contextmanager
    def held(database: str = "", **limits: int) -> Iterator[Held]:
        settings = ServerSettings(
            storage=Storing(state=tmp_path / "state", database=database), matching=Matching(**limits)
        )
        with opened(settings, now=clock) as service, TestClient(application(service)) as client:
            yield Held(service, client)

    return held


@pytest.fixture
def held(holding: Holding) -> Iterator[Held]:
    with holding() as one:
        yield one


@pytest.fixture
def address(held: Held) -> Iterator[str]:
    """Where the service is really served."""
    with served(held.service, is_fast=False) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def tokens() -> list[str]:
    return [secrets.token_hex(16) for _ in range(30)]
