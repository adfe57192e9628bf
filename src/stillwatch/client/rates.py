"""How often an account may ask: one number per account, in bounded memory.

Why:    a throttled account is to be slowed, not stopped, and told when to come back.
Misses: each process counts by itself; with several, give each its share of the rate.
Source: ATM Forum (1996), Traffic Management Specification 4.0, section 4.4.2: the generic cell rate algorithm in its
        virtual-scheduling form, which is a token bucket that keeps one time instead of a level and a time.
"""

import threading
import time
from collections.abc import Callable

BURST_S = 10.0  # what a quiet account may send at once: as much as in this many seconds

_ROUNDING_S = 1e-6  # of sums of times since the machine started


class Rates:
    """For each account the time at which its bucket is full again [s, monotonic]."""

    def __init__(
        self, *, max_accounts: int = 100_000, processes: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """So many accounts at most; a rate is shared by so many processes."""
        self._max_accounts, self._processes, self._clock = max_accounts, max(1, processes), clock
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait_s(self, account_id: str, requests_per_minute: float) -> float:
        """0 when the account may ask now, and then that is counted; else the seconds until it may."""
        apart_s = 60.0 * self._processes / requests_per_minute
        with self._lock:
            now = self._clock()
            full_at = max(self._full_at.pop(account_id, now), now)
            wait = full_at + apart_s - now - max(apart_s, BURST_S)
            if wait > _ROUNDING_S:
                self._full_at[account_id] = full_at
                return wait
            if len(self._full_at) >= self._max_accounts:
                self._make_room(now)
            self._full_at[account_id] = full_at + apart_s
            return 0.0

    def __len__(self) -> int:
        """How many accounts are remembered."""
        return len(self._full_at)

    def _make_room(self, now: float) -> None:
        """Forget who is full, which changes nothing; if that is not half of them, whoever asked longest ago as well."""
        kept = [(account, at) for account, at in self._full_at.items() if at > now]
        self._full_at = dict(kept[-(self._max_accounts // 2) :])
