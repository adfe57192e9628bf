"""Settings that hold for every test."""

import gc
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from stillwatch.settings import KEY_VARIABLE

# No test asserts a time: a busy machine must not fail one. Examples are the same on every run.
settings.register_profile("stillwatch", deadline=None, derandomize=True)
settings.load_profile("stillwatch")


# One worker takes these, on one cluster. The last of them kills a part of it.
SPARK_FILES = ("test_both.py", "test_spark_scan.py")
# The longest files are started first, so that no worker is left alone with one at the end.
LONG_FILES = (
    *SPARK_FILES,
    *("test_batches.py", "test_crashes.py", "test_live.py", "test_litellm_gateway.py", "test_folding.py"),
    *("test_turnover.py", "test_upkeep.py", "test_metamorphic.py", "test_order.py", "test_rollups_merge.py"),
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what guards benchmarks to the nightly run, and put the longest files first; all else stays in order."""
    for item in items:
        if item.path.parent.name == "bench":
            item.add_marker(pytest.mark.nightly)
    place = {name: number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


class Scheduling(LoadFileScheduling):
    """Files go to workers whole, and those that want the Spark cluster go to one."""

    def _split_scope(self, nodeid: str) -> str:
        path = super()._split_scope(nodeid)
        return "spark" if path.endswith(SPARK_FILES) else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Schedule as `--dist loadfile` does, but for the files of one cluster."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is there to stay: all modules, of the libraries too."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A key of the tests' own, one for all: none may touch the key of whoever runs them, and results compare."""
    path = tmp_path_factory.mktemp("key") / "key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, str(path))
        yield path


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command run in this process may set up logging; the next test must not write to what it wrote to."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
