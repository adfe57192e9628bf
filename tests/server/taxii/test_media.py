"""Media types both ways, error objects, and requests that are wrong before anything is looked at."""

import base64
from typing import Any

import pytest
from tests.server.taxii.conftest import ROOT, TAXII, World, campaign

from stillwatch.server.access import made_key
from stillwatch.server.failures import ALLOWED
from stillwatch.server.taxii import posting


@pytest.fixture(scope="module")
def mine(common_world: World) -> World:
    common_world.partner("north")
    common_world.collection("box", north="rw")
    common_world.collection("empty", north="r")
    return common_world


def error_of(reply: Any) -> tuple[int, str]:
    """The status of a refusal, once its form was looked at, and its title."""
    told = reply.json()
    assert reply.headers["content-type"] == TAXII
    assert set(told) == {"title", "description", "http_status"}
    assert told["http_status"] == str(reply.status_code)
    return reply.status_code, told["title"]


# Values of Accept that TAXII 2.1 is among.
TAKES_TAXII = (
    TAXII,
    "application/taxii+json",
    "application/taxii+json; version=2.1",
    'APPLICATION/TAXII+JSON;version="2.1"',
    "text/html, application/taxii+json;version=2.1;q=0.5",
    "application/taxii+json;version=2.0, application/taxii+json;version=2.1",
    "application/*",
    "*/*;q=0.8",
    "",
)


def test_a_client_that_takes_taxii_gets_it(mine: World) -> None:
    for accept in TAKES_TAXII:
        reply = mine.ask("north", "collections/empty/objects/", headers={"Accept": accept})
        assert (reply.status_code, reply.headers["content-type"], reply.json()) == (200, TAXII, {}), accept
        assert reply.headers["x-content-type-options"] == "nosniff"


# And those that it is not.
TAKES_NONE = (
    "application/json",
    "application/taxii+json;version=2.0",
    "application/vnd.oasis.taxii+json; version=2.0",
    "application/stix+json;version=2.1",
    "application/taxii+json;version=2.1;q=0",
    "text/*",
    "nonsense",
    "," * 500,
)


def test_a_client_that_takes_no_taxii_is_told_406_everywhere(mine: World) -> None:
    for accept in TAKES_NONE:
        headers = {"Authorization": f"Bearer {mine.keys['north']}", "Accept": accept}
        for path in ("/taxii2/", ROOT, f"{ROOT}collections/", f"{ROOT}collections/box/objects/"):
            told = error_of(mine.client.get(path, headers=headers))
            assert told == (406, "The media type that is wanted is not served"), (accept, path)


# Content that is not ours.
OTHER_CONTENT = (
    "application/json",
    "application/taxii+json;version=2.0",
    "application/vnd.oasis.stix+json;version=2.0",
    "application/stix+json;version=2.1",
    "application/*",
    "*/*",
    "",
)


def test_content_of_another_type_is_told_415(mine: World) -> None:
    for content_type in OTHER_CONTENT:
        headers = {"Content-Type": content_type}
        reply = mine.ask("north", "collections/box/objects/", "POST", headers, content=b'{"objects": []}')
        assert error_of(reply) == (415, "The content has a media type that is not taken"), content_type


def test_content_without_a_version_is_taken_as_ours(mine: World) -> None:
    headers = {"Content-Type": "application/taxii+json"}
    reply = mine.ask("north", "collections/box/objects/", "POST", headers, json={"objects": [campaign()]})
    assert (reply.status_code, reply.headers["content-type"]) == (202, TAXII)


def test_packed_content_is_refused_and_not_unpacked(mine: World) -> None:
    headers = {"Content-Type": TAXII, "Content-Encoding": "gzip"}
    assert error_of(mine.ask("north", "collections/box/objects/", "POST", headers, content=b"\x1f\x8b"))[0] == 415


# Content of the right type that is no envelope.
NO_ENVELOPES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"{}",
    b'{"objects": {}}',
    b'{"objects": []}',
    b"\xff",
    b"[" * 5000,
    b'"\\ud800"',
)


