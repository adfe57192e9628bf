"""Commands between partners: from an export here to leads there, with the words and exit codes a script can trust."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.partners.conftest import Medallion, Scripted
from tests.partners.world import COLLECTION, NORTH, Object, indicator, lead, object_of, uid
from tests.test_recognised import EVERYBODY, found

from stillwatch import cli, sharing, store
from stillwatch.partners import Inbox
from stillwatch.records import LEAD_MATCHES, arrow_schema
from stillwatch.settings import KEY_VARIABLE
from stillwatch.sharing.formats import FORMATS
from stillwatch.sharing.objects import EXTENSION_ID, extension, producer

KEY_ID = "0123456789abcdef"
Run = Callable[..., tuple[int, str, str]]


def now() -> datetime:
    """The commands have the machine's own clock."""
    return datetime.now(UTC).replace(microsecond=0)


def recent(object_: Object) -> Object:
    """The object, as of now."""
    since, until = now() - timedelta(days=1), now() + timedelta(days=30)
    times = {"modified": now(), "valid_from": since, "valid_until": until}
    told = {name: at.strftime("%Y-%m-%dT%H:%M:%S.000Z") for name, at in times.items() if name in object_}
    return {**object_, **told}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command line: exit code, standard output, standard error."""
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key"))

    def ran(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stillwatch", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        code = ended.value.code
        return (0 if code is None else int(code)), printed.out, printed.err

    return ran


@pytest.fixture
def scanned(tmp_path: Path, campaigns: list[dict[str, Any]]) -> Path:
    """A folder with the sample campaigns, as of now."""
    out = tmp_path / "out"
    out.mkdir()
    for campaign in campaigns:
        for name in ("first_seen_at", "last_seen_at"):
            campaign[name] = (now() - timedelta(days=1)).isoformat()
    store.write_json(out / store.CAMPAIGNS, campaigns)
    store.write_json(out / store.RUN, {"key_id": KEY_ID})
    return out


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Recipients, beside the key."""
    path = tmp_path / "recipients.toml"
    path.write_text('[recipients.north]\nclearance = "amber"\n')
    return path


def test_what_is_exported_and_pushed_here_is_pulled_as_leads_there(
    run: Run, scanned: Path, people: Path, medallion: Medallion, tmp_path: Path
) -> None:
    peers = medallion.peers(
        tmp_path / "peers.toml", senders=[producer(KEY_ID)["id"]], takes_extension_definitions=False
    )
    bundle, there = tmp_path / "for-north.json", tmp_path / "there"
    assert run("share", "export", scanned, "--to", "north", "--approver", "A. Analyst", "--out", bundle)[0] == 0
    code, out, err = run("share", "push", scanned, bundle, "--to", "north", "--peers", peers, "--format", "json")
    assert (code, err) == (0, "")
    pushed = json.loads(out)[0]
    assert (pushed["peer"], pushed["refused"], pushed["pending"]) == ("north", 0, 0)
    code, out, err = run("share", "pull", "--out", there, "--peers", peers, "--format", "json")
    assert code == 0
    assert json.loads(out)[0]["new"] > 0
    wanted = {
        (object_["extensions"][EXTENSION_ID]["kind"], row["value"])
        for object_ in json.loads(bundle.read_text())["objects"]
        if object_["type"] == "indicator"
        for row in object_["extensions"][EXTENSION_ID]["values"]
    }
    leads = store.read_leads(there).to_pylist()
    assert wanted
    assert {(row["kind"], row["value"]) for row in leads} == wanted
    assert {row["key_id"] for row in leads if row["kind"] != "ja4"} == {KEY_ID}
    assert f"{len(leads):,} values from partners" in err
    code, again, _ = run("share", "pull", "--state", there, "--peers", peers, "--format", "json")
    assert json.loads(again)[0]["new"] == 0
    assert store.read_leads(there).to_pylist() == leads
    code, out, _ = run("share", "leads", there)
    assert "north" in out
    assert "0.5" in out


