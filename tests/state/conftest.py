"""A key of the tests' own, and one planted world for all tests that only look."""

from pathlib import Path

import pytest
from tests.flow import planted, scans
from tests.state import worlds


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of the planted world, one file a day, and its accounts; not to be written to."""
    rows = planted.exchanges()
    folder = planted.write(tmp_path_factory.mktemp("planted") / "world", rows)
    for path in (folder / "logs").iterdir():
        path.unlink()
    for day in range(planted.DAYS):
        days = [row for row in rows if (row["started_at"] - planted.STARTS_AT).days == day]
        planted.write_part(folder / "logs" / f"day-{day}.parquet", days)
    return folder


@pytest.fixture(scope="session")
def campaigns(world: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a scan of the whole world writes, without skeletons: a state has none."""
    out = tmp_path_factory.mktemp("scanned") / "out"
    scans.scan(world, out, exemplars=False)
    return (out / "campaigns.json").read_bytes()


@pytest.fixture(scope="session")
def held(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state of the world, a batch a day, newest first; not to be written to."""
    folder = tmp_path_factory.mktemp("held") / "state"
    for number, path in enumerate(sorted((world / "logs").iterdir(), reverse=True)):
        worlds.ingested(folder, path, accounts=world / "accounts.parquet" if number == 0 else None)
    return folder
