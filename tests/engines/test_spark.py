"""The Spark engine's own promises: it starts with a clear error or not at all, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tests.engines.conftest import SPARK_MARKS

from stillwatch import scan as scan_module
from stillwatch.engines.base import Engine
from stillwatch.errors import EngineError, InputError, SettingsError
from stillwatch.settings import Settings, checked

ROOT = Path(__file__).parents[2]


def test_importing_stillwatch_and_its_command_line_imports_no_spark() -> None:
    code = "import sys, stillwatch, stillwatch.cli, stillwatch.scan; print([m for m in sys.modules if 'spark' in m])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_without_the_extra_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("pyspark", "stillwatch.engines.spark"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    settings = Settings(logs=("x",), out=tmp_path, engine="spark")
    with pytest.raises(SettingsError, match=r"^--engine spark needs pyspark.*pip install 'stillwatch\[spark\]'$"):
        scan_module.scan(settings, progress=lambda *_: None)


@pytest.mark.parametrize("flags", [{"spark_master": "yarn"}, {"work": "s3a://bucket/work"}])
def test_flags_of_spark_are_refused_without_it(flags: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="only --engine spark takes it"):
        checked(Settings(logs=("x",), out=tmp_path, **flags))  # type: ignore[arg-type]


def test_an_engine_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--engine polars: give one of embedded, spark"):
        checked(Settings(logs=("x",), out=tmp_path, engine="polars"))


@pytest.fixture
def spark_module() -> object:
    return pytest.importorskip("stillwatch.engines.spark", reason="pyspark is not installed: make .venv/.spark")


def test_without_java_the_error_says_what_to_install(
    spark_module: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"needs Java 17 or newer.*set JAVA_HOME"):
        spark_module._require_java()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("size", "java"), [("4GB", "4096m"), ("2.5GiB", "2560m"), ("800MB", "800m"), ("1KB", "512m")])
def test_sizes_are_written_as_java_reads_them(spark_module: object, size: str, java: str) -> None:
    assert spark_module._jvm_size(size) == java  # type: ignore[attr-defined]


def test_the_line_of_a_java_trace_that_says_why_is_found(spark_module: object) -> None:
    trace = "Job aborted.\n\tat x.y(Z.scala:1)\nCaused by: java.io.IOException: disk full\n\tat a.b(C.java:2)"
    assert spark_module._cause(trace) == "Caused by: java.io.IOException: disk full"  # type: ignore[attr-defined]


class TestOnTheCluster:
    """What needs the cluster."""

    pytestmark = SPARK_MARKS

    def test_logs_that_are_not_there_are_an_error_that_names_them(self, spark: Engine) -> None:
        with pytest.raises(InputError, match="nowhere"):
            spark.parquet(["file:///nowhere/at/all"])  # type: ignore[attr-defined]

    def test_neither_key_nor_prompt_is_written_where_tables_live(self, spark: Engine, tmp_path: Path) -> None:
        secret = os.urandom(32).hex()

        def function(batches: object) -> object:
            for batch in batches:  # type: ignore[attr-defined]
                yield pa.record_batch([pa.array([len(secret) + n.as_py() for n in batch["n"]])], names=["n"])

        rows = pa.table({"n": [1, 2, 3]})
        path = tmp_path / "mapped"
        made = spark.map_rows(rows, function, rows.schema, path, lambda *_: None)  # type: ignore[attr-defined]
        assert sorted(made.to_pyarrow()["n"].to_pylist()) == [65, 66, 67]
        folder = Path(spark._folder.removeprefix("file://"))  # type: ignore[attr-defined]
        files = [file for file in folder.rglob("*") if file.is_file()]
        assert files
        assert not [file for file in files if secret.encode() in file.read_bytes()]

    def test_tasks_send_to_the_driver_beside_their_rows(self, spark: Engine, tmp_path: Path) -> None:
        mail = spark.mailbox(frozenset(), frozenset.union)  # type: ignore[attr-defined]

        def function(batches: object) -> object:
            for batch in batches:  # type: ignore[attr-defined]
                mail.add(frozenset(batch["n"].to_pylist()))
                yield batch

        rows = pa.table({"n": [1, 2, 3]})
        spark.map_rows(rows, function, rows.schema, tmp_path / "sent", lambda *_: None)  # type: ignore[attr-defined]
        assert mail.value == {1, 2, 3}
