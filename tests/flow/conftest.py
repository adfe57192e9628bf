"""One planted world and one scan of it for all tests that only look."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flow import planted, scans

from stillwatch.scan import Scanned
from stillwatch.settings import KEY_VARIABLE


@pytest.fixture(scope="session", autouse=True)
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A key of the tests' own: none may touch the key of whoever runs them."""
    path = tmp_path_factory.mktemp("key") / "key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, str(path))
        yield path


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs and accounts of the planted world; not to be written to."""
    return planted.write(tmp_path_factory.mktemp("planted") / "world")


@pytest.fixture(scope="session")
def scanned(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scanned]:
    """Output folder and result of an undisturbed scan of the planted world; not to be written to."""
    out = tmp_path_factory.mktemp("scanned") / "out"
    return out, scans.scan(world, out)
