"""Pages while others write: what was there comes once, what comes later at most once, and nothing is skipped."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.server.taxii.conftest import TAXII, World, campaign, pages

from stillwatch.server.taxii import publish

MANY = 10_000
LATER = 1_000_000  # numbers of what comes while pages are read
TIMEOUT_S = 60


@contextmanager
def writing(world: World, collection: str, stop: threading.Event) -> Iterator[list[dict[str, Any]]]:
    """Two threads that publish new objects and new versions until they are stopped; what they published."""
    done: list[dict[str, Any]] = []

    def write(first: int) -> None:
        number = first
        while not stop.is_set():
            newer = f"2026-02-{2 + (number - first) // 50 % 20:02}T00:00:00.000Z"
            batch = [campaign(LATER + number + i * 2) for i in range(10)]
            batch += [campaign(1 + (number * 37 + i) % MANY, modified=newer) for i in range(3)]
            world.publish(collection, *batch)
            done.extend(batch)
            number += 20

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join(TIMEOUT_S)


def test_a_collection_is_paged_whole_while_others_write(either_world: World) -> None:
    world, stop = either_world, threading.Event()
    world.partner("north")
    collection = world.collection("released", north="r")
    for start in range(1, MANY + 1, 2000):
        world.publish(collection, *(campaign(number) for number in range(start, start + 2000)))
    found: Counter[tuple[str, str]] = Counter()
    with writing(world, collection, stop) as published:
        asks = lambda asked: world.ask("north", f"collections/{collection}/objects/", params=asked)  # noqa: E731
        for number, page in enumerate(pages(asks, 1000)):
            found.update((object_["id"], object_["modified"]) for object_ in page["objects"])
            if number == 11:  # what is written is written faster than it is read: let the last page come
                stop.set()
    assert max(found.values()) == 1
    by_id = {id_ for id_, _ in found}
    assert {campaign(number)["id"] for number in range(1, MANY + 1)} <= by_id
    assert by_id <= {campaign(number)["id"] for number in range(1, MANY + 1)} | {one["id"] for one in published}
    assert len(published) > 0


def test_every_version_is_paged_once_while_others_write(either_world: World) -> None:
    world, stop = either_world, threading.Event()
    world.partner("north")
    collection = world.collection("released", north="r")
    before = [campaign(number) for number in range(1, 501)]
    world.publish(collection, *before)
    found: Counter[tuple[str, str]] = Counter()
    with writing(world, collection, stop):
        for number, page in enumerate(
            pages(
                lambda asked: world.ask(
                    "north", f"collections/{collection}/manifest/", params={**asked, "match[version]": "all"}
                ),
                50,
            )
        ):
            found.update((entry["id"], entry["version"]) for entry in page["objects"])
            if number == 12:
                stop.set()
    assert set(found.values()) == {1}
    assert {(one["id"], one["modified"]) for one in before} <= set(found)


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
    asks = lambda asked: world.ask("north", f"collections/{collection}/manifest/", params=asked)  # noqa: E731
    first = asks({})
    after = first.headers["x-taxii-date-added-last"]
    may_commit.set()
    slow.join(TIMEOUT_S)
    fast.join(TIMEOUT_S)
    assert [entry["id"] for entry in first.json()["objects"]] == [campaign(1)["id"]]
    later = asks({"added_after": after}).json()["objects"]
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
    from stillwatch.server.taxii import reading

    monkeypatch.setattr(reading, "MOST_PAGE_BYTES", 3000)
    world.partner("north")
    world.collection("released", north="r")
    world.publish("released", *(campaign(number, description="x" * 1000) for number in range(1, 5)))
    world.publish("released", campaign(5, description="x" * 5000))
    asks = lambda asked: world.ask("north", "collections/released/objects/", params=asked)  # noqa: E731
    assert [len(page["objects"]) for page in pages(asks, 100)] == [2, 2, 1]


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
