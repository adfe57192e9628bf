"""What leaves the service: proposed by one person, approved by another, published in the recipient's collection."""

import hashlib
import json
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute
from tests.server.conftest import Clock
from tests.server.sharing.conftest import RECIPIENTS, House

from stillwatch import store
from stillwatch.server import audit as chain
from stillwatch.server.sharing import releases as kept
from stillwatch.server.sharing.routes import router
from stillwatch.server.tables import audit, releases, sent_objects

ASKED = {"recipient": "group"}


@pytest.fixture
def clock(kept_clock: Clock) -> Clock:
    return kept_clock


def rows(house: House, table: sa.Table) -> list[dict[str, Any]]:
    with house.service.database.read() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def test_every_route_needs_its_role(house: House) -> None:
    release = house.proposed()["release_id"]
    for route in router.routes:
        assert isinstance(route, APIRoute)
        path = route.path.replace("{release_id}", release)
        for method in route.methods:
            assert house.client.request(method, path, json=ASKED).status_code == 401
            for who in ("enforcer", "partner"):
                reply = house.client.request(method, path, json=ASKED, headers=house.people[who])
                assert reply.status_code == 403
    assert house.post("analyst", f"releases/{release}/approve").status_code == 403


def test_a_preview_tells_what_is_new_and_what_stays_and_keeps_nothing(house: House) -> None:
    told = house.post("analyst", "preview", ASKED).json()
    assert told["object_count"] > 20
    assert told["marking"] == "amber"
    assert len(told["new"]) > 20
    assert told["withheld"] == []
    told = house.post("analyst", "preview", {"recipient": "feed", "tlp": "amber"}).json()
    assert told["object_count"] == 0
    assert "TLP:CLEAR at most" in told["withheld"][0]["because"]
    assert rows(house, releases) == rows(house, sent_objects) == []


def test_what_was_approved_is_published_byte_for_byte_as_it_was_proposed(house: House) -> None:
    release = house.proposed()
    assert release["state"] == "proposed"
    assert hashlib.sha256(release["bundle"].encode()).hexdigest() == release["digest"]
    assert house.world.seen("n", "for-group") == []
    reply = house.approve(release)
    assert (reply.status_code, reply.json()["state"]) == (200, "released")
    assert reply.json()["ended_by"] == "key:approver"
    told = {one["id"]: one for one in json.loads(release["bundle"])["objects"]}
    published = house.world.ask("n", "collections/for-group/objects/").json()["objects"]
    assert {one["id"]: one for one in published} == told
    assert house.world.seen("n", "for-north") == []


def test_the_audit_says_who_and_what_and_nothing_of_the_contents(house: House) -> None:
    release = house.released()
    mine = [row for row in rows(house, audit) if row["subject"] == release["release_id"]]
    told = {row["action"]: row for row in mine}
    assert told["release.proposed"]["principal"] == "key:analyst"
    approved = told["release.approved"]
    assert approved["principal"] == approved["after"]["approver"] == "key:approver"
    assert approved["after"]["digest"] == release["digest"]
    assert approved["after"]["object_ids"] == release["object_ids"]
    for one in json.loads(release["bundle"])["objects"]:
        for value in next(iter(one.get("extensions", {}).values()), {}).get("values", ()):
            assert value["value"] not in json.dumps(approved["after"])
    with house.service.database.read() as connection:
        assert chain.broken(connection) is None


def test_who_proposes_cannot_approve(house: House) -> None:
    release = house.post("both", "releases", ASKED).json()
    assert house.approve(release, "both").status_code == 403
    assert house.world.seen("n", "for-group") == []
    assert house.approve(release, "approver").status_code == 200


def test_a_release_leaves_once(house: House) -> None:
    release = house.released()
    assert house.approve(release, "both").status_code == 409
    assert house.post("analyst", f"releases/{release['release_id']}/withdraw").status_code == 409
    (row,) = rows(house, releases)
    assert (row["bundle"], row["preview"]) == (None, None)


