"""What partners send: what is kept, what is refused, whose an id is, and what the inbox is told."""

from typing import Any

import pytest
import sqlalchemy as sa
from tests.server.taxii.conftest import MOMENT, World, campaign

from stillwatch.errors import InputError, SharingError
from stillwatch.server import audit
from stillwatch.server.operate.retention import retain
from stillwatch.server.tables import audit as audit_table
from stillwatch.server.tables import taxii_objects
from stillwatch.server.taxii import posting, received
from stillwatch.sharing.marking import marking_definition
from stillwatch.sharing.objects import extension_definition

NEWER = "2026-02-02T00:00:00.000Z"
SECRET = "planted words that nobody may repeat"


@pytest.fixture
def box(world: World) -> World:
    """Two partners that share a collection."""
    world.partner("north", "red")
    world.partner("south", "red")
    world.collection("box", north="rw", south="rw")
    return world


def failure(box: World, object_: Any) -> str:
    """Why an object is refused."""
    told = box.post("north", "box", object_).json()
    assert (told["status"], told["success_count"], told["failure_count"], told["total_count"]) == ("complete", 0, 1, 1)
    assert SECRET not in str(told)
    return told["failures"][0]["message"]


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


# What cannot be kept, and how the reason begins.
UNFIT: list[tuple[Any, str]] = [
    (None, "this is no object"),
    ([campaign()], "this is no object"),
    ({}, "id: "),
    ({**campaign(), "id": SECRET}, "id: "),
    ({**campaign(), "type": "tool"}, "id: "),
    ({**campaign(), "id": 7}, "id: "),
    ({key: value for key, value in campaign().items() if key != "spec_version"}, "spec_version: "),
    ({**campaign(), "spec_version": "2.0"}, "spec_version: "),
    ({**campaign(), "modified": SECRET}, "created, modified: "),
    ({**campaign(), "modified": None}, "created, modified: "),
    ({key: value for key, value in campaign().items() if key != "modified"}, "created, modified: "),
    ({**campaign(), "objective": None}, "it holds a null"),
    ({**campaign(), "valid_until": SECRET}, "valid_until: "),
    ({**campaign(), "first_seen": SECRET}, "it breaks STIX 2.1 (InvalidValueError)"),
    ({key: value for key, value in campaign().items() if key != "name"}, "it breaks STIX 2.1"),
    ({**campaign(), "object_marking_refs": SECRET}, "it breaks STIX 2.1"),
    ({**campaign(), "description": "\x1b[2J"}, "it holds control characters"),
    ({**campaign(), "description": "\u202eevil"}, "it holds control characters"),
    ({**campaign(), "x_\x00": 1}, "it holds control characters"),
    ({**campaign(), "x_deep": deep(40)}, "it lies deeper than 20"),
    ({**campaign(), "x_deep": deep(300)}, "it lies too deep"),
    ({**campaign(), "description": "x" * 300_000}, "it is longer than 262144 bytes"),
    (
        {**campaign(), "type": "x-own", "id": campaign()["id"].replace("campaign", "x-own")},
        "type: only the types of STIX 2.1",
    ),
]


def test_an_object_that_cannot_be_kept_is_a_failure_of_its_own(box: World) -> None:
    assert [
        (because, told) for object_, because in UNFIT if not (told := failure(box, object_)).startswith(because)
    ] == []
    assert box.seen("north", "box") == []


def indicator(pattern: str) -> dict[str, Any]:
    base = {key: value for key, value in campaign().items() if key != "name"}
    told = {"type": "indicator", "id": base["id"].replace("campaign", "indicator"), "valid_from": MOMENT}
    return {**base, **told, "pattern": pattern, "pattern_type": "stix", "indicator_types": ["attribution"]}


def test_a_pattern_is_measured_and_not_parsed(box: World) -> None:
    hostile = "[" + "(" * 15_000 + "x" + ")" * 15_000 + "]"
    assert box.post("north", "box", indicator(hostile)).json()["success_count"] == 1
    assert failure(box, indicator("[" + "x" * 40_000 + "]")).startswith("pattern: ")


