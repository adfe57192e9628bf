"""Where a webhook may go: the public internet, by an address that was checked and is then connected to.

Why:    whoever can name a webhook, or answers for its name in DNS, could have the service ask its own network (a
        cloud's metadata, a database) on its behalf. A name that is checked and then resolved again may have changed
        in between.
Misses: a public address behind which a proxy leads inside.
Source: OWASP Server-Side Request Forgery Prevention Cheat Sheet; IANA special-purpose address registries (RFC 6890),
        as Python's `ipaddress` holds them; RFC 6052 (NAT64), RFC 3056 (6to4).
"""

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
# Public to some versions of `ipaddress`, yet protocols or clouds answer there from inside: IETF protocol assignments,
# the old 6to4 relays, Azure's platform, site-local addresses, segment routing.
_INSIDE = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "fec0::/10", "5f00::/16"))
)


class AddressError(Exception):
    """A host that leads nowhere, or to where nothing may be sent."""


def checked_address(host: str, port: int, *, allow_private: bool = False) -> str:
    """The address to connect to: the host, resolved once, when every one of its addresses may be asked.

    Raises:
        AddressError: it has no address, or one that is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError("the host has no address") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses:
        raise AddressError("the host has no address")
    if not allow_private and not all(is_public(address) for address in addresses):
        raise AddressError("the host has an address that is not public; see allow_private_addresses")
    return addresses[0]


def is_public(told: str) -> bool:
    """Whether an address is out on the internet, whatever it is wrapped in.

    >>> is_public("93.184.216.34"), is_public("::ffff:127.0.0.1"), is_public("169.254.169.254")
    (True, False, False)
    """
    try:
        address = ipaddress.ip_address(told.partition("%")[0])
    except ValueError:
        return False
    inner = _inner(address)
    if inner is not None:
        return is_public(str(inner))
    is_outside = address.is_global and not address.is_multicast and not address.is_reserved
    return is_outside and not any(address in network for network in _INSIDE)


def _inner(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
