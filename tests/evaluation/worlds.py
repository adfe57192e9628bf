"""Worlds that several tests make in the same way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch.evaluation import simulate

SCALE = 0.002


def written(folder: Path, scenario: str, *, days: int, seed: int) -> list[bytes]:
    """The files of a small world, in the order of their names."""
    simulate(folder, scenario=scenario, scale=SCALE, days=days, seed=seed)
    return [path.read_bytes() for path in sorted(folder.rglob("*.*")) if path.is_file()]


def sides_taken(
    folder: Path,
    ask: Callable[..., list[tuple[Any, ...]]],
    scenario: str,
    *,
    family: str,
    capability: str,
    longer: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """By segment, how many of its first prompts `longer` than so take a distillation text, and a legitimate one.

    The world draws from a file with as many texts of either side, all of one family and capability.
    """
    texts = [
        f"{side} text number {k} on bridges, rivers and how many arches there are" for side in "AB" for k in range(60)
    ]
    rows = {
        "text": texts,
        "label": ["distillation"] * 60 + ["legitimate"] * 60,
        "family": [family] * 120,
        "capability": [capability] * 120,
    }
    pq.write_table(pa.table(rows), folder / "prompts.parquet")
    simulate(folder / "w", scenario=scenario, scale=SCALE, days=3, seed=seed, prompts=folder / "prompts.parquet")
    found = ask(
        "select segment, avg((prompt like '%A text number%')::int), avg((prompt like '%B text number%')::int) "
        "from known where turn_count = 1 and length(prompt) > $longer group by 1",
        folder / "w",
        longer=longer,
    )
    return {segment: (harvest, own) for segment, harvest, own in found}
