"""The doctor: what is well is said in one line, what is not says what to do, and what must be put right fails."""

import json
import resource
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from stillwatch.errors import SettingsError
from stillwatch.server import ServerSettings
from stillwatch.server.database import Database
from stillwatch.server.operate import doctor
from stillwatch.server.operate.doctor import Finding, available_bytes, findings
from stillwatch.server.settings import Deciding, Detecting, Listening, Storing, Telling
from stillwatch.server.taxii import Partner, collections, partners
from stillwatch.settings import KEY_VARIABLE, bytes_of, key_secret


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerSettings:
    """Settings of a service that has everything it needs."""
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key"))
    monkeypatch.setattr(doctor, "FREE_BYTES", 1)
    monkeypatch.setattr(doctor, "SLOW_SYNC_S", 600.0)
    key_secret(tmp_path / "key")
    held = ServerSettings(storage=Storing(state=tmp_path / "state"), detection=Detecting(memory_limit="100MB"))
    database = Database(held.storage.database_url)
    database.make()
    database.close()
    return held


def found(settings: ServerSettings, name: str) -> Finding:
    [finding] = [finding for finding in findings(settings) if finding.name == name]
    return finding


def test_everything_is_well_where_everything_is_there(settings: ServerSettings) -> None:
    told = findings(settings)
    assert {finding.outcome for finding in told} == {"ok"}, told
    names = "key file|state folder|fsync|disk|database|schema|policy|live actions|clock|memory|open files|address"
    assert "|".join(finding.name for finding in told) == names


def test_a_key_that_others_may_read_or_that_is_too_short_fails(settings: ServerSettings, tmp_path: Path) -> None:
    (tmp_path / "key").chmod(0o440)
    assert found(settings, "key file").outcome == "warning"
    (tmp_path / "key").chmod(0o604)
    assert found(settings, "key file") == Finding(
        "key file", "failed", f"everybody may read {tmp_path / 'key'}: chmod 600 {tmp_path / 'key'}"
    )
    (tmp_path / "key").write_bytes(b"short")
    assert found(settings, "key file").outcome == "failed"
    (tmp_path / "key").unlink()
    assert found(settings, "key file").outcome == "warning"


def test_a_state_folder_that_cannot_be_made_fails(settings: ServerSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = findings(replace(settings, storage=Storing(state=tmp_path / "file" / "state")))
    assert [f.outcome for f in told if f.name == "state folder"] == ["failed"]


def test_a_full_or_slow_disk_is_a_warning(settings: ServerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_BYTES", 1 << 60)
    monkeypatch.setattr(doctor, "SLOW_SYNC_S", -1.0)
    assert found(settings, "disk").outcome == "warning"
    assert found(settings, "fsync").outcome == "warning"


def test_a_database_that_is_gone_of_a_newer_version_or_behind_is_told(settings: ServerSettings, tmp_path: Path) -> None:
    gone = Storing(
        state=tmp_path / "state", database="postgresql://nobody:secret-word@127.0.0.1:9/none?connect_timeout=2"
    )
    finding = found(replace(settings, storage=gone), "database")
    assert finding.outcome == "failed"
    assert "secret-word" not in finding.words
    assert found(replace(settings, storage=Storing(state=tmp_path / "new")), "schema").outcome == "warning"
    database = Database(settings.storage.database_url)
    with database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'r9999'"))
    database.close()
    assert "newer one made it" in found(settings, "database").words


def test_a_policy_that_cannot_be_read_fails_and_live_actions_are_loud(settings: ServerSettings) -> None:
    assert found(replace(settings, decisions=Deciding(policy="none.toml")), "policy").outcome == "failed"
    live = found(replace(settings, decisions=Deciding(live=("throttle",))), "live actions")
    assert (live.outcome, live.words[:29]) == ("warning", "LIVE, customers feel it: throt"[:29])


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ("https://hooks.example/x whsec_abc", "ok"),
        ("http://hooks.example/x whsec_abc", "warning"),
        ("https://hooks.example/x", "failed"),
        ("ftp://hooks.example/x whsec_abc", "failed"),
        ("hooks.example whsec_abc", "failed"),
    ],
)
def test_webhooks_are_looked_at_and_their_secrets_not_told(told: str, outcome: str, settings: ServerSettings) -> None:
    finding = next(
        f for f in findings(replace(settings, alerts=Telling(webhooks=(told,)))) if f.name.startswith("webhook")
    )
    assert finding.outcome == outcome
    assert "whsec_abc" not in f"{finding}"


