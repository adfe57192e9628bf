"""What was acknowledged and is not in the state yet: derived signals in files that survive a crash, never a prompt.

    STATE/journal/NAME.segment    frames one after the other; locked by the process that appends to it

    +------------+------------+---------------------------------------------------------------+
    | length u32 | crc32 u32  | header length u32, header (JSON, spaces), signals (Arrow IPC)  |
    +------------+------------+---------------------------------------------------------------+

1. Whoever appends waits until its frames are on disk. The first of those who wait writes for all of them: one write,
   one fsync.
2. A segment that nobody locks is finished: its process closed it, or died. Whoever folds takes it then.
3. A frame that was torn by a crash was never acknowledged. Reading ends before it.
"""

import fcntl
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa

from stillwatch.errors import ServiceError, StoreError
from stillwatch.intake import NUMBERED_SIGNALS

SUFFIX = ".segment"
SEGMENT_BYTES = 32 << 20  # of one file; more begin the next
_BEGUN = "%Y%m%dT%H%M%S%f"  # how the name of a segment begins
_EDGES = struct.Struct("<II")
_SIZE = struct.Struct("<I")
_WORD = 8  # bytes; signals begin at a multiple of them, so that their columns can be used where they lie
_ALIGNED = pa.ipc.IpcReadOptions(ensure_alignment=pa.ipc.Alignment.DataTypeSpecific)  # copies only what does not


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the signals of a frame: part of which batch, from whom, made by which key and kernels.

    `reasons` are the first rejected rows, as line (null when there is none) and reason; `rejected` counts them all.
    """

    batch_id: str
    part: int
    source: str
    made_by: str
    rejected: int = 0
    reasons: Sequence[tuple[int | None, str]] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """Signals of exchanges, one part of a batch; columns as in `intake.NUMBERED_SIGNALS`."""

    header: Header
    signals: pa.RecordBatch


@dataclass(slots=True)
class _Waiting:
    """Bytes that are to be on disk, and what became of them."""

    content: bytes
    is_done: bool = False
    error: OSError | None = None


@dataclass(slots=True)
class _Segment:
    """The file that is appended to, and how far it is known to be on disk."""

    path: Path
    file: BinaryIO
    size: int = 0


@dataclass(slots=True)
class Journal:
    """The segments of this process, and those that others left."""

    folder: Path
    now: Callable[[], datetime]  # names of segments begin with it: the oldest are folded first
    _waiting: list[_Waiting] = field(default_factory=list)
    _queue: threading.Lock = field(default_factory=threading.Lock)  # held to look at who waits
    _writer: threading.Lock = field(default_factory=threading.Lock)  # held to write
    _segment: _Segment | None = None

    def __post_init__(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def append(self, frames: Sequence[Frame]) -> None:
        """Have the frames on disk; all of them or an error.

        Raises:
            ServiceError: the disk is full or does not answer; nothing of it may be acknowledged.
        """
        mine = _Waiting(b"".join(map(_encoded, frames)))
        with self._queue:
            self._waiting.append(mine)
        with self._writer:
            if not mine.is_done:
                with self._queue:
                    group, self._waiting = self._waiting, []
                self._commit(group)
        if mine.error is not None:
            raise ServiceError(f"what was sent cannot be kept: {mine.error.strerror}. Send it again later.")

    def rotate(self) -> None:
        """Finish the segment that is appended to, so that it can be folded."""
        with self._writer:
            self._finish()

    def pending_bytes(self) -> int:
        """Bytes that wait to be folded, of every process."""
        found = 0
        for entry in os.scandir(self.folder):
            with suppress(FileNotFoundError):  # folded meanwhile
                found += entry.stat().st_size
        return found

    def pending_since(self) -> datetime | None:
        """When the oldest segment that waits to be folded was begun, of any process; None when none waits."""
        names = [entry.name for entry in os.scandir(self.folder) if entry.name.endswith(SUFFIX)]
        return datetime.strptime(min(names).partition("-")[0], _BEGUN).replace(tzinfo=UTC) if names else None

    def close(self) -> None:
        """Finish the segment; nothing is lost when this is never called."""
        self.rotate()

    def _commit(self, group: Sequence[_Waiting]) -> None:
        error = None
        try:
            segment = self._segment = self._segment or _opened(self.folder, self.now())
            content = b"".join(waiting.content for waiting in group)
            _write(segment.file, content)
            os.fsync(segment.file.fileno())
            segment.size += len(content)
        except OSError as problem:
            error = problem
            self._abandon()
        for waiting in group:
            waiting.is_done, waiting.error = True, error
        if self._segment is not None and self._segment.size >= SEGMENT_BYTES:
            self._finish()

    def _finish(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.file.close()

    def _abandon(self) -> None:
        """Cut the segment to what was acknowledged and use it no more: after a failed write its end is anybody's."""
        segment = self._segment
        if segment is not None:
            with suppress(OSError):
                os.ftruncate(segment.file.fileno(), segment.size)
                os.fsync(segment.file.fileno())
        self._finish()


