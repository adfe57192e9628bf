"""Both engines under one suite. The Spark half runs on a real cluster, started once, or is skipped and says so."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines import cluster as clusters

from stillwatch.engines.base import Engine
from stillwatch.engines.embedded import EmbeddedEngine

# A short-lived process on little data: compiling it well would take longer than running it.
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
OPTIONS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": clusters.LOOPBACK,
    "spark.driver.bindAddress": clusters.LOOPBACK,
    "spark.executor.memory": "1g",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": JAVA,
    "spark.executor.extraJavaOptions": JAVA,
}
# py4j leaves its sockets to the garbage collector, which says so.
SPARK_MARKS = [pytest.mark.spark, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]
BOTH = [pytest.param("embedded"), pytest.param("spark", marks=SPARK_MARKS)]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clusters.Cluster]:
    """A Spark master with two workers."""
    problem = clusters.missing()
    if problem:
        print(f"\nTHE SPARK TESTS ARE SKIPPED: {problem}", file=sys.__stderr__)
        pytest.skip(problem)
    with clusters.cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="session")
def spark(cluster: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The engine on the cluster; scans in this process take its session."""
    from stillwatch.engines.spark import SparkEngine

    folder = tmp_path_factory.mktemp("spark")
    with SparkEngine(folder, master=cluster.master, memory_limit="1GB", options=OPTIONS) as engine:
        yield engine


@pytest.fixture(params=BOTH)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Each engine in turn."""
    if request.param == "spark":
        yield request.getfixturevalue("spark")
        return
    with EmbeddedEngine(tmp_path / "work", memory_limit="200MB", threads=2) as engine:
        yield engine
