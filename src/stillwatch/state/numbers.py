"""Numbers of the exchanges of a folder, sorted, beside its parts: whether an exchange came before is a search.

Why:    a stream commits every few seconds and asks each time which of its exchanges stand in the days around. Reading
        all of those again costs what they are many; searching costs what is new.
Misses: nothing; the file is made anew from `content` where it is missing, after a merge or an erasure for instance.
Source: own.

    parts/FOLDER/numbers.arrow    Arrow IPC file: number, day; one batch per run of MOST_ROWS rows, sorted by number
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch.state.parts import DAY_S, path_of

FILE = "numbers.arrow"
MOST_ROWS = 4_000_000  # of a run: what is sorted in memory at once
_SCHEMA = pa.schema([pa.field("number", pa.int64(), nullable=False), pa.field("day", pa.uint16(), nullable=False)])

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Run:
    """Numbers of exchanges, sorted, and the day of each since 1970, UTC: (rows,) int64, (rows,) uint16."""

    numbers: Numbers
    days: npt.NDArray[np.uint16]


def runs(folder: Path) -> list[Run]:
    """The runs of a folder of parts, mapped from its file, which is made where there is none."""
    path = folder / FILE
    if not path.exists():
        _write(path, _read(path_of(folder, "content")))
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        batches = [file.get_batch(place) for place in range(file.num_record_batches)]
    return [Run(batch["number"].to_numpy(), batch["day"].to_numpy()) for batch in batches]


def days(of: Sequence[Run]) -> tuple[int, int] | None:
    """The first and the last day of some runs; null without any row."""
    held = [run.days for run in of if len(run.days)]
    return (min(int(each.min()) for each in held), max(int(each.max()) for each in held)) if held else None


def repeated(new: Sequence[Run], old: Sequence[Run], *, within_days: int) -> Numbers:
    """The numbers of `new` that stand in `old` on a day at most so far away, each once, sorted."""
    found = [_repeated(mine, theirs, within_days) for mine in new for theirs in old]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))


def _repeated(new: Run, old: Run, within_days: int) -> Numbers:
    first = np.searchsorted(old.numbers, new.numbers)
    is_there = old.numbers[np.minimum(first, len(old.numbers) - 1)] == new.numbers if len(old.numbers) else first < 0
    numbers, on, first = new.numbers[is_there], new.days[is_there].astype(np.int64), first[is_there]
    counts = np.searchsorted(old.numbers, numbers, "right") - first  # of one number on several days
    rows = np.repeat(np.arange(len(numbers)), counts)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + first[rows]
    return numbers[rows[np.abs(old.days[places] - on[rows]) <= within_days]]


def _read(content: Path) -> Iterator[pa.RecordBatch]:
    """The sorted runs of a content part."""
    for batch in pq.ParquetFile(content).iter_batches(MOST_ROWS, columns=["exchange_id", "started_at"]):
        numbers = batch["exchange_id"].to_numpy()
        seconds = pc.cast(pc.cast(batch["started_at"], pa.timestamp("s", "UTC"), safe=False), pa.int64()).to_numpy()
        order = np.argsort(numbers)
        on = (seconds[order] // DAY_S).astype(np.uint16)
        yield pa.RecordBatch.from_arrays([pa.array(numbers[order]), pa.array(on)], schema=_SCHEMA)


def _write(path: Path, batches: Iterator[pa.RecordBatch]) -> None:
    """Write a file whole or not at all, and have it on the disk."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as sink:
        with pa.ipc.new_file(sink, _SCHEMA) as writer:
            for batch in batches:
                writer.write_batch(batch)
        sink.flush()
        os.fsync(sink.fileno())
    partial.replace(path)
