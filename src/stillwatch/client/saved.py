"""A table on disk, so that a gateway that starts without the service knows what was last decided."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

from stillwatch.client.decision import kept, row_of
from stillwatch.client.table import Table

_ROWS_AT_ONCE = 64


def save(table: Table, path: Path, *, now_s: float, rest: Callable[[], None]) -> None:
    """Write it, whole or not at all; `rest` is called every few rows.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps({"version": table.version, "count": table.count, "saved_at_s": now_s}) + "\n")
            rows = (pair for part in table.parts() for pair in part.items())
            for number, (account, held) in enumerate(rows, 1):
                file.write(json.dumps(row_of(account, held)) + "\n")
                if number % _ROWS_AT_ONCE == 0:
                    rest()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> tuple[Table, float] | None:
    """The table and the time at which it was saved [s since 1970]; None when there is no file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not whole, or somebody else may write to it: who could would decide who is served.
    """
    try:
        file = path.open(encoding="utf-8")
    except FileNotFoundError:
        return None
    with file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ValueError(f"{path} belongs to, or can be written by, somebody else: it is not read")
        head = json.loads(file.readline())
        table = Table(str(head["version"]))
        for line in file:
            row = json.loads(line)
            table.put(str(row["account_id"]), kept(row))
        if table.count != head["count"]:
            raise ValueError(f"{path} is not whole: it is not read")
        return table, float(head["saved_at_s"])
