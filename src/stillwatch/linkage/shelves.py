"""Sketches put on shelves by account, so that what is counted account by account needs no table of pairs.

Why:    pairs of an account and a fingerprint are ten times as many as exchanges. With the exchanges of an account in
        one place, a fingerprint has two counts, and only which account had it last has to be known beside them.
Misses: nothing; it holds the same rows in another order.
Source: own. A counter by hash that can only be too high is a counting Bloom filter of one function: Fan, Cao, Almeida &
        Broder, "Summary cache", SIGCOMM 1998.

    a row       account number | text id | exchange number | a note, later a key | system prompt, 0 for none |
                SKETCH_SIZE fingerprints, 0 for none
    a note      day since 1970, UTC, and in the lowest bit whether the text is in a writing system; -2 without a prompt
    a shelf     a file of rows, those of accounts whose numbers leave the same remainder
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.linkage.matching import matrix, place
from stillwatch.records import SKETCH_SIZE

ON_SHELVES = ("account_id", "text_id", "exchange_id", "sketch")
NOTED = ("started_at", "script", "system_prompt_id")  # where there are such columns
ACCOUNT, TEXT, EXCHANGE, NOTE, SYSTEM_PROMPT, SKETCH = range(6)  # columns of a row; the sketch has the rest
KEY = NOTE
NO_PROMPT = -2  # in place of a note
DAY_BITS = 20
DAY_US = 86_400_000_000
SHELF_ROWS = 500_000  # 84 MB; an account is never on two shelves, so one that asks more than this has a larger shelf
MOST_COUNTERS = 1 << 28  # one byte each, by hash of a fingerprint
_COUNTERS_PER_ROW = 8
_COLUMNS = SKETCH + SKETCH_SIZE
_ROWS = pa.schema([pa.field("row", pa.binary(8 * _COLUMNS), nullable=False)])

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shelves:
    """Folder and number of the shelves, the rows and accounts on them, and a counter by hash of each fingerprint.

    A counter is never lower than the number of rows with the fingerprint, up to 255. `names` has the number of every
    account by its name, `written` is how many rows are noted to be in a writing system.
    """

    folder: Path
    count: int
    size: int
    names: dict[str, int]
    seen: Bytes
    written: int

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return len(self.names)

    def rows(self, shelf: int) -> Ints:
        """The rows of a shelf, (rows, SKETCH + SKETCH_SIZE)."""
        with pa.memory_map(str(_path(self.folder, shelf))) as file, pa.ipc.open_stream(file) as stream:
            parts = [np.frombuffer(batch["row"].buffers()[1], np.int64) for batch in stream]
        return np.concatenate([np.zeros(0, np.int64), *parts]).reshape(-1, _COLUMNS)

    def keep(self, shelf: int, rows: Ints) -> None:
        """Keep some rows of a shelf for later."""
        rows.tofile(_path(self.folder, shelf).with_suffix(".kept"))

    def taken(self, shelf: int) -> Ints:
        """The rows that were kept, which are kept no longer."""
        path = _path(self.folder, shelf).with_suffix(".kept")
        rows = np.fromfile(path, np.int64).reshape(-1, _COLUMNS)
        path.unlink()
        return rows

    def by_account(self, rows: Ints) -> Ints:
        """Numbers of the rows of a shelf, account by account."""
        return _by_account(rows, self.count, self.accounts)

    def sent(self, shelf: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Account number, system prompt (rows,) and sketch (rows, SKETCH_SIZE) on a shelf; its rows by account."""
        rows = self.rows(shelf)
        return rows[:, ACCOUNT], rows[:, SYSTEM_PROMPT], rows[:, SKETCH:], self.by_account(rows)

    def counted(self) -> "Shelves":
        """The same without the counters, which are the most of it that is in memory."""
        return replace(self, seen=np.zeros(0, np.uint8))


def shelved(batches: Iterable[pa.RecordBatch], exchanges: int, folder: Path) -> Shelves:
    """The rows of batches with the columns ON_SHELVES on shelves in `folder`; only a prompt may be null.

    `exchanges` is about how many rows there are.
    """
    count = exchanges // SHELF_ROWS + 1
    seen = np.zeros(min(1 << (_COUNTERS_PER_ROW * exchanges).bit_length(), MOST_COUNTERS), np.uint8)
    folder.mkdir(parents=True)
    known: dict[str, int] = {}
    size = written = 0
    with ExitStack() as stack:
        streams = [_stream(stack, _path(folder, shelf)) for shelf in range(count)]
        for batch in batches:
            heads = _heads(batch, known)
            written += int((heads[NOTE] & 1).sum())
            rows, ends = _sorted(heads, matrix(batch["sketch"], np.int64), count, seen)
            size += len(rows)
            for shelf in np.flatnonzero(np.diff(ends)):
                streams[shelf].write_batch(_bytes(rows[ends[shelf] : ends[shelf + 1]]))
    return Shelves(folder, count, size, known, seen, written)


