"""One detection for all tests: done once by the real loop, in a real child, then copied."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.server.detection import worlds
from tests.server.detection.worlds import Recorded

from stillwatch.server import Service, opened
from stillwatch.server.detection.detector import Detector


@dataclass(frozen=True)
class Detected:
    """A world, the state of a service that detected over it once, and what the service had others do."""

    world: Path
    state: Path
    recorded: Recorded


@pytest.fixture(scope="session")
def detected(tmp_path_factory: pytest.TempPathFactory) -> Detected:
    """The state after the first detection."""
    folder = tmp_path_factory.mktemp("detected")
    world = worlds.write(folder / "world")
    state = worlds.take_in(world, folder / "state")
    recorded = Recorded()
    with opened(worlds.settings(state)) as service:
        worlds.know(service.database, worlds.hashed(world))
        Detector(service, recorded.hands).turn()
    return Detected(world, state, recorded)


@pytest.fixture
def service(detected: Detected, tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own over a copy of that state."""
    state = tmp_path / "state"
    shutil.copytree(detected.state, state)
    with opened(worlds.settings(state)) as held:
        yield held
