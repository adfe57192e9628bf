"""Two services on the loopback: what one releases or is sent becomes leads of the other's next detection."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.partners.world import NORTH, SOUTH, VALUES, indicator, lead, uid
from tests.server.conftest import Clock
from tests.server.decisions.serving import served
from tests.server.taxii.conftest import ROOT, World

from stillwatch import store
from stillwatch.errors import SettingsError, StoreError
from stillwatch.partners import Inbox, Peer
from stillwatch.partners.taxii import Added
from stillwatch.partners.transfer import push
from stillwatch.server import ServerSettings, Service, metrics, opened
from stillwatch.server.app import jobs_of
from stillwatch.server.detection import runs
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.partners import take_posted
from stillwatch.server.partners.jobs import turn
from stillwatch.server.settings import Pulling, Storing, load_server_settings
from stillwatch.server.taxii import partners
from stillwatch.sharing.objects import extension_definition


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with served(world.service) as port:
        yield f"http://127.0.0.1:{port}{ROOT}"


@pytest.fixture
def ours(tmp_path: Path, clock: Clock) -> Iterator[Service]:
    """Another provider's service."""
    with opened(ServerSettings(storage=Storing(state=tmp_path / "ours")), now=clock) as held:
        yield held


def peer(url: str, key: str, monkeypatch: pytest.MonkeyPatch) -> Peer:
    monkeypatch.setenv("NORTHS_KEY", f"bearer {key}")
    return Peer("north", url, pull=("released",), push="incoming", credentials="env:NORTHS_KEY", senders=(NORTH,))


def inbox_of(service: Service) -> Inbox:
    return Inbox(output_folder(service.settings))


