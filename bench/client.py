"""How long a gateway waits for a decision: the client in its process beside a bare dictionary, with a million accounts.

    python bench/client.py [--accounts 1000000] [--lookups 1000000] [--changes-per-s 500]

A service in another process speaks the contract: it sends the snapshot and then changes, many a second. Lookups are
timed one by one, half of them of accounts that have a decision; the clock's own time is in every figure, and in the
dictionary's as well. `paced` looks up once a millisecond, as a gateway with a thousand requests a second, so that it is
seen what the thread which follows the service takes from the others.
"""

import argparse
import gzip
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from stillwatch.client import Client

EXPIRES = "2999-01-01T00:00:00Z"


def row(number: int, action: str) -> dict[str, Any]:
    """A decision as the service tells it."""
    limits = {"throttle": {"requests_per_minute": 60}, "shape": {"max_output_tokens": 512, "reasoning": "withhold"}}
    return {
        "account_id": account(number),
        "action": action,
        "shadow": None,
        "check": "identity" if action == "verify" else None,
        "limits": limits.get(action),
        "because": f"member of a campaign, rule {number % 7}",
        "decision_id": f"{number:020x}",
        "campaign_id": f"campaign-{number % 300}",
        "author": "policy:default/3",
        "decided_at": "2026-03-01T12:00:00Z",
        "expires_at": EXPIRES,
    }


def account(number: int) -> str:
    """Ids as long as a hash of a key."""
    return f"{number:064x}"


def action(number: int) -> str:
    """Every action has its share."""
    return ("verify", "throttle", "shape", "suspend")[number % 4]


class _Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    accounts: int
    pause_s: float

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        if "snapshot" in self.path:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        with suppress(ConnectionError):  # whoever follows has gone
            for chunk in self._snapshot() if "snapshot" in self.path else self._changes():
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

    def _snapshot(self) -> Iterator[bytes]:
        yield gzip.compress(json.dumps({"version": "b-0", "count": self.accounts}).encode() + b"\n", 1)
        for start in range(0, self.accounts, 5000):
            lines = [json.dumps(row(n, action(n))) for n in range(start, min(start + 5000, self.accounts))]
            yield gzip.compress("\n".join(lines).encode() + b"\n", 1)

    def _changes(self) -> Iterator[bytes]:
        rng = random.Random(7)
        for number in count(1):
            told = json.dumps(row(rng.randrange(self.accounts), action(number)))
            yield f"id: b-{number}\nevent: decision\ndata: {told}\n\n".encode()
            time.sleep(self.pause_s)

    def log_message(self, *_: object) -> None:
        """Say nothing per request."""


def serve(accounts: int, changes_per_s: float) -> None:
    """Serve until the process is ended; the port is printed first."""
    handler = type("Service", (_Service,), {"accounts": accounts, "pause_s": 1 / changes_per_s})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def nanoseconds(ask: Callable[[str], object], asked: list[str], pause_s: float = 0.0) -> list[int]:
    """Each lookup's time, sorted."""
    times = []
    clock = time.perf_counter_ns
    for each in asked:
        if pause_s:
            time.sleep(pause_s)
        began = clock()
        ask(each)
        times.append(clock() - began)
    return sorted(times)


def tell(name: str, times: list[int]) -> None:
    """One row of the table."""
    shares = [times[min(len(times) - 1, int(len(times) * share))] / 1000 for share in (0.5, 0.99, 0.999)]
    print(f"{name:44}" + "".join(f"{each:10.2f}" for each in (*shares, times[-1] / 1000)) + f"{len(times):10,}")


def while_loading(client: Client) -> list[int]:
    """Lookups once a millisecond until the snapshot is there."""
    times: list[int] = []
    while not client.wait(0):
        times += nanoseconds(client.decision, [account(1)] * 50, 0.001)
    return sorted(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--lookups", type=int, default=1_000_000)
    parser.add_argument("--changes-per-s", type=float, default=500.0)
    parser.add_argument("--serve", action="store_true", help="be the service (the benchmark starts it itself)")
    given = parser.parse_args()
    if given.serve:
        serve(given.accounts, given.changes_per_s)
        return
    command = [sys.executable, __file__, "--serve", "--accounts", str(given.accounts)]
    with subprocess.Popen([*command, "--changes-per-s", str(given.changes_per_s)], stdout=subprocess.PIPE) as service:
        try:
            port = int(service.stdout.readline()) if service.stdout else 0
            measure(f"http://127.0.0.1:{port}", given.accounts, given.lookups)
        finally:
            service.terminate()


def measure(url: str, accounts: int, lookups: int) -> None:
    """Load, look up while changes come in, and the dictionary beside it."""
    rng = random.Random(5)
    asked = [account(rng.randrange(2 * accounts)) for _ in range(lookups)]
    print(f"{'microseconds':44}{'p50':>10}{'p99':>10}{'p99.9':>10}{'most':>10}{'lookups':>10}")
    before, began, used = _memory_mb(), time.perf_counter(), time.process_time()
    client = Client(url, "sw_bench")
    loading = while_loading(client)
    took, cpu = time.perf_counter() - began, time.process_time() - used
    grown, unseen = _memory_mb() - before, client.health().fail_opens
    tell("client, paced, while the snapshot loads", loading)
    tell("client, changes coming in", nanoseconds(client.decision, asked))
    tell("client, changes coming in, paced", nanoseconds(client.decision, asked[:10_000], 0.001))
    followed = client.health()
    client.close()
    bare = {account(number): number for number in range(accounts)}
    tell("bare dictionary", nanoseconds(bare.get, asked))
    tell("bare dictionary, paced", nanoseconds(bare.get, asked[:10_000], 0.001))
    print(f"snapshot of {followed.accounts:,}: {took:.1f} s, {cpu:.1f} s of CPU, {grown:.0f} MB")
    print(f"changes taken in meanwhile: {(followed.version or '-').partition('-')[2]}")
    print(f"fail-opens after loading: {followed.fail_opens - unseen}, failures: {followed.failures}")


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
