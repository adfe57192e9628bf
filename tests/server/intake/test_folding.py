"""What streamed in and what was read from files is the same state, however the stream was cut or interrupted."""

import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests import processes
from tests.flow import planted
from tests.server.conftest import Clock
from tests.server.intake import bodies
from tests.state import worlds

from stillwatch.errors import StoreError
from stillwatch.server import ServerSettings, Service, opened
from stillwatch.server.intake import fold, folding, merge
from stillwatch.server.settings import Storing
from stillwatch.state import compaction, erased, existing_manifest

Headers = Callable[..., dict[str, str]]
LINES = {"Content-Type": "application/x-ndjson"}


def send(client: TestClient, headers: dict[str, str], told: list[bodies.Row]) -> None:
    reply = client.post("/v1/exchanges", content=bodies.lines(told), headers={**headers, **LINES})
    assert (reply.status_code, reply.json()["rejected"]) == (200, 0), reply.text


def plain(rows: list[dict[str, Any]]) -> list[bodies.Row]:
    """Rows of the planted world as JSON has them."""
    return [
        {name: cell.isoformat() if name == "started_at" else cell for name, cell in row.items() if cell is not None}
        for row in rows
    ]


@pytest.fixture
def sender(service: Service, client: TestClient, key_for: Headers, clock: Clock) -> Callable[[list[Any]], None]:
    """Sends rows; the clock stands behind the planted world."""
    clock.pass_by(days=9)
    headers = key_for("ingest")
    return lambda told: send(client, headers, told)


def test_the_state_after_a_stream_is_the_state_after_a_batch(
    service: Service,
    sender: Callable[[list[Any]], None],
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compaction, "FAN_IN", 3)
    rows = planted.exchanges()
    world = planted.write(tmp_path / "world", rows)
    told, rng, start, folds = plain(rows), random.Random(4), 0, 0
    while start < len(told):
        size = rng.choice((40, 700, 1_500))
        sender(told[max(0, start - rng.choice((0, 30))) : start + size])  # some of it for the second time
        clock.pass_by(seconds=1)
        start += size
        if rng.random() < 0.6:
            fold(service)
            folds += 1
            merge(service)
    fold(service)
    state, logs = service.settings.storage.state, sorted((world / "logs").iterdir())
    assert folds > len(existing_manifest(state).batches) > 1
    assert bodies.journaled(service) == []
    assert worlds.merged(state, tmp_path / "merged") == worlds.rolled(logs, tmp_path / "rolled")
    worlds.ingested(tmp_path / "batch", *logs)
    found = []
    for name, folder in (("stream", state), ("batch", tmp_path / "batch")):
        worlds.detected(folder, tmp_path / name / "out", accounts=world / "accounts.parquet")
        found.append((tmp_path / name / "out" / "campaigns.json").read_bytes())
    assert found[0] == found[1]
    assert b'"distillation"' in found[0]


def test_what_comes_a_second_time_counts_once_across_folds(
    service: Service, sender: Callable[[list[Any]], None]
) -> None:
    sender(bodies.rows(20))
    fold(service)
    sender(bodies.rows(30))
    sender(bodies.rows(25, first=10))
    fold(service)
    batches = existing_manifest(service.settings.storage.state).batches
    assert [(batch.exchanges, batch.duplicates) for batch in batches] == [(20, 0), (15, 40)]


def test_a_batch_that_was_acknowledged_twice_by_two_processes_counts_once(
    service: Service, sender: Callable[[list[Any]], None]
) -> None:
    sender([*bodies.rows(3), {"account_id": "a", "started_at": "2026-03-01T00:00:00Z"}])
    service.gate._batches.clear()
    sender([*bodies.rows(3), {"account_id": "a", "started_at": "2026-03-01T00:00:00Z"}])
    fold(service)
    (batch,) = existing_manifest(service.settings.storage.state).batches
    assert (batch.exchanges, batch.duplicates) == (4, 0)


def test_a_fold_of_nothing_leaves_no_batch(service: Service) -> None:
    fold(service)
    assert not (service.settings.storage.state / "manifest.json").exists()


