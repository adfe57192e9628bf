import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nacl import pwhash

from stillwatch.errors import SettingsError, SharingError
from stillwatch.sharing import invitations
from stillwatch.sharing.groups import group

SECRET = bytes(range(32))
HELD = group("g-frontier", SECRET, since=datetime(2026, 1, 1, tzinfo=UTC))
WORDS = "seven quiet herons"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretch passphrases as little as the library lets us: each takes a second and 256 MiB otherwise."""
    monkeypatch.setattr(invitations, "_OPS", pwhash.argon2id.OPSLIMIT_MIN)
    monkeypatch.setattr(invitations, "_MEMORY", pwhash.argon2id.MEMLIMIT_MIN)


def test_only_the_deployment_it_was_locked_for_opens_an_invitation(tmp_path: Path) -> None:
    ours, theirs = (invitations.own_key(tmp_path / name) for name in ("ours", "theirs"))
    text = invitations.sealed(HELD, invitations.public_text(theirs))
    assert invitations.opened(text, key=theirs) == HELD
    assert not invitations.is_for_passphrase(text)
    with pytest.raises(SharingError, match="for somebody else, or damaged"):
        invitations.opened(text, key=ours)
    assert SECRET.hex() not in text


def test_only_the_passphrase_opens_an_invitation_locked_with_one() -> None:
    text = invitations.locked(HELD, WORDS)
    assert invitations.is_for_passphrase(text)
    assert invitations.opened(text, passphrase=WORDS) == HELD
    with pytest.raises(SharingError, match="cannot be opened"):
        invitations.opened(text, passphrase=WORDS + "!")
    with pytest.raises(SharingError, match="locked with a passphrase: give it"):
        invitations.opened(text)
    assert invitations.locked(HELD, WORDS) != text


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(SharingError, match="at least 16 characters"):
        invitations.locked(HELD, "fifteen letters")


def test_a_changed_invitation_is_refused() -> None:
    told = json.loads(invitations.locked(HELD, WORDS))
    for changed in (
        {**told, "box": told["box"][:-8] + "AAAAAAA="},
        {**told, "salt": "AAAA"},
        {**told, "salt": "?"},
        {key: value for key, value in told.items() if key != "box"},
        {**told, "box": 3},
    ):
        with pytest.raises(SharingError, match="cannot be opened"):
            invitations.opened(json.dumps(changed), passphrase=WORDS)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"type": "stillwatch-invitation"}', "x" * (2 << 20)])
def test_what_is_no_invitation_is_said_to_be_none(text: str) -> None:
    with pytest.raises(SharingError, match="no invitation"):
        invitations.opened(text, passphrase=WORDS)


def test_a_public_key_that_is_none_is_refused() -> None:
    for public in ("", "canary", "ab" * 31):
        with pytest.raises(SharingError, match="no public key") as caught:
            invitations.sealed(HELD, public)
        assert "canary" not in str(caught.value)


def test_the_deployment_s_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "sharing-key"
    first = invitations.own_key(path)
    assert bytes(invitations.own_key(path)) == bytes(first)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="read by others"):
        invitations.own_key(path)
    path.chmod(0o600)
    path.write_text("canary")
    with pytest.raises(SettingsError, match="is no key") as caught:
        invitations.own_key(path)
    assert "canary" not in str(caught.value)
