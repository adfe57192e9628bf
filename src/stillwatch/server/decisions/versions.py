"""Versions of the snapshot: a number that moves with every changed row, and the accounts whose row changed last.

The first half of a version, its epoch, is new in every process, so nobody takes one process's numbers for another's.
"""

import secrets
from collections import deque
from collections.abc import Callable
from itertools import islice

RING = 100_000  # changed rows that can be followed; who is further behind reads the whole snapshot again


class Versions:
    """What changed, in order, and who listens for it. Whoever writes holds the snapshot's lock."""

    def __init__(self) -> None:
        """Nothing has changed yet."""
        self._listeners: set[Callable[[], None]] = set()
        self._changed: deque[bytes] = deque(maxlen=RING)
        self.is_hung_up = False
        self.start_anew()

    def start_anew(self) -> None:
        """Begin another epoch: everybody has to read the whole snapshot again."""
        self._epoch, self._number = secrets.token_hex(6), 0
        self._changed.clear()

    def __str__(self) -> str:
        """The version now: EPOCH-N."""
        return f"{self._epoch}-{self._number}"

    def note(self, key: bytes) -> None:
        """Note that the row of an account changed."""
        self._number += 1
        self._changed.append(key)

    def after(self, version: str) -> list[tuple[str, bytes]] | None:
        """Accounts that changed after a version, each once and in order, with where it leads to; None: not known."""
        epoch, _, number = version.partition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit()):
            return None
        missed = self._number - int(number)
        if not 0 <= missed <= len(self._changed):
            return None
        newest: dict[bytes, int] = {}
        for at, key in enumerate(islice(self._changed, len(self._changed) - missed, None), int(number) + 1):
            newest.pop(key, None)
            newest[key] = at
        return [(f"{epoch}-{at}", key) for key, at in newest.items()]

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called, in any thread, after rows changed; returns what ends that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def tell(self) -> None:
        """Call everybody who listens."""
        for listener in tuple(self._listeners):
            listener()

    @property
    def followers(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def hang_up(self) -> None:
        """End every stream of deltas: the process is about to stop."""
        self.is_hung_up = True
        self.tell()
