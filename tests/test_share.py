"""The commands of sharing, from the campaigns of a scan to a file, its record and its revocation."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.sharing.planted import SAMPLES
from typer.testing import CliRunner, Result

from stillwatch import store
from stillwatch.cli import app
from stillwatch.errors import SettingsError, SharingError
from stillwatch.sharing import invitations

KEY_ID = "0f3c9a1155aa77cc"
RECIPIENTS = """
[recipients.north]
clearance = "amber"
groups = ["g-frontier"]

[recipients.feed]
clearance = "clear"
audience = "public"
"""


class House:
    """A folder with a scan, beside a key, recipients and groups."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.out = folder, folder / "out"
        self.out.mkdir(parents=True)
        monkeypatch.setenv("STILLWATCH_KEY_FILE", str(folder / "key"))
        (folder / "recipients.toml").write_text(RECIPIENTS)
        self.found(json.loads(SAMPLES.read_text(encoding="utf-8")))

    def found(self, campaigns: list[dict[str, Any]]) -> None:
        for one in campaigns:
            one["evidence"] = list({row["family"]: row for row in one["evidence"]}.values())
        store.write_json(self.out / store.CAMPAIGNS, campaigns)
        store.write_json(self.out / store.RUN, {"key_id": KEY_ID})

    def share(self, *words: str | Path) -> Result:
        """A call of `stillwatch share` that must succeed."""
        done = CliRunner().invoke(app, ["share", *map(str, words)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done

    def export(self, to: str = "north", *words: str | Path) -> dict[str, Any]:
        file = self.folder / "bundle.json"
        self.share("export", self.out, "--to", to, "--approver", "A. Analyst", "--out", file, *words)
        return dict(json.loads(file.read_text()))


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setenv("COLUMNS", "400")
    return House(tmp_path / "here", monkeypatch)


def test_a_bundle_is_previewed_exported_recorded_and_taken_back(house: House) -> None:
    shown = house.share("preview", house.out, "--to", "north").stdout
    assert "Distillation campaign c-7692c3ad3540" in shown
    assert not (house.out / "sent.jsonl").exists()

    bundle = house.export()
    file = house.folder / "bundle.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = json.loads(house.share("preview", house.out, "--to", "north", "--format", "json").stdout)
    assert (told["new"], told["changed"], told["object_count"]) == ([], {}, len(bundle["objects"]))

    file = house.folder / "back.json"
    words = ("c-7692c3ad3540", "--to", "north", "--approver", "A. Analyst", "--because", "innocent", "--out", file)
    house.share("revoke", house.out, *words)
    undone = [one for one in json.loads(file.read_text())["objects"] if one.get("revoked")]
    assert [one["name"] for one in undone if one["type"] == "campaign"] == ["Distillation campaign c-7692c3ad3540"]

    checked = house.share("log", house.out, "--verify", "--format", "json")
    rows = json.loads(checked.stdout)
    assert [(row["act"], row["recipient"], row["approver"]) for row in rows] == [
        ("export", "north", "A. Analyst"),
        ("revoke", "north", "A. Analyst"),
    ]
    assert rows[1]["hash"] in checked.stderr
    assert "A. Analyst" in house.share("log", house.out).stdout

    ledger = house.out / "sent.jsonl"
    ledger.write_text(ledger.read_text().replace("A. Analyst", "Somebody", 1))
    with pytest.raises(SharingError, match="line 1: it does not follow"):
        house.share("log", house.out, "--verify")


def test_the_table_of_a_preview_says_what_stays_and_why(house: House) -> None:
    shown = house.share("preview", house.out, "--to", "feed", "--tlp", "amber").stdout
    assert "TLP:CLEAR at most" in shown
    assert house.export("feed")["objects"]  # under what it may see at most, when nothing else is asked for
    grown = store.read_campaigns(house.out)
    grown[0]["exposure"]["exchanges"] = 99_000
    house.found(grown[:1])
    shown = house.share("preview", house.out, "--to", "feed").stdout
    assert "exchange_count: 42000 -> 99000" in shown
    assert re.search(r"gone +\d+ objects", shown)
    file = house.folder / "back.json"
    house.share("revoke", house.out, "--gone", "--to", "feed", "--approver", "A", "--because", "expired", "--out", file)
    assert [one for one in json.loads(file.read_text())["objects"] if one.get("revoked")]


def test_nothing_leaves_without_a_name_under_it(house: House) -> None:
    with pytest.raises(SharingError, match="Nobody has approved it"):
        house.share("export", house.out, "--to", "feed", "--out", house.folder / "bundle.json")
    assert not (house.folder / "bundle.json").exists()
    assert not (house.out / "sent.jsonl").exists()


def test_who_is_not_in_the_file_of_recipients_gets_nothing(house: House) -> None:
    for name in ("stranger", "../north"):
        with pytest.raises(SettingsError, match="is not in the file of recipients, which names: feed, north"):
            house.share("preview", house.out, "--to", name)
    (house.folder / "recipients.toml").unlink()
    with pytest.raises(SettingsError, match="cannot read"):
        house.share("preview", house.out, "--to", "north")


def test_other_forms_are_written_from_what_passed_the_gate_and_their_own_bytes_recorded(house: House) -> None:
    import hashlib

    for form in ("misp", "sigma", "csv", "jsonl"):
        file = house.folder / f"out.{form}"
        house.share("export", house.out, "--to", "north", "--approver", "A", "--as", form, "--out", file)
        row = json.loads((house.out / "sent.jsonl").read_text().splitlines()[-1])
        assert (row["form"], row["digest"]) == (form, hashlib.sha256(file.read_bytes()).hexdigest())
        assert "acct-" not in file.read_text()


def test_two_deployments_come_to_hold_one_group_and_see_the_same_values(
    tmp_path: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nacl import pwhash

    monkeypatch.setattr(invitations, "_OPS", pwhash.argon2id.OPSLIMIT_MIN)
    monkeypatch.setattr(invitations, "_MEMORY", pwhash.argon2id.MEMLIMIT_MIN)
    there = House(tmp_path / "there", monkeypatch)
    identity, public = re.findall(r"(identity--\S+|[0-9a-f]{64})", there.share("identity").stdout)
    monkeypatch.setenv("STILLWATCH_KEY_FILE", str(house.folder / "key"))
    house.share("group", "new", "g-frontier", "--since", "2026-01-01")
    assert identity in house.share("group", "members", "g-frontier", "--add", identity).stdout
    sealed = house.folder / "invitation.json"
    fingerprint = house.share("group", "export", "g-frontier", "--public-key", public, "--out", sealed).stdout.strip()
    assert {one["kind"] for one in kinds(house.export())} >= {"template", "wording"}
    own = house.share("group", "list", "--format", "json").stdout

    monkeypatch.setenv("STILLWATCH_KEY_FILE", str(there.folder / "key"))
    with pytest.raises(SettingsError, match="has to be confirmed"):
        there.share("group", "import", sealed)
    with pytest.raises(SettingsError, match="is not that"):
        there.share("group", "import", sealed, "--fingerprint", "0" * 20)
    assert not (there.folder / "groups").exists()
    there.share("group", "import", sealed, "--fingerprint", fingerprint)
    assert there.share("group", "list", "--format", "json").stdout == own

    monkeypatch.setenv("STILLWATCH_KEY_FILE", str(house.folder / "key"))
    house.share("group", "members", "g-frontier", "--remove", identity)
    house.share("group", "rotate", "g-frontier", "--since", "2099-01-01")
    (row,) = json.loads(house.share("group", "list", "--format", "json").stdout)
    assert (row["epochs"], row["members"]) == (3, 0)
    assert row["fingerprint"] != fingerprint
    file = house.folder / "words.txt"
    file.write_text("seven quiet herons\n")
    house.share("group", "export", "g-frontier", "--passphrase-file", file, "--out", sealed)
    other = ("--groups", there.folder / "other")
    words = ("--passphrase-file", file, "--fingerprint", row["fingerprint"])
    house.share("group", "import", sealed, *words, *other)
    assert "2099-01-01" in house.share("group", "list", *other).stdout


def kinds(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """Our extension of each indicator."""
    return [next(iter(one["extensions"].values())) for one in bundle["objects"] if one["type"] == "indicator"]


def test_a_group_is_not_made_twice(house: House) -> None:
    house.share("group", "new", "g-one")
    with pytest.raises(SettingsError, match="exists"):
        house.share("group", "new", "g-one")


def test_options_that_do_not_go_together_are_refused(house: House) -> None:
    for words in (("revoke", house.out, "--to", "north"), ("revoke", house.out, "c-1", "--gone", "--to", "north")):
        with pytest.raises(SettingsError, match="one of the two"):
            house.share(*words)
    with pytest.raises(SettingsError, match="--newest needs --verify"):
        house.share("log", house.out, "--newest", "0")


def test_an_alias_is_a_person_s_and_leaves_with_its_author_and_grounds(house: House) -> None:
    campaign, name = "c-7692c3ad3540", "Amber Heron"
    for words, message in (
        ((campaign, "amber@example.org"), "one to three words"),
        ((campaign, name, "--author", "Ann Lee"), "must be a handle"),
        ((campaign, name, "--author", "analyst-7", "--grounds", "a feeling"), "grounds must be one of"),
        (("c-0", name, "--author", "analyst-7", "--grounds", "partner"), "no such campaign"),
        ((campaign, name, "--drop"), "nobody gave"),
    ):
        with pytest.raises(SharingError, match=message):
            house.share("alias", house.out, *words)
    assert not any("aliases" in one for one in house.export("feed")["objects"])

    house.share("alias", house.out, campaign, name, "--author", "analyst-7", "--grounds", "public report")
    told = house.export("feed")["objects"]
    assert [one["aliases"] for one in told if "aliases" in one] == [[name]]
    assert [one["authors"] for one in told if "authors" in one] == [["analyst-7"]]

    house.share("alias", house.out, campaign, name, "--drop")
    back = ("--to", "feed", "--approver", "A", "--because", "wrong", "--out", house.folder / "back.json")
    house.share("revoke", house.out, "--gone", *back)
    undone = json.loads((house.folder / "back.json").read_text())["objects"]
    assert [one["authors"] for one in undone if one.get("revoked")] == [["analyst-7"]]
    assert not any("aliases" in one for one in house.export("feed")["objects"])
