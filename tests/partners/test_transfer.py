"""Pulls and pushes over real HTTP: nothing is lost, nothing comes twice, one bad partner harms no other."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.partners.conftest import TAXII, Medallion, Scripted
from tests.partners.world import COLLECTION, NOON, NORTH, SOUTH, Clock, indicator, lead, uid

from stillwatch.errors import SettingsError
from stillwatch.partners import Inbox, Peer, read_peers
from stillwatch.partners.inbox import Taken
from stillwatch.partners.moments import written
from stillwatch.partners.taxii import Added
from stillwatch.partners.transfer import Pulled, pull, push
from stillwatch.sharing.objects import extension_definition


def pulled(inbox: Inbox, *peers: Peer, now: Clock) -> list[Pulled]:
    return pull(inbox, peers, now=now, wait=lambda _: None)


def page(*objects: object, first: datetime, last: datetime, following: str | None = None) -> tuple:  # type: ignore[type-arg]
    headers = {"X-TAXII-Date-Added-First": written(first), "X-TAXII-Date-Added-Last": written(last)}
    more = {} if following is None else {"more": True, "next": following}
    return 200, {**TAXII, **headers}, json.dumps({"objects": objects, **more}).encode()


def test_what_is_pushed_to_the_reference_server_is_pulled_from_it_once(
    medallion: Medallion, inbox: Inbox, clock: Clock, tmp_path: Path
) -> None:
    (peer,) = read_peers(medallion.peers(tmp_path / "peers.toml"))
    sent = [object_ for number in range(5) for object_ in lead(number)]
    assert push(peer, sent, wait=lambda _: None) == Added(15, 0, 0)
    assert pulled(inbox, peer, now=clock) == [Pulled("north", Taken(kept=15))]
    assert set(inbox.objects("north")) == {object_["id"] for object_ in sent}
    before = {path.name: path.read_bytes() for path in (inbox.folder / "north").iterdir()}
    (again,) = pulled(inbox, peer, now=clock)
    assert (again.taken.kept, again.fault) == (0, None)
    assert {path.name: path.read_bytes() for path in (inbox.folder / "north").iterdir()} == before


def test_a_later_version_on_the_reference_server_replaces_the_earlier_one(
    medallion: Medallion, inbox: Inbox, clock: Clock, tmp_path: Path
) -> None:
    (peer,) = read_peers(medallion.peers(tmp_path / "peers.toml"))
    push(peer, [indicator(modified=NOON - timedelta(hours=1))])
    pulled(inbox, peer, now=clock)
    push(peer, [indicator(values=("00000000000000c3",))])
    assert pulled(inbox, peer, now=clock)[0].taken.kept == 1
    assert inbox.objects("north")[uid("indicator", 1)].body["values"] == ["00000000000000c3"]


def test_extension_definitions_stay_away_from_a_peer_that_breaks_on_them(
    medallion: Medallion, inbox: Inbox, clock: Clock, tmp_path: Path
) -> None:
    (peer,) = read_peers(medallion.peers(tmp_path / "peers.toml", takes_extension_definitions=False))
    assert push(peer, [*extension_definition(), *lead()]).taken == 4  # an identity goes with the definition
    assert pulled(inbox, peer, now=clock)[0].taken.kept == 3
    (usual,) = read_peers(medallion.peers(tmp_path / "peers.toml"))
    push(usual, extension_definition())
    assert pulled(inbox, usual, now=clock)[0].fault == "127.0.0.1 answers with status 500."


def test_a_bookmark_waits_until_every_object_of_a_moment_was_seen(
    scripted: Scripted, inbox: Inbox, clock: Clock
) -> None:
    early, late = NOON - timedelta(hours=2), NOON - timedelta(hours=1)
    peer = Peer("north", scripted.url, pull=(COLLECTION,), senders=(NORTH,))
    scripted.answers = [
        page(indicator(1), first=early, last=late, following="b"),
        page(indicator(2), first=late, last=late, following="c"),
        (500, TAXII, b""),
    ]
    (first,) = pulled(inbox, peer, now=clock)
    assert (first.taken.kept, first.fault) == (2, "127.0.0.1 answers with status 500.")
    scripted.answers = [
        page(indicator(1), indicator(2), indicator(3), first=early, last=late, following="b"),
        page(indicator(4), first=NOON, last=NOON, following="c"),
        (500, TAXII, b""),
    ]
    scripted.asked.clear()
    assert pulled(inbox, peer, now=clock)[0].taken == Taken(kept=2, known=2)
    assert "added_after" not in scripted.paths()[0]  # nothing was known to be complete
    scripted.answers = [page(first=NOON, last=NOON)]
    scripted.asked.clear()
    pulled(inbox, peer, now=clock)
    assert scripted.paths()[0].endswith("added_after=2026-03-01T10%3A59%3A55.000000Z")  # what was, less the overlap


def test_a_server_whose_clock_is_ahead_hides_nothing_that_it_adds_later(
    scripted: Scripted, inbox: Inbox, clock: Clock
) -> None:
    peer = Peer("north", scripted.url, pull=(COLLECTION,), senders=(NORTH,))
    far = NOON + timedelta(days=9_000)
    scripted.answers = [page(indicator(), first=far, last=far)]
    pulled(inbox, peer, now=clock)
    with inbox.opened("north") as box:
        assert box.bookmark(COLLECTION) == NOON


def test_a_partner_that_fails_does_not_stop_the_others(scripted: Scripted, inbox: Inbox, clock: Clock) -> None:
    dead = Peer("dead", "http://127.0.0.1:9/api/", pull=(COLLECTION,))
    north = Peer("north", scripted.url, pull=(COLLECTION,), senders=(NORTH,))
    scripted.says({"objects": lead()})
    done = pulled(inbox, dead, north, now=clock)
    told = [(one.peer, one.taken.kept, one.fault is None) for one in done]
    assert told == [("dead", 0, False), ("north", 3, True)]


def test_a_peer_that_is_not_pinned_cannot_take_a_pinned_identity(
    scripted: Scripted, inbox: Inbox, clock: Clock
) -> None:
    loose = Peer("loose", scripted.url, pull=(COLLECTION,))
    pinned = Peer("north", senders=(NORTH,))
    scripted.says({"objects": lead()})
    assert pulled(inbox, loose, pinned, now=clock)[0].taken.refused == {"somebody else made it than this partner": 3}
    scripted.says({"objects": lead(by=SOUTH)})
    assert pulled(inbox, loose, pinned, now=clock)[0].taken.kept == 3


def test_a_missing_login_is_told_before_anything_is_fetched(scripted: Scripted, inbox: Inbox, clock: Clock) -> None:
    fine = Peer("fine", scripted.url, pull=(COLLECTION,))
    broken = Peer("broken", scripted.url, pull=(COLLECTION,), credentials="env:STILLWATCH_TEST_NOT_SET")
    with pytest.raises(SettingsError, match="peer broken"):
        pulled(inbox, fine, broken, now=clock)
    assert scripted.asked == []


def test_a_peer_without_a_collection_to_push_to_is_told() -> None:
    with pytest.raises(SettingsError, match="no collection to push to at south"):
        push(Peer("south"), [indicator()])


def test_a_pull_that_is_killed_between_two_pages_has_kept_the_first_and_goes_on(
    scripted: Scripted, inbox: Inbox, clock: Clock, tmp_path: Path
) -> None:
    told = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    first, second = ([{**one, "modified": told} for one in lead(number)] for number in (1, 2))
    whole = page(*first, *second, first=NOON, last=NOON)
    scripted.answers = [page(*first, first=NOON, last=NOON, following="b"), (503, {"retry-after": "60"}, b"")]
    peers = tmp_path / "peers.toml"
    rows = f'url = "{scripted.url}"\npull = ["{COLLECTION}"]\nsenders = ["{NORTH}"]\n'
    peers.write_text(f'[[peers]]\nname = "north"\n{rows}')
    words = [sys.executable, "-m", "stillwatch", "share", "pull", "--out", inbox.out, "--peers", peers]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(scripted.asked) < 2 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert len(scripted.asked) == 2
    assert set(inbox.objects("north")) == {one["id"] for one in first}
    scripted.answers = [whole]
    done = pull(inbox, read_peers(peers), now=lambda: datetime.now(UTC), wait=lambda _: None)
    assert done == [Pulled("north", Taken(kept=3, known=3))]
    assert "added_after" not in scripted.paths()[-1]


def test_a_partner_that_never_ends_is_stopped_and_what_came_is_kept(
    scripted: Scripted, inbox: Inbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillwatch.partners.transfer.MOST_PULL_S", 0.0)
    peer = Peer("north", scripted.url, pull=(COLLECTION,), senders=(NORTH,))
    scripted.says({"objects": lead(), "more": True, "next": "again"})
    (done,) = pulled(inbox, peer, now=clock)
    assert done.taken.kept == 3
    assert done.fault == "north was not done after 0 seconds. Pull again to go on."
