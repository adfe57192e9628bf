"""The engine that the tests of the campaign stage share."""

from collections.abc import Iterator

import pytest

from stillwatch.engines.embedded import EmbeddedEngine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(tmp_path_factory.mktemp("engine"), memory_limit="200MB", threads=2) as engine:
        yield engine
