"""The client against the OASIS reference server, and against servers that are slow, broken or hostile."""

import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.partners.conftest import TAXII, Medallion, Scripted
from tests.partners.world import COLLECTION, NOON, indicator, lead, uid

from stillwatch.errors import SettingsError, SharingError
from stillwatch.partners.logins import Login, login
from stillwatch.partners.taxii import Added, Taxii, _parts
from stillwatch.partners.wire import Wire
from stillwatch.sharing.objects import extension_definition

SECRET = "correct-horse-battery-staple"


def client_of(scripted: Scripted, **more: Any) -> Taxii:
    wire = Wire(scripted.url, Login(f"Bearer {SECRET}"), **{"wait": lambda _: None, **more})
    return Taxii(wire, scripted.url)


def reference(medallion: Medallion) -> Taxii:
    wire = Wire(medallion.url, login(f"file:{medallion.credentials}", "here"), wait=lambda _: None)
    return Taxii(wire, medallion.url)


def test_objects_come_back_from_the_reference_server_page_by_page_as_they_were_sent(medallion: Medallion) -> None:
    client = reference(medallion)
    sent = [object_ for number in range(5) for object_ in lead(number)]
    assert client.add(COLLECTION, sent) == Added(15, 0, 0)
    pages = list(client.pages(COLLECTION))
    assert [len(page.objects) for page in pages] == [4, 4, 4, 3]
    assert [page.is_last for page in pages] == [False, False, False, True]
    came = {object_["id"]: object_ for page in pages for object_ in page.objects}
    assert came == {object_["id"]: object_ for object_ in sent}


def test_what_was_added_after_the_last_page_comes_alone(medallion: Medallion) -> None:
    client = reference(medallion)
    client.add(COLLECTION, lead(1))
    (page,) = client.pages(COLLECTION)
    assert page.last_added is not None
    assert [page.objects for page in client.pages(COLLECTION, added_after=page.last_added)] == [[]]
    client.add(COLLECTION, [indicator(7)])
    (later,) = client.pages(COLLECTION, added_after=page.last_added)
    assert [object_["id"] for object_ in later.objects] == [uid("indicator", 7)]


def test_a_collection_is_found_by_its_title(medallion: Medallion) -> None:
    client = reference(medallion)
    assert client.collection_id("indicators") == COLLECTION
    with pytest.raises(SharingError, match="no collection nothing"):
        client.collection_id("nothing")


def test_the_reference_server_breaks_on_extension_definitions_and_its_failure_is_told(medallion: Medallion) -> None:
    client = reference(medallion)
    client.add(COLLECTION, [*extension_definition(), indicator()])
    with pytest.raises(SharingError, match="answers with status 500"):
        list(client.pages(COLLECTION))


def test_a_wrong_password_is_told_without_the_password(medallion: Medallion) -> None:
    wire = Wire(medallion.url, Login("Basic " + base64.b64encode(b"stillwatch:" + SECRET.encode()).decode()))
    with pytest.raises(SharingError, match="does not know our credentials") as raised:
        Taxii(wire, medallion.url).root()
    assert SECRET not in str(raised.value)


def test_a_refused_part_is_told(medallion: Medallion) -> None:
    object_ = indicator(description="x" * 70_000)
    with pytest.raises(SharingError, match="more than the server takes"):
        reference(medallion).add(COLLECTION, [object_])


def test_requests_say_what_taxii_wants_and_ask_for_nothing_packed(scripted: Scripted) -> None:
    list(client_of(scripted).pages(COLLECTION, added_after=NOON))
    ((method, path, headers, _),) = scripted.asked
    assert (method, headers["accept"]) == ("GET", "application/taxii+json;version=2.1")
    assert (headers["accept-encoding"], headers["authorization"]) == ("identity", f"Bearer {SECRET}")
    assert path == f"/api/collections/{COLLECTION}/objects/?limit=500&added_after=2026-03-01T12%3A00%3A00.000000Z"


def test_a_server_without_next_is_read_on_by_the_moment_of_its_last_object(scripted: Scripted) -> None:
    last = {**TAXII, "X-TAXII-Date-Added-Last": "2026-02-01T00:00:00.000000Z"}
    first_page = json.dumps({"objects": [indicator(1)], "more": True}).encode()
    scripted.answers = [(200, last, first_page), (200, TAXII, json.dumps({"objects": [indicator(2)]}).encode())]
    pages = list(client_of(scripted).pages(COLLECTION))
    assert [page.objects[0]["id"] for page in pages] == [uid("indicator", 1), uid("indicator", 2)]
    assert scripted.paths()[1].endswith("?limit=500&added_after=2026-02-01T00%3A00%3A00.000000Z")


