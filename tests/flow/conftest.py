"""One planted world and one scan of it for all tests that only look."""

from pathlib import Path

import pytest
from tests.flow import planted, scans

from stillwatch.scan import Scanned


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs and accounts of the planted world; not to be written to."""
    return planted.write(tmp_path_factory.mktemp("planted") / "world")


@pytest.fixture(scope="session")
def scanned(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scanned]:
    """Output folder and result of an undisturbed scan of the planted world; not to be written to."""
    out = tmp_path_factory.mktemp("scanned") / "out"
    return out, scans.scan(world, out)
