"""Folders that are watched: a file that is complete is taken in once, as `stillwatch ingest` would.

A file is complete when its size and time of change are the same at two looks. It is known again by what it holds, so a
restart, a copy or another name changes nothing. Names that begin with a dot or end in .partial or .tmp are left alone.
"""

from dataclasses import dataclass, field
from pathlib import Path

from stillwatch.errors import InputError, StillwatchError
from stillwatch.ingest import input_files
from stillwatch.server import metrics
from stillwatch.server.logging import failure
from stillwatch.server.service import Service
from stillwatch.settings import Settings
from stillwatch.state import Ingested
from stillwatch.upkeep import take_in

_UNFINISHED = (".partial", ".tmp")
_Look = tuple[int, int]  # bytes, and the time of the last change in nanoseconds


@dataclass(slots=True)
class Watch:
    """What was seen of each file at the last look, and which files are done with."""

    service: Service
    _seen: dict[Path, _Look] = field(default_factory=dict)
    _done: dict[Path, _Look] = field(default_factory=dict)

    def look(self) -> None:
        """Take in every file that is complete and was not taken in; one that cannot be is reported once."""
        found = {path: look for path in self._files() if (look := _look(path)) is not None}
        complete = [path for path, look in found.items() if self._seen.get(path) == look]
        for path in complete:
            if self._done.get(path) != found[path]:
                self._take(path, found[path])
                self._done[path] = found[path]
        self._seen = found
        self._done = {path: look for path, look in self._done.items() if path in found}

    def _files(self) -> list[Path]:
        paths: list[Path] = []
        for pattern in self.service.settings.intake.watch:
            try:
                paths += input_files([pattern])
            except InputError:  # nothing is there yet
                continue
        return [path for path in paths if path.name[0] != "." and path.suffix not in _UNFINISHED]

    def _take(self, path: Path, found: _Look) -> None:
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
            self.service.log.error("file_not_taken", file=str(path), **failure(error))
            return
        _count(done, found[0])
        told = {"exchanges": done.batch.exchanges, "was_known": done.was_known}
        self.service.log.info("file_taken", file=str(path), **told)


def _count(done: Ingested, size: int) -> None:
    if done.was_known:
        metrics.intake_duplicates.inc()
        return
    metrics.intake_exchanges.labels("watched").inc(done.batch.exchanges)
    metrics.intake_rejected.labels("watched").inc(done.batch.rejected)
    metrics.intake_bytes.labels("watched").inc(size)


def _look(path: Path) -> _Look | None:
    try:
        found = path.stat()
    except OSError:  # gone meanwhile
        return None
    return found.st_size, found.st_mtime_ns