def test_observables_have_no_version_but_when_they_were_added(box: World) -> None:
    address = {"type": "ipv4-addr", "id": campaign()["id"].replace("campaign", "ipv4-addr"), "value": "192.0.2.1"}
    assert box.post("north", "box", address, address).json()["success_count"] == 2
    other = {**address, "value": "192.0.2.2"}
    assert box.post("north", "box", other).json()["success_count"] == 1
    path = f"collections/box/objects/{address['id']}/"
    assert box.ask("north", path).json()["objects"] == [other]
    added = [
        entry["date_added"]
        for entry in box.ask("north", "collections/box/manifest/?match[version]=all").json()["objects"]
    ]
    assert box.ask("north", f"{path}versions/").json()["versions"] == [
        moment.rstrip("0Z").ljust(23, "0") + "Z" for moment in added
    ]


def test_an_object_that_is_sent_again_is_no_failure_and_no_second_object(box: World) -> None:
    one = campaign(1)
    assert [box.post("north", "box", one).json()["success_count"] for _ in range(2)] == [1, 1]
    assert box.seen("north", "box", version="all") == [one["id"]]
    with box.service.database.read() as connection:
        assert len(received(connection)) == 1


def test_an_id_belongs_to_whoever_brought_it(box: World) -> None:
    one = campaign(1)
    box.post("north", "box", one)
    told = box.post("south", "box", {**one, "modified": NEWER, "revoked": True}, {**one, "name": "Other"}).json()
    assert [entry["message"] for entry in told["failures"]] == [
        "an object of this id is here already, from somebody else"
    ] * 2
    assert box.ask("north", f"collections/box/objects/{one['id']}/").json()["objects"] == [one]
    assert box.ask("south", f"collections/box/objects/{one['id']}/", "DELETE").status_code == 403
    box.publish("box", campaign(2))
    assert box.post("south", "box", campaign(2, modified=NEWER, revoked=True)).json()["failure_count"] == 1
    with pytest.raises(SharingError, match=f"{one['id']}: an object of this id is here already"):
        box.publish("box", campaign(3), {**one, "modified": NEWER})
    assert box.seen("north", "box") == [one["id"], campaign(2)["id"]]


def test_what_everybody_shares_is_kept_in_our_own_wording(box: World) -> None:
    red = {**marking_definition("red"), "name": "TLP:CLEAR"}
    author, definition = extension_definition()
    sent = box.post(
        "north", "box", red, {**author, "name": "Somebody"}, {**definition, "schema": "https://evil.example"}
    )
    assert sent.json()["success_count"] == 3
    found = box.ask("south", "collections/box/objects/").json()["objects"]
    assert found == [marking_definition("red"), author, definition]
    assert box.post("south", "box", red).json()["success_count"] == 1
    assert len(box.seen("south", "box", version="all")) == 3
    with box.service.database.read() as connection:
        assert [row.object_ for row in received(connection)] == found


def test_the_inbox_is_told_of_what_was_kept_in_order_and_never_of_a_number_twice(either_world: World) -> None:
    world = either_world
    world.partner("north")
    collection = world.collection("box", north="rw")
    objects = [campaign(number) for number in range(1, 4)]
    world.post("north", "box", objects[0], {"id": "bad"}, objects[1])
    world.post("north", "box", objects[2])
    world.publish("box", campaign(9))
    with world.service.database.read() as connection:
        rows = received(connection)
        assert [row.object_ for row in rows] == objects
        assert {(row.partner_id, row.collection_id) for row in rows} == {("north", collection)}
        assert [row.object_ for row in received(connection, rows[1].number)] == objects[2:]
        assert [row.object_ for row in received(connection, most=1)] == objects[:1]
    with world.service.database.write() as connection:
        connection.execute(sa.text("DELETE FROM taxii_received"))
    world.post("north", "box", campaign(4))
    with world.service.database.read() as connection:
        assert [row.object_["id"] for row in received(connection, rows[2].number)] == [campaign(4)["id"]]


