"""Addresses that keep coming with keys that are not valid: counted, in bounded memory.

Why:    a guess is hopeless (a key has 256 random bits), but guessing costs us work, and somebody should notice.
Misses: many addresses at once. A valid key always passes, whatever else comes from its address: behind a proxy or a
        NAT all clients share one, and nobody may shut the others out.
"""

import ipaddress
import threading
from collections import OrderedDict
from datetime import datetime, timedelta

ALLOWED = 20  # failures of an address within the time below; after that it is asked to wait
WITHIN = timedelta(seconds=60)
REMEMBERED = 10_000  # addresses; the one that failed longest ago goes first


class Failures:
    """How often each address failed lately."""

    def __init__(self) -> None:
        """Nobody has failed yet."""
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def note(self, address: str, now: datetime) -> bool:
        """Count one failure; whether the address has had too many."""
        name = network(address)
        with self._lock:
            since, count = self._seen.pop(name, (now, 0))
            if not timedelta(0) <= now - since < WITHIN:
                since, count = now, 0
            self._seen[name] = (since, count + 1)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            return count >= ALLOWED

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._seen)


def network(address: str) -> str:
    """The address; of IPv6 its /64, because whoever has one has them all."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