def test_a_bundle_that_the_gate_did_not_release_for_that_peer_is_not_pushed(
    run: Run, scanned: Path, people: Path, scripted: Scripted, tmp_path: Path
) -> None:
    peers, bundle = tmp_path / "peers.toml", tmp_path / "for-north.json"
    peers.write_text(
        "".join(
            f'[[peers]]\nname = "{name}"\nurl = "{scripted.url}"\npush = "{COLLECTION}"\n'
            for name in ("north", "south")
        )
    )
    assert run("share", "export", scanned, "--to", "north", "--approver", "A. Analyst", "--out", bundle)[0] == 0
    code, _, err = run("share", "push", scanned, bundle, "--to", "south", "--peers", peers)
    assert (code, "was not released for south" in err) == (1, True)
    bundle.write_text(bundle.read_text().replace("Distillation", "Distilation"))
    code, _, err = run("share", "push", scanned, bundle, "--to", "north", "--peers", peers)
    assert (code, "was not released for north" in err) == (1, True)
    ledger = scanned / "sent.jsonl"
    ledger.write_text(ledger.read_text().replace('"recipient": "north"', '"recipient": "south"'))
    code, _, err = run("share", "push", scanned, bundle, "--to", "south", "--peers", peers)
    assert (code, "the file was changed" in err) == (1, True)
    bundle.write_text("[]")
    assert "is no STIX bundle" in run("share", "push", scanned, bundle, "--to", "north", "--peers", peers)[2]
    assert "cannot read" in run("share", "push", scanned, tmp_path / "none", "--to", "north", "--peers", peers)[2]
    assert scripted.asked == []


@pytest.mark.parametrize("form", ["stix", "misp", "csv", "jsonl"])
def test_a_file_that_a_partner_handed_over_becomes_leads_in_every_form(run: Run, tmp_path: Path, form: str) -> None:
    campaigns = json.loads((Path(__file__).parent.parent / "golden" / "sample_campaigns.json").read_text())
    for campaign in campaigns:
        campaign["first_seen_at"] = campaign["last_seen_at"] = (now() - timedelta(days=1)).isoformat()
    objects = sharing.objects_of(campaigns, now=now(), tlp="amber", key_id=KEY_ID)
    file, peers, out = tmp_path / f"handed-over.{form}", tmp_path / "peers.toml", tmp_path / "out"
    file.write_text(FORMATS[form].write(objects, now()))
    peers.write_text(f'[[peers]]\nname = "north"\nsenders = ["{producer(KEY_ID)["id"]}"]\n')
    words = ("share", "receive", file, "--from", "north", "--as", form, "--out", out, "--peers", peers)
    assert run(*words)[0] == 0
    wanted = {
        (object_["id"], row["value"])
        for object_ in objects
        if object_["type"] == "indicator"
        for row in object_["extensions"][EXTENSION_ID]["values"]
    }
    leads = store.read_leads(out)
    assert {(row["lead_id"], row["value"]) for row in leads.to_pylist()} == wanted
    code, printed, _ = run(*words, "--format", "json")
    assert (code, json.loads(printed)[0]["new"]) == (0, 0)
    assert store.read_leads(out).equals(leads)


def test_a_file_that_is_not_in_the_form_that_was_named_is_refused(run: Run, tmp_path: Path) -> None:
    file, peers = tmp_path / "file", tmp_path / "peers.toml"
    peers.write_text('[[peers]]\nname = "north"\n')
    words = ("share", "receive", file, "--from", "north", "--out", tmp_path / "out", "--peers", peers)
    file.write_text("<script>")
    for form in ("stix", "misp", "csv", "jsonl"):
        code, _, err = run(*words, "--as", form)
        assert (code, "script" in err) == (1, False)
    assert run(*words, "--as", "sigma")[0] == 2
    file.write_bytes(b"\xff")
    assert run(*words)[0] == 1


def write_matches(out: Path, campaign_id: str | None, *, accounts: int = 9, number: int = 1) -> None:
    row = {
        "lead_id": uid("indicator", number),
        "sender": NORTH,
        "campaign_id": campaign_id,
        "verdict": None if campaign_id is None else "distillation",
        "accounts": accounts,
        "exchanges": 1234,
        "first_seen_at": now() - timedelta(hours=5),
        "last_seen_at": now(),
    }
    table = pa.Table.from_pylist([row], schema=arrow_schema(LEAD_MATCHES))
    store.write_table(out / store.LEAD_MATCHES, table)


