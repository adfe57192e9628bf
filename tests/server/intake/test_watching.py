"""Files that appear in a watched folder are taken in once they are complete, and never twice."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.server.conftest import Clock
from tests.server.intake import bodies

from stillwatch.server import ServerSettings, Service, opened
from stillwatch.server.intake.jobs import jobs
from stillwatch.server.intake.watching import Watch
from stillwatch.server.settings import Storing, Taking
from stillwatch.state.manifest import manifest_of


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    (tmp_path / "drop").mkdir()
    return tmp_path / "drop"


@pytest.fixture
def watching(drop: Path, tmp_path: Path, clock: Clock) -> Iterator[Service]:
    """A service that watches a folder, and one that is not there yet."""
    watch = (str(drop), str(tmp_path / "later" / "*.jsonl"))
    settings = ServerSettings(storage=Storing(state=tmp_path / "state"), intake=Taking(watch=watch))
    with opened(settings, now=clock) as held:
        yield held


@pytest.fixture
def counts(watching: Service) -> Callable[[], list[int]]:
    """Exchanges of every batch of the state."""

    def counted() -> list[int]:
        held = manifest_of(watching.settings.storage.state)
        return [] if held is None else [batch.exchanges for batch in held.batches]

    return counted


def test_a_file_is_taken_when_it_stands_still_and_only_once(
    watching: Service, drop: Path, counts: Callable[[], list[int]]
) -> None:
    watch, content = Watch(watching), bodies.lines(bodies.rows(20))
    (drop / "a.jsonl").write_bytes(content[: len(content) // 2])
    (drop / "b.jsonl.partial").write_bytes(content)
    (drop / ".c.jsonl").write_bytes(content)
    watch.look()
    (drop / "a.jsonl").write_bytes(content)
    watch.look()
    assert counts() == []
    watch.look()
    watch.look()
    assert counts() == [20]
    (drop / "again.jsonl").write_bytes(content)
    (drop / "b.jsonl.partial").rename(drop / "b.jsonl")
    for look in (watch.look, watch.look, Watch(watching).look):
        look()
    assert counts() == [20]


def test_a_file_nobody_can_read_holds_nobody_up(
    watching: Service, drop: Path, tmp_path: Path, counts: Callable[[], list[int]]
) -> None:
    watch = Watch(watching)
    (drop / "a.bin").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "b.jsonl").write_bytes(bodies.lines(bodies.rows(5)))
    watch.look()
    watch.look()
    assert counts() == [5]


def test_only_a_service_that_is_told_to_watch_does(watching: Service, service: Service) -> None:
    assert [job.name for job in jobs(watching)] == ["rotate", "fold", "merge", "watch"]
    assert [job.name for job in jobs(service)] == ["rotate", "fold", "merge"]
