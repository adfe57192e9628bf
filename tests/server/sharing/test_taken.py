"""What was taken against a campaign: approved, live and without a brake, and told to partners as such."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.server.conftest import Clock
from tests.server.sharing.conftest import House

from stillwatch.server.decisions import ledger
from stillwatch.server.sharing import releases as kept
from stillwatch.server.sharing.taken import taken
from stillwatch.server.tables import brakes, decisions
from stillwatch.sharing.objects import measures

LIVE = ("verify", "throttle", "suspend", "observe")


@pytest.fixture
def clock(kept_clock: Clock) -> Clock:
    return kept_clock


def row(house: House, campaign_id: str | None, action: str, state: str, number: int) -> dict[str, Any]:
    now = house.service.now()
    told = {"because": "", "evidence": [], "source": "policy", "author": "policy", "approvals_needed": 0, "changed": 1}
    ends = {"created_at": now, "expires_at": now + timedelta(days=9)}
    key = {"decision_id": f"{number:020d}", "account_id": f"a-{number}"}
    return {**key, "campaign_id": campaign_id, "action": action, "state": state, **told, **ends}


def test_what_was_taken_is_in_force_live_and_not_braked(house: House, clock: Clock) -> None:
    ours = house.campaigns()[0]["campaign_id"]
    rows = [
        row(house, ours, "verify", "active", 1),
        row(house, ours, "verify", "active", 2),
        row(house, ours, "observe", "active", 3),
        row(house, ours, "throttle", "proposed", 4),
        row(house, ours, "shape", "active", 5),
        row(house, None, "verify", "active", 6),
        row(house, "c-other", "suspend", "active", 7),
    ]
    brake = {"principal": "p", "at": clock(), "because": "x"}
    with house.service.database.write() as connection:
        connection.execute(decisions.delete())
        ledger.insert(connection, rows)
        assert taken(connection, LIVE) == {ours: {"verify"}, "c-other": {"suspend"}}
        connection.execute(brakes.insert().values(action="suspend", **brake))
        assert taken(connection, LIVE) == {ours: {"verify"}}
        assert taken(connection, ()) == {}
        connection.execute(brakes.delete())


def test_partners_are_told_what_was_taken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = house.campaigns()[0]["campaign_id"]
    assert standings(house.proposed()) == []
    monkeypatch.setattr(kept, "taken", lambda connection, live: {ours: {"throttle"}})
    assert standings(house.proposed()) == [("throttle", "taken")]


def standings(release: dict[str, Any]) -> list[tuple[str, str]]:
    objects = {one["id"]: one for one in json.loads(release["bundle"])["objects"]}
    ties = [one for one in objects.values() if "standing" in measures(one)]
    return [(objects[one["source_ref"]]["name"].split()[0].lower(), measures(one)["standing"]) for one in ties]