def received(out: Path, objects: list[Object]) -> None:
    with Inbox(out).opened("north", (NORTH,)) as box:
        assert box.take([recent(object_) for object_ in objects], now=now()).refused == {}


def test_what_became_of_leads_changes_their_senders_weight_and_goes_back_through_the_gate(
    run: Run, scanned: Path, people: Path, tmp_path: Path
) -> None:
    received(scanned, lead())
    write_matches(scanned, "c-0123456789ab")
    file = tmp_path / "feedback.json"
    code, out, _ = run("share", "feedback", scanned, "--to", "north", "--approver", "A. Analyst", "--out", file)
    assert code == 0
    assert "right" in out
    assert set(store.read_leads(scanned).column("precision").to_pylist()) == {2 / 3}
    objects = {object_["type"]: object_ for object_ in json.loads(file.read_text())["objects"]}
    seen = objects["sighting"]
    assert (seen["sighting_of_ref"], seen["count"]) == (uid("indicator", 1), 1200)
    assert seen["extensions"][EXTENSION_ID]["outcome"] == "hit"
    assert re.fullmatch(r".*T[0-9]{2}:00:00(\.000)?Z", seen["first_seen"])
    assert "c-0123456789ab" not in file.read_text()
    assert "feedback,north" in run("share", "log", scanned, "--format", "csv")[1]


def test_feedback_that_was_sent_is_not_taken_back_with_campaigns_that_are_gone(
    run: Run, scanned: Path, people: Path, tmp_path: Path
) -> None:
    received(scanned, lead())
    write_matches(scanned, "c-0123456789ab")
    file = tmp_path / "sent.json"
    approved = ("--to", "north", "--approver", "A. Analyst", "--out", file)
    assert run("share", "feedback", scanned, *approved)[0] == 0
    code, _, err = run("share", "revoke", scanned, "--gone", *approved)
    assert (code, "Nothing may leave" in err) == (1, True)
    assert run("share", "feedback", scanned, *approved)[0] == 0  # again: an update, not a double
    assert run("share", "export", scanned, *approved)[0] == 0


def test_an_analyst_who_finds_a_campaign_innocent_makes_the_lead_wrong(
    run: Run, scanned: Path, people: Path, tmp_path: Path
) -> None:
    received(scanned, lead())
    write_matches(scanned, "c-0123456789ab")
    verdict = {
        "subject": "c-0123456789ab",
        "subject_kind": "campaign",
        "verdict": "innocent",
        "because": "spoke to them",
        "author": "A. Analyst",
        "decided_at": now().isoformat(),
    }
    store.write_verdict(scanned, verdict)
    file = tmp_path / "feedback.json"
    assert run("share", "feedback", scanned, "--to", "north", "--approver", "A. Analyst", "--out", file)[0] == 0
    objects = {object_["type"]: object_ for object_ in json.loads(file.read_text())["objects"]}
    assert objects["opinion"]["opinion"] == "strongly-disagree"
    assert objects["sighting"]["extensions"][EXTENSION_ID]["outcome"] == "wrong"
    assert set(store.read_leads(scanned).column("precision").to_pylist()) == {1 / 3}


def test_what_fewer_than_five_accounts_bear_is_told_to_nobody(
    run: Run, scanned: Path, people: Path, tmp_path: Path
) -> None:
    received(scanned, lead())
    write_matches(scanned, "c-0123456789ab", accounts=4)
    file = tmp_path / "feedback.json"
    code, _, err = run("share", "feedback", scanned, "--to", "north", "--approver", "A. Analyst", "--out", file)
    assert (code, "Nothing may leave for north" in err) == (1, True)
    assert not file.exists()