def test_content_that_is_no_envelope_is_told_422(mine: World) -> None:
    for content in NO_ENVELOPES:
        reply = mine.ask("north", "collections/box/objects/", "POST", {"Content-Type": TAXII}, content=content)
        assert error_of(reply) == (422, "The content cannot be processed"), content[:20]


def test_content_that_is_too_long_is_told_413_before_it_was_read(mine: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "MOST_CONTENT_BYTES", 2000)
    assert mine.ask("north", "").json()["max_content_length"] == 2000
    assert mine.post("north", "box", campaign()).status_code == 202
    assert error_of(mine.post("north", "box", campaign(description="x" * 2000)))[0] == 413

    def pieces() -> Any:
        yield b"x" * 1500
        yield b"x" * 1500

    streamed = mine.ask("north", "collections/box/objects/", "POST", {"Content-Type": TAXII}, content=pieces())
    assert error_of(streamed)[0] == 413


def test_who_may_not_write_is_told_so_whatever_was_sent(mine: World) -> None:
    mine.collection("shut", north="r")
    assert error_of(mine.post("north", "shut", campaign())) == (403, "This is not allowed")
    shut = mine.ask("north", "collections/shut/objects/", "POST", {"Content-Type": TAXII}, content=b"{")
    assert error_of(shut) == (403, "This is not allowed")
    assert error_of(mine.post("north", "no-such", campaign())) == (404, "There is no such thing here")


# Paths below the API root to nothing.
NOWHERE = (
    "collections/no-such/",
    "collections/%00/",
    "collections/%C3%A9/objects/",
    "collections/box/objects/campaign--nothing/",
    "collections/box/objects/%00/",
    "collections/box/objects/%00/versions/",
    f"collections/box/objects/{'x' * 500}/",
    "status/nothing/",
    "status/%00/",
)


def test_what_is_not_there_is_told_404(mine: World) -> None:
    assert [path for path in NOWHERE if error_of(mine.ask("north", path))[0] != 404] == []


def test_a_path_without_its_last_slash_leads_to_the_one_with_it(mine: World) -> None:
    headers = {"Authorization": f"Bearer {mine.keys['north']}"}
    assert mine.client.get("/taxii2", headers=headers).json()["default"] == ROOT


def test_a_key_may_come_in_each_way_and_a_wrong_one_in_none(mine: World) -> None:
    def basic(user: str, password: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}

    key = mine.keys["north"]
    ways = (basic("north", key), basic("", key), {"X-API-Key": key}, {"Authorization": f"Token {key}"})
    for headers in (*ways, {"Authorization": f"bearer {key}"}):
        assert mine.client.get(ROOT, headers=headers).status_code == 200
    wrong = ("Basic", "Basic !", "Basic " + "A" * 9, "Basic /w==", "Token", "Token x", "Digest x", f"Basic {key}")
    for authorization in wrong:
        reply = mine.client.get(ROOT, headers={"Authorization": authorization})
        assert error_of(reply) == (401, "Authentication is needed"), authorization
        assert "detail" not in reply.json()
    for headers in (basic(key, "north"), basic("north", key[:-1])):
        assert mine.client.get(ROOT, headers=headers).status_code == 401


def test_basic_opens_nothing_but_taxii(mine: World) -> None:
    key = made_key(mine.service.database, name="root", roles=["admin"], by="tests", now=mine.service.now())
    basic = {"Authorization": "Basic " + base64.b64encode(f"root:{key}".encode()).decode()}
    assert mine.client.get("/v1/partners", headers={"X-API-Key": key}).status_code == 200
    assert mine.client.get("/v1/partners", headers=basic).status_code == 401
    assert error_of(mine.client.get(ROOT, headers=basic)) == (403, "This is not allowed")


def test_many_wrong_keys_are_asked_to_wait_and_a_right_one_still_passes(world: World) -> None:
    world.partner("north")
    statuses = [world.client.get(ROOT, headers={"Authorization": "Basic x"}).status_code for _ in range(ALLOWED + 1)]
    assert statuses == [401] * ALLOWED + [429]
    assert world.ask("north", "").status_code == 200
