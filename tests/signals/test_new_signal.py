"""The generator of new signals."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillwatch.signals import text

MakeBatch = Callable[..., pa.RecordBatch]

SCRIPT = Path(__file__).parents[2] / "scripts" / "new_signal.py"


def load(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def house(tmp_path: Path) -> Path:

    for folder in ("src/stillwatch/signals", "tests/signals"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def test_what_it_writes_runs_and_meets_its_reference(house: Path, make_batch: MakeBatch) -> None:
    written = load(SCRIPT, "new_signal").write_signal("token_count", house)
    made = load(written[0], "token_count")
    exchanges = [{"prompt": "two words"}, {"prompt": "?!"}, {}]
    found = made.signal(text.Batch(make_batch(exchanges)))["token_count"].to_pylist()
    assert found == [made.reference(exchange)["token_count"] for exchange in exchanges] == [2, None, None]


def test_it_refuses_to_overwrite(house: Path) -> None:
    generator = load(SCRIPT, "new_signal")
    generator.write_signal("token_count", house)
    with pytest.raises(FileExistsError, match="token_count"):
        generator.write_signal("token_count", house)
