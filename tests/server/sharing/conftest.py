"""A service with a detection's campaigns, recipients, a sharing group, and collections that partners read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.server.conftest import Clock
from tests.server.taxii.conftest import World
from tests.sharing.outgoing import GROUP, KEY_ID
from tests.sharing.planted import SAMPLES

from stillwatch import store
from stillwatch.server import ServerSettings, application, opened
from stillwatch.server.access import made_key
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.settings import Releasing, Storing
from stillwatch.server.tables import releases, sent_objects, taxii_objects
from stillwatch.sharing.groups import group, write_group

RECIPIENTS = """
[recipients.north]
clearance = "red"
audience = "named"
groups = ["g-frontier"]
collection = "for-north"

[recipients.group]
clearance = "amber"
groups = ["g-frontier"]
collection = "for-group"

[recipients.feed]
clearance = "clear"
audience = "public"
collection = "for-all"

[recipients.nowhere]
clearance = "amber"

[recipients.lost]
clearance = "amber"
collection = "no-such"
"""

PEOPLE = {
    "analyst": ["analyst"],
    "approver": ["approver"],
    "both": ["analyst", "approver"],
    "enforcer": ["enforcer"],
    "partner": ["partner"],
}


class House:
    """Requests of an analyst and two approvers to one service."""

    def __init__(self, world: World, people: dict[str, dict[str, str]]) -> None:
        self.world, self.people = world, people
        self.service, self.client = world.service, world.client
        self.folder = output_folder(world.service.settings)

    def recipients(self) -> Path:
        """The file of recipients."""
        return Path(self.service.settings.sharing.recipients)

    def emptied(self) -> None:
        """Nothing was sent or proposed yet, and one detection was made."""
        with self.service.database.write() as connection:
            for table in (sent_objects, releases, taxii_objects):
                connection.execute(table.delete())
        self.recipients().write_text(RECIPIENTS)
        self.detected(slim())

    def campaigns(self) -> list[dict[str, Any]]:
        return store.read_campaigns(self.folder)

    def detected(self, campaigns: list[dict[str, Any]]) -> None:
        """The newest detection found these."""
        self.folder.mkdir(parents=True, exist_ok=True)
        store.write_json(self.folder / store.CAMPAIGNS, campaigns)
        store.write_json(self.folder / store.RUN, {"key_id": KEY_ID})

    def post(self, who: str, path: str, body: Any = None) -> Any:
        return self.client.post(f"/v1/sharing/{path}", json=body, headers=self.people[who])

    def get(self, who: str, path: str, **params: Any) -> Any:
        return self.client.get(f"/v1/sharing/{path}", params=params, headers=self.people[who])

    def proposed(self, recipient: str = "group", **more: Any) -> dict[str, Any]:
        """A release that the analyst has proposed."""
        reply = self.post("analyst", "releases", {"recipient": recipient, **more})
        assert reply.status_code == 201, reply.text
        return dict(reply.json())

    def approve(self, release: dict[str, Any], who: str = "approver") -> Any:
        return self.post(who, f"releases/{release['release_id']}/approve")

    def released(self, recipient: str = "group", **more: Any) -> dict[str, Any]:
        """A release that left."""
        release = self.proposed(recipient, **more)
        reply = self.approve(release)
        assert reply.status_code == 200, reply.text
        return release


def slim() -> list[dict[str, Any]]:
    """The sample campaigns with one trait of each family, for every object costs time."""
    found: list[dict[str, Any]] = json.loads(SAMPLES.read_text(encoding="utf-8"))
    for one in found:
        one["evidence"] = list({row["family"]: row for row in one["evidence"]}.values())
    return found


@contextmanager
def housed(folder: Path, clock: Clock, database: str = "") -> Iterator[House]:
    """A service in a folder, over SQLite or another database."""
    told, groups = folder / "recipients.toml", folder / "groups"
    write_group(groups, group(GROUP.group_id, GROUP.secret, since=clock().replace(month=1)))
    settings = ServerSettings(
        storage=Storing(state=folder / "state", database=database),
        sharing=Releasing(str(told), str(groups)),
    )
    with opened(settings, now=clock) as service, TestClient(application(service)) as client:
        world = World(service, client)
        for partner, clearance in (("n", "red"), ("m", "amber")):
            world.partner(partner, clearance, [GROUP.group_id])
        world.collection("for-north", GROUP.group_id, n="r")
        world.collection("for-group", GROUP.group_id, n="r", m="r")
        world.collection("for-all", None, n="r", m="r")
        people = {
            name: {"Authorization": f"Bearer {made_key(service.database, name=name, roles=roles, by='t', now=clock())}"}
            for name, roles in PEOPLE.items()
        }
        yield House(world, people)


@pytest.fixture(scope="module")
def kept_clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, kept_clock: Clock) -> Iterator[House]:
    """One service for all tests of a module: making one takes longer than most of them."""
    with housed(tmp_path_factory.mktemp("house"), kept_clock) as held:
        yield held


@pytest.fixture
def house(kept: House) -> House:
    """The service, with nothing sent or proposed yet."""
    kept.emptied()
    return kept
