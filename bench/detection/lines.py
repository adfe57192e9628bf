"""Results as lines of JSON in one file: each is kept at once, and an interruption costs the line being written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every whole line, oldest first; none when there is no file."""
    rows = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # cut off by an interruption
    return rows


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """One more line; a line that was cut off before it stays alone."""
    is_cut = path.is_file() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if is_cut else "") + json.dumps(row) + "\n")
