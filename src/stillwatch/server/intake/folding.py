"""What the journal holds goes into the state as a batch, by the same code as `stillwatch ingest`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa

from stillwatch import state
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.errors import StoreError
from stillwatch.records import REJECTED, arrow_schema
from stillwatch.server.intake.lots import lots
from stillwatch.server.journal import SUFFIX, Frame, finished_segments, frames, remove, torn_bytes
from stillwatch.server.service import Service

LOT_BYTES = 128 << 20  # of segments that are folded as one batch: they are held in memory, twice for a moment
_REJECTED = arrow_schema(REJECTED)
_OTHERS_S, _LOOK_S = 30.0, 0.1  # how long others may take to finish and fold what they hold; between two looks at it


def fold(service: Service) -> None:
    """Take every finished segment into the state, those of processes that are gone too, and remove it then.

    What waits goes in at once, as far as it fits in memory: a large batch costs less than many small ones.

    Raises:
        StoreError: the journal or the state was made under another key or by another version.
    """
    folder = service.settings.storage.state
    service.journal.rotate()
    with finished_segments(service.journal.folder) as paths:
        for lot in lots(paths, lambda path: path.stat().st_size, most_bytes=LOT_BYTES):
            with _engine(service, folder) as (engine, work):
                _fold(service, folder, lot, engine, work)
                remove(lot)


def merge(service: Service) -> None:
    """Make few folders of the many that folds leave; traffic is folded meanwhile."""
    folder, journal = service.settings.storage.state, service.journal.folder
    if state.has_alike(folder):
        with _engine(service, folder) as (engine, work):
            state.streams_merged(folder, engine, work=work, pending=lambda: {path.name for path in journal.iterdir()})


def fold_everything(service: Service) -> None:
    """Have everything in the state that was acknowledged before, by any process.

    Raises:
        StoreError: another process holds some of it for too long, or it cannot be folded here.
    """
    service.journal.rotate()
    waiting = list(service.journal.folder.glob(f"*{SUFFIX}"))
    until = time.monotonic() + service.settings.intake.fold_every_s + _OTHERS_S
    fold(service)
    while any(path.exists() for path in waiting):
        if time.monotonic() > until or service.stopping.wait(_LOOK_S):
            raise StoreError("what came in is not in the state yet, another process holds it: ask again later")
        fold(service)


@contextmanager
def _engine(service: Service, folder: Path) -> Iterator[tuple[EmbeddedEngine, Path]]:
    limits = service.settings.detection
    with (
        state.work_folder(folder) as work,
        EmbeddedEngine(work, memory_limit=limits.memory_limit, threads=limits.threads or None) as engine,
    ):
        yield engine, work


def _fold(service: Service, folder: Path, paths: list[Path], engine: EmbeddedEngine, work: Path) -> None:
    for path in paths:
        if torn := torn_bytes(path):
            service.log.warning("torn_segment", segment=path.name, bytes=torn)
    seen: set[tuple[str, int]] = set()
    segments = [state.Segment(path.name, partial(_pieces, path, service, seen)) for path in paths]
    batch = state.folded(folder, segments, engine, key=service.key, work=work)
    if batch is not None:
        told = {"exchanges": batch.exchanges, "duplicates": batch.duplicates, "rejected": batch.rejected}
        service.log.info("folded", segments=len(paths), **told)


def _pieces(path: Path, service: Service, seen: set[tuple[str, int]]) -> Iterator[state.Piece]:
    """The frames of a segment; one that was sent again under the same batch id counts once."""
    made_by = f"{service.key.key_id} {state.kernels()}"
    for frame in frames(path):
        if frame.header.made_by != made_by:
            raise StoreError(f"{path} was made under another key or by other text kernels; it cannot be folded here.")
        part = (frame.header.batch_id, frame.header.part)
        if part not in seen:
            seen.add(part)
            yield state.Piece(frame.signals, _rejected(frame))


def _rejected(frame: Frame) -> pa.RecordBatch:
    rows = [{"file": frame.header.source, "line": line, "reason": reason} for line, reason in frame.header.reasons]
    return pa.RecordBatch.from_pylist(rows, _REJECTED)
