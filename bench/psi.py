"""What private matching costs: two sets over loopback with a served service, beside the bare multiplications.

    python bench/psi.py [--size 100000] [--threads 2]

The service is a process of its own and takes the set over HTTP; this process is the partner. Timed is the whole match,
from the identifiers of a list to the positions that are shared. The floor is four multiplications of a point for each
identifier of either side's, two a side, timed alone on a sample in the same run: no protocol of this kind does less.
A machine that does other work makes seconds longer, and leaves CPU-seconds and their ratio to the floor as they are.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from stillwatch.ingest.keys import normalised
from stillwatch.partners.psi import Side, matched
from stillwatch.sharing import identifiers, psi

KIND = "device"
SAMPLE = 5_000  # multiplications of which the floor is told
SHARED = 0.1  # of the identifiers
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Served:
    """A service that runs: its process, its address, and keys of an analyst and of a partner."""

    process_id: int
    url: str
    analyst: str
    partner: str


@contextmanager
def served(state: Path, size: int, threads: int) -> Iterator[Served]:
    """A service that allows sets of that size."""
    limits = {"INPUTS_A_DAY": 10 * size, "MOST_OFFERED": size, "THREADS": threads, "SESSION_S": 3600}
    environment = os.environ | {f"STILLWATCH_MATCHING_{name}": str(value) for name, value in limits.items()}
    environment |= {"STILLWATCH_KEY_FILE": str(state / "key"), "STILLWATCH_DETECTION_EVERY_S": "86400"}
    command = [sys.executable, "-m", "stillwatch"]

    def key(role: str) -> str:
        words = [*command, "keys", "make", "--name", role, "--role", role, "--state", str(state)]
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.strip()

    analyst, partner = key("analyst"), key("partner")
    with (state / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", "--state", str(state)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield Served(process.pid, next(iter(process.stdout or ())).strip(), analyst, partner)
    finally:
        process.terminate()
        process.wait(60)


def cpu_s(process_id: int) -> float:
    """What a process has computed so far."""
    told = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def floor_s(size: int) -> float:
    """CPU-seconds of the bare multiplications of two sets of that size."""
    secret = psi.secret_of(secrets.token_bytes(32))
    points = [psi.hashed_point(secrets.token_bytes(32), "0" * 32) for _ in range(SAMPLE)]
    began = time.process_time()
    psi.blinded_again(points, secret=secret)
    return (time.process_time() - began) / SAMPLE * 4 * size


def measured(size: int, threads: int) -> dict[str, object]:
    """One match of two sets of that size."""
    both = [secrets.token_hex(16) for _ in range(int(size * SHARED))]
    ours, theirs = ([*both, *(secrets.token_hex(16) for _ in range(size - len(both)))] for _ in range(2))
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), size, threads) as service:
        body = {"kind": KIND, "identifiers": theirs}
        headers = {"Authorization": f"Bearer {service.analyst}"}
        offered = httpx2.post(f"{service.url}/v1/psi/sets", headers=headers, json=body, timeout=TIMEOUT_S)
        offered.raise_for_status()
        floor = floor_s(size)
        began, own, other = time.perf_counter(), time.process_time(), cpu_s(service.process_id)
        found = identifiers.prepared(KIND, ours, normalised)
        digests = [psi.digest(KIND, one) for one in found.positions]
        match = matched(Side(service.url, service.partner), KIND, digests, threads=threads)
        wall = time.perf_counter() - began
        own, other = time.process_time() - own, cpu_s(service.process_id) - other
    if match.positions != list(range(len(both))):
        raise SystemExit("what was found is not what is shared")
    floor = (floor + floor_s(size)) / 2
    return {
        "size": size,
        "shared": len(match.positions),
        "seconds": round(wall, 1),
        "cpu_s": round(own + other, 1),
        "cpu_s_initiator": round(own, 1),
        "cpu_s_responder": round(other, 1),
        "floor_cpu_s": round(floor, 1),
        "ratio_to_floor": round((own + other) / floor, 2),
        "load": [round(one, 1) for one in os.getloadavg()[:2]],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    print(json.dumps(measured(given.size, given.threads)))


if __name__ == "__main__":
    main()
