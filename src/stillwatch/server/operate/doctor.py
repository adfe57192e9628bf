"""Whether the service can run here with these settings: one finding per thing looked at, and what to do about it."""

import os
import resource
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from stillwatch.decisions import load_policy
from stillwatch.errors import StillwatchError
from stillwatch.partners.outbound import read_recipients, recipients_path
from stillwatch.server import migrations
from stillwatch.server.database import Database, make_folder
from stillwatch.server.operate.health import unwritable
from stillwatch.server.settings import ServerSettings, files_wanted
from stillwatch.server.sharing.clearances import differences
from stillwatch.settings import KEY_BYTES, bytes_of, key_path

FREE_BYTES = 5 << 30  # below that a state has no room to be written again
SLOW_SYNC_S = 0.1  # every acknowledged batch waits for one
RELEASED_AT = datetime(2026, 1, 1, tzinfo=UTC)  # a clock before that is wrong
MEMORY_SHARE = 0.8

Outcome = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: how it is, in words that say what to do when it is not well."""

    name: str
    outcome: Outcome
    words: str


def findings(settings: ServerSettings) -> list[Finding]:
    """Everything that was looked at, in the order in which the service needs it."""
    return [finding for check in _CHECKS for finding in check(settings)]


def _key(_settings: ServerSettings) -> Iterator[Finding]:
    path = key_path()
    if not path.exists():
        yield Finding("key file", "warning", f"{path} does not exist; the first start makes it. Back it up then.")
        return
    held = path.stat()
    if held.st_size < KEY_BYTES:
        yield Finding("key file", "failed", f"{path} holds {held.st_size} bytes, fewer than {KEY_BYTES}: restore it.")
    elif stat.S_IMODE(held.st_mode) & 0o007:
        yield Finding("key file", "failed", f"everybody may read {path}: chmod 600 {path}")
    elif stat.S_IMODE(held.st_mode) & 0o070:
        yield Finding("key file", "warning", f"the group may read {path}: chmod 600 {path}, unless it must.")
    else:
        yield Finding("key file", "ok", f"{path}, {held.st_size} bytes, its owner's only")


def _state(settings: ServerSettings) -> Iterator[Finding]:
    folder = settings.storage.state
    try:
        make_folder(folder)
    except StillwatchError as error:
        yield Finding("state folder", "failed", str(error))
        return
    began = time.perf_counter()
    why = unwritable(folder)
    seconds = time.perf_counter() - began
    if why is not None:
        yield Finding("state folder", "failed", f"{folder} {why}. Give it to the user of the service.")
        return
    yield Finding("state folder", "ok", f"{folder} can be written to")
    words = f"a write took {seconds * 1000:.0f} ms to reach the disk"
    if seconds > SLOW_SYNC_S:
        yield Finding("fsync", "warning", f"{words}; every batch waits for that. Use a local disk for storage.state.")
    else:
        yield Finding("fsync", "ok", words)
    free = shutil.disk_usage(folder).free
    words = f"{free / 2**30:.1f} GiB free in {folder}"
    enough = free >= FREE_BYTES
    yield Finding(
        "disk", "ok" if enough else "warning", words if enough else f"{words}: erasure and compaction write files anew."
    )


def _database(settings: ServerSettings) -> Iterator[Finding]:
    try:
        with closing(Database(settings.storage.database_url)) as database, database.read() as connection:
            revision = migrations.current(connection)
        migrations.refuse_newer(revision)
    except StillwatchError as error:
        yield Finding("database", "failed", str(error))
        return
    yield Finding("database", "ok", f"{database.name} answers")
    if revision == migrations.newest():
        yield Finding("schema", "ok", f"at revision {revision}")
    else:
        words = f"at {revision or 'nothing'}; the next start brings it to {migrations.newest()}."
        yield Finding("schema", "warning", words)


def _policy(settings: ServerSettings) -> Iterator[Finding]:
    told = settings.decisions.policy
    try:
        policy = load_policy(Path(told) if told else None)
    except StillwatchError as error:
        yield Finding("policy", "failed", str(error))
        return
    words = f"{told or 'the built-in one'}: {policy.name} {policy.version}, {len(policy.rules)} rules"
    yield Finding("policy", "ok", words)
    live = settings.decisions.live
    if live:
        words = f"LIVE, customers feel it: {', '.join(live)}. Take them out of decisions.live to go back to shadow."
        yield Finding("live actions", "warning", words)
    else:
        yield Finding("live actions", "ok", "none: every decision is in shadow")


def _alerts(settings: ServerSettings) -> Iterator[Finding]:
    for told in settings.alerts.webhooks:
        url, _, secret = told.partition(" ")
        parts = urlsplit(url)
        name = f"webhook {parts.hostname or '(no host)'}"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield Finding(name, "failed", "write it as https://HOST/PATH SECRET")
        elif not secret.strip():
            words = "has no secret after its address: whoever gets it cannot tell that it is ours."
            yield Finding(name, "failed", words)
        elif parts.scheme == "http":
            yield Finding(name, "warning", "is http: what is told can be read on its way. Use https.")
        else:
            yield Finding(name, "ok", "has an address and a secret; nothing was sent")
    if settings.alerts.smtp and not (settings.alerts.mail_from and settings.alerts.mail_to):
        yield Finding("mail", "failed", "alerts.smtp is set: set alerts.mail_from and alerts.mail_to too.")


def _clearances(settings: ServerSettings) -> Iterator[Finding]:
    path = Path(settings.sharing.recipients) if settings.sharing.recipients else recipients_path()
    if not path.exists():
        return
    try:
        told = read_recipients(path).by_name
        with closing(Database(settings.storage.database_url)) as database, database.read() as connection:
            is_ready = migrations.current(connection) == migrations.newest()
            found = differences(connection, told) if is_ready else []
    except StillwatchError as error:
        yield Finding("recipients", "failed", str(error))
        return
    if not found:
        words = f"{path}, {len(told)} recipients" + ("" if is_ready else "; not compared with the TAXII server yet")
        yield Finding("recipients", "ok", words)
    for words in found:
        yield Finding("recipients", "warning", f"{words}. The stricter one holds: make the file and the partner agree.")


def _clock(settings: ServerSettings) -> Iterator[Finding]:
    now = datetime.now(UTC)
    folder = settings.storage.state
    newest = max((path.stat().st_mtime for path in folder.glob("*")), default=0.0) if folder.exists() else 0.0
    if now < RELEASED_AT:
        yield Finding("clock", "failed", f"it says {now:%Y-%m-%d}, before this version was made: set it.")
    elif newest > now.timestamp() + 300:
        words = "files in the state folder are from the future: it was set back, or was wrong before."
        yield Finding("clock", "warning", words)
    else:
        yield Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC")


def _memory(settings: ServerSettings) -> Iterator[Finding]:
    try:
        limit = bytes_of(settings.detection.memory_limit)
    except StillwatchError as error:
        yield Finding("memory", "failed", f"detection.memory_limit: {error}")
        return
    has = available_bytes()
    words = f"detection may take {settings.detection.memory_limit}, this machine gives {has / 2**30:.1f} GiB"
    if limit + settings.intake.max_pending_bytes > MEMORY_SHARE * has:
        yield Finding("memory", "warning", f"{words}: lower detection.memory_limit or intake.max_pending_bytes.")
    else:
        yield Finding("memory", "ok", words)


def available_bytes(limits: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Memory of the machine, or of the container where that has less."""
    has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(has, int(limits.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit, which says `max`
        return has


def _files(settings: ServerSettings) -> Iterator[Finding]:
    may, wanted = resource.getrlimit(resource.RLIMIT_NOFILE)[1], files_wanted(settings.server)
    words = f"this process may open {'any number' if may == resource.RLIM_INFINITY else may}, and wants {wanted}"
    if may != resource.RLIM_INFINITY and may < wanted:
        advice = "raise its limit (ulimit -Hn, LimitNOFILE=), or lower server.max_connections."
        yield Finding("open files", "warning", f"{words}: {advice}")
    else:
        yield Finding("open files", "ok", words)


def _open(settings: ServerSettings) -> Iterator[Finding]:
    host = settings.server.host
    if host not in ("127.0.0.1", "::1", "localhost"):
        words = f"it listens on {host} without TLS: put a proxy with TLS before it, or keep the network to yourself."
        yield Finding("address", "warning", words)
    else:
        yield Finding("address", "ok", f"{host}, port {settings.server.port}: this machine only")


_CHECKS: tuple[Callable[[ServerSettings], Iterator[Finding]], ...] = (
    _key,
    _state,
    _database,
    _policy,
    _alerts,
    _clearances,
    _clock,
    _memory,
    _files,
    _open,
)
