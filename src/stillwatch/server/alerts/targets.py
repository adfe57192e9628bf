"""Whom to tell: webhooks and mail, read from the settings and checked before anything is sent."""

import base64
import hashlib
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from standardwebhooks import Webhook

from stillwatch.errors import SettingsError
from stillwatch.server.alerts.credentials import credential
from stillwatch.server.alerts.outbox import KINDS
from stillwatch.server.settings import Telling

LEAST_SECRET_BYTES = 24  # of the Standard Webhooks specification
# What people are mailed: what they have to look at. Programs are told the rest.
MAILED = frozenset(("campaign.opened", "campaign.grew", "recognised.found", "recognised.grew", "verification.appealed"))
_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}


@dataclass(frozen=True, slots=True)
class HookTarget:
    """A webhook: its address and its secret, neither of which is ever shown; `name` is its host."""

    target_id: str
    name: str
    url: str = field(repr=False)
    signer: Webhook = field(repr=False)
    kinds: frozenset[str] = frozenset(KINDS)


@dataclass(frozen=True, slots=True)
class MailTarget:
    """A mail server and who is written to. Without TLS only where the settings say smtp+plain."""

    target_id: str
    name: str
    scheme: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    sender: str
    recipients: tuple[str, ...]
    kinds: frozenset[str] = MAILED


Target = HookTarget | MailTarget


def targets(settings: Telling) -> tuple[Target, ...]:
    """Everybody who is to be told.

    Raises:
        SettingsError: an address or a secret cannot be used; the message holds neither.
    """
    hooks = [
        _hook(told, f"[alerts] webhooks, entry {i}", allow_http=settings.allow_private_addresses)
        for i, told in enumerate(settings.webhooks, start=1)
    ]
    if len({hook.target_id for hook in hooks}) < len(hooks):
        raise SettingsError("[alerts] webhooks: an address is named twice. Name each once.")
    return (*hooks, *([_mail(settings)] if settings.smtp else []))


def signer(secret: str, where: str) -> Webhook:
    """What signs and verifies with a Standard Webhooks secret.

    Raises:
        SettingsError: it is none, or too short.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_") + "==")
    except ValueError:
        key = b""
    if not secret.startswith("whsec_") or len(key) < LEAST_SECRET_BYTES:
        raise SettingsError(f"{where}: the secret must be whsec_ and base64 of at least {LEAST_SECRET_BYTES} bytes.")
    return Webhook(key)


def _hook(told: str, where: str, *, allow_http: bool) -> HookTarget:
    url, _, secret = told.strip().partition(" ")
    parts = _parts(url, where)
    if parts.scheme != "https" and not (parts.scheme == "http" and allow_http):
        raise SettingsError(f"{where}: the address must be https:// (http:// only with allow_private_addresses).")
    if not parts.hostname or parts.username is not None or parts.password is not None or parts.fragment:
        raise SettingsError(f"{where}: write https://HOST/PATH, without a user and without #.")
    made = signer(credential(secret.strip(), where), where)
    return HookTarget(_id_of(url), parts.hostname, url, made)


def _parts(url: str, where: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is none raises
    except ValueError as error:
        raise SettingsError(f"{where}: this is no address. Write https://HOST/PATH.") from error
    if not url.isascii() or not url.isprintable():
        raise SettingsError(f"{where}: the address holds characters that no URL may hold. Encode them.")
    return parts


def _mail(settings: Telling) -> MailTarget:
    told = settings.smtp if "://" in settings.smtp else f"smtp://{settings.smtp}"
    parts = _parts(told, "[alerts] smtp")
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise SettingsError("[alerts] smtp: write HOST:PORT (STARTTLS), smtps://HOST:PORT or smtp+plain://HOST:PORT.")
    if not settings.mail_from or not settings.mail_to:
        raise SettingsError("[alerts] smtp: say mail_from and mail_to as well.")
    addresses = (settings.mail_from, *settings.mail_to)
    if not all("@" in one and one.isprintable() for one in addresses):
        raise SettingsError("[alerts] mail_from, mail_to: write addresses, as in alerts@example.com.")
    password = credential(settings.mail_password, "[alerts] mail_password")
    if password and parts.scheme == "smtp+plain":
        raise SettingsError("[alerts] smtp: no password over smtp+plain, where everybody could read it.")
    port = parts.port or _PORTS[parts.scheme]
    return MailTarget(
        _id_of(told),
        f"mail by {parts.hostname}",
        parts.scheme,
        parts.hostname,
        port,
        settings.mail_user,
        password,
        settings.mail_from,
        settings.mail_to,
    )


def _id_of(address: str) -> str:
    """A name for the address that does not give it away: its path may be a secret."""
    return hashlib.sha256(address.encode()).hexdigest()[:32]
