"""Partners and collections, looked after over HTTP and on the command line, with a line in the audit log each time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from fastapi.testclient import TestClient
from tests.server.taxii.conftest import ROOT, World, campaign

from stillwatch.server import ServerSettings, Service, application, opened
from stillwatch.server.access import Principal
from stillwatch.server.settings import Storing
from stillwatch.server.tables import audit, taxii_collections
from stillwatch.server.taxii import Partner, partner_of

IDENTITY = "identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"


def actions(service: Service) -> list[str]:
    with service.database.read() as connection:
        return list(connection.execute(sa.select(audit.c.action).order_by(audit.c.sequence)).scalars())


def test_a_partner_is_who_holds_a_key_of_its_name_with_the_role(world: World) -> None:
    world.partner("north", "green", groups=["group-a"])
    with world.service.database.read() as connection:
        one = partner_of(connection, Principal("key:north", frozenset({"partner", "ingest"})))
        assert one == Partner("north", "north", "green", None, ("group-a",))
        assert partner_of(connection, Principal("key:north", frozenset({"admin"}))) is None
        assert partner_of(connection, Principal("key:south", frozenset({"partner"}))) is None
        assert partner_of(connection, Principal("oidc:north", frozenset({"partner"}))) is None


def test_an_administrator_adds_changes_and_removes_partners(
    world: World, key_for: Callable[..., dict[str, str]]
) -> None:
    client, headers = world.client, key_for("admin")
    told = {"partner_id": "north", "name": "North", "clearance": "green", "identity_ref": IDENTITY, "groups": ["a"]}
    assert client.post("/v1/partners", json=told, headers=headers).status_code == 201
    again = client.post("/v1/partners", json=told, headers=headers)
    assert (again.status_code, "is known already" in again.json()["detail"]) == (422, True)
    changed = client.patch("/v1/partners/north", json={"clearance": "red", "groups": []}, headers=headers)
    assert changed.status_code == 200
    [row] = client.get("/v1/partners", headers=headers).json()["partners"]
    assert {**told, "clearance": "red", "groups": []}.items() <= row.items()
    client.patch("/v1/partners/north", json={}, headers=headers)  # changes nothing, and says nothing
    assert client.delete("/v1/partners/north", headers=headers).json() == {"revoked_keys": 0}
    for method, path in (("PATCH", "north"), ("DELETE", "north"), ("DELETE", "%00")):
        reply = client.request(method, f"/v1/partners/{path}", json={} if method == "PATCH" else None, headers=headers)
        assert reply.status_code == 404
    assert actions(world.service)[1:] == ["partner.added", "partner.changed", "partner.removed"]


def test_what_cannot_be_told_of_a_partner_or_a_collection_is_refused(
    world: World, key_for: Callable[..., dict[str, str]]
) -> None:
    good, headers = {"partner_id": "north", "name": "North"}, key_for("admin")
    for wrong in (
        {"partner_id": "North"},
        {"partner_id": "-"},
        {"partner_id": "x" * 64},
        {"name": "two\nlines"},
        {"name": ""},
        {"clearance": "purple"},
        {"identity_ref": "identity--1"},
        {"groups": ["a b"]},
        {"groups": ["a"] * 101},
    ):
        reply = world.client.post("/v1/partners", json={**good, **wrong}, headers=headers)
        assert reply.status_code in (400, 422), wrong
    for wrong in (
        {"title": ""},
        {"title": "a\nb"},
        {"title": "a", "alias": "A"},
        {"title": "a", "alias": "x" * 36},
        {"title": "a", "group_id": "a b"},
        {"title": "a", "description": "\x00"},
    ):
        assert world.client.post("/v1/collections", json=wrong, headers=headers).status_code in (400, 422), wrong
    assert actions(world.service) == ["key.made"]


def test_rights_are_granted_changed_and_taken_away(world: World, key_for: Callable[..., dict[str, str]]) -> None:
    client, headers = world.client, key_for("admin")
    world.partner("north")
    made = client.post("/v1/collections", json={"title": "Released", "alias": "released"}, headers=headers).json()
    assert (
        client.post("/v1/collections", json={"title": "Other", "alias": "released"}, headers=headers).status_code == 422
    )
    rights = f"/v1/collections/{made['collection_id']}/rights/north"
    assert world.ask("north", "collections/released/").status_code == 404
    for told in ({"can_read": True}, {"can_write": True}, {"can_read": True, "can_write": True}):
        assert client.put(rights, json=told, headers=headers).status_code == 204
        shown = world.ask("north", "collections/released/").json()
        assert {name: shown[name] for name in ("can_read", "can_write")} == {
            "can_read": False,
            "can_write": False,
            **told,
        }
    [listed] = client.get("/v1/collections", headers=headers).json()["collections"]
    assert listed["rights"] == [{"partner_id": "north", "can_read": True, "can_write": True}]
    assert client.put(rights, json={}, headers=headers).status_code == 204
    assert world.ask("north", "collections/").json() == {}
    for path in ("no-such/rights/north", "released/rights/no-such", "released/rights/%00"):
        assert client.put(f"/v1/collections/{path}", json={"can_read": True}, headers=headers).status_code == 404
    assert actions(world.service)[-4:] == ["collection.granted"] * 4


def test_a_collection_of_a_sharing_group_is_open_to_members_for_as_long_as_they_are(world: World) -> None:
    world.partner("north", groups=["group-a"])
    world.partner("south")
    world.collection("inner", "group-a", north="rw")
    headers = {"Authorization": f"Bearer {admin_key(world.service)}"}
    refused = world.client.put("/v1/collections/inner/rights/south", json={"can_read": True}, headers=headers)
    assert (refused.status_code, "members of group-a" in refused.json()["detail"]) == (400, True)
    assert world.ask("north", "collections/inner/objects/").status_code == 200
    world.client.patch("/v1/partners/north", json={"groups": ["group-b"]}, headers=headers)
    assert world.ask("north", "collections/inner/objects/").status_code == 404
    assert world.post("north", "inner", campaign()).status_code == 404


def admin_key(service: Service) -> str:
    from stillwatch.server.access import made_key

    return made_key(service.database, name="root", roles=["admin"], by="tests", now=service.now())


def test_a_partner_that_is_removed_is_shut_out_and_a_later_one_of_its_name_inherits_nothing(world: World) -> None:
    first = world.partner("north", "red")
    world.collection("box", north="rw")
    status = world.post("north", "box", campaign(1, "red")).json()["id"]
    headers = {"Authorization": f"Bearer {admin_key(world.service)}"}
    assert world.client.delete("/v1/partners/north", headers=headers).json() == {"revoked_keys": 1}
    assert world.client.get(ROOT, headers={"Authorization": f"Bearer {first}"}).status_code == 401
    world.partner("north", "green")
    assert world.ask("north", "collections/").json() == {}
    world.client.put("/v1/collections/box/rights/north", json={"can_read": True, "can_write": True}, headers=headers)
    assert world.seen("north", "box") == []
    assert world.ask("north", f"status/{status}/").status_code == 404
    assert world.post("north", "box", campaign(1, modified="2026-02-03T00:00:00.000Z")).json()["failure_count"] == 1


def test_an_administrator_takes_out_what_should_not_be_there(
    world: World, key_for: Callable[..., dict[str, str]]
) -> None:
    world.partner("north")
    world.collection("box", north="rw")
    world.post("north", "box", campaign(1))
    path, headers = f"/v1/collections/box/objects/{campaign(1)['id']}", key_for("admin")
    assert world.client.delete(path, headers=headers).json() == {"versions": 1}
    assert world.client.delete(path, headers=headers).status_code == 404
    assert world.seen("north", "box") == []
    assert actions(world.service)[-1] == "collection.withdrawn"


def test_the_command_line_does_all_of_it(run: Callable[..., Any], tmp_path: Path) -> None:
    place = ("--state", tmp_path / "state")
    key = run("partners", "add", "north", "--clearance", "green", "--group", "group-a", *place).out.strip()
    collection = run("collections", "add", "What we release", "--alias", "released", *place).out.strip()
    granted = run("partners", "grant", "north", "released", "--read", *place)
    assert granted.err == "north may read released.\n"
    with (
        opened(ServerSettings(storage=Storing(state=tmp_path / "state"))) as held,
        TestClient(application(held)) as client,
    ):
        reply = client.get(f"{ROOT}collections/", headers={"Authorization": f"Bearer {key}"})
        assert [one["id"] for one in reply.json()["collections"]] == [collection]
    run("partners", "change", "north", "--clearance", "red", "--no-groups", *place)
    assert "north,north,red,,," in run("partners", "list", "--format", "csv", *place).out
    assert '"groups": []' in run("partners", "list", "--format", "json", *place).out
    assert (
        f"{collection},released,What we release,,north:r" in run("collections", "list", "--format", "csv", *place).out
    )
    assert '"can_read": true' in run("collections", "list", "--format", "json", *place).out
    assert run("partners", "grant", "north", "released", *place).err == "north may do nothing in released.\n"
    assert run("partners", "remove", "north", *place).err == "north is removed; 1 of its keys were revoked.\n"
    wrong = run("partners", "grant", "north", "released", "--read", *place)
    assert (wrong.code, wrong.err) == (1, "stillwatch: there is no such partner; see `stillwatch partners list`\n")
    assert run("partners", "add", "South", *place).code == 2


def test_no_collection_is_there_before_one_is_made(service: Service) -> None:
    with service.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(taxii_collections)).scalar_one() == 0
