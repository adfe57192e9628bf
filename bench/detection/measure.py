"""Stillwatch through its public command, a baseline in this process: one record each."""

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch.evaluation import Evaluation, evaluate
from stillwatch.evaluation.control import HOSTILE, Control
from stillwatch.evaluation.customers import Wronged, owners
from stillwatch.evaluation.measures import Accusation, Share

from .judge import Truth, accusation, frontier, recalls, slices, without_several
from .record import WORLD, Record, WorldName, pairs, sliced
from .world import World

STRICT = "stillwatch: distillation"
LARGE = "stillwatch: or coordinated and large"
LINKED = "stillwatch: or coordinated"


def world_record(name: WorldName, folder: Path, known: Truth) -> Record:
    """The facts of a world: its size, and how much of each campaign shares cards, devices, telephones and the like."""
    about = json.loads((folder / "world.json").read_text("utf-8"))
    accounts = pq.read_table(folder / "accounts.parquet").drop_columns("email_domain")  # a school is no infrastructure
    sharing = {}
    for campaign in sorted(set(known.origin.values())):
        members = pa.array([account for account, origin in known.origin.items() if origin == campaign], pa.string())
        sizes = Counter(owners(accounts.filter(pc.is_in(accounts["account_id"], members))).values())
        sharing[campaign] = (sum(size for size in sizes.values() if size > 1), len(members))
    makes = {campaign: make["in_words"] for campaign, make in about.get("drawn", {}).get("campaigns", {}).items()}
    counts = {"legitimate": len(known.segment), "exchanges": about.get("exchanges", 0)}
    return Record(name, WORLD, sharing=sharing, makes=makes, **counts)


def stillwatch_records(name: WorldName, folder: Path, scratch: Path, *, runs: int) -> tuple[Record, ...]:
    """`stillwatch scan` as a user starts it, judged by `stillwatch evaluate`: by verdict, the stricter first.

    With more than one run, shorter and shorter beginnings of the days are scanned too, for exposure before detection.
    """
    days = sorted((folder / "exchanges").glob("*.parquet"))
    cpu_s = _scanned(name, folder, days, scratch, scratch / "out")
    earlier = [round(len(days) * run / runs) for run in range(1, runs)]
    outs = [scratch / f"out-{count}" for count in earlier if 0 < count < len(days)]
    for out in outs:
        _scanned(name, folder, days[: int(out.name.partition("-")[2])], scratch, out)
    found = evaluate(scratch / "out", folder / "truth.parquet", runs=[*outs, scratch / "out"] if outs else ())
    rest: dict[str, Any] = {
        "cpu_s": cpu_s,
        "runs": runs,
        "peak_memory_bytes": _peak_memory_bytes(resource.RUSAGE_CHILDREN),
    }
    accused = {each.campaign: each.accused for each in found.campaigns}
    linked = {each.campaign: each.linked for each in found.campaigns}
    strict = _own_record(name, STRICT, found.distillation, found.wronged_by, accused)
    large = _own_record(name, LARGE, found.distillation_or_large, found.large_by, {})
    either = _own_record(name, LINKED, found.distillation_or_coordinated, found.linked_by, linked)
    wrong = found.campaign_precision.total - found.campaign_precision.hits
    told: dict[str, Any] = {"wrong_campaigns": (wrong, found.campaign_precision.total), "exposure": _exposure(found)}
    claims = [found.control[key] for key in ("distillation_or_large", "distillation_or_coordinated")]
    sent = found.senders
    also: dict[str, Any] = {}
    if sent is not None:
        told |= pairs({"senders": sent.distillation, "senders_wronged": sent.wronged})
        also |= pairs({"senders": sent.distillation_or_coordinated})
    return (
        Record(**strict, **told, **rest),
        Record(**large, **_control(claims[0]), **rest),
        Record(**either, **_control(claims[1]), **rest, **also),
    )


def baseline_record(name: WorldName, baseline: ModuleType, world: World, known: Truth) -> Record:
    """One baseline at its own threshold, and everything the oracle may choose from."""
    method = method_name(baseline)
    world.used.clear()
    spent = sum(world.cpu_s.values())
    began = time.process_time()
    try:
        finding = baseline.accuse(world)
    except MemoryError:
        return Record(name, method, missed=len(known.origin), not_run="did not fit into memory")
    own_s = time.process_time() - began - (sum(world.cpu_s.values()) - spent)
    names = [world.account_ids[place] for place in np.flatnonzero(finding.accused)]
    strangers = without_several(known)
    return Record(
        **_own_record(name, method, accusation(known, names)[0], slices(known, names), recalls(known, names)),
        frontier=frontier(known, world.account_ids, finding.rankings),
        strangers=accusation(strangers, names)[0].wrong,
        strangers_frontier=frontier(strangers, world.account_ids, finding.rankings),
        cpu_s=own_s + sum(world.cpu_s[part] for part in world.used),
        peak_memory_bytes=_peak_memory_bytes(resource.RUSAGE_SELF),
    )


def method_name(baseline: ModuleType) -> str:
    """What a baseline is called in the table."""
    return baseline.__name__.rpartition(".")[2]


def _own_record(
    name: WorldName, method: str, accused: Accusation, wronged: Wronged, campaigns: dict[str, Share]
) -> dict[str, Any]:
    return {
        "world": name,
        "method": method,
        "right": accused.right,
        "wrong": accused.wrong,
        "missed": accused.missed,
        "legitimate": sum(share.total for share in wronged.segments.values()),
        "campaigns": pairs(campaigns),
        **sliced(wronged),
    }


def _control(claim: Control) -> dict[str, Any]:
    shares = {"control": claim.accounts, "one_hand": claim.campaigns}
    strangers = sum(count for name, count in claim.wrong.items() if name != HOSTILE)
    return {**{name: (share.hits, share.total) for name, share in shares.items()}, "strangers": strangers}


def _exposure(found: Evaluation) -> dict[str, float | None]:
    return {} if found.exposure_before_detection_note else dict(found.exposure_before_detection)


def _scanned(name: WorldName, folder: Path, days: Sequence[Path], scratch: Path, out: Path) -> float:
    """CPU-seconds of one scan, user and system."""
    key = scratch / "key"
    key.write_bytes(hashlib.sha256(f"bench.detection {name.seed}".encode()).digest())  # the same identifiers always
    command = [sys.executable, "-m", "stillwatch", "scan", *map(str, days)]
    command += ["--accounts", str(folder / "accounts.parquet"), "--out", str(out), "--seed", str(name.seed)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "STILLWATCH_KEY_FILE": str(key)},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _peak_memory_bytes(who: int) -> int:
    peak = resource.getrusage(who).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
