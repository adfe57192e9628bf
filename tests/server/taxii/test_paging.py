"""Pages while others write: what was there comes once, what comes later at most once, and nothing is skipped."""

import threading
from collections import Counter
from itertools import count
from typing import Any

import pytest
from tests.server.taxii.conftest import MOMENT, TAXII, World, campaign, pages

from stillwatch.server.taxii import publish, reading

MANY = 10_000
LATER = 1_000_000  # numbers of what comes while pages are read
TIMEOUT_S = 60


class Writers:
    """Two threads that publish new objects and new versions, as many batches as they are given turns."""

    def __init__(self, world: World, collection: str) -> None:
        self.published: list[dict[str, Any]] = []
        self._world, self._collection = world, collection
        self._turns, self._is_over = threading.Semaphore(0), False
        self._threads = [threading.Thread(target=self._write, args=(first,)) for first in (0, 1)]

    def turns(self, count: int) -> None:
        self._turns.release(count)

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_over = True
        self.turns(len(self._threads))
        for thread in self._threads:
            thread.join(TIMEOUT_S)

    def _write(self, first: int) -> None:
        for number in count(first, 20):
            self._turns.acquire()
            if self._is_over:
                return
            batch = [campaign(LATER + number + i * 2) for i in range(10)]
            newer = f"2026-02-{2 + number // 20 % 20:02}T00:00:00.000Z"
            batch += [campaign(1 + (number * 37 + i) % MANY, modified=newer) for i in range(3)]
            self._world.publish(self._collection, *batch)
            self.published.extend(batch)


def filled(world: World, objects: int) -> str:
    """A collection of so many objects that north may read."""
    world.partner("north")
    collection = world.collection("released", north="r")
    for start in range(1, objects + 1, 2000):
        stop = min(start + 2000, objects + 1)
        world.publish(collection, *(campaign(number) for number in range(start, stop)))
    return collection


def test_a_collection_is_paged_whole_while_others_write(either_world: World) -> None:
    collection = filled(either_world, MANY)
    found: Counter[tuple[str, str]] = Counter()
    with Writers(either_world, collection) as writers:
        writers.turns(4)
        for page in pages(lambda asked: asks(either_world, "objects", asked), 1000):
            found.update((object_["id"], object_["modified"]) for object_ in page["objects"])
            writers.turns(4)
    assert max(found.values()) == 1
    by_id = {id_ for id_, _ in found}
    assert {campaign(number)["id"] for number in range(1, MANY + 1)} <= by_id
    later = {object_["id"] for object_ in writers.published}
    assert by_id <= {campaign(number)["id"] for number in range(1, MANY + 1)} | later
    assert by_id & later


def test_every_version_is_paged_once_while_others_write(either_world: World) -> None:
    collection = filled(either_world, 500)
    found: Counter[tuple[str, str]] = Counter()
    with Writers(either_world, collection) as writers:
        for page in pages(lambda asked: asks(either_world, "manifest", {**asked, "match[version]": "all"}), 50):
            found.update((entry["id"], entry["version"]) for entry in page["objects"])
            if sum(found.values()) < 500:
                writers.turns(2)
    assert set(found.values()) == {1}
    assert {(campaign(number)["id"], MOMENT) for number in range(1, 501)} <= set(found)


def asks(world: World, place: str, asked: dict[str, Any]) -> Any:
    return world.ask("north", f"collections/released/{place}/", params=asked)


def test_what_is_committed_late_is_not_skipped(either_world: World) -> None:
    world = either_world
    world.partner("north")
    collection = world.collection("released", north="r")
    world.publish(collection, campaign(1))
    is_written, may_commit = threading.Event(), threading.Event()

    def hesitate() -> None:
        with world.service.database.write() as connection:
            publish(connection, [campaign(2)], collection_id=collection, now=world.service.now())
            is_written.set()
            may_commit.wait(TIMEOUT_S)

    slow = threading.Thread(target=hesitate)
    slow.start()
    assert is_written.wait(TIMEOUT_S)
    fast = threading.Thread(target=world.publish, args=(collection, campaign(3)))
    fast.start()
    first = asks(world, "manifest", {})
    after = first.headers["x-taxii-date-added-last"]
    may_commit.set()
    slow.join(TIMEOUT_S)
    fast.join(TIMEOUT_S)
    assert [entry["id"] for entry in first.json()["objects"]] == [campaign(1)["id"]]
    later = asks(world, "manifest", {"added_after": after}).json()["objects"]
    assert [entry["id"] for entry in later] == [campaign(2)["id"], campaign(3)["id"]]


def test_a_clock_that_goes_back_puts_nothing_before_what_is_there(world: World, clock: Any) -> None:
    world.partner("north")
    world.collection("released", north="r")
    world.publish("released", campaign(1))
    clock.pass_by(days=-5)
    world.publish("released", campaign(2))
    added = [entry["date_added"] for entry in world.ask("north", "collections/released/manifest/").json()["objects"]]
    assert added == ["2026-03-01T12:00:00.000000Z", "2026-03-01T12:00:00.000001Z"]


def test_a_page_ends_before_it_grows_too_large(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_PAGE_BYTES", 3000)
    world.partner("north")
    world.collection("released", north="r")
    world.publish("released", *(campaign(number, description="x" * 1000) for number in range(1, 5)))
    world.publish("released", campaign(5, description="x" * 5000))
    found = pages(lambda asked: asks(world, "objects", asked), 100)
    assert [len(page["objects"]) for page in found] == [2, 2, 1]


# Parameters that cannot be read.
UNREADABLE = (
    {"limit": "0"},
    {"limit": "-1"},
    {"limit": "many"},
    {"limit": "9" * 30},
    {"next": "x"},
    {"next": "é" * 8},
    {"next": "A" * 150},
    {"added_after": "yesterday"},
    {"added_after": "2026-02-30T00:00:00Z"},
    {"added_after": "2026-02-01T00:00:00.000+02:00"},
    {"match[version]": "newest"},
    {"match[id]": ",".join(map(str, range(300)))},
    {"match[type]": "x\x00y"},
    {"match[id]": "x" * 40_000},
)


def test_what_cannot_be_asked_is_refused_in_the_way_of_taxii(world: World) -> None:
    world.partner("north")
    world.collection("released", north="r")
    for asked in UNREADABLE:
        reply = world.ask("north", "collections/released/objects/", params=asked)
        assert (reply.status_code, reply.headers["content-type"]) == (400, TAXII), asked
        assert reply.json()["http_status"] == "400"
