"""A service with a detection's campaigns, recipients, a sharing group, and collections that partners read."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.server.taxii.conftest import World
from tests.sharing.conftest import SAMPLES
from tests.sharing.outgoing import GROUP, KEY_ID

from stillwatch import store
from stillwatch.server import ServerSettings, application, opened
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.settings import Releasing, Storing
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


class House:
    """Requests of an analyst and two approvers to one service."""

    def __init__(self, world: World, people: dict[str, dict[str, str]]) -> None:
        self.world, self.people = world, people
        self.service, self.client = world.service, world.client
        self.folder = output_folder(world.service.settings)

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


Keys = Callable[..., dict[str, str]]


@pytest.fixture
def house(tmp_path: Path, clock: Any, database_url: str) -> Iterator[House]:
    from stillwatch.server.access import made_key

    told = tmp_path / "recipients.toml"
    told.write_text(RECIPIENTS)
    groups = tmp_path / "groups"
    write_group(groups, group(GROUP.group_id, GROUP.secret, since=clock().replace(year=2026, month=1)))
    settings = ServerSettings(
        storage=Storing(state=tmp_path / "state", database=database_url),
        sharing=Releasing(str(told), str(groups)),
    )
    with opened(settings, now=clock) as service, TestClient(application(service)) as client:
        world = World(service, client)
        for partner, clearance, groups_of in (("n", "red", ["g-frontier"]), ("m", "amber", ["g-frontier"])):
            world.partner(partner, clearance, groups_of)
        world.collection("for-north", "g-frontier", n="r")
        world.collection("for-group", "g-frontier", n="r", m="r")
        world.collection("for-all", None, n="r", m="r")
        people = {
            name: {"Authorization": f"Bearer {made_key(service.database, name=name, roles=roles, by='t', now=clock())}"}
            for name, roles in {
                "analyst": ["analyst"],
                "approver": ["approver"],
                "both": ["analyst", "approver"],
                "enforcer": ["enforcer"],
                "partner": ["partner"],
            }.items()
        }
        held = House(world, people)
        held.detected(json.loads(SAMPLES.read_text(encoding="utf-8")))
        yield held