def test_nothing_new_is_not_proposed_again(house: House) -> None:
    house.released()
    reply = house.post("analyst", "releases", ASKED)
    assert (reply.status_code, reply.json()["detail"]) == (409, "Nothing new would leave for group.")


def test_others_write_while_the_gate_works(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate may take seconds; decisions and logins must not wait for it."""

    def busy(*given: Any, **named: Any) -> Any:
        with house.service.database.write() as connection:
            chain.record(connection, at=house.service.now(), principal="other", action="other", subject="meanwhile")
        return through_gate(*given, **named)

    through_gate = kept.through_gate
    release = house.proposed()
    monkeypatch.setattr(kept, "through_gate", busy)
    assert house.approve(release).status_code == 200
    assert "meanwhile" in {row["subject"] for row in rows(house, audit)}


def test_what_left_while_the_gate_worked_stops_an_approval_and_a_proposal(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = house.proposed(), house.proposed()
    through_gate, outbound = kept.through_gate, kept.outbound

    def overtaken(*given: Any, **named: Any) -> Any:
        monkeypatch.undo()
        assert house.approve(first).status_code == 200
        return through_gate(*given, **named)

    monkeypatch.setattr(kept, "through_gate", overtaken)
    reply = house.approve(second)
    assert (reply.status_code, "in this very moment" in reply.json()["detail"]) == (409, True)
    assert house.approve(second).status_code == 200

    third = house.proposed("north")

    def outrun(*given: Any, **named: Any) -> Any:
        monkeypatch.undo()
        assert house.approve(third).status_code == 200
        return outbound(*given, **named)

    monkeypatch.setattr(kept, "outbound", outrun)
    reply = house.post("analyst", "releases", {"recipient": "north"})
    assert (reply.status_code, "in this very moment" in reply.json()["detail"]) == (409, True)


def test_a_release_that_ended_while_the_gate_worked_does_not_leave(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = house.proposed()
    through_gate = kept.through_gate

    def withdrawn(*given: Any, **named: Any) -> Any:
        house.post("analyst", f"releases/{release['release_id']}/withdraw")
        return through_gate(*given, **named)

    monkeypatch.setattr(kept, "through_gate", withdrawn)
    reply = house.approve(release)
    assert (reply.status_code, reply.json()["detail"]) == (409, "This release is withdrawn already.")
    assert house.world.seen("n", "for-group") == []


def test_a_second_of_two_equal_proposals_does_not_leave(house: House) -> None:
    first, second = house.proposed(), house.proposed()
    assert house.approve(first).status_code == 200
    assert house.approve(second).status_code == 200  # the same versions again: nobody learns anything new
    assert len(rows(house, sent_objects)) == first["object_count"]


def test_what_changed_is_a_newer_version_with_its_changes_told(house: House, clock: Clock) -> None:
    house.released()
    clock.pass_by(hours=1)
    grown = house.campaigns()
    grown[0]["exposure"]["output_tokens"] = 99_000_000
    house.detected(grown)
    release = house.proposed()
    told = house.get("approver", f"releases/{release['release_id']}").json()["preview"]["changed"]
    assert any(change["after"] == 99_000_000 for changes in told.values() for change in changes)
    assert house.approve(release).status_code == 200


def test_a_campaign_that_was_explained_meanwhile_does_not_leave(house: House) -> None:
    release = house.proposed()
    campaigns = house.campaigns()
    campaigns[0]["verdict"] = "explained"
    house.detected(campaigns)
    reply = house.approve(release)
    assert reply.status_code == 409
    assert "not found any more, or is explained" in reply.json()["detail"]
    assert house.world.seen("n", "for-group") == []


def test_a_recipient_that_may_see_less_by_now_gets_nothing(house: House) -> None:
    release = house.proposed()
    less = RECIPIENTS.replace('clearance = "amber"\ngroups', 'clearance = "green"\ngroups')
    house.recipients().write_text(less)
    reply = house.approve(release)
    assert reply.status_code == 409
    assert house.world.seen("n", "for-group") == []


def test_an_old_proposal_does_not_leave(house: House, clock: Clock) -> None:
    release = house.proposed()
    clock.pass_by(hours=24)
    assert "24 hours ago" in house.approve(release).json()["detail"]


def test_a_withdrawn_proposal_does_not_leave(house: House) -> None:
    release = house.proposed()
    reply = house.post("analyst", f"releases/{release['release_id']}/withdraw")
    assert (reply.status_code, reply.json()["state"]) == (200, "withdrawn")
    assert house.approve(release).status_code == 409


def test_taking_back_is_proposed_and_approved_as_well(house: House, clock: Clock) -> None:
    first = house.released()
    clock.pass_by(hours=1)
    campaign_id = house.campaigns()[0]["campaign_id"]
    release = house.proposed(revoke=[campaign_id], because="innocent")
    assert release["act"] == "revoke"
    assert house.approve(release).status_code == 200
    newest = {one["id"]: one for one in house.world.ask("n", "collections/for-group/objects/").json()["objects"]}
    subject = next(
        one for one in newest.values() if one.get("name", "").endswith(campaign_id) and one["type"] == "campaign"
    )
    assert subject["revoked"] is True
    assert subject["id"] in first["object_ids"]
    again = house.post("analyst", "preview", ASKED).json()
    assert any("revoked here" in one["because"] for one in again["withheld"])


def test_keyed_values_leave_only_into_a_collection_of_their_group(house: House) -> None:
    house.world.collection("open", None, n="r", m="r")
    loose = '[recipients.loose]\nclearance = "amber"\ngroups = ["g-frontier"]\ncollection = "open"\n'
    house.recipients().write_text(RECIPIENTS + loose)
    reply = house.approve(house.proposed("loose"))
    assert reply.status_code == 409
    assert "only into a collection of that sharing group" in reply.json()["detail"]
    assert house.world.seen("n", "open") == []


def test_red_leaves_only_where_one_partner_reads(house: House) -> None:
    assert house.released("north", tlp="red")["marking"] == "red"
    two = RECIPIENTS.split("[recipients.group]")[0].replace("north", "two").replace("for-two", "for-group")
    house.recipients().write_text(RECIPIENTS + two)
    assert "one reader" in house.approve(house.proposed("two", tlp="red")).json()["detail"]


def test_what_cannot_be_is_told_with_its_reason(house: House) -> None:
    for recipient, status, words in (
        ("stranger", 400, "is not in the file of recipients"),
        ("nowhere", 409, "has no collection"),
        ("lost", 422, "there is no such collection"),
    ):
        reply = house.post("analyst", "releases", {"recipient": recipient})
        if reply.status_code == 201:
            reply = house.approve(reply.json())
        assert (reply.status_code, words in reply.json()["detail"]) == (status, True), reply.text
    reply = house.post("analyst", "releases", {"recipient": "group", "revoke": ["c-0"]})
    assert (reply.status_code, "was not sent" in reply.json()["detail"]) == (400, True)
    assert house.post("analyst", "releases", {"recipient": "feed", "tlp": "amber"}).status_code == 409
    assert house.get("analyst", f"releases/{'0' * 20}").status_code == 404


def test_before_the_first_detection_there_is_nothing_to_share(house: House) -> None:
    (house.folder / store.RUN).unlink()
    reply = house.post("analyst", "preview", ASKED)
    assert (reply.status_code, reply.json()["detail"]) == (409, "There was no detection yet.")


def test_releases_are_listed_newest_first_in_pages(house: House) -> None:
    made = [house.proposed()["release_id"] for _ in range(3)]
    page = house.get("approver", "releases", limit=2).json()
    assert [row["release_id"] for row in page["releases"]] == [made[2], made[1]]
    page = house.get("approver", "releases", limit=2, after=page["next"]).json()
    assert ([row["release_id"] for row in page["releases"]], page["next"]) == ([made[0]], None)
    assert house.get("approver", "releases", state="released").json()["releases"] == []


def test_the_public_feed_holds_no_value_of_any_trait(house: House) -> None:
    release = house.released("feed")
    assert release["marking"] == "clear"
    assert not [one for one in json.loads(release["bundle"])["objects"] if one["type"] == "indicator"]
