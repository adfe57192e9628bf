"""How a partner's server knows us: a token or a password, from a file or from the environment, never shown.

Why:    what stands on a command line is read by everybody on the machine, and what stands in a file of settings is
        copied about with it.
Source: RFC 7617 (Basic), RFC 6750 (Bearer).
"""

import base64
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from stillwatch.errors import SettingsError

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,4096}")


@dataclass(frozen=True, slots=True)
class Login:
    """What is sent with every request, and nowhere else."""

    authorization: str = field(repr=False)

    @property
    def header(self) -> httpx2.Auth:
        """The login as the client sends it."""
        return _Header(self.authorization)


class _Header(httpx2.Auth):
    """One header, said at once: a server need not ask for it first."""

    def __init__(self, authorization: str) -> None:
        self._authorization = authorization

    def auth_flow(self, request: httpx2.Request) -> Iterator[httpx2.Request]:  # type: ignore[override]
        request.headers["Authorization"] = self._authorization
        yield request


def login(told: str, where: str, environment: Mapping[str, str] = os.environ) -> Login | None:
    """The login that `file:PATH` or `env:NAME` holds: `bearer TOKEN` or `basic USER:PASSWORD`. Nothing told, none.

    Raises:
        SettingsError: it cannot be read or used; the message names the place, never what is in it.
    """
    if not told:
        return None
    kind, _, rest = _held(told, where, environment).partition(" ")
    rest = rest.strip()
    if kind.lower() == "bearer" and _TOKEN.fullmatch(rest):
        return Login(f"Bearer {rest}")
    if kind.lower() == "basic" and ":" in rest and rest.isprintable():
        return Login("Basic " + base64.b64encode(rest.encode()).decode())
    raise SettingsError(f"{where}: {told} must hold `bearer TOKEN` or `basic USER:PASSWORD`, on one line.")


def _held(told: str, where: str, environment: Mapping[str, str]) -> str:
    way, _, name = told.partition(":")
    if way == "env" and name:
        if not environment.get(name, "").strip():
            raise SettingsError(f"{where}: the environment variable {name} is not set.")
        return environment[name].strip()
    if way != "file" or not name:
        raise SettingsError(f"{where}: write file:PATH or env:NAME, and the secret itself into the one or the other.")
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: cannot read {name}. Check the path and who may read it.") from error
