"""The OASIS client, as others use it, against the service on a real socket."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from taxii2client.common import TokenAuth
from taxii2client.v21 import ApiRoot, Collection, Server, as_pages
from tests.server.decisions.serving import served
from tests.server.taxii.conftest import MOMENT, ROOT, TAXII, World, campaign

from stillwatch.sharing import bundle
from stillwatch.sharing.objects import EXTENSION_ID, EXTENSION_VERSION, extension, extension_definition

SAMPLES = Path(__file__).parent.parent.parent / "golden" / "sample_campaigns.json"


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with served(world.service) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def released(world: World, url: str) -> Iterator[Collection]:
    """A collection with five objects, as the partner north has it: it may read and write."""
    key = world.partner("north")
    world.collection("released", north="rw")
    world.publish("released", *(campaign(number) for number in range(1, 6)))
    with Server(f"{url}/taxii2/", user="north", password=key) as server, server.default as root:
        yield root.collections[0]


def ids(envelope: dict[str, Any]) -> list[str]:
    return [object_["id"] for object_ in envelope.get("objects", [])]


def test_a_client_finds_its_way_from_discovery_to_objects(released: Collection, url: str, world: World) -> None:
    with Server(f"{url}/taxii2/", user="whoever", password=world.keys["north"]) as server:
        assert server.title == "stillwatch"
        [root] = server.api_roots
        assert (root.url, root.versions, root.max_content_length) == (f"{url}{ROOT}", [TAXII], 8 << 20)
        [collection] = root.collections
        root.close()
    assert (collection.title, collection.can_read, collection.can_write) == ("released", True, True)
    assert collection.media_types == ["application/stix+json;version=2.1"]
    assert ids(released.get_objects()) == [campaign(number)["id"] for number in range(1, 6)]
    with Collection(collection.url, auth=TokenAuth(world.keys["north"])) as by_token:
        assert by_token.title == "released"
    assert world.ask("north", "collections/released/").json() == collection._raw  # the client itself knows no alias


def test_a_client_pages_through_objects_and_manifest(released: Collection) -> None:
    assert [len(ids(page)) for page in as_pages(released.get_objects, per_request=2)] == [2, 2, 1]
    found = [entry for page in as_pages(released.get_manifest, per_request=3) for entry in page["objects"]]
    assert [entry["id"] for entry in found] == ids(released.get_objects())
    assert {entry["version"] for entry in found} == {MOMENT}
    assert all(re.fullmatch(r"2026-03-01T12:00:00\.\d{6}Z", entry["date_added"]) for entry in found)
    added = [entry["date_added"] for entry in found]
    assert added == sorted(set(added))


def test_a_client_filters_by_id_type_version_and_when_it_was_added(released: Collection, world: World) -> None:
    newer = campaign(2, modified="2026-02-02T00:00:00.000Z", revoked=True)
    world.publish("released", newer, {**newer, "type": "tool", "id": newer["id"].replace("campaign", "tool")})
    one = campaign(2)["id"]
    assert ids(released.get_objects(type="tool")) == [newer["id"].replace("campaign", "tool")]
    assert ids(released.get_objects(id=[one, campaign(4)["id"]])) == [campaign(4)["id"], one]
    assert [o["modified"] for o in released.get_object(one)["objects"]] == [newer["modified"]]
    assert [o["modified"] for o in released.get_object(one, version="first")["objects"]] == [MOMENT]
    assert [o["modified"] for o in released.get_object(one, version=MOMENT)["objects"]] == [MOMENT]
    assert released.object_versions(one)["versions"] == [MOMENT, newer["modified"]]
    assert len(ids(released.get_objects(version="all"))) == 7
    assert released.get_objects(spec_version="2.0") == {}
    third = released.get_manifest()["objects"][2]["date_added"]
    assert len(ids(released.get_objects(added_after=third))) == 3
    assert released.get_object(one, version="2020-01-01T00:00:00.000Z") == {}


def test_a_client_adds_objects_reads_their_status_and_deletes_them(
    released: Collection, url: str, world: World
) -> None:
    good, bad = campaign(), {**campaign(), "first_seen": "yesterday"}
    status = released.add_objects({"objects": [good, bad]}, timeout=1)
    assert (status.status, status.success_count, status.failure_count) == ("complete", 1, 1)
    assert [entry["id"] for entry in status.successes] == [good["id"]]
    assert [entry["id"] for entry in status.failures] == [bad["id"]]
    with ApiRoot(f"{url}{ROOT}", user="north", password=world.keys["north"]) as root:
        assert root.get_status(status.id)._raw == status._raw
    assert released.get_object(good["id"])["objects"] == [good]
    released.delete_object(good["id"])
    with pytest.raises(requests.HTTPError, match="404"):
        released.get_object(good["id"])
    with pytest.raises(requests.HTTPError, match="403"):
        released.delete_object(campaign(1)["id"])


def test_objects_with_a_version_of_their_own_are_kept_and_found(released: Collection, world: World) -> None:
    own = {**campaign(9), "extensions": extension(verdict="coordinated", account_count=50)}
    other = {**extension_definition()[1], "id": EXTENSION_ID[:-4] + "0000", "version": "7.0.0"}
    world.publish("released", *extension_definition(), own)
    assert released.add_objects({"objects": [other, *extension_definition()]}, timeout=1).success_count == 3
    found = released.get_objects(type="extension-definition")["objects"]
    assert {object_["version"] for object_ in found} == {"7.0.0", EXTENSION_VERSION}
    assert released.get_object(own["id"])["objects"] == [own]
    assert len(ids(released.get_objects())) == 9


def test_a_bundle_of_ours_passes_through_unchanged_released_or_sent(released: Collection, world: World) -> None:
    campaigns = json.loads(SAMPLES.read_text(encoding="utf-8"))
    objects = json.loads(bundle(campaigns, now=world.service.now(), tlp="amber"))["objects"]
    assert {"extension-definition", "indicator", "relationship"} <= {object_["type"] for object_ in objects}
    world.publish("released", *objects)
    assert released.get_objects()["objects"][5:] == objects
    world.collection("box", north="rw")
    with ApiRoot(released.url.partition("collections/")[0], user="north", password=world.keys["north"]) as root:
        box = next(one for one in root.collections if one.title == "box")
        assert box.add_objects({"objects": objects}, timeout=1).failures == []
        assert box.get_objects()["objects"] == objects


def test_headers_tell_when_the_first_and_the_last_object_of_a_page_were_added(
    released: Collection, world: World
) -> None:
    added = [entry["date_added"] for entry in released.get_manifest()["objects"]]
    for path in ("objects/", "manifest/", f"objects/{campaign(1)['id']}/", f"objects/{campaign(1)['id']}/versions/"):
        headers = world.ask("north", f"collections/released/{path}").headers
        last = added[0] if "--" in path else added[-1]
        assert (headers["x-taxii-date-added-first"], headers["x-taxii-date-added-last"]) == (added[0], last)
    last = world.ask("north", "collections/released/objects/", params={"limit": 2}).headers["x-taxii-date-added-last"]
    assert ids(released.get_objects(added_after=last)) == [campaign(number)["id"] for number in (3, 4, 5)]


def test_without_a_valid_key_a_client_is_asked_for_one_in_both_ways(url: str, world: World) -> None:
    for auth in (None, ("north", "guess"), ("north", ""), TokenAuth("sw_guess")):
        reply = requests.get(f"{url}/taxii2/", auth=auth, timeout=20)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"].startswith("Basic ")
        assert "Bearer " in reply.headers["www-authenticate"]
        assert reply.headers["content-type"] == TAXII
        assert reply.json()["http_status"] == "401"