def test_feedback_that_nobody_approved_does_not_leave(run: Run, scanned: Path, people: Path, tmp_path: Path) -> None:
    received(scanned, lead())
    write_matches(scanned, "c-0123456789ab")
    code, _, err = run("share", "feedback", scanned, "--to", "north", "--out", tmp_path / "feedback.json")
    assert (code, "Nobody has approved it" in err) == (1, True)


def test_a_lead_that_expired_without_a_match_is_told_as_a_miss(
    run: Run, scanned: Path, people: Path, tmp_path: Path
) -> None:
    old = recent(indicator(7))
    old["valid_until"] = (now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with Inbox(scanned).opened("north", (NORTH,)) as box:
        assert box.take([old], now=now()).kept == 1
    file = tmp_path / "feedback.json"
    assert run("share", "feedback", scanned, "--to", "north", "--approver", "A. Analyst", "--out", file)[0] == 0
    (seen,) = (one for one in json.loads(file.read_text())["objects"] if one["type"] == "sighting")
    assert (seen["sighting_of_ref"], seen["count"]) == (uid("indicator", 7), 0)
    write_matches(scanned, None, number=7)
    assert run("share", "feedback", scanned)[0] == 0
    (
        scanned / store.LEAD_MATCHES
    ).unlink()  # the next detection no longer looks for it: it has met accounts all the same
    code, _, err = run("share", "feedback", scanned, "--to", "north", "--approver", "A. Analyst", "--out", file)
    assert (code, "Nothing may leave" in err) == (1, True)


def test_what_partners_say_of_ours_is_listed(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen = object_of("sighting", 1, sighting_of_ref=uid("indicator", 5), count=120, extensions=extension(outcome="hit"))
    opinion = object_of("opinion", 2, object_refs=[uid("indicator", 6)], opinion="disagree", explanation="<b>x</b>")
    received(out, [seen, opinion])
    code, printed, _ = run("share", "feedback", out, "--received", "--format", "json")
    assert code == 0
    told = {row["indicator"]: (row["seen"], row["outcome"], row["opinion"]) for row in json.loads(printed)}
    assert told == {uid("indicator", 5): (120, "hit", ""), uid("indicator", 6): (0, "", "disagree")}
    code, _, err = run("share", "feedback", out, "--received", "--to", "north")
    assert (code, "one of the two" in err) == (2, True)


def test_a_pull_that_fails_in_part_keeps_what_came_says_so_and_ends_with_one(
    run: Run, scripted: Scripted, tmp_path: Path
) -> None:
    peers = tmp_path / "peers.toml"
    rows = f'url = "{scripted.url}"\npull = ["{COLLECTION}"]\nsenders = ["{NORTH}"]\n'
    peers.write_text(f'[[peers]]\nname = "north"\n{rows}\n[[peers]]\nname = "quiet"\n')
    scripted.says({"objects": [recent(one) for one in lead()], "more": True})
    code, out, err = run("share", "pull", "--out", tmp_path / "out", "--peers", peers, "--format", "csv")
    assert code == 1
    assert out.splitlines()[1].startswith("north,3,0,0,0")
    assert "not how to go on" in err
    assert store.read_leads(tmp_path / "out").num_rows == 2


def test_wrong_usage_ends_with_two_and_says_what_to_do(run: Run, scanned: Path, tmp_path: Path) -> None:
    code, _, err = run("share", "pull", "--out", tmp_path / "out")
    assert (code, "Name a TOML file with [[peers]]" in err) == (2, True)
    assert run("share", "leads", tmp_path / "missing")[0] == 2
    code, out, _ = run("share", "leads", scanned)
    assert (code, out) == (0, "Leads: none\n")


def test_what_is_recognised_is_listed_and_json_names_who_bears_it(run: Run, scanned: Path) -> None:
    [one] = found(EVERYBODY[:6])
    store.write_json(scanned / store.RECOGNISED, [one])
    code, out, _ = run("share", "recognised", scanned, "--format", "json")
    assert (code, json.loads(out)) == (0, [one])
    code, out, _ = run("share", "recognised", scanned, "--format", "csv")
    [row] = csv.DictReader(io.StringIO(out))
    assert (row["campaign of partner"], row["accounts"], row["support"]) == ("campaign--1", "6", "supported")
