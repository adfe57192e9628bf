"""Exposure before detection with a run every hour, as `python -m bench.exposure` measures it on the same world."""

import importlib.util
import resource
import subprocess
import sys
from pathlib import Path

from .record import Record, WorldName

HOURLY = "stillwatch: hourly"
COMMAND = "bench.exposure"
RULE = "half of its accounts"  # when a campaign counts as reported, as for `stillwatch evaluate`


def is_there() -> bool:
    """Whether this checkout has the command."""
    return importlib.util.find_spec(COMMAND) is not None


def hourly_record(name: WorldName, folder: Path) -> Record:
    """What every campaign had sent before the first hourly run that found half of its accounts at work."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", COMMAND, "--world", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Record(name, HOURLY, exposure=exposure(done.stdout), cpu_s=cpu_s)


def exposure(text: str) -> dict[str, float | None]:
    """Share of each campaign's exchanges before it was reported, from the table; null where it never was."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:1] == "|"]
    header, rows = lines[0], [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]
    missing = {"campaign", "reported when there is", "hours after its start", "exchanges before"} - set(header)
    if missing:
        raise ValueError(f"{COMMAND} printed a table without the columns {', '.join(sorted(missing))}")
    return {
        row["campaign"]: None
        if row["hours after its start"] == "never"
        else float(row["exchanges before"].rstrip("%")) / 100
        for row in rows
        if row["reported when there is"] == RULE
    }
