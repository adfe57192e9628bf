"""The peers file: with whom we share, where their servers are, and which identity is theirs.

[[peers]]
name = "north"                                    # as in the file of recipients
url = "https://taxii.north.example/taxii2/api/"   # an API root
pull = ["indicators"]                             # collections to read: id, alias or title
push = "incoming"                                 # collection to add to
credentials = "file:/etc/stillwatch/north"        # or env:NAME; holds `bearer TOKEN` or `basic USER:PASSWORD`
senders = ["identity--..."]                       # whose objects are taken; the first one seen when left out
groups = ["g-..."]                                # sharing groups it is a member of; any when left out
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from stillwatch.errors import SettingsError

IDENTITY: Final = re.compile(r"identity--[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
GROUP: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
MOST_PEERS: Final = 1_000
_HERE = frozenset(("localhost", "127.0.0.1", "::1"))
_TEXTS, _LISTS = ("name", "url", "push", "credentials", "ca"), ("pull", "senders", "groups")


@dataclass(frozen=True, slots=True)
class Peer:
    """A provider we share with. `senders` are the STIX identities whose objects it may send."""

    name: str
    url: str = ""
    pull: tuple[str, ...] = ()
    push: str = ""
    credentials: str = ""
    ca: Path | None = None
    senders: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    takes_extension_definitions: bool = True


def read_peers(path: Path) -> tuple[Peer, ...]:
    """Every peer of the file.

    Raises:
        SettingsError: it cannot be read, a name is unknown or used twice, or a value cannot be used.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}. Name a TOML file with [[peers]] in it.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    rows = told.get("peers")
    if set(told) != {"peers"} or not isinstance(rows, list) or not 0 < len(rows) <= MOST_PEERS:
        raise SettingsError(f"{path}: write one [[peers]] for each provider, at most {MOST_PEERS}, and nothing else.")
    peers = tuple(_peer(row, f"{path}, peer {number}") for number, row in enumerate(rows, start=1))
    _refuse_doubles(peers, path)
    return peers


def peer_of(peers: tuple[Peer, ...], name: str) -> Peer:
    """The peer of that name.

    Raises:
        SettingsError: there is none.
    """
    for peer in peers:
        if peer.name == name:
            return peer
    raise SettingsError(f"there is no peer {name}. There are: {', '.join(peer.name for peer in peers)}.")


def senders_of_others(peers: Iterable[Peer], peer: Peer) -> list[str]:
    """Identities that are pinned to other peers than this one."""
    return [sender for other in peers if other.name != peer.name for sender in other.senders]


def _peer(row: object, where: str) -> Peer:
    known = (*_TEXTS, *_LISTS, "takes_extension_definitions")
    if not isinstance(row, dict):
        raise SettingsError(f"{where}: write [[peers]] and its values below it.")
    if unknown := sorted(set(row) - set(known)):
        raise SettingsError(f"{where}: no such setting: {', '.join(unknown)}. There are: {', '.join(known)}.")
    peer = Peer(
        name=_text(row, "name", where),
        url=_text(row, "url", where),
        pull=_list(row, "pull", where),
        push=_text(row, "push", where),
        credentials=_text(row, "credentials", where),
        ca=Path(told) if (told := _text(row, "ca", where)) else None,
        senders=_list(row, "senders", where),
        groups=_list(row, "groups", where),
        takes_extension_definitions=_flag(row, "takes_extension_definitions", where),
    )
    _check(peer, where)
    return peer


def _check(peer: Peer, where: str) -> None:
    if not NAME.fullmatch(peer.name):
        raise SettingsError(f"{where}: name: give one of small letters, digits, - . and _, at most 63.")
    where = f"{where} ({peer.name})"
    if peer.url or peer.pull or peer.push:
        _check_url(peer.url, where)
    if not all(map(IDENTITY.fullmatch, peer.senders)):
        raise SettingsError(f"{where}: senders: give ids of identities, such as identity--UUID.")
    if not all(map(GROUP.fullmatch, peer.groups)):
        raise SettingsError(f"{where}: groups: give ids of sharing groups.")


def _flag(row: Mapping[str, Any], name: str, where: str) -> bool:
    value = row.get(name, True)
    if not isinstance(value, bool):
        raise SettingsError(f"{where}: {name}: give true or false.")
    return value


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name, "")
    if not isinstance(value, str) or not value.isprintable():
        raise SettingsError(f"{where}: {name}: give a text.")
    return value


def _list(row: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    values = row.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) and value.isprintable() for value in values):
        raise SettingsError(f"{where}: {name}: give a list of texts.")
    return tuple(values)


def _check_url(url: str, where: str) -> None:
    """Credentials go there: over TLS, but for this machine, and to a host that is written out."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is none raises
    except ValueError as error:
        raise SettingsError(f"{where}: url: this is no address. Write https://HOST/API-ROOT/.") from error
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE)
    if not is_safe or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise SettingsError(
            f"{where}: url: write https://HOST/API-ROOT/, without a user, ? or #; http:// only on this machine."
        )
    if not url.isascii():
        raise SettingsError(f"{where}: url: it holds characters that no URL may hold. Encode them.")


def _refuse_doubles(peers: tuple[Peer, ...], path: Path) -> None:
    """Two peers with one name would share a folder; with one identity, either could speak for the other."""
    for what, values in (
        ("name", [peer.name for peer in peers]),
        ("sender", [sender for peer in peers for sender in set(peer.senders)]),
    ):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise SettingsError(f"{path}: two peers have the {what} {twice[0]}. Each needs its own.")
