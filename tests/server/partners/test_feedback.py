"""Feedback that the service gives by itself: proposed or approved by the settings, once, added where it is wanted."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from tests.partners.world import NORTH, lead, uid
from tests.server.conftest import Clock
from tests.server.decisions.serving import served
from tests.server.sharing.conftest import House, housed
from tests.server.taxii.conftest import ROOT, World

from stillwatch import store
from stillwatch.errors import SettingsError
from stillwatch.partners import Inbox, Peer
from stillwatch.records import LEAD_MATCHES, arrow_schema
from stillwatch.server import ServerSettings, Service
from stillwatch.server.app import jobs_of
from stillwatch.server.partners.feedback import give_feedback
from stillwatch.server.settings import Pulling, Storing, load_server_settings
from stillwatch.server.tables import audit
from stillwatch.sharing.objects import measures


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with housed(tmp_path_factory.mktemp("house"), Clock()) as house:
        yield house


@pytest.fixture
def house(held: House) -> House:
    """A service that was sent a lead by the north, which nine accounts of a campaign bear."""
    held.emptied()
    for path in (held.folder / store.VERDICTS, held.folder / "partners" / "fed_back.json"):
        path.unlink(missing_ok=True)
    with Inbox(held.folder).opened("north", (NORTH,)) as box:
        box.take(lead(), now=held.service.now())
    bear(held, 9)
    return held


def bear(house: House, accounts: int) -> None:
    row = {
        "lead_id": uid("indicator", 1),
        "sender": NORTH,
        "campaign_id": house.campaigns()[0]["campaign_id"],
        "verdict": "distillation",
        "accounts": accounts,
        "exchanges": 1234,
        "first_seen_at": house.service.now() - timedelta(hours=5),
        "last_seen_at": house.service.now(),
    }
    store.write_table(house.folder / store.LEAD_MATCHES, pa.Table.from_pylist([row], schema=arrow_schema(LEAD_MATCHES)))


def told(house: House, partners: Pulling) -> Service:
    """The service under other settings."""
    return replace(house.service, settings=replace(house.service.settings, partners=partners))


def found_innocent(house: House) -> None:
    subject = {"subject": house.campaigns()[0]["campaign_id"], "subject_kind": "campaign", "verdict": "innocent"}
    said = {"because": "spoke to them", "author": "A. Analyst", "decided_at": house.service.now().isoformat()}
    store.write_verdict(house.folder, {**subject, **said})


def listed(house: House, state: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = house.get("approver", "releases", state=state).json()["releases"]
    return found


def outcome(objects: list[dict[str, Any]]) -> str:
    [seen] = [one for one in objects if one["type"] == "sighting"]
    assert seen["sighting_of_ref"] == uid("indicator", 1)
    return str(measures(seen)["outcome"])


def test_what_became_of_leads_waits_for_an_approver_and_is_then_in_the_senders_collection(house: House) -> None:
    give_feedback(house.service, ())
    [release] = listed(house, "proposed")
    assert (release["act"], release["recipient"], release["proposer"]) == ("feedback", "north", "stillwatch")
    give_feedback(house.service, ())
    assert [one["release_id"] for one in listed(house, "proposed")] == [release["release_id"]]
    assert house.world.seen("n", "for-north") == []
    assert house.approve(release).status_code == 200
    objects = house.world.ask("n", "collections/for-north/objects/").json()["objects"]
    assert outcome(objects) == "hit"
    assert house.campaigns()[0]["campaign_id"] not in json.dumps(objects)
    give_feedback(house.service, ())
    assert listed(house, "proposed") == [], "the sender would learn nothing new"


def test_a_proposal_that_is_not_true_any_more_is_replaced(house: House) -> None:
    give_feedback(house.service, ())
    [first] = listed(house, "proposed")
    found_innocent(house)
    give_feedback(house.service, ())
    [second] = listed(house, "proposed")
    assert [one["release_id"] for one in listed(house, "withdrawn")] == [first["release_id"]]
    whole = house.get("approver", f"releases/{second['release_id']}").json()
    assert outcome(json.loads(whole["bundle"])["objects"]) == "wrong"


@pytest.mark.parametrize("why", ["few accounts", "no recipient", "no collection"])
def test_whom_nothing_may_be_told_nothing_is_proposed(house: House, why: str) -> None:
    if why == "few accounts":
        bear(house, 4)
    else:
        told = '[recipients.north]\nclearance = "amber"\n' if why == "no collection" else ""
        house.recipients().write_text(told)
    give_feedback(house.service, ())
    assert listed(house, "proposed") == listed(house, "released") == []


def test_with_an_approver_by_the_settings_it_leaves_at_once_in_that_name_and_is_added_to_the_senders_server(
    house: House, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`world` is the sender's own service."""
    service = told(house, Pulling(feedback=True, feedback_approver="A. Head"))
    monkeypatch.setenv("NORTHS_KEY", f"bearer {world.partner('ours')}")
    world.collection("incoming", ours="rw")
    found_innocent(house)
    dead = Peer("dead", "http://127.0.0.1:9/api/", push="incoming")
    with served(world.service) as port:
        north = Peer("north", f"http://127.0.0.1:{port}{ROOT}", push="incoming", credentials="env:NORTHS_KEY")
        give_feedback(service, (dead, north))
        give_feedback(service, (dead, north))
        objects = world.ask("ours", "collections/incoming/objects/").json()["objects"]
    assert outcome(objects) == "wrong"
    assert {"opinion", "sighting"} <= {one["type"] for one in objects}
    [release] = listed(house, "released")
    assert release["ended_by"] == "A. Head, by the settings"
    with house.service.database.read() as connection:
        of_it = sa.select(audit.c.principal).where(audit.c.subject == release["release_id"])
        assert set(connection.execute(of_it).scalars()) == {"stillwatch", "A. Head, by the settings"}
    assert json.loads((house.folder / "partners" / "fed_back.json").read_text()).keys() == {"north"}


def test_feedback_is_off_unless_the_settings_say_so(house: House, tmp_path: Path) -> None:
    assert ServerSettings(storage=Storing(state=tmp_path)).partners == Pulling(feedback=False, feedback_approver="")
    assert "feedback" not in {job.name for job in jobs_of(house.service)}
    assert "feedback" in {job.name for job in jobs_of(told(house, Pulling(feedback=True)))}
    file = tmp_path / "stillwatch.toml"
    file.write_text('[partners]\nfeedback = true\nfeedback_approver = "A. Head"\n')
    assert load_server_settings(file, {}).partners == Pulling(feedback=True, feedback_approver="A. Head")
    with pytest.raises(SettingsError, match=r"set partners\.feedback too"):
        load_server_settings(file, {"STILLWATCH_PARTNERS_FEEDBACK": "false"})
