"""Who may see what: every partner, collection and marking, through every endpoint, against a rule written anew."""

from itertools import product
from typing import Any

import pytest
from tests.server.taxii.conftest import MOMENT, TAXII, World, campaign

from stillwatch.server.access import ROLES, made_key
from stillwatch.server.taxii.filters import place_of_mark
from stillwatch.server.taxii.moments import told
from stillwatch.sharing.marking import TLP_MARKINGS

TLP_1 = {
    "white": "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
    "red": "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
}
ORDER = ["clear", "green", "amber", "amber+strict", "red"]
COPYRIGHT = "marking-definition--0d1e1a3c-1b1a-4a4f-9a3e-1d0c9a8d7e11"
# Marking of an object, and the clearance that it takes to see it.
MARKED: dict[str, tuple[dict[str, Any], str]] = {
    **{tlp: ({"object_marking_refs": [TLP_MARKINGS[tlp]]}, tlp) for tlp in ORDER},
    "none": ({}, "amber"),
    "strictest of two": ({"object_marking_refs": [TLP_MARKINGS["green"], TLP_MARKINGS["red"]]}, "red"),
    "copyright": ({"object_marking_refs": [COPYRIGHT]}, "amber"),
    "green and copyright": ({"object_marking_refs": [COPYRIGHT, TLP_MARKINGS["green"]]}, "green"),
    "one field stricter": (
        {
            "object_marking_refs": [TLP_MARKINGS["clear"]],
            "granular_markings": [{"marking_ref": TLP_MARKINGS["red"], "selectors": ["name"]}],
        },
        "red",
    ),
    "white of TLP 1": ({"object_marking_refs": [TLP_1["white"]]}, "clear"),
    "red of TLP 1": ({"object_marking_refs": [TLP_1["red"]]}, "red"),
}
# Rights in a collection, and the sharing group that it is for.
COLLECTIONS: dict[str, tuple[str, str | None]] = {
    "read": ("r", None),
    "write": ("w", None),
    "both": ("rw", None),
    "neither": ("", None),
    "other-group": ("rw", "group-b"),
}
NEWER = "2026-02-02T00:00:00.000Z"
SECRET = "nobody who is not cleared may read this"


def object_of(marking: str) -> dict[str, Any]:
    number = list(MARKED).index(marking) + 1
    return campaign(number, None, description=f"{SECRET}: {number:03}", **MARKED[marking][0])


@pytest.fixture(scope="module")
def full(common_world: World) -> World:
    """Partners of every clearance, and every collection with an object of every marking in two versions.

    What the tests add is in collections that nobody reads, or is taken out again.
    """
    world = common_world
    for clearance in ORDER:
        world.partner(partner_of(clearance), clearance, groups=["group-b"])
    for alias, (rights, group_id) in COLLECTIONS.items():
        world.collection(alias, group_id, **{partner_of(clearance): rights for clearance in ORDER})
        first = [object_of(marking) for marking in MARKED]
        world.publish(alias, *first)
        world.publish(alias, *({**one, "modified": NEWER} for one in first))
    for clearance in ORDER:
        world.client.patch(
            f"/v1/partners/{partner_of(clearance)}", json={"groups": []}, headers=key_with(world, "admin")
        )
    return world


def key_with(world: World, role: str) -> dict[str, str]:
    """A key of nobody who is a partner."""
    now = world.service.now()
    key = made_key(world.service.database, name=f"a-{role}", roles=[role], by="tests", now=now)
    return {"Authorization": f"Bearer {key}"}


def partner_of(clearance: str) -> str:
    return f"to-{clearance.replace('+', '-')}"


def may_see(clearance: str, collection: str, marking: str) -> bool:
    rights, group_id = COLLECTIONS[collection]
    return "r" in rights and group_id is None and ORDER.index(MARKED[marking][1]) <= ORDER.index(clearance)


# Every way to ask for objects; the first two are tried in collections that are shut as well.
ASKED: list[dict[str, str]] = [
    {},
    {"match[version]": "all", "match[id]": ",".join(object_of(marking)["id"] for marking in MARKED)},
    {"match[version]": f"first,{NEWER},{MOMENT}"},
    {"match[type]": "campaign,identity"},
    {"added_after": "1970-01-01T00:00:00Z"},
    {"next": "AAAAAAAAAAA"},
]


def test_nobody_reads_above_its_clearance_or_without_a_right(full: World) -> None:
    wrong = []
    for clearance, collection in product(ORDER, COLLECTIONS):
        who, base = partner_of(clearance), f"collections/{collection}/"
        allowed = {object_of(marking)["id"] for marking in MARKED if may_see(clearance, collection, marking)}
        hidden = [f"{SECRET}: {n:03}" for n, m in enumerate(MARKED, 1) if object_of(m)["id"] not in allowed]
        for asked, place in product(ASKED if allowed else ASKED[:2], ("objects/", "manifest/")):
            reply = full.ask(who, base + place, params=asked)
            found = {entry["id"] for entry in reply.json().get("objects", [])}
            is_told = any(text in reply.text for text in hidden)
            if found != allowed or (reply.status_code == 200) != bool(allowed) or is_told:
                wrong.append((clearance, collection, place, asked, reply.status_code, is_told))
    assert wrong == []


