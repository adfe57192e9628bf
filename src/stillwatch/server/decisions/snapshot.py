"""Every standing decision in memory: read by the fast path, followed from SQL, told to gateways as versions and deltas.

    _rows     account id -> decision id (10 bytes) and part id (6 bytes), which say what is told
    _several  account id -> all standing decisions, for the few accounts that have more than one
    _lapses   moment -> accounts whose row changes then
    versions  the accounts whose row changed last, in order

Readers take no lock: a row is replaced as a whole, its part is there before it, and expiry is looked at when reading.
"""

import heapq
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from itertools import islice

import sqlalchemy as sa

from stillwatch.decisions import Countermeasures
from stillwatch.server.database import Database
from stillwatch.server.decisions import ledger
from stillwatch.server.decisions.parts import Choice, Held, Part, Parts, Standing, chosen, nothing, row
from stillwatch.server.decisions.versions import Versions
from stillwatch.server.tables import brakes, decisions

_BATCH = 50  # rows changed in one go, about half a millisecond; then whoever answers requests gets a turn
MOST_READERS = 8  # of everything at once: each holds a copy, some tens of megabytes for a million accounts
_COLUMNS = (*Standing._fields[:5], "created_at", "expires_at")


class Snapshot:
    """The standing decisions of every account, as one process sees them."""

    def __init__(self, countermeasures: Countermeasures, *, live: Collection[str], now: Callable[[], datetime]) -> None:
        """Nothing is known before `refresh`."""
        self._now = now
        self._named = self._live = frozenset(live)
        self._braked: frozenset[str] = frozenset()
        self._lock, self._refreshing = threading.RLock(), threading.Lock()
        self._rows: dict[bytes, bytes] = {}
        self._several: dict[bytes, Held] = {}
        self._parts = Parts(countermeasures)
        self._lapses = _Lapses()
        self._seen = 0  # the newest change in SQL that is in here
        self.versions = Versions()
        self.readers = threading.BoundedSemaphore(MOST_READERS)

    def __len__(self) -> int:
        """Accounts with a row."""
        return len(self._rows)

    def counts(self) -> Counter[tuple[str, str]]:
        """How many accounts there is something to do about, by action and by whether it is live or in shadow."""
        found: Counter[tuple[str, str]] = Counter()
        for choice, uses in self._parts.uses():
            if choice.action != "none":
                found[choice.action, "live"] += uses
            if choice.shadow is not None:
                found[choice.shadow, "shadow"] += uses
        return found

    @property
    def version(self) -> str:
        """Moves with every changed row; its first half is new in every process."""
        return str(self.versions)

    def reply(self, account_id: bytes, namespace: bytes = b"") -> bytes:
        """What is told of an account now, as JSON; the namespace goes before the id to find it, and is not told."""
        return self.answer(account_id, namespace)[0]

    def answer(self, account_id: bytes, namespace: bytes = b"") -> tuple[bytes, int]:
        """`reply`, and the place in `TOLD` of what it tells to do."""
        key = namespace + account_id
        entry = self._rows.get(key)
        if entry is None:
            return nothing(account_id), 0
        part = self._parts.get(entry[ledger.ID_BYTES :])
        if part is None or part.choice.until <= self._now():
            return self._looked_at_again(account_id, key)
        return row(account_id, entry[: ledger.ID_BYTES], part), part.place

    def refresh(self, database: Database) -> None:
        """Take in what changed in SQL since the last time, and let lapse what is over."""
        with self._refreshing:
            with database.read() as connection:
                newest, deleted = ledger.newest_changes(connection)
                if newest != self._seen:
                    self._follow(connection, is_whole=self._seen == 0 or deleted > self._seen)
                    self._seen = newest
            self.lapse()

    def lapse(self) -> None:
        """Change the rows of accounts whose decision is over."""
        now = self._now()
        due, changed = self._lapses.due(now), False
        while batch := list(islice(due, _BATCH)):
            with self._lock:
                for key in batch:
                    part = self._part(key)
                    if part is not None and part.choice.until <= now:
                        self._show(key, [one for one in self._held(key) if one[1].expires_at > now])
            time.sleep(0)
            changed = True
        if changed:
            self.versions.tell()

    def act_on(self, live: Collection[str]) -> None:
        """Change which actions are live, less those with the brake on; a new epoch, so that everybody reads anew."""
        with self._lock:
            self._named = frozenset(live)
            self._live = self._named - self._braked
            keys = iter(list(self._rows))
            while batch := list(islice(keys, _BATCH)):
                for key in batch:
                    self._show(key, self._held(key))
                time.sleep(0)
            self.versions.start_anew()
        self.versions.tell()

    def whole(self, namespace: bytes = b"") -> tuple[str, int, Iterator[bytes]]:
        """The version, the number of rows and the rows of this moment, for accounts of a namespace (empty: all)."""
        self.lapse()
        with self._lock:
            version, rows, parts = self.version, self._rows.copy(), self._parts.copied()
        count = sum(key.startswith(namespace) for key in rows) if namespace else len(rows)
        return version, count, _told(rows, parts, namespace)

    def since(self, version: str, namespace: bytes = b"") -> tuple[str, list[tuple[str, bytes]]] | None:
        """The version now, and rows changed after another one, each with where it leads to; None: it is not known."""
        with self._lock:
            current, changed = self.version, self.versions.after(version)
        if changed is None:
            return None
        mine = ((at, key) for at, key in changed if key.startswith(namespace))
        return current, [(at, self.reply(key[len(namespace) :], namespace)) for at, key in mine]

    def _follow(self, connection: sa.Connection, *, is_whole: bool) -> None:
        braked = frozenset(connection.execute(sa.select(brakes.c.action)).scalars())
        if braked != self._braked:
            self._braked = braked
            self.act_on(self._named)
        news = decisions.c.state == "active" if is_whole else decisions.c.changed > self._seen
        columns = sa.select(*(decisions.c[name] for name in ("decision_id", "account_id", "state", *_COLUMNS)))
        result = iter(connection.execution_options(yield_per=1_000).execute(columns.where(news)))
        before = set(self._rows) if is_whole else set()
        there: set[bytes] = set()
        now = self._now()
        while batch := list(islice(result, _BATCH)):
            with self._lock:
                for decision_id, account_id, state, *values in batch:
                    standing = Standing(*values)
                    stands = state == "active" and standing.expires_at > now
                    self._note(account_id.encode(), bytes.fromhex(decision_id), standing if stands else None)
            there.update(bytes.fromhex(one[0]) for one in batch if before)
            time.sleep(0)
        self._keep(before, there)
        self.versions.tell()

    def _keep(self, keys: Collection[bytes], there: Collection[bytes]) -> None:
        """Of these accounts, keep the decisions that are there."""
        with self._lock:
            for key in keys:
                self._show(key, [one for one in self._held(key) if one[0] in there])

    def _note(self, key: bytes, decision_id: bytes, standing: Standing | None) -> None:
        """Note that a decision stands, or that it does no more."""
        held = [one for one in self._held(key) if one[0] != decision_id]
        if standing is not None:
            held.append((decision_id, standing))
        self._show(key, held)

    def _show(self, key: bytes, held: Held) -> None:
        """Make an account's row that of its decisions."""
        if len(held) > 1:
            self._several[key] = tuple(held)
        else:
            self._several.pop(key, None)
        before = self._rows.get(key)
        choice = chosen(held, self._live, self._now())
        if choice is None:
            if before is None:
                return
            del self._rows[key]
        else:
            part_id = self._parts.taken(choice[1])
            entry = choice[0] + part_id
            if entry == before:
                self._parts.given_back(part_id)
                return
            self._rows[key] = entry
            self._lapses.add(choice[1].until, key)
        if before is not None:
            self._parts.given_back(before[ledger.ID_BYTES :])
        self.versions.note(key)

    def _held(self, key: bytes) -> Held:
        several = self._several.get(key)
        if several is not None:
            return several
        entry, part = self._rows.get(key), self._part(key)
        return [(entry[: ledger.ID_BYTES], part.choice.standing)] if entry and part else []

    def _part(self, key: bytes) -> Part | None:
        entry = self._rows.get(key)
        return self._parts.get(entry[ledger.ID_BYTES :]) if entry else None

    def _looked_at_again(self, account_id: bytes, key: bytes) -> tuple[bytes, int]:
        """A row that is being changed, or whose decision is over while nobody has said so yet."""
        with self._lock:
            choice: tuple[bytes, Choice] | None = chosen(self._held(key), self._live, self._now())
            if choice is None:
                return nothing(account_id), 0
            part = self._parts.build(choice[1])
            return row(account_id, choice[0], part), part.place


class _Lapses:
    """Moments at which rows change by themselves, soonest first."""

    def __init__(self) -> None:
        self._moments: list[datetime] = []
        self._keys: dict[datetime, list[bytes]] = {}

    def add(self, moment: datetime, key: bytes) -> None:
        if moment not in self._keys:
            self._keys[moment] = []
            heapq.heappush(self._moments, moment)
        self._keys[moment].append(key)

    def due(self, now: datetime) -> Iterator[bytes]:
        while self._moments and self._moments[0] <= now:
            yield from self._keys.pop(heapq.heappop(self._moments))


def _told(rows: dict[bytes, bytes], parts: dict[bytes, Part], namespace: bytes) -> Iterator[bytes]:
    for key, entry in rows.items():
        if key.startswith(namespace):
            yield row(key[len(namespace) :], entry[: ledger.ID_BYTES], parts[entry[ledger.ID_BYTES :]])
