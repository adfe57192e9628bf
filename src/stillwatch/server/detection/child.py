"""One detection in a process of its own: `python -m stillwatch.server.detection.child`, told what to do on its input.

Why:    a detection takes gigabytes and minutes, and may crash; none of that is to reach whoever answers requests.
Misses: nothing here is faster than `stillwatch detect`, which runs the same code.

What it says on its error output is safe to log: one of our own errors in words, or the kind and place of any other.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stillwatch import state
from stillwatch.errors import StillwatchError
from stillwatch.scan import detect
from stillwatch.server.detection.recognition import write_index
from stillwatch.settings import Settings
from stillwatch.upkeep import newest_day

FAILED, CRASHED, ORPHANED = 1, 70, 71  # exit codes


def main() -> int:
    """Run the detection that standard input describes; the exit code."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    try:
        detected(json.load(sys.stdin))
    except StillwatchError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except Exception as error:  # the boundary of the process: what it was is told without what it held
        place = traceback.extract_tb(error.__traceback__)[-1]
        sys.stderr.write(f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}\n")
        return CRASHED
    return 0


def detected(told: Mapping[str, Any]) -> None:
    """Detection as `stillwatch detect` does it, then the index by which newcomers are recognised."""
    folder, out = Path(told["state"]), Path(told["out"])
    settings = Settings(
        logs=(),
        out=out,
        policy=Path(told["policy"]) if told["policy"] else None,
        memory_limit=told["memory_limit"],
        threads=told["threads"] or None,
        seed=told["seed"],
        exemplars=False,
        groups=Path(told["groups"]) if told["groups"] else None,
    )
    last = newest_day(folder) + 1
    known = pq.read_table(told["accounts"]) if told["accounts"] else None
    window = state.Window(last - told["days"], last)
    detect(folder, settings, window=window, progress=lambda *_: None, known=known)
    write_index(out, number=told["number"])


def _end_with(parent: int) -> None:
    """End when the process that started this one is gone: nobody would read what is found."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(ORPHANED)


if __name__ == "__main__":
    sys.exit(main())