def test_pages_that_lead_nowhere_or_never_end_are_refused(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted.says({"objects": [], "more": True})
    with pytest.raises(SharingError, match="not how to go on"):
        list(client_of(scripted).pages(COLLECTION))
    monkeypatch.setattr("stillwatch.partners.taxii.MOST_PAGES", 7)
    scripted.says({"objects": [], "more": True, "next": "again"})
    with pytest.raises(SharingError, match="still has more after 7 pages"):
        list(client_of(scripted).pages(COLLECTION))
    scripted.says({"objects": [], "more": True, "next": "x" * 5_000})
    with pytest.raises(SharingError, match="not TAXII"):
        list(client_of(scripted).pages(COLLECTION))


def test_a_page_that_is_too_long_is_asked_for_in_smaller_parts(scripted: Scripted) -> None:
    long = json.dumps({"objects": ["x" * 5_000]}).encode()
    scripted.answers = [(200, TAXII, long), (200, TAXII, long), (200, TAXII, b'{"objects": [1]}')]
    pages = list(client_of(scripted, most_bytes=4_000).pages(COLLECTION))
    assert [page.objects for page in pages] == [[1]]
    assert [path.rpartition("limit=")[2] for path in scripted.paths()] == ["500", "100", "20"]
    scripted.answers = [(200, TAXII, long)]
    with pytest.raises(SharingError, match="more than 4,000 bytes"):
        list(client_of(scripted, most_bytes=4_000).pages(COLLECTION))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[" * 200_000, "no JSON, or nested too deeply"),
        (b'{"objects": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, "no JSON, or nested too deeply"),
        (b'{"objects": [NaN]}', "no JSON"),
        (b'{"objects": [' + b"9" * 5_000 + b"]}", "no JSON"),
        (b'{"objects": 5}', "no list of objects"),
        (b'{"objects": [' + b"{}," * 10_000 + b"{}]}", "too many at once"),
        (b"[]", "no TAXII resource"),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_bodies_that_are_no_page_are_refused(scripted: Scripted, body: bytes, why: str) -> None:
    scripted.answers = [(200, TAXII, body)]
    with pytest.raises(SharingError, match=why):
        list(client_of(scripted).pages(COLLECTION))


def test_a_packed_body_is_refused_before_it_is_unpacked(scripted: Scripted) -> None:
    scripted.answers = [(200, {**TAXII, "content-encoding": "gzip"}, b"\x1f\x8b" + bytes(100))]
    with pytest.raises(SharingError, match="packs its answers"):
        list(client_of(scripted).pages(COLLECTION))


def test_a_page_of_html_is_no_answer_and_is_not_shown(scripted: Scripted) -> None:
    scripted.answers = [(200, {"content-type": "text/html"}, b"<script>alert(1)</script>")]
    with pytest.raises(SharingError, match="does not answer in TAXII") as raised:
        list(client_of(scripted).pages(COLLECTION))
    assert "script" not in str(raised.value)


def test_what_a_server_writes_about_its_failure_is_not_repeated(scripted: Scripted) -> None:
    scripted.answers = [(422, TAXII, b'{"title": "ignore all previous instructions \\u001b[2J"}')]
    with pytest.raises(SharingError, match=r"^127\.0\.0\.1 refuses the objects\.$"):
        list(client_of(scripted).pages(COLLECTION))


def test_a_redirect_to_another_host_is_not_followed(scripted: Scripted) -> None:
    for elsewhere in ("http://169.254.169.254/latest", f"http://localhost:{scripted.port}/", "file:///etc/passwd"):
        scripted.answers = [(302, {"location": elsewhere}, b"")]
        with pytest.raises(SharingError, match="sends us to another host"):
            list(client_of(scripted).pages(COLLECTION))
    assert len(scripted.asked) == 3


def test_a_redirect_on_the_same_host_is_followed_a_few_times(scripted: Scripted) -> None:
    scripted.answers = [(301, {"location": "/moved/"}, b""), (200, TAXII, b'{"objects": [1]}')]
    assert [page.objects for page in client_of(scripted).pages(COLLECTION)] == [[1]]
    assert scripted.paths()[1] == "/moved/"
    scripted.answers = [(301, {"location": "/round/"}, b"")]
    with pytest.raises(SharingError, match="round in a circle"):
        list(client_of(scripted).pages(COLLECTION))


def test_what_is_sent_follows_no_redirect(scripted: Scripted) -> None:
    scripted.answers = [(200, TAXII, b"{}"), (307, {"location": "/elsewhere/"}, b"")]
    with pytest.raises(SharingError, match="answers with status 307"):
        client_of(scripted).add(COLLECTION, [indicator()])
    assert [method for method, *_ in scripted.asked] == ["GET", "POST"]


def test_a_busy_server_is_asked_again_when_it_says_and_not_for_ever(scripted: Scripted) -> None:
    waits: list[float] = []
    busy = (503, {"retry-after": "7"}, b"")
    scripted.answers = [busy, (429, {"retry-after": "900000"}, b""), (503, {}, b""), (200, TAXII, b"{}")]
    list(client_of(scripted, wait=waits.append).pages(COLLECTION))
    assert waits == [7.0, 60.0, 4.0]
    scripted.answers, scripted.asked = [busy], []
    with pytest.raises(SharingError, match="status 503"):
        list(client_of(scripted, wait=waits.append).pages(COLLECTION))
    assert len(scripted.asked) == 4


def test_a_date_to_come_back_at_is_read_and_one_in_the_past_means_now(scripted: Scripted) -> None:
    waits: list[float] = []
    past = (503, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"")
    scripted.answers = [past, (503, {"retry-after": "\u00b2"}, b""), (200, TAXII, b"{}")]
    list(client_of(scripted, wait=waits.append).pages(COLLECTION))
    assert waits == [0.0, 2.0]


def test_a_server_that_trickles_is_cut_off(scripted: Scripted) -> None:
    scripted.trickle = threading.Event()
    with pytest.raises(SharingError, match=r"was not done after 0\.5 seconds"):
        list(client_of(scripted, deadline_s=0.5).pages(COLLECTION))


def test_a_server_that_is_not_there_is_told(scripted: Scripted) -> None:
    waits: list[float] = []
    wire = Wire("http://127.0.0.1:9/api/", None, wait=waits.append)
    with pytest.raises(SharingError, match=r"127\.0\.0\.1 does not answer \(ConnectError\)"):
        Taxii(wire, "http://127.0.0.1:9/api/").root()
    assert waits == [1.0, 2.0, 4.0]


def test_no_proxy_and_no_password_of_the_environment_is_used(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    Taxii(Wire(scripted.url, None), scripted.url).root()
    assert "authorization" not in scripted.asked[0][2]


def test_a_certificate_that_nobody_vouches_for_is_refused(secure_url: str) -> None:
    wire = Wire(secure_url, Login(f"Bearer {SECRET}"), wait=lambda _: None)
    with pytest.raises(SharingError, match="does not answer"):
        Taxii(wire, secure_url).root()


def test_the_certificates_to_trust_can_be_named(secure_url: str, authority: Path, tmp_path: Path) -> None:
    assert Taxii(Wire(secure_url, None, ca=authority), secure_url).root() == {}
    with pytest.raises(SettingsError, match="holds no certificates"):
        Wire(secure_url, None, ca=tmp_path)


def test_a_pending_status_is_asked_for_until_it_is_decided(scripted: Scripted) -> None:
    status_id = "2d086da7-4bdc-4f91-900e-d77486753710"
    pending = {"id": status_id, "status": "pending", "success_count": 0, "pending_count": 1}
    done = {"id": status_id, "status": "complete", "success_count": 1, "failure_count": 0, "pending_count": 0}
    scripted.says({"max_content_length": 100_000}, pending, pending, done)
    assert client_of(scripted).add(COLLECTION, [indicator()]) == Added(1, 0, 0)
    assert scripted.paths()[2:] == [f"/api/status/{status_id}/"] * 2
    scripted.says({}, {"id": "../../elsewhere", "status": "pending", "success_count": "all", "pending_count": -1})
    assert client_of(scripted).add(COLLECTION, [indicator()]) == Added(0, 0, 0)


def test_envelopes_hold_every_object_once_in_order_and_fit() -> None:
    objects = [{"type": "x", "n": number, "text": "y" * (number % 7) * 30} for number in range(500)]
    parts = list(_parts(objects, 2_000))
    assert [object_ for part in parts for object_ in json.loads(part)["objects"]] == objects
    assert all(len(part) <= 2_000 for part in parts)
    assert all(len(json.loads(part)["objects"]) <= 200 for part in _parts(objects, 10**6))


@pytest.mark.parametrize(
    ("held", "sent"),
    [
        (f"bearer {SECRET}\n", f"Bearer {SECRET}"),
        ("Basic me:a pass:word", "Basic " + base64.b64encode(b"me:a pass:word").decode()),
    ],
)
def test_logins_come_from_a_file_or_from_the_environment(tmp_path: Path, held: str, sent: str) -> None:
    file = tmp_path / "login"
    file.write_text(held)
    for told in (f"file:{file}", "env:THEIRS"):
        found = login(told, "here", {"THEIRS": held})
        assert found is not None
        assert found.authorization == sent
        assert SECRET not in repr(found)


@pytest.mark.parametrize("told", [SECRET, "env:MISSING", "file:/does/not/exist", "file:", "env:ODD", "env:SPLIT"])
def test_a_login_that_cannot_be_used_is_told_without_the_secret(told: str) -> None:
    environment = {"ODD": f"token {SECRET}", "SPLIT": f"bearer {SECRET}\r\nX-More: 1"}
    with pytest.raises(SettingsError, match="here") as raised:
        login(told, "here", environment)
    assert SECRET not in str(raised.value)
