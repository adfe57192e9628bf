"""One typed object of settings, read once, at the edge."""

import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from platformdirs import user_state_path

from stillwatch.errors import SettingsError

KEY_VARIABLE = "STILLWATCH_KEY_FILE"
ENGINES = ("embedded", "spark")
KEY_BYTES = 32  # as many as HMAC-SHA256 can use without hashing the key first
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a scan may be told. Every field is a flag of `stillwatch scan`."""

    logs: tuple[str, ...]
    out: Path
    accounts: Path | None = None
    input_format: str | None = None
    field_map: Path | None = None
    started_at: datetime | None = None
    policy: Path | None = None
    memory_limit: str = "4GB"
    threads: int | None = None
    seed: int = 0
    false_discovery_rate: float = 0.01
    max_rejected_share: float = 0.2
    exemplars: bool = True
    tlp: str = "amber"
    engine: str = "embedded"
    spark_master: str | None = None
    work: str | None = None
    groups: Path | None = None


def checked(settings: Settings) -> Settings:
    """The settings, after refusing what cannot work.

    Raises:
        SettingsError: a share or rate is outside its range, the memory limit cannot be read, or a flag belongs to
            another engine.
    """
    if not 0 <= settings.max_rejected_share <= 1:
        raise SettingsError(f"--max-rejected-share {settings.max_rejected_share}: give a share from 0 to 1")
    if not 0 < settings.false_discovery_rate < 0.5:
        raise SettingsError(f"--fdr {settings.false_discovery_rate}: give a rate above 0 and below 0.5")
    if settings.threads is not None and settings.threads < 1:
        raise SettingsError(f"--threads {settings.threads}: give at least 1")
    if not _SIZE.fullmatch(settings.memory_limit):
        raise SettingsError(f"--memory-limit {settings.memory_limit!r}: write it as in 4GB, 2.5GiB or 800MB")
    if settings.engine not in ENGINES:
        raise SettingsError(f"--engine {settings.engine}: give one of {', '.join(ENGINES)}")
    for flag, value in (("--spark-master", settings.spark_master), ("--work", settings.work)):
        if value is not None and settings.engine != "spark":
            raise SettingsError(f"{flag} {value}: only --engine spark takes it")
    return settings


def bytes_of(size: str) -> int:
    """A size as in 4GB, 2.5GiB or 800MB, in bytes.

    Raises:
        SettingsError: it is written in another way.
    """
    found = _SIZE.fullmatch(size)
    if found is None:
        raise SettingsError(f"{size!r}: write it as in 4GB, 2.5GiB or 800MB")
    unit = found[2].upper()
    base = 1024 if "I" in unit else 1000
    return int(float(found[1]) * base ** " KMGT".index(unit[0] if len(unit) > 1 else " "))


def key_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the deployment's key is: STILLWATCH_KEY_FILE, else the user's state folder."""
    given = environment.get(KEY_VARIABLE)
    return Path(given) if given else user_state_path("stillwatch") / "key"


def groups_path() -> Path:
    """Where the files of sharing groups are, unless another folder is named: beside the key."""
    return key_path().with_name("groups")


def key_secret(path: Path) -> bytes:
    """The deployment's key; made once, readable by its owner only, when there is none.

    Raises:
        SettingsError: the file cannot be read or written, or is too short to be a key.
    """
    try:
        if not path.exists():
            _make_key(path)
        secret = path.read_bytes()
    except OSError as error:
        message = f"cannot use the key file {path}: {error.strerror}. Set {KEY_VARIABLE} to a file you may write."
        raise SettingsError(message) from error
    if len(secret) < KEY_BYTES:
        message = f"the key file {path} holds {len(secret)} bytes, fewer than {KEY_BYTES}. Remove it to have one made."
        raise SettingsError(message)
    return secret


def _make_key(path: Path) -> None:
    """Write a new key under another name first, so that no run ever reads half a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 0600
    partial = Path(name)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
    try:
        os.link(partial, path)  # fails when another process made it first; then theirs counts
    except FileExistsError:
        pass
    finally:
        partial.unlink()
