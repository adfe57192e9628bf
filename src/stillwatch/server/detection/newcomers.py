"""Newcomers to known campaigns, between two detections: seen by an observer of intake, attached within seconds.

Why:    the thousand-and-first account of a campaign would otherwise harvest until the next detection.
Misses: accounts that the last detection saw and left out, such as those that were bought old: they wait for the next.

1. The observer lays a batch aside, in the thread of the request. Every second what was laid aside is looked up in the
   index of the newest detection; what new accounts show of it is kept, account by account.
2. Whoever has shown something new is looked at with what its registration shows as well.
3. Whom two independent groups tie is attached, until soon after the next detection; nobody whom an analyst cleared, and
   no verified organisation.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from stillwatch.server.detection.attachment import Attachment, attachment
from stillwatch.server.detection.recognition import READ, Index, Recogniser, plain

MAX_SHOWN = 200_000  # newcomers remembered between two detections; about 100 MB
MAX_WAITING_ROWS = 200_000  # laid aside; about 60 MB. What comes beyond that is not looked at

Registrations = Callable[
    [Collection[str]], Mapping[str, Iterable[tuple[str, str]]]
]  # traits that they show, by account


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An account and the campaign it is attached to."""

    account_id: str
    attachment: Attachment


class Newcomers:
    """What new accounts have shown of known campaigns since the newest detection; one per process."""

    def __init__(self) -> None:
        """Recognise nothing before an index is loaded."""
        self._lock = threading.Lock()
        self._recogniser: Recogniser | None = None
        self._shown: dict[str, set[int]] = {}
        self._changed: set[str] = set()
        self._attached: set[str] = set()
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._dropped_rows = 0

    @property
    def number(self) -> int | None:
        """The detection whose index is loaded; None for none."""
        recogniser = self._recogniser
        return None if recogniser is None else recogniser.index.number

    def load(self, index: Index) -> None:
        """Recognise by another index from now on; what was shown before is looked at again."""
        recogniser = Recogniser(index)
        with self._lock:
            before, self._recogniser = self._recogniser, recogniser
            if before is not None and self._shown:
                self._shown = _still_shown(before, recogniser, self._shown)
            self._changed, self._attached = set(self._shown), set()

    def observe(self, rows: pa.Table) -> None:
        """Lay a batch of derived signals aside; columns as in `records.SIGNALS`."""
        if self._recogniser is None:
            return
        kept = rows.select(READ.names)
        with self._lock:
            if self._waiting_rows + kept.num_rows > MAX_WAITING_ROWS:
                self._dropped_rows += kept.num_rows
                return
            self._waiting.append(kept)
            self._waiting_rows += kept.num_rows

    def dropped_rows(self) -> int:
        """How many rows were not looked at since this was asked last, because too many waited."""
        with self._lock:
            dropped, self._dropped_rows = self._dropped_rows, 0
            return dropped

    def _look(self) -> None:
        """Take note of what the batches that wait show."""
        with self._lock:
            waiting, recogniser = self._waiting, self._recogniser
            self._waiting, self._waiting_rows = [], 0
        if recogniser is None or not waiting:
            return
        sightings = recogniser.sightings(pa.concat_tables(map(plain, waiting)).combine_chunks())
        with self._lock:
            for sighting in sightings:
                shown = self._shown.get(sighting.account_id)
                if shown is None and len(self._shown) >= MAX_SHOWN:
                    continue
                if shown is None or sighting.value not in shown:
                    self._shown.setdefault(sighting.account_id, set()).add(sighting.value)
                    self._changed.add(sighting.account_id)

    def found(self, registrations: Registrations) -> list[Newcomer]:
        """Who is to be attached, of those that have shown something new since the last time.

        One thread calls this and `load`; any may call `observe`.
        """
        self._look()
        with self._lock:
            recogniser = self._recogniser
            changed = sorted(self._changed - self._attached)
            self._changed.clear()
            shown = {account_id: set(self._shown[account_id]) for account_id in changed}
        if recogniser is None or not changed:
            return []
        registered = registrations(changed)
        found = []
        for account_id in changed:
            values = shown[account_id] | set(recogniser.values_of(registered.get(account_id, ())))
            attached = attachment(recogniser.index, values)
            if attached is not None:
                found.append(Newcomer(account_id, attached))
        return found

    def settle(self, newcomers: Iterable[Newcomer]) -> None:
        """Attach them no more until the next detection."""
        with self._lock:
            self._attached |= {newcomer.account_id for newcomer in newcomers}

    def look_again(self, account_ids: Iterable[str]) -> None:
        """Look at accounts again at the next turn, because they could not be attached now."""
        with self._lock:
            self._changed |= set(account_ids) & self._shown.keys()


def _still_shown(before: Recogniser, now: Recogniser, shown: Mapping[str, set[int]]) -> dict[str, set[int]]:
    """What accounts have shown that the newer detection did not see either, in the numbers of its index."""
    ids = pa.array(sorted(shown), pa.string())
    unseen = ids.filter(pa.array(~now.was_seen(ids))).to_pylist()
    kept = {account_id: now.carried_over([before.name_of(v) for v in shown[account_id]]) for account_id in unseen}
    return {account_id: values for account_id, values in kept.items() if values}
