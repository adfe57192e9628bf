"""Settings that hold for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from stillwatch.settings import KEY_VARIABLE

# No test asserts a time: a busy machine must not fail one. Examples are the same on every run.
settings.register_profile("stillwatch", deadline=None, derandomize=True)
settings.load_profile("stillwatch")


# Files that take a minute or more: started first, so that no worker is left alone with one at the end.
LONG_FILES = ("test_spark_scan.py", "test_batches.py", "test_crashes.py", "test_both.py", "test_live.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what guards benchmarks to the nightly run, and put the longest files first; all else stays in order."""
    for item in items:
        if item.path.parent.name == "bench":
            item.add_marker(pytest.mark.nightly)
    place = {name: number for number, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="session", autouse=True)
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A key of the tests' own, one for all: none may touch the key of whoever runs them, and results compare."""
    path = tmp_path_factory.mktemp("key") / "key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, str(path))
        yield path
