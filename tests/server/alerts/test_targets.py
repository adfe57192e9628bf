"""Targets: what cannot be used is told at the start, and no secret is ever shown."""

import base64
from pathlib import Path
from typing import Any

import pytest
from tests.server.alerts.conftest import SECRET

from stillwatch.errors import SettingsError
from stillwatch.server import load_server_settings
from stillwatch.server.alerts.targets import HookTarget, MailTarget, targets
from stillwatch.server.settings import Telling

MAIL: dict[str, Any] = {"smtp": "mail.example", "mail_from": "a@b.example", "mail_to": ("c@d.example",)}


def test_secrets_come_from_the_setting_or_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    told = (f"https://one.example/x {SECRET}", f"https://two.example/y file:{tmp_path / 'secret'}")
    one, two = targets(Telling(webhooks=told))
    assert isinstance(one, HookTarget)
    assert isinstance(two, HookTarget)
    assert (one.name, two.name) == ("one.example", "two.example")
    assert one.signer._whsecret == two.signer._whsecret == base64.b64decode(SECRET[6:])


def test_a_secret_and_a_path_are_in_no_printed_form() -> None:
    settings = Telling(webhooks=(f"https://one.example/path-secret {SECRET}",), mail_password="mail-secret", **MAIL)
    printed = f"{settings!r} {targets(settings)!r}"
    assert "one.example" in printed
    assert [word for word in (SECRET, SECRET[6:20], "path-secret", "mail-secret") if word in printed] == []


@pytest.mark.parametrize(
    "told",
    [
        f"http://one.example/ {SECRET}",
        f"ftp://one.example/ {SECRET}",
        f"https:///x {SECRET}",
        f"https://me:you@one.example/ {SECRET}",
        f"https://one.example/#x {SECRET}",
        f"https://one.example:port/ {SECRET}",
        f"https://ohé.example/ {SECRET}",
        "https://one.example/",
        "https://one.example/ whsec_short",
        "https://one.example/ file:/no/such/file",
        SECRET,
    ],
)
def test_a_webhook_that_cannot_be_used_is_told_without_its_secret(told: str) -> None:
    with pytest.raises(SettingsError, match=r"^\[alerts\] webhooks, entry 2: ") as caught:
        targets(Telling(webhooks=(f"https://zero.example/ {SECRET}", told)))
    assert SECRET[6:] not in str(caught.value)


def test_http_goes_with_private_addresses_only_and_an_address_is_named_once() -> None:
    told = f"http://one.example/ {SECRET}"
    assert len(targets(Telling(webhooks=(told,), allow_private_addresses=True))) == 1
    with pytest.raises(SettingsError, match="named twice"):
        targets(Telling(webhooks=(told, told), allow_private_addresses=True))


@pytest.mark.parametrize(
    ("smtp", "expected"),
    [
        ("mail.example", ("smtp", 587)),
        ("mail.example:2525", ("smtp", 2525)),
        ("smtps://mail.example", ("smtps", 465)),
        ("smtp+plain://127.0.0.1:25", ("smtp+plain", 25)),
    ],
)
def test_a_mail_server_is_spoken_to_over_tls_unless_the_settings_say_plain(
    smtp: str, expected: tuple[str, int]
) -> None:
    (found,) = targets(Telling(**{**MAIL, "smtp": smtp}))
    assert isinstance(found, MailTarget)
    assert (found.scheme, found.port) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"smtp": "imap://mail.example"},
        {"smtp": "smtps://me:you@mail.example"},
        {"mail_from": ""},
        {"mail_to": ()},
        {"mail_to": ("nobody",)},
        {"mail_from": "a@b.example\r\nBcc: x@y.example"},
        {"smtp": "smtp+plain://mail.example", "mail_password": "mail-secret"},
        {"mail_password": "file:/no/such/file"},
    ],
)
def test_mail_that_cannot_be_sent_is_told(changed: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        targets(Telling(**{**MAIL, **changed}))
    assert "mail-secret" not in str(caught.value)


def test_settings_of_a_file_and_of_the_environment_reach_the_targets(tmp_path: Path) -> None:
    path = tmp_path / "stillwatch.toml"
    path.write_text('[alerts]\nsmtp = "mail.example"\nmail_from = "a@b.example"\nmail_to = ["c@d.example"]\n')
    environment = {"STILLWATCH_ALERTS_MAIL_PASSWORD": "p", "STILLWATCH_ALERTS_WEBHOOKS": f"https://x.example/ {SECRET}"}
    hook, mail = targets(load_server_settings(path, environment).alerts)
    assert isinstance(mail, MailTarget)
    assert (hook.name, mail.password, mail.recipients) == ("x.example", "p", ("c@d.example",))