def sample(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_what_one_service_releases_becomes_leads_of_another(
    world: World, url: str, ours: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillwatch.partners.taxii.PAGE_OBJECTS", 100)
    key = world.partner("ours")
    world.collection("released", ours="r")
    world.publish("released", *extension_definition(), *(one for number in range(90) for one in lead(number)))
    kept_before = sample("stillwatch_partner_objects_total", partner="north", outcome="kept")
    north = peer(url, key, monkeypatch)
    turn(ours, (north,))
    rows = store.read_leads(output_folder(ours.settings)).to_pylist()
    assert {(row["lead_id"], row["value"]) for row in rows} == {
        (uid("indicator", number), value) for number in range(90) for value in VALUES
    }
    assert {row["sender"] for row in rows} == {NORTH}
    assert sample("stillwatch_partner_objects_total", partner="north", outcome="kept") - kept_before == 270
    assert sample("stillwatch_leads", partner="north") == 180
    clock.pass_by(hours=1)
    world.publish("released", indicator(7, modified=clock(), revoked=True))
    turn(ours, (north,))
    left = store.read_leads(output_folder(ours.settings)).column("lead_id").to_pylist()
    assert uid("indicator", 7) not in left
    assert len(left) == 178
    clock.pass_by(days=31)
    turn(ours, ())
    assert store.read_leads(output_folder(ours.settings)).num_rows == 0


def test_what_is_pushed_to_a_service_becomes_leads_there_once(
    world: World, url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = world.partner("north")
    world.collection("incoming", north="w")
    assert push(peer(url, key, monkeypatch), [*extension_definition(), *lead()]) == Added(5, 0, 0)
    turn(world.service, ())
    folder = output_folder(world.service.settings)
    assert [row["value"] for row in store.read_leads(folder).to_pylist()] == list(VALUES)
    before = {path: path.read_bytes() for path in folder.rglob("*.json*")}
    turn(world.service, ())
    assert {path: path.read_bytes() for path in folder.rglob("*.json*")} == before
    clock.pass_by(hours=1)
    push(peer(url, key, monkeypatch), [indicator(modified=clock(), revoked=True)])
    turn(world.service, ())
    assert store.read_leads(folder).num_rows == 0


def test_a_partner_posts_only_in_its_own_name(world: World, clock: Clock) -> None:
    for name in ("north", "south"):
        world.partner(name)
    world.collection("incoming", north="w", south="w")
    with world.service.database.write() as connection:
        partners.changed(connection, "north", {"identity_ref": NORTH}, by="tests", now=clock())
    assert world.post("south", "incoming", *lead()).status_code == 202
    assert world.post("south", "incoming", *lead(2, by=SOUTH)).status_code == 202
    assert world.post("north", "incoming", *lead(3)).status_code == 202
    done = take_posted(world.service.database, inbox_of(world.service), (), now=clock())
    assert {name: (taken.kept, sum(taken.refused.values())) for name, taken in done.items()} == {
        "south": (3, 3),
        "north": (3, 0),
    }
    assert inbox_of(world.service).senders("south") == (SOUTH,)


def test_the_peers_file_says_whose_objects_a_partner_may_post(world: World, clock: Clock) -> None:
    world.partner("north")
    world.collection("incoming", north="w")
    with world.service.database.write() as connection:
        partners.changed(connection, "north", {"identity_ref": SOUTH}, by="tests", now=clock())
    world.post("north", "incoming", *lead(), *lead(2, by=SOUTH))
    done = take_posted(world.service.database, inbox_of(world.service), (Peer("north", senders=(NORTH,)),), now=clock())
    assert (done["north"].kept, sum(done["north"].refused.values())) == (3, 3)


def test_what_a_partner_posted_that_is_none_any_more_is_passed_over(world: World, clock: Clock) -> None:
    world.partner("north")
    world.collection("incoming", north="w")
    world.post("north", "incoming", *lead())
    with world.service.database.write() as connection:
        partners.removed(connection, "north", by="tests", now=clock())
    assert take_posted(world.service.database, inbox_of(world.service), (), now=clock()) == {}
    assert inbox_of(world.service).partners() == []


def test_what_was_posted_is_read_again_after_the_inbox_was_lost(world: World, clock: Clock) -> None:
    world.partner("north")
    world.collection("incoming", north="w")
    world.post("north", "incoming", *lead())
    inbox = inbox_of(world.service)
    take_posted(world.service.database, inbox, (), now=clock())
    assert take_posted(world.service.database, inbox, (), now=clock()) == {}
    (inbox.folder / "posted.json").unlink()
    assert take_posted(world.service.database, inbox, (), now=clock())["north"].known == 3
    (inbox.folder / "posted.json").write_text('{"number": "many"}')
    with pytest.raises(StoreError, match=r"posted\.json is damaged"):
        take_posted(world.service.database, inbox, (), now=clock())


def test_a_peer_that_fails_is_counted_and_the_leads_are_written_all_the_same(
    ours: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours.stopping.set()  # nobody waits between two tries
    with inbox_of(ours).opened("north", (NORTH,)) as box:
        box.take(lead(), now=clock())
    before = sample("stillwatch_pull_failures_total", partner="dead")
    turn(ours, (Peer("dead", "http://127.0.0.1:9/api/", pull=("released",)),))
    assert sample("stillwatch_pull_failures_total", partner="dead") == before + 1
    assert store.read_leads(output_folder(ours.settings)).num_rows == 2


def test_new_leads_are_something_new_for_a_detection_to_read(ours: Service, clock: Clock) -> None:
    state = ours.settings.storage.state
    (state / "manifest.json").write_text("{}")
    with ours.database.read() as connection:
        before = runs.inputs_of(connection, state, "")
        assert before is not None
        with inbox_of(ours).opened("north", (NORTH,)) as box:
            box.take(lead(), now=clock())
        turn(ours, ())
        after = runs.inputs_of(connection, state, "")
        assert after != before
        turn(ours, ())
        assert runs.inputs_of(connection, state, "") == after


def test_the_pull_is_a_job_of_the_service_and_a_broken_peers_file_stops_its_start(
    tmp_path: Path, ours: Service
) -> None:
    assert {job.name: job.every_s for job in jobs_of(ours)}["pull"] == 300.0
    file = tmp_path / "peers.toml"
    file.write_text("[[peers]]\nname = 5\n")
    told = ServerSettings(storage=Storing(state=tmp_path / "state"), partners=Pulling(peers=str(file), every_s=60.0))
    with opened(told) as service, pytest.raises(SettingsError, match="peer 1: name: give a text"):
        jobs_of(service)


def test_settings_of_partners_are_read_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "stillwatch.toml"
    file.write_text('[partners]\npeers = "peers.toml"\nevery_s = 60\n')
    assert load_server_settings(file, {}).partners == Pulling("peers.toml", 60.0)
    with pytest.raises(SettingsError, match=r"partners\.every_s 0\.0: give a number of seconds above 0"):
        load_server_settings(file, {"STILLWATCH_PARTNERS_EVERY_S": "0"})
