"""Places that are watched: a file that is complete is taken in once, as `stillwatch ingest` would.

A file is complete when its size and time of change are the same at two looks. It is known again by what it holds, so a
restart, a copy or another name changes nothing. Names that begin with a dot or end in .partial or .tmp are left alone.
Objects of a store are remembered over a restart, so that they are not fetched again.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from stillwatch import store
from stillwatch.errors import ServiceError, StillwatchError
from stillwatch.server import metrics
from stillwatch.server.intake.places import Look, Place, is_object, place_of, remove_copies
from stillwatch.server.logging import failure
from stillwatch.server.service import Service
from stillwatch.settings import Settings
from stillwatch.state import Ingested
from stillwatch.upkeep import take_in

REMEMBERED = "watched.json"  # in the state: objects that are done with


@dataclass(slots=True)
class Watch:
    """What was seen of each file at the last look, and which files are done with."""

    service: Service
    _places: list[Place] = field(default_factory=list)
    _seen: dict[str, Look] = field(default_factory=dict)
    _done: dict[str, Look] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.service.settings
        self._places = [place_of(told, settings.storage.state) for told in settings.intake.watch]
        remove_copies(settings.storage.state)

    def look(self) -> None:
        """Take in every file that is complete and was not taken in; one that cannot be is reported once."""
        path = self.service.settings.storage.state / REMEMBERED
        before = _remembered(path)
        self._done |= before
        seen: dict[str, Look] = {}
        for place in self._places:
            try:
                found = place.found()
            except ServiceError as error:
                self.service.log.error("place_not_read", **failure(error))
                seen |= self._seen | before
                continue
            seen |= found
            self._take_all(place, found)
        self._seen = seen
        self._done = {name: look for name, look in self._done.items() if name in seen}
        after = {name: look for name, look in self._done.items() if is_object(name)}
        if after != before:
            store.write_bytes(path, orjson.dumps(after))

    def _take_all(self, place: Place, found: dict[str, Look]) -> None:
        complete = [name for name, look in found.items() if self._seen.get(name) == look]
        new = [name for name in complete if self._done.get(name) != found[name]]
        for name in new:
            try:
                with place.fetched(name) as path:
                    self._take(name, path, found[name][0])
            except ServiceError as error:  # tried again at the next look
                self.service.log.error("file_not_fetched", **failure(error))
                continue
            self._done[name] = found[name]

    def _take(self, name: str, path: Path, size: int) -> None:
        limits, state = self.service.settings.detection, self.service.settings.storage.state
        settings = Settings(
            logs=(str(path),),
            out=state,
            memory_limit=limits.memory_limit,
            threads=limits.threads or None,
            exemplars=False,
        )
        try:
            done = take_in(state, settings, progress=lambda *_: None)
        except StillwatchError as error:
            self.service.log.error("file_not_taken", file=name, **failure(error))
            return
        _count(done, size)
        told = {"exchanges": done.batch.exchanges, "was_known": done.was_known}
        self.service.log.info("file_taken", file=name, **told)


def _remembered(path: Path) -> dict[str, Look]:
    try:
        return {name: (look[0], look[1]) for name, look in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError):  # nothing yet, or damaged: then they are fetched again, and known by what they hold
        return {}


def _count(done: Ingested, size: int) -> None:
    if done.was_known:
        metrics.intake_duplicates.inc()
        return
    metrics.intake_exchanges.labels("watched").inc(done.batch.exchanges)
    metrics.intake_rejected.labels("watched").inc(done.batch.rejected)
    metrics.intake_bytes.labels("watched").inc(size)