@contextmanager
def finished_segments(folder: Path) -> Iterator[list[Path]]:
    """The segments that nobody appends to, oldest first, held so that nobody else folds them."""
    with ExitStack() as held:
        found = []
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            with suppress(FileNotFoundError, BlockingIOError):
                file = path.open("rb")
                held.callback(file.close)
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists():  # unless it was folded between the two
                    found.append(path)
        yield found


def remove(paths: Sequence[Path]) -> None:
    """Remove segments that are in the state; none comes back after a power failure."""
    for path in paths:
        path.unlink()
    for folder in {path.parent for path in paths}:
        _sync(folder)


def frames(path: Path) -> Iterator[Frame]:
    """The frames of a segment, up to one that was torn.

    Raises:
        StoreError: a whole frame is of another version.
    """
    with path.open("rb") as file:
        while payload := _payload(file):
            size = _SIZE.unpack_from(payload)[0]
            start = _SIZE.size + size
            try:
                header = Header(**orjson.loads(payload[_SIZE.size : start]))
                signals = pa.ipc.open_stream(pa.py_buffer(payload)[start:], options=_ALIGNED).read_next_batch()
            except (TypeError, ValueError, pa.ArrowException) as error:
                raise StoreError(f"{path} was written by another version; let that one fold it first.") from error
            yield Frame(header, signals)


def torn_bytes(path: Path) -> int:
    """Bytes after the last whole frame: what a crash cut off, never acknowledged."""
    with path.open("rb") as file:
        end = 0
        while _payload(file):
            end = file.tell()
    return path.stat().st_size - end


def _payload(file: BinaryIO) -> bytes:
    """The next frame; nothing at the end, and nothing when it is torn."""
    edges = file.read(_EDGES.size)
    if len(edges) < _EDGES.size:
        return b""
    length, checksum = _EDGES.unpack(edges)
    left = os.fstat(file.fileno()).st_size - file.tell()
    payload = file.read(length) if length <= left else b""
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else b""


def _encoded(frame: Frame) -> bytes:
    header = orjson.dumps(asdict(frame.header))
    header += b" " * (-(_SIZE.size + len(header)) % _WORD)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, NUMBERED_SIGNALS) as writer:
        writer.write_batch(frame.signals)
    payload = b"".join([_SIZE.pack(len(header)), header, sink.getvalue()])
    return _EDGES.pack(len(payload), zlib.crc32(payload)) + payload


def _opened(folder: Path, now: datetime) -> _Segment:
    """A new segment, locked before anybody can see it."""
    name = f"{now.astimezone(UTC):{_BEGUN}}-{secrets.token_hex(8)}{SUFFIX}"
    hidden = folder / f".{name}.partial"
    file = hidden.open("xb", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        hidden.replace(folder / name)
        _sync(folder)
    except OSError:
        file.close()
        raise
    return _Segment(folder / name, file)


def _write(file: BinaryIO, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
