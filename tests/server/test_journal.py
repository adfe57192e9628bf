"""The journal: acknowledged is on the disk, and those who wait at the same time wait for one fsync."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from tests.server.conftest import Clock

from stillwatch.errors import ServiceError
from stillwatch.intake import NUMBERED_SIGNALS
from stillwatch.server import journal as module
from stillwatch.server.journal import Frame, Header, Journal, finished_segments, frames, remove

NOTHING = pa.RecordBatch.from_pylist([], NUMBERED_SIGNALS)


def frame(number: int) -> Frame:
    return Frame(Header(f"b{number}", 0, "test", "key"), NOTHING)


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal", clock)
    yield made
    made.close()


def held(journal: Journal) -> list[str]:
    """Batches in the journal."""
    return sorted(found.header.batch_id for path in journal.folder.glob("*.segment") for found in frames(path))


def test_what_was_appended_is_read_back_with_its_header(journal: Journal) -> None:
    told = Frame(Header("b", 3, "lines of key:k", "key", 2, [(4, "no account"), (None, "not gzip")]), NOTHING)
    journal.append([told])
    (path,) = journal.folder.glob("*.segment")
    (found,) = frames(path)
    assert found.header.reasons == [[4, "no account"], [None, "not gzip"]]
    assert (found.header.part, found.header.rejected, found.header.source) == (3, 2, "lines of key:k")
    assert found.signals.schema.equals(NUMBERED_SIGNALS)
    assert journal.pending_bytes() == path.stat().st_size


def test_those_who_wait_at_the_same_time_share_one_fsync(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.append([frame(0)])
    synced: list[int] = []
    may_go_on, fsync = threading.Event(), module.os.fsync

    def slow(descriptor: int) -> None:
        synced.append(descriptor)
        assert may_go_on.wait(60)
        fsync(descriptor)

    monkeypatch.setattr(module.os, "fsync", slow)
    threads = [threading.Thread(target=journal.append, args=([frame(number)],)) for number in range(1, 5)]
    threads[0].start()
    until = time.monotonic() + 60
    while not synced and time.monotonic() < until:
        time.sleep(0.001)
    for thread in threads[1:]:
        thread.start()
    while len(journal._waiting) < 3 and time.monotonic() < until:
        time.sleep(0.001)
    may_go_on.set()
    for thread in threads:
        thread.join(60)
    assert len(synced) == 2
    assert held(journal) == ["b0", "b1", "b2", "b3", "b4"]


def test_a_disk_that_fails_is_told_to_all_who_waited_and_its_segment_is_used_no_more(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    journal.append([frame(0)])
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", fail)
        with pytest.raises(ServiceError, match="Input/output error"):
            journal.append([frame(1)])
    journal.append([frame(2)])
    assert held(journal) == ["b0", "b2"]
    assert len(list(journal.folder.glob("*.segment"))) == 2


def test_a_segment_that_is_large_enough_is_finished(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 1)
    journal.append([frame(0)])
    journal.append([frame(1)])
    with finished_segments(journal.folder) as paths:
        assert len(paths) == 2
        with finished_segments(journal.folder) as by_another:
            assert by_another == []
        remove(paths)
    assert (held(journal), journal.pending_bytes()) == ([], 0)
