"""The Spark engine's own promises: it starts with a clear error or not at all, and leaves nothing behind."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tests import processes

from stillwatch import scan as scan_module
from stillwatch.errors import EngineError, SettingsError
from stillwatch.settings import Settings, checked


def say_what_is_loaded() -> None:
    """Print what a process that has imported all of ours for a scan has loaded."""
    print(*sys.modules)  # noqa: T201 - the test reads it


def test_importing_stillwatch_and_its_command_line_imports_no_spark() -> None:
    loaded = processes.run(main=f"{__name__}:say_what_is_loaded").stdout.split()
    assert {"stillwatch.cli", "stillwatch.scan"} <= set(loaded)
    assert [name for name in loaded if name.split(".")[0] == "pyspark" or name.endswith("engines.spark")] == []


def test_without_the_extra_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "stillwatch.engines.spark", raising=False)
    for name in ["pyspark", *(name for name in sys.modules if name.startswith("pyspark."))]:
        monkeypatch.setitem(sys.modules, name, None)
    settings = Settings(logs=("x",), out=tmp_path, engine="spark")
    with pytest.raises(SettingsError, match=r"^--engine spark needs pyspark.*pip install 'stillwatch\[spark\]'$"):
        scan_module.scan(settings, progress=lambda *_: None)


@pytest.mark.parametrize("flags", [{"spark_master": "yarn"}, {"work": "s3a://bucket/work"}])
def test_flags_of_spark_are_refused_without_it(flags: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="only --engine spark takes it"):
        checked(Settings(logs=("x",), out=tmp_path, **flags))


def test_an_engine_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--engine polars: give one of embedded, spark"):
        checked(Settings(logs=("x",), out=tmp_path, engine="polars"))


@pytest.fixture
def spark_module() -> Any:
    return pytest.importorskip("stillwatch.engines.spark", reason="pyspark is not installed: make .venv/.spark")


def test_without_java_the_error_says_what_to_install(
    spark_module: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"needs Java 17 or newer.*set JAVA_HOME"):
        spark_module._require_java()


@pytest.mark.parametrize(("size", "java"), [("4GB", "4096m"), ("2.5GiB", "2560m"), ("800MB", "800m"), ("1KB", "512m")])
def test_sizes_are_written_as_java_reads_them(spark_module: Any, size: str, java: str) -> None:
    assert spark_module._jvm_size(size) == java


def test_the_line_of_a_java_trace_that_says_why_is_found(spark_module: Any) -> None:
    trace = "Job aborted.\n\tat x.y(Z.scala:1)\nCaused by: java.io.IOException: disk full\n\tat a.b(C.java:2)"
    assert spark_module._cause(trace) == "Caused by: java.io.IOException: disk full"
