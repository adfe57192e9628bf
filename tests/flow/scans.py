"""A scan of a world on disk, in this process or as a command of its own."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests import processes
from tests.flow import planted

from stillwatch.scan import Scanned
from stillwatch.scan import scan as run_scan
from stillwatch.settings import Settings

Campaign = dict[str, Any]


def scan(world: Path, out: Path, **flags: Any) -> Scanned:
    """Scan the logs of a world that has an `accounts.parquet`, unless the flags say otherwise."""
    flags = {"logs": (str(world / "logs"),), "accounts": world / "accounts.parquet", "threads": 2, **flags}
    return run_scan(Settings(out=out, **flags), progress=lambda *_: None)


def command(*words: object) -> list[str]:
    """The command line of this checkout."""
    return [sys.executable, "-m", "stillwatch", *map(str, words)]


def run(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end."""
    return processes.run(*words, **variables)


def verdicts(campaigns: list[Campaign]) -> dict[str, Counter[str]]:
    """Per verdict, how many accounts of each planted population are in such a campaign."""
    found: dict[str, Counter[str]] = {}
    for campaign in campaigns:
        found.setdefault(campaign["verdict"], Counter()).update(map(planted.segment_of, campaign["account_ids"]))
    return found


def with_verdict(campaigns: list[Campaign], verdict: str) -> list[Campaign]:
    """The campaigns with that verdict."""
    return [campaign for campaign in campaigns if campaign["verdict"] == verdict]
