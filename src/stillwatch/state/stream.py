"""Signals that came one request at a time, into a state: as one batch, by the same code as a batch of files.

The batch is named by the segments it was made of, and its `inputs` name them: a process that is killed between the
commit and the removal of a segment finds on its next run that the segment is in.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from stillwatch import ingest, rollups
from stillwatch.engines.base import Engine
from stillwatch.errors import StoreError
from stillwatch.intake import NUMBERED_SIGNALS, Intake, filled, without_repeats
from stillwatch.records import ACCOUNTS, REJECTED, arrow_schema
from stillwatch.state.batches import Place, checked_manifest, committed, finished_parts
from stillwatch.state.manifest import Batch, Manifest, writing

STREAM = "stream-"  # begins the id of such a batch


@dataclass(frozen=True, slots=True)
class Piece:
    """Signals as in `intake.NUMBERED_SIGNALS`, and the rows rejected beside them, as in `records.REJECTED`."""

    signals: pa.RecordBatch
    rejected: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Segment:
    """Pieces that are folded together or not at all, under a name that no other has."""

    name: str
    pieces: Callable[[], Iterator[Piece]]


def folded(state: Path, segments: Sequence[Segment], engine: Engine, *, key: ingest.Key, work: Path) -> Batch | None:
    """Take the segments that are not in yet into the state; null when all are. `work` lies in the state.

    Raises:
        StoreError: the state was made under another key, by another version or by other kernels.
    """
    known = _folded_names(checked_manifest(state, key))
    news = [segment for segment in segments if segment.name not in known]
    if not news:
        return None
    taken = _taken(news, engine, key, work)
    finished = finished_parts(taken.signals, engine, work / "batch")
    with writing(state):
        held = checked_manifest(state, key)
        if _folded_names(held) & {segment.name for segment in news}:
            raise StoreError(f"{state}: another process folded the same segments; what is left is folded next time.")
        return committed(_name(news), taken, finished, Place(state, held, engine, work), accounts_id=None)


def _folded_names(held: Manifest) -> set[str]:
    streams = (batch for batch in held.batches if batch.batch_id.startswith(STREAM))
    return {str(entry["file"]) for batch in streams for entry in batch.inputs}


def _name(segments: Sequence[Segment]) -> str:
    told = "\n".join(sorted(segment.name for segment in segments))
    return STREAM + hashlib.sha256(told.encode()).hexdigest()[:24]


@dataclass(slots=True)
class _Counts:
    """What one segment held."""

    name: str
    rows: int = 0
    rejected: int = 0

    def entry(self) -> dict[str, object]:
        """The segment as an input of its batch."""
        return {"file": self.name, "rows": self.rows, "rejected": self.rejected}


def _taken(segments: Sequence[Segment], engine: Engine, key: ingest.Key, work: Path) -> Intake:
    """The signals of the segments, each exchange once; in memory, where none came twice."""
    counts = [_Counts(segment.name) for segment in segments]
    ids, rejected = rollups.SeenNumbers(), [pa.RecordBatch.from_pylist([], arrow_schema(REJECTED))]
    held: list[pa.RecordBatch] = []
    for segment, count in zip(segments, counts, strict=True):
        for piece in segment.pieces():
            count.rows += piece.signals.num_rows
            count.rejected += piece.rejected.num_rows
            rejected.append(piece.rejected)
            ids.add(piece.signals["exchange_key"].to_numpy())
            held.append(piece.signals)
    signals, repeated = _one_chunk(held), ids.repeated()
    derived = engine.memory(signals)
    if repeated is None or len(repeated):
        derived = engine.write(derived, work / "signals.parquet")
    derived, duplicates = without_repeats(derived, repeated, engine, work)
    return Intake(
        signals=derived,
        accounts=arrow_schema(ACCOUNTS).empty_table(),
        key=key,
        work=work,
        inputs=[count.entry() for count in counts],
        exchanges=sum(count.rows for count in counts) - duplicates,
        duplicates=duplicates,
        rejected=pa.Table.from_batches(rejected),
        exemplars={},
        columns=None if duplicates else frozenset(filled(signals)),
    )


def _one_chunk(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Batches of some hundred rows as one: an engine pays for each batch of each column that it reads."""
    table = pa.Table.from_batches(batches, NUMBERED_SIGNALS)
    for place, column in enumerate(table.columns):
        is_encoded = pa.types.is_dictionary(column.type)
        if is_encoded and any(chunk.dictionary.null_count for chunk in column.chunks):  # which cannot be made one
            texts = column.cast(column.type.value_type).dictionary_encode()
            table = table.set_column(place, table.schema.field(place), texts)
    return table.unify_dictionaries().combine_chunks()