def test_a_torn_tail_is_cut_off_and_the_rest_is_folded(service: Service, sender: Callable[[list[Any]], None]) -> None:
    sender(bodies.rows(4))
    sender(bodies.rows(4, first=4))
    service.journal.rotate()
    (path,) = service.journal.folder.glob("*.segment")
    content = path.read_bytes()
    for end in (len(content) - 1, len(content) // 2 + 3, 5):
        path.write_bytes(content[:end])
        assert len(bodies.journaled(service)) == (0 if end == 5 else 1)
    path.write_bytes(content[:-1])
    fold(service)
    assert [batch.exchanges for batch in existing_manifest(service.settings.storage.state).batches] == [4]


def test_bytes_that_changed_on_disk_end_a_segment(service: Service, sender: Callable[[list[Any]], None]) -> None:
    sender(bodies.rows(2))
    sender(bodies.rows(2, first=2))
    (path,) = service.journal.folder.glob("*.segment")
    damaged = bytearray(path.read_bytes())
    damaged[-40] ^= 1
    path.write_bytes(bytes(damaged))
    assert len(bodies.journaled(service)) == 1


def test_segments_of_a_process_that_lives_are_left_alone(
    service: Service, sender: Callable[[list[Any]], None], clock: Clock
) -> None:
    settings = ServerSettings(storage=Storing(state=service.settings.storage.state))
    sender(bodies.rows(4))
    with opened(settings, now=clock) as other:
        fold(other)
        assert len(bodies.journaled(service)) == 1
        service.journal.rotate()  # as when the process ends
        fold(other)
        assert bodies.journaled(service) == []
    assert existing_manifest(settings.storage.state).batches[0].exchanges == 4


def test_a_journal_of_another_key_is_never_mixed_in(
    service: Service, sender: Callable[[list[Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sender(bodies.rows(4))
    monkeypatch.setattr(folding.state, "kernels", lambda: "others")
    with pytest.raises(StoreError, match="another key or by other text kernels"):
        fold(service)
    assert len(bodies.journaled(service)) == 1


def fold_and_die() -> None:
    """Fold what a state's journal holds, in a process of its own that is killed when it comes to a function."""
    _, where, state = sys.argv
    with opened(ServerSettings(storage=Storing(state=Path(state)))) as service:
        processes.deadly(where)
        fold(service)


@pytest.mark.parametrize(
    "where",
    [
        "stillwatch.state.batches:move_in",
        "stillwatch.state.batches:write_manifest",
        "pathlib:Path.unlink",
    ],
)
def test_killed_in_mid_fold_nothing_is_lost_and_nothing_counts_twice(
    where: str, service: Service, sender: Callable[[list[Any]], None], tmp_path: Path
) -> None:
    sender(bodies.rows(30))
    service.journal.rotate()
    sender(bodies.rows(30, first=20))
    service.journal.rotate()
    state = service.settings.storage.state
    done = processes.run(where, state, main="tests.server.intake.test_folding:fold_and_die")
    assert done.returncode == -signal.SIGKILL, done.stderr
    sender(bodies.rows(5, first=50))  # comes in before the next fold
    fold(service)
    fold(service)
    assert sum(batch.exchanges for batch in existing_manifest(state).batches) == 55
    assert bodies.journaled(service) == []
    assert {path.name for path in (state / "parts").iterdir()} == set(existing_manifest(state).folders)


def test_folders_of_a_stream_stay_few_and_their_records_short(
    service: Service, sender: Callable[[list[Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FAN_IN", 3)
    for number in range(4):
        sender(bodies.rows(10, first=10 * number))
        fold(service)
        merge(service)
    state = service.settings.storage.state
    held = existing_manifest(state)
    assert [(batch.exchanges, len(batch.inputs)) for batch in held.batches] == [(30, 1), (10, 1)]
    assert {path.name for path in (state / "parts").iterdir()} == set(held.folders)
    sender(bodies.rows(30))  # all of it is still known
    fold(service)
    assert existing_manifest(state).batches[-1].exchanges == 0


def test_what_comes_in_while_folders_are_merged_is_folded(
    service: Service, sender: Callable[[list[Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FAN_IN", 3)
    merging = compaction._merge
    for number in range(3):
        sender(bodies.rows(10, first=10 * number))
        fold(service)

    def meanwhile(*told: Any) -> None:
        merging(*told)
        sender(bodies.rows(10, first=25))
        fold(service)

    monkeypatch.setattr(compaction, "_merge", meanwhile)
    merge(service)
    assert [batch.exchanges for batch in existing_manifest(service.settings.storage.state).batches] == [5, 30]


def test_folders_that_an_erasure_changed_while_they_were_merged_stay_as_it_left_them(
    service: Service, sender: Callable[[list[Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FAN_IN", 3)
    state, replaced = service.settings.storage.state, compaction._replaced
    for number in range(3):
        sender(bodies.rows(10, first=10 * number))
        fold(service)

    def late(*told: Any) -> bool:
        erased(state, "acct-1")
        return replaced(*told)

    monkeypatch.setattr(compaction, "_replaced", late)
    merge(service)
    monkeypatch.undo()
    assert len(existing_manifest(state).folders) == 3
    assert worlds.parts_with(state / "parts", "acct-1") == []
    assert worlds.parts_with(state / "parts", "acct-2") != []


def test_a_large_backlog_goes_in_by_lots_that_fit_in_memory(
    service: Service, sender: Callable[[list[Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        sender(bodies.rows(10, first=10 * number))
        service.journal.rotate()
    sizes = [path.stat().st_size for path in service.journal.folder.glob("*.segment")]
    monkeypatch.setattr(folding, "LOT_BYTES", 2 * max(sizes))
    fold(service)
    assert [batch.exchanges for batch in existing_manifest(service.settings.storage.state).batches] == [20, 20, 10]
    assert bodies.journaled(service) == []