def test_what_was_deleted_may_be_sent_again_and_comes_at_the_end(box: World) -> None:
    box.post("north", "box", campaign(1), campaign(2), {**campaign(1), "modified": NEWER})
    path = f"collections/box/objects/{campaign(1)['id']}/"
    assert box.ask("north", path, "DELETE", params={"match[version]": MOMENT}).status_code == 200
    assert box.ask("north", f"{path}versions/").json()["versions"] == [NEWER]
    assert box.ask("north", path, "DELETE", params={"match[version]": MOMENT}).status_code == 404
    assert box.ask("north", path, "DELETE").content == b""
    assert box.ask("north", path).status_code == 404
    box.post("north", "box", campaign(1))
    assert box.seen("north", "box") == [campaign(2)["id"], campaign(1)["id"]]


def test_a_partner_that_sends_too_much_is_told_to_wait(box: World, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "MOST_OBJECTS_A_DAY", 5)
    monkeypatch.setattr(posting, "MOST_OBJECTS_HELD", 8)
    monkeypatch.setattr(posting, "MOST_OBJECTS", 4)
    assert box.post("north", "box", *(campaign() for _ in range(5))).status_code == 413
    assert box.post("north", "box", *({"id": "bad"} for _ in range(4))).status_code == 202
    reply = box.post("north", "box", campaign(), campaign())
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "3600")
    assert box.post("south", "box", campaign()).status_code == 202
    for _ in range(2):
        clock.pass_by(days=1, seconds=1)
        assert box.post("north", "box", *(campaign() for _ in range(4))).status_code == 202
    clock.pass_by(days=1, seconds=1)
    assert "delete some" in box.post("north", "box", campaign()).json()["description"]


def test_every_change_is_in_the_audit_log_and_no_word_of_an_object_is(box: World) -> None:
    mine = campaign(description=SECRET)
    box.post("north", "box", mine, {"id": SECRET})
    box.ask("north", f"collections/box/objects/{mine['id']}/", "DELETE")
    with box.service.database.read() as connection:
        rows = connection.execute(sa.select(audit_table).order_by(audit_table.c.sequence)).mappings().all()
        assert audit.broken(connection) is None
    assert [(row["action"], row["principal"]) for row in rows[-2:]] == [
        ("collection.received", "key:north"),
        ("collection.deleted", "key:north"),
    ]
    assert rows[-2]["after"] == {"partner": "north", "kept": 1, "refused": 1}
    assert SECRET not in str([dict(row) for row in rows])


def test_what_expired_was_revoked_or_was_superseded_goes_in_the_end_and_the_newest_last(box: World, clock: Any) -> None:
    lasting, expiring, revoked = campaign(1), indicator("[file:size = 1]"), campaign(3)
    box.publish("box", lasting, {**expiring, "valid_until": "2026-03-11T00:00:00Z"}, revoked)
    clock.pass_by(days=1)
    box.publish("box", {**lasting, "modified": NEWER}, {**revoked, "modified": NEWER, "revoked": True})
    assert retain(box.service) == {}
    clock.pass_by(days=180, hours=1)
    assert retain(box.service)["taxii_objects"] == 3  # the old version of each, and the revocation
    assert box.seen("north", "box", version="all") == [expiring["id"], lasting["id"]]
    clock.pass_by(days=10)
    retain(box.service)
    assert box.seen("north", "box", version="all") == [lasting["id"]]


def test_an_older_version_never_outlives_a_newer_one_that_ran_out(box: World) -> None:
    first = {**indicator("[file:size = 1]"), "valid_until": "2027-01-01T00:00:00Z"}
    box.publish("box", first)
    box.publish("box", {**first, "modified": NEWER, "valid_until": "2026-02-15T00:00:00Z"})
    with box.service.database.read() as connection:
        ends = connection.execute(sa.select(taxii_objects.c.ended_at).order_by(taxii_objects.c.version)).scalars().all()
    assert [f"{end:%F}" for end in ends] == ["2026-02-15"] * 2


def test_nothing_is_released_where_one_object_cannot_be_or_the_collection_is_not_there(box: World) -> None:
    with pytest.raises(SharingError, match="id: its type"):
        box.publish("box", campaign(1), {"type": "campaign"})
    with pytest.raises(InputError, match="there is no such collection"):
        box.publish("no-such", campaign(1))
    assert box.seen("north", "box") == []
