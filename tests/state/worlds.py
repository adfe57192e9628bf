"""Small worlds in batches, and what a state makes of them."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tests.flow import planted

from stillwatch import ingest, state
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.intake import intake
from stillwatch.records import ACCOUNTS, arrow_schema
from stillwatch.scan import Scanned, detect
from stillwatch.settings import Settings, key_path, key_secret
from stillwatch.state.parts import filled_columns, write_parts
from stillwatch.state.parts import merged as merged_parts
from stillwatch.upkeep import take_in

Row = dict[str, Any]
OPEN = state.Window()
ROLLUPS = ("activity", "traits", "artefacts", "starts", "content")


def quiet(*_: object) -> None:
    """No progress."""


def ingested(folder: Path, *logs: Path, **flags: Any) -> state.Ingested:
    """Take files in as one batch."""
    settings = Settings(logs=tuple(map(str, logs)), out=folder, threads=1, memory_limit="200MB", **flags)
    return take_in(folder, settings, progress=quiet)


def detected(folder: Path, out: Path, window: state.Window = OPEN, **flags: Any) -> Scanned:
    """Detection over a state."""
    return detect(folder, Settings(logs=(), out=out, threads=2, **flags), window=window, progress=quiet)


def rolled(logs: Sequence[Path], work: Path, window: state.Window = OPEN) -> dict[str, Counter[str]]:
    """The rollups of files read at once, as sets of rows."""
    key = ingest.Key(key_secret(key_path()))
    work.mkdir(parents=True)
    with EmbeddedEngine(work / "engine", threads=1, memory_limit="200MB") as engine:
        settings = Settings(logs=tuple(map(str, logs)), out=work, exemplars=False)
        taken = intake(settings, engine, key=key, work=work, progress=quiet)
        folder = work / "batch"
        folder.mkdir()
        write_parts(taken.signals, engine, folder)
        columns = filled_columns(taken.signals)
        return rows_of(merged_parts([(folder, ())], engine, work=work, columns=columns, window=window))


def straight(logs: Sequence[Path], work: Path) -> dict[str, Counter[str]]:
    """The rollups that a scan of the files reads off its signals."""
    key = ingest.Key(key_secret(key_path()))
    work.mkdir(parents=True)
    with EmbeddedEngine(work / "engine", threads=1, memory_limit="200MB") as engine:
        settings = Settings(logs=tuple(map(str, logs)), out=work, exemplars=False)
        return rows_of(state.rolled(intake(settings, engine, key=key, work=work, progress=quiet), engine).rollups)


def merged(folder: Path, work: Path, window: state.Window = OPEN) -> dict[str, Counter[str]]:
    """The rollups that a state merges to, as sets of rows."""
    key = ingest.Key(key_secret(key_path()))
    work.mkdir(parents=True)
    none = arrow_schema(ACCOUNTS).empty_table()
    with EmbeddedEngine(work / "engine", threads=1, memory_limit="200MB") as engine, state.reading(folder):
        return rows_of(state.kept(folder, engine, key=key, work=work, window=window, accounts=none).rollups)


def rows_of(of: state.Rollups) -> dict[str, Counter[str]]:
    """Every table as a multiset of rows in words, and the columns that are filled."""
    found = {name: Counter(map(_row, getattr(of, name).to_pyarrow().to_pylist())) for name in ROLLUPS}
    return {**found, "columns": Counter(of.columns)}


def _row(row: Row) -> str:
    """A row in words; sums of integers come back from Parquet as doubles."""
    return str({name: int(value) if isinstance(value, float) else value for name, value in sorted(row.items())})


def dealt(rows: Sequence[Row], folder: Path, *, seed: int, batches: int, twice: float = 0.05) -> list[Path]:
    """The rows dealt out to so many files without regard to time, some of them to two files."""
    rng = random.Random(seed)
    hands: list[list[Row]] = [[] for _ in range(batches)]
    for row in rows:
        for number in rng.sample(range(batches), 2 if rng.random() < twice else 1):
            hands[number].append(row)
    folder.mkdir(parents=True)
    for number, hand in enumerate(hands):
        planted.write_part(folder / f"{number}.parquet", hand)
    return sorted(folder.iterdir())


def parts_with(folder: Path, account_id: str) -> list[str]:
    """Names of the files of a state in which an account's id stands, read byte by byte where they are not tables."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            if "account_id" in table.column_names and account_id in table["account_id"].to_pylist():
                found.append(path.name)
        elif path.is_file() and account_id.encode() in path.read_bytes():
            found.append(path.name)
    return found