def _stream(stack: ExitStack, path: Path) -> pa.RecordBatchStreamWriter:
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    return stack.enter_context(
        pa.ipc.new_stream(stack.enter_context(pa.OSFile(str(path), "wb")), _ROWS, options=options)
    )


def _bytes(rows: Ints) -> pa.RecordBatch:
    column = pa.Array.from_buffers(_ROWS.field(0).type, len(rows), [None, pa.py_buffer(rows)])
    return pa.RecordBatch.from_arrays([column], schema=_ROWS)


def _path(folder: Path, shelf: int) -> Path:
    return folder / f"{shelf:05}"


def _heads(batch: pa.RecordBatch, known: dict[str, int]) -> Ints:
    """The columns before the sketch, (SKETCH, rows); `known` takes in accounts that are new."""
    made = np.zeros((SKETCH, batch.num_rows), np.int64)
    made[ACCOUNT] = numbered(batch["account_id"], known)
    made[TEXT], made[EXCHANGE] = batch["text_id"].fill_null(0), batch["exchange_id"]
    if "started_at" in batch.schema.names:
        made[NOTE] = np.asarray(batch["started_at"].cast(pa.int64()), np.int64) // DAY_US << 1
    if "script" in batch.schema.names:
        made[NOTE] |= np.asarray(batch["script"].is_valid())
    if "system_prompt_id" in batch.schema.names:
        made[SYSTEM_PROMPT] = batch["system_prompt_id"].fill_null(0)
    made[NOTE, ~np.asarray(batch["text_id"].is_valid())] = NO_PROMPT
    return made


def numbered(accounts: pa.Array, known: dict[str, int]) -> Ints:
    """The number of each account; `known` takes in those that are new."""
    encoded = accounts if pa.types.is_dictionary(accounts.type) else accounts.dictionary_encode()
    numbers = [known.setdefault(name, len(known)) for name in encoded.dictionary.to_pylist()]
    return np.array(numbers, np.int64)[encoded.indices.to_numpy()]


@njit(nogil=True, cache=True)
def _sorted(heads: Ints, sketches: Ints, count: int, seen: Bytes) -> tuple[Ints, Ints]:
    """The rows in the order of shelves, and where each shelf ends; fingerprints are counted on the way."""
    ends = np.zeros(count + 1, np.int64)
    for number in heads[ACCOUNT]:
        ends[number % count + 1] += 1
    ends = np.cumsum(ends)
    free, rows = ends[:-1].copy(), np.empty((len(sketches), _COLUMNS), np.int64)
    for i in range(len(sketches)):
        at = free[heads[ACCOUNT, i] % count]
        free[heads[ACCOUNT, i] % count] += 1
        for k in range(SKETCH):
            rows[at, k] = heads[k, i]
        for k in range(SKETCH_SIZE):
            fingerprint = sketches[i, k] if k < sketches.shape[1] else 0
            rows[at, SKETCH + k] = fingerprint
            if fingerprint != 0:
                counter = place(fingerprint, len(seen))
                seen[counter] += seen[counter] < 255
    return rows, ends


@njit(nogil=True, cache=True)
def _by_account(rows: Ints, count: int, accounts: int) -> Ints:
    """Numbers of the rows of a shelf in the order of their accounts."""
    ends, order = np.zeros(accounts // count + 2, np.int64), np.empty(len(rows), np.int64)
    for row in range(len(rows)):
        ends[rows[row, ACCOUNT] // count + 1] += 1
    free = np.cumsum(ends)
    for row in range(len(rows)):
        account = rows[row, ACCOUNT] // count
        order[free[account]] = row
        free[account] += 1
    return order


@njit(nogil=True, cache=True)
def first_copies(rows: Ints, order: Ints) -> Ints:
    """Of rows in the order of accounts, those with the first copy of each text of its account."""
    kept, used, first = np.empty(len(order), np.int64), 0, 0
    table = np.empty(16, np.int64)
    while first < len(order):
        last = first
        while last < len(order) and rows[order[last], ACCOUNT] == rows[order[first], ACCOUNT]:
            last += 1
        capacity = 16
        while capacity < 2 * (last - first):
            capacity *= 2
        table = np.empty(capacity, np.int64) if capacity > len(table) else table
        table[:capacity] = -1
        for i in range(first, last):
            row = order[i]
            at = place(rows[row, TEXT], capacity)
            while table[at] >= 0 and rows[table[at], TEXT] != rows[row, TEXT]:
                at = (at + 1) & (capacity - 1)
            if table[at] < 0:
                table[at] = kept[used] = row
                used += 1
        first = last
    return kept[:used]
