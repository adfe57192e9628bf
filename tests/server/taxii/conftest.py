"""Partners, collections and objects for tests of the TAXII server."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import NOON
from tests.server.operate.conftest import run  # noqa: F401 - the command line in this process, for tests

from stillwatch.server import ServerSettings, Service, application, opened
from stillwatch.server.access import made_key
from stillwatch.server.settings import Storing
from stillwatch.server.taxii import Partner, collections, partners, publish
from stillwatch.sharing.marking import TLP_MARKINGS

MOMENT = "2026-02-01T00:00:00.000Z"
TAXII = "application/taxii+json;version=2.1"
ROOT = "/taxii2/default/"


def campaign(
    number: int | None = None, tlp: str | None = "green", modified: str = MOMENT, **more: Any
) -> dict[str, Any]:
    """A campaign; its id is drawn, or made of the number."""
    about = uuid4() if number is None else UUID(int=number, version=4)
    marking = {} if tlp is None else {"object_marking_refs": [TLP_MARKINGS[tlp]]}
    made = {"type": "campaign", "spec_version": "2.1", "id": f"campaign--{about}", "created": MOMENT}
    return {**made, "modified": modified, "name": f"Campaign {about}", **marking, **more}


class World:
    """A service with partners and collections, and requests in their names."""

    def __init__(self, service: Service, client: TestClient) -> None:
        self.service, self.client = service, client
        self.keys: dict[str, str] = {}

    def partner(self, partner_id: str, clearance: str = "amber", groups: Sequence[str] = ()) -> str:
        """A partner and its key."""
        now = self.service.now()
        with self.service.database.write() as connection:
            new = Partner(partner_id, partner_id, clearance, None, tuple(groups))
            partners.added(connection, new, by="tests", now=now)
        self.keys[partner_id] = made_key(self.service.database, name=partner_id, roles=["partner"], by="tests", now=now)
        return self.keys[partner_id]

    def collection(self, alias: str, group_id: str | None = None, **rights: str) -> str:
        """A collection, and rights in it: `north="rw"`."""
        now = self.service.now()
        with self.service.database.write() as connection:
            made = collections.made(connection, title=alias, alias=alias, group_id=group_id, by="tests", now=now)
            for partner_id, letters in rights.items():
                told = {"can_read": "r" in letters, "can_write": "w" in letters}
                collections.granted(connection, made, partner_id, **told, by="tests", now=now)
        return made

    def publish(self, collection: str, *objects: dict[str, Any]) -> int:
        """Release objects to a collection."""
        with self.service.database.write() as connection:
            return publish(connection, objects, collection_id=collection, now=self.service.now())

    def ask(self, who: str, path: str, method: str = "GET", headers: Any = None, **more: Any) -> Any:
        """A request by a partner, below the API root."""
        told = {"Authorization": f"Bearer {self.keys[who]}", "Accept": TAXII, **(headers or {})}
        return self.client.request(method, f"{ROOT}{path}", headers=told, **more)

    def post(self, who: str, collection: str, *objects: Any) -> Any:
        """Objects that a partner sends."""
        content = {"Content-Type": TAXII}
        return self.ask(who, f"collections/{collection}/objects/", "POST", content, json={"objects": list(objects)})

    def seen(self, who: str, collection: str, **filters: str) -> list[str]:
        """Ids of the objects on a partner's first page."""
        named = {
            name if name in ("limit", "next", "added_after") else f"match[{name}]": v for name, v in filters.items()
        }
        reply = self.ask(who, f"collections/{collection}/objects/", params=named)
        assert reply.status_code == 200, reply.text
        return [object_["id"] for object_ in reply.json().get("objects", [])]


def pages(asks: Callable[[dict[str, Any]], Any], limit: int, mark: str | None = None) -> Iterator[dict[str, Any]]:
    """Every page from a mark on, the last one included."""
    following = {} if mark is None else {"next": mark}
    while True:
        page = asks({"limit": limit, **following}).json()
        yield page
        if not page.get("more"):
            return
        following = {"next": page["next"]}


@pytest.fixture
def world(service: Service, client: TestClient) -> World:
    return World(service, client)


@pytest.fixture(scope="module")
def common_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world that the tests of a module share, on a clock that stands."""
    storing = Storing(state=tmp_path_factory.mktemp("taxii") / "state")
    with (
        opened(ServerSettings(storage=storing), now=lambda: NOON) as service,
        TestClient(application(service)) as client,
    ):
        yield World(service, client)


@pytest.fixture
def either_world(database_url: str, tmp_path: Path) -> Iterator[World]:
    """A world over each kind of database, on a clock that runs."""
    storing = Storing(state=tmp_path / "state", database=database_url)
    with opened(ServerSettings(storage=storing)) as service, TestClient(application(service)) as client:
        yield World(service, client)
