"""Identifiers become HMACs under the deployment's key, the same in every table and on every day.

Why:    a plain hash of an address, a phone number or a card is undone by trying them all; an HMAC needs the key.
Misses: whoever holds the key can still try them all, so the key file is as sensitive as the logs.
Source: RFC 2104 (HMAC), Krawczyk, Bellare & Canetti, 1997.
"""

import hmac
import ipaddress
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.ingest.digests import HEX_CHARS, digests
from stillwatch.ingest.networks import networks

KEY_ID_CHARS = 12
CACHED_ADDRESSES = 1 << 18  # about 80 MB; clients come back, and hashing them again would be most of the work
_ADDRESS_CHARS = 64  # what is longer is no address but a list or worse, and clients choose how long: not cached
_ABSENT = frozenset({"", "-", "null", "none", "unknown"})  # how logs write "no address"
_DIALLED = re.compile(r"[+()\d\s./-]+")
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.%]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+")


@dataclass(frozen=True, slots=True)
class Key:
    """The deployment's secret. Equal values of one kind get equal identifiers; kinds never meet."""

    secret: bytes = field(repr=False)
    _addresses: dict[str, tuple[str, str | None]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def key_id(self) -> str:
        """Names the key without giving it away; stored beside everything made with it."""
        return self.digest("key_id", b"")[:KEY_ID_CHARS]

    def digest(self, kind: str, value: bytes) -> str:
        """HMAC-SHA256(secret, kind, 0, value) as 32 hex digits, the value taken as it is."""
        return hmac.digest(self.secret, kind.encode() + b"\0" + value, "sha256").hex()[:HEX_CHARS]

    def identifier(self, kind: str, value: str) -> str:
        """The identifier of one value, normalised as its kind asks."""
        return self.digest(kind, normalised(kind, value).encode("utf-8", "replace"))

    def address_identifiers(self, value: str) -> tuple[str, str | None]:
        """Identifiers of an address and of its prefix; a value that is no address has no prefix."""
        found = self._addresses.get(value)
        if found is None and len(value) > _ADDRESS_CHARS:
            return _address_identifiers(self, value)
        if found is None:
            if len(self._addresses) >= CACHED_ADDRESSES:
                self._addresses.clear()
            found = self._addresses[value] = _address_identifiers(self, value)
        return found


def normalised(kind: str, value: str) -> str:
    """The value as its kind asks: what two logs spell differently becomes one text."""
    return _NORMALISERS.get(kind, str.strip)(value)


def address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address a log wrote, in any spelling; null when it is none (a hash, a name).

    A port, brackets, a zone and IPv4-in-IPv6 are undone. Of a list the last counts: a proxy appends what it saw, and
    everything before that was written by the client.
    """
    text = value.rpartition(",")[2].strip()
    with_port = _WITH_PORT.fullmatch(text)
    if with_port:
        text = with_port[1] or with_port[2]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def prefix(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """The network an address is handed out from: /24 of IPv4, /48 of IPv6."""
    length = 24 if found.version == 4 else 48
    return str(ipaddress.ip_network((found, length), strict=False))


def hashed(key: Key, kind: str, values: pa.Array) -> pa.Array:
    """A column of strings with every value replaced by its identifier; each distinct value is hashed once."""
    return _of_distinct(values, lambda distinct: _identifiers(key, kind, distinct))


def hashed_addresses(key: Key, values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Identifiers of the addresses and of their prefixes; a value that is no address has no prefix."""
    encoded = encode(values)
    whole, prefixes = _addresses(key, encoded.dictionary)
    return _taken(whole, encoded.indices, like=values), _taken(prefixes, encoded.indices, like=values)


def hashed_lists(key: Key, kind: str, values: pa.Array) -> pa.Array:
    """A list<string> array with every element hashed; nulls inside a list are dropped, an empty list becomes null."""
    if values.null_count == len(values):
        return values
    flat, is_null = values.flatten(), values.is_null()
    sizes = np.where(is_null, 0, np.diff(values.offsets))
    is_full = np.count_nonzero(sizes) == len(values) - values.null_count and flat.null_count == 0
    if not is_full or pc.min(pc.binary_length(flat)).as_py() == 0:
        rows: list[list[str] | None] = values.to_pylist()
        made = [[key.identifier(kind, cell) for cell in row if cell] if row else None for row in rows]
        return pa.array([row or None for row in made], pa.list_(pa.string()))
    offsets = pa.array(np.append(0, np.cumsum(sizes)).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, _identifiers(key, kind, flat), mask=is_null)


def present(values: pa.Array) -> pa.Array:
    """Null where a log wrote a dash or a word for "none"."""
    return _of_distinct(values, _present)


def encode(values: pa.Array) -> pa.DictionaryArray:
    """The column as a dictionary; one that is stays as it is."""
    return values if pa.types.is_dictionary(values.type) else values.dictionary_encode()


def _of_distinct(values: pa.Array, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """A function of a string applied to each distinct value; a dictionary stays one."""
    encoded = encode(values)
    return _taken(function(encoded.dictionary), encoded.indices, like=values)


def _taken(distinct: pa.Array, indices: pa.Array, *, like: pa.Array) -> pa.Array:
    """The values at the indices: a dictionary of different values that are not null, when `like` is a dictionary."""
    if not pa.types.is_dictionary(like.type):
        return distinct.take(indices)
    again = distinct.dictionary_encode()
    return pa.DictionaryArray.from_arrays(again.indices.take(indices), again.dictionary)


def _present(values: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_in(pc.utf8_lower(values), pa.array(sorted(_ABSENT))), pa.scalar(None, pa.string()), values)


def _identifiers(key: Key, kind: str, values: pa.Array) -> pa.Array:
    """The identifier of every value; in Python only where there may be more than ASCII, and addresses."""
    if (kind not in _NORMALISERS or kind in _VISIBLE_NORMALISERS) and _is_visible(values):
        return digests(key.secret, kind, _VISIBLE_NORMALISERS.get(kind, _unchanged)(values))
    return pa.array([None if v is None else key.identifier(kind, v) for v in values.to_pylist()], pa.string())


def _is_visible(values: pa.Array) -> bool:
    """Whether all bytes are ASCII that shows: there is nothing to strip and nothing to replace."""
    joined = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    return not len(joined) or bool(joined.min() > 0x20 and joined.max() < 0x7F)


def _addresses(key: Key, values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Identifiers of different addresses and of their prefixes; in Python only those that are no plain IPv4."""
    found = networks(values)
    whole, known = digests(key.secret, "ip", values), encode(found)
    prefixes = digests(key.secret, "ip_prefix", known.dictionary).take(known.indices)
    if not found.null_count:
        return whole, prefixes
    odd = found.is_null()
    pairs = [(None, None) if v is None else key.address_identifiers(v) for v in values.filter(odd).to_pylist()]
    parts = (pa.array([pair[i] for pair in pairs], pa.string()) for i in (0, 1))
    return tuple(pc.replace_with_mask(all_, odd, part) for all_, part in zip((whole, prefixes), parts, strict=True))


def _address_identifiers(key: Key, value: str) -> tuple[str, str | None]:
    try:
        packed = socket.inet_pton(socket.AF_INET, value)  # ten times faster than ipaddress, and the usual case
    except (OSError, ValueError):
        found = address(value)
        if found is None:
            return key.digest("ip", _plain(value)), None
        return key.digest("ip", str(found).encode()), key.digest("ip_prefix", prefix(found).encode())
    network = b"%d.%d.%d.0/24" % tuple(packed[:3])
    return key.digest("ip", value.encode()), key.digest("ip_prefix", network)


def _plain(value: str) -> bytes:
    return value.strip().encode("utf-8", "replace")


def _ip(value: str) -> str:
    return str(address(value) or value.strip())


def _ip_prefix(value: str) -> str:
    found = address(value)
    if found is not None:
        return prefix(found)
    try:
        network = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        return value.strip()
    return (
        prefix(network.network_address) if network.prefixlen >= (24 if network.version == 4 else 48) else str(network)
    )


def _phone(value: str) -> str:
    """Digits only, international prefix undone; what holds letters is a hash already and stays."""
    if not _DIALLED.fullmatch(value):
        return value.strip()
    digits = re.sub(r"\D", "", value)
    return digits.removeprefix("00")


def _email(value: str) -> str:
    return value.strip().lower()


def _visible_phones(values: pa.Array) -> pa.Array:
    """What `_phone` makes of texts of visible ASCII."""
    is_dialled = pc.match_substring_regex(values, r"^[+()0-9./-]+$")
    digits = pc.replace_substring_regex(pc.replace_substring_regex(values, r"[^0-9]", ""), "^00", "")
    return pc.if_else(is_dialled, digits, values)


def _unchanged(values: pa.Array) -> pa.Array:
    return values


_VISIBLE_NORMALISERS: Mapping[str, Callable[[pa.Array], pa.Array]] = {
    "email": pc.ascii_lower,
    "phone": _visible_phones,
}
_NORMALISERS: Mapping[str, Callable[[str], str]] = {
    "ip": _ip,
    "ip_prefix": _ip_prefix,
    "email": _email,
    "phone": _phone,
}