def test_mail_without_an_address_fails(settings: ServerSettings) -> None:
    assert found(replace(settings, alerts=Telling(smtp="smtp://localhost")), "mail").outcome == "failed"


def test_recipients_whose_readers_are_cleared_for_something_else_are_a_warning(
    settings: ServerSettings, tmp_path: Path
) -> None:
    (tmp_path / "recipients.toml").write_text(
        '[recipients.north]\nclearance = "amber"\ngroups = ["g-one"]\ncollection = "for-north"\n'
        '[recipients.file-only]\nclearance = "green"\n'
    )
    assert "there is no collection for-north" in found(settings, "recipients").words
    database = Database(settings.storage.database_url)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with database.write() as connection:
        made = collections.made(connection, title="for north", alias="for-north", group_id=None, by="t", now=now)
        partners.added(connection, Partner("n", "n", "green", None, ()), by="t", now=now)
        collections.granted(connection, made, "n", can_read=True, can_write=False, by="t", now=now)
    told = [finding for finding in findings(settings) if finding.name == "recipients"]
    assert [finding.outcome for finding in told] == ["warning", "warning"]
    assert told[0].words.startswith("north, read by n: up to TLP:amber may leave, and the partner is cleared for")
    assert "values of group g-one may leave, and the partner is not in it" in told[1].words
    with database.write() as connection:
        partners.changed(connection, "n", {"clearance": "amber", "groups": ["g-one"]}, by="t", now=now)
    database.close()
    assert (found(settings, "recipients").outcome, found(settings, "recipients").words[-12:]) == ("ok", "2 recipients")
    (tmp_path / "recipients.toml").write_text("[recipient.north]")
    assert found(settings, "recipients").outcome == "failed"


def test_a_state_from_the_future_is_a_warning(settings: ServerSettings) -> None:
    import os

    os.utime(settings.storage.state / "records.db", (4e9, 4e9))
    assert found(settings, "clock").outcome == "warning"


def test_more_memory_than_there_is_is_a_warning_and_nonsense_fails(settings: ServerSettings, tmp_path: Path) -> None:
    assert found(replace(settings, detection=Detecting(memory_limit="90TB")), "memory").outcome == "warning"
    assert found(replace(settings, detection=Detecting(memory_limit="much")), "memory").outcome == "failed"
    (tmp_path / "max").write_text("1000\n")
    assert available_bytes(tmp_path / "max") == 1000
    (tmp_path / "max").write_text("max\n")
    assert available_bytes(tmp_path / "max") == available_bytes(tmp_path / "none") > 1000


@pytest.mark.parametrize(
    ("text", "size"), [("4GB", 4_000_000_000), ("2.5GiB", 2_684_354_560), ("800 mb", 800_000_000), ("7B", 7)]
)
def test_sizes_are_read_in_decimal_and_binary_units(text: str, size: int) -> None:
    assert bytes_of(text) == size


def test_a_size_without_a_unit_is_refused() -> None:
    with pytest.raises(SettingsError, match="write it as in 4GB"):
        bytes_of("4")


def test_listening_to_the_world_without_tls_is_a_warning(settings: ServerSettings) -> None:
    assert found(replace(settings, server=Listening(host="0.0.0.0")), "address").outcome == "warning"  # noqa: S104


def test_the_command_prints_lines_or_json_and_exits_with_one_when_something_failed(
    settings: ServerSettings, run: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "stillwatch.toml"
    file.write_text(f'[storage]\nstate = "{settings.storage.state}"\n[detection]\nmemory_limit = "100MB"\n')
    done = run("doctor", "--config", file)
    assert (done.code, done.err) == (0, "")
    assert "ok       live actions       none: every decision is in shadow\n" in done.out
    file.write_text(file.read_text() + '[decisions]\npolicy = "none.toml"\n')
    done = run("doctor", "--config", file, "--format", "json")
    assert done.code == 1
    assert [row["name"] for row in json.loads(done.out) if row["outcome"] == "failed"] == ["policy"]


def test_a_service_that_the_environment_sets_is_checked_without_a_file(
    settings: ServerSettings, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "live actions" not in run("doctor").out
    monkeypatch.setenv("STILLWATCH_STORAGE_STATE", str(settings.storage.state))
    monkeypatch.setenv("STILLWATCH_DECISIONS_LIVE", "verify")
    done = run("doctor", "--service")
    assert "live actions" in done.out
    assert "none: every decision is in shadow" not in done.out


def test_fewer_files_than_connections_is_a_warning(settings: ServerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(settings, "open files").outcome == "ok"
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    told = found(settings, "open files")
    assert (told.outcome, "4096" in told.words, "max_connections" in told.words) == ("warning", True, True)
