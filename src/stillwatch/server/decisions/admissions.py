"""Who may ask for decisions, remembered for a few seconds, so that not every request asks the database.

Only admissions are remembered, never refusals, and by a digest: no key stays in memory. One that gets old is looked at
again in the background while it still serves; one that is too old serves no more, so that a revoked key stops within
`OLD_S` seconds.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from stillwatch.errors import StillwatchError
from stillwatch.server.access import Principal

FRESH_S = 2.0
OLD_S = 5.0
_MOST = 10_000  # keys that are remembered
_MOST_LOOKS = 32  # keys that are looked at in the background at once


class _Admission(NamedTuple):
    namespace: bytes
    admitted_at: float


class Admissions:
    """What is remembered of keys that may ask."""

    def __init__(
        self,
        principal: Callable[[str, str], Principal | None],
        *,
        later: Callable[[Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`principal` says who holds `Authorization` and `X-API-Key`; `later` runs a function in another thread."""
        self._principal, self._later, self._clock = principal, later, clock
        self._secret = secrets.token_bytes(32)
        self._held: dict[bytes, _Admission] = {}
        self._looks: set[bytes] = set()

    def namespace(self, authorization: bytes, api_key: bytes) -> bytes | None:
        """The namespace of a key that may ask (empty: none); None when that is not known, and is being found out."""
        digest = hashlib.blake2b(authorization + b"\n" + api_key, digest_size=16, key=self._secret).digest()
        admission = self._held.get(digest)
        age = OLD_S if admission is None else self._clock() - admission.admitted_at
        if age > FRESH_S and digest not in self._looks and len(self._looks) < _MOST_LOOKS:
            self._looks.add(digest)
            self._later(lambda: self._look(digest, authorization, api_key))
        return admission.namespace if admission is not None and age < OLD_S else None

    def _look(self, digest: bytes, authorization: bytes, api_key: bytes) -> None:
        began = self._clock()
        try:
            found = self._principal(authorization.decode("latin-1"), api_key.decode("latin-1"))
        except StillwatchError:  # nobody knows: what is held gets old
            pass
        else:
            self._note(digest, found, began)
        finally:
            self._looks.discard(digest)

    def _note(self, digest: bytes, found: Principal | None, began: float) -> None:
        if found is None or not found.may("enforcer"):
            self._held.pop(digest, None)
            return
        if len(self._held) >= _MOST:
            self._held.clear()
        self._held[digest] = _Admission(found.account_id("").encode(), began)