def test_no_single_object_is_told_to_who_may_not_see_it(full: World) -> None:
    wrong = []
    for clearance, collection in product(ORDER, COLLECTIONS):
        is_open = "r" in COLLECTIONS[collection][0] and COLLECTIONS[collection][1] is None
        for marking in [*ORDER, "none", "one field stricter"] if is_open else ["clear"]:
            base = f"collections/{collection}/objects/{object_of(marking)['id']}/"
            for place, asked in ((base, {"match[version]": "all"}), (f"{base}versions/", {})):
                reply = full.ask(partner_of(clearance), place, params=asked)
                expected = 200 if may_see(clearance, collection, marking) else refusal(collection, reads=True)
                if reply.status_code != expected or (expected != 200 and SECRET in reply.text):
                    wrong.append((clearance, collection, marking, place, reply.status_code))
    assert wrong == []


def refusal(collection: str, *, reads: bool) -> int:
    """What who may do nothing is told (404), and who may do something else (403)."""
    rights, group_id = COLLECTIONS[collection]
    if not rights or group_id is not None:
        return 404
    return 404 if ("r" if reads else "w") in rights else 403


def test_nobody_writes_or_deletes_without_the_right(full: World) -> None:
    wrong = []
    for clearance, collection in product(ORDER, COLLECTIONS):
        who, mine = partner_of(clearance), campaign(tlp="red")
        rights, group_id = COLLECTIONS[collection]
        status = full.post(who, collection, mine).status_code
        may_write = "w" in rights and group_id is None
        if status != (202 if may_write else refusal(collection, reads=False)):
            wrong.append((clearance, collection, "post", status))
        deleted = [
            full.ask(who, f"collections/{collection}/objects/{id_}/", "DELETE").status_code
            for id_ in (mine["id"], object_of("clear")["id"], object_of("red")["id"])
        ]
        is_open = rights == "rw" and group_id is None
        closed = 404 if not rights or group_id is not None else 403
        expected = [200, 403, 403 if clearance == "red" else 404] if is_open else [closed] * 3
        if deleted != expected:
            wrong.append((clearance, collection, "delete", deleted))
    assert wrong == []
    assert len(full.seen(partner_of("red"), "both")) == len(MARKED)


def test_a_partner_is_told_of_the_collections_it_has_a_right_in_and_no_other(full: World) -> None:
    for clearance in ORDER:
        listed = full.ask(partner_of(clearance), "collections/").json()["collections"]
        assert {one["alias"]: (one["can_read"], one["can_write"]) for one in listed} == {
            "read": (True, False),
            "write": (False, True),
            "both": (True, True),
        }


def test_a_status_is_told_to_its_sender_alone(full: World) -> None:
    status = full.post(partner_of("green"), "write", campaign()).json()["id"]
    answers = {clearance: full.ask(partner_of(clearance), f"status/{status}/").status_code for clearance in ORDER}
    assert answers == {**dict.fromkeys(ORDER, 404), "green": 200}


def test_the_mark_of_a_page_tells_no_more_than_its_header(full: World) -> None:
    reply = full.ask(partner_of("clear"), "collections/both/objects/", params={"limit": 1})
    place = place_of_mark(reply.json()["next"])
    assert place is not None
    assert told(place) == reply.headers["x-taxii-date-added-last"]


def test_a_key_of_no_partner_and_keys_of_other_roles_see_nothing(full: World) -> None:
    collection = full.ask(partner_of("red"), "collections/").json()["collections"][0]["id"]
    status = full.post(partner_of("red"), "write", campaign()).json()["id"]
    below = (f"collections/{collection}/", f"collections/{collection}/objects/", f"status/{status}/")
    for role in ROLES:
        headers = {**key_with(full, role), "Accept": TAXII}
        asked = [full.client.get(f"/taxii2/default/{path}", headers=headers) for path in ("", "collections/", *below)]
        statuses = [reply.status_code for reply in asked]
        assert statuses == ([200, 200, 404, 404, 404] if role == "partner" else [403] * 5), role
        assert SECRET not in "".join(reply.text for reply in asked)
        if role == "partner":
            assert asked[1].json() == {}


def test_definitions_and_identities_without_a_marking_are_told_to_every_reader(world: World) -> None:
    world.partner("low", "clear")
    world.collection("released", low="r")
    author = {**campaign(1, None), "type": "identity", "identity_class": "system"}
    author["id"] = author["id"].replace("campaign", "identity")
    hidden = {**author, "id": author["id"][:-1] + "2", "object_marking_refs": [TLP_MARKINGS["red"]]}
    world.publish("released", author, hidden, campaign(3, "clear", created_by_ref=author["id"]))
    assert world.seen("low", "released") == [author["id"], campaign(3)["id"]]


def test_a_version_that_is_marked_stricter_leaves_the_older_one_for_who_may_not_see_it(world: World) -> None:
    world.partner("low", "green")
    world.partner("high", "red")
    world.collection("released", low="r", high="r")
    world.publish("released", campaign(1, "green"))
    world.publish("released", campaign(1, "red", modified=NEWER))
    path = f"collections/released/objects/{campaign(1)['id']}/"
    assert [one["modified"] for one in world.ask("low", path).json()["objects"]] == [MOMENT]
    assert [one["modified"] for one in world.ask("high", path).json()["objects"]] == [NEWER]
    assert world.ask("low", f"{path}versions/").json()["versions"] == [MOMENT]
