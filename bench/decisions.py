"""How fast decisions are written, loaded and told: the fast path beside a bare ASGI reply, in the same run.

    python -m bench.decisions --accounts 1000000 --seconds 60

A server process on one core, and on another the load: closed-loop connections that compare every answer, byte for byte,
with what the bulk route told of that account before. Rates are also given per CPU-second of the server, which is what
a core of its own would reach on a machine that does other work as well. `--database postgresql://...` measures writing
and loading over PostgreSQL.
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import resource
import socket
import statistics
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson
import uvicorn
import uvloop
from httpx2 import Client
from starlette.types import Receive, Scope, Send

from stillwatch.server import ServerSettings, Service, application, decisions, opened
from stillwatch.server.access import made_key
from stillwatch.server.decisions.fast import http_protocol
from stillwatch.server.decisions.jobs import jobs
from stillwatch.server.jobs import Jobs
from stillwatch.server.service import utc_now
from stillwatch.server.settings import Deciding, Storing

PER_CAMPAIGN = 24_000  # accounts; the largest campaigns disclosed together had as many
ASKED = 20_000  # accounts that are asked about, one in ten of them unknown
BODY = b"x" * 420  # the bare reply, about as long as a row
Made = Callable[[Path, str], tuple[Any, Any]]  # what makes an application, and the protocol to serve it by


@dataclass
class Load:
    """What connections saw."""

    latencies_s: "array[float]" = field(default_factory=lambda: array("d"))
    wrong: int = 0
    dropped: int = 0
    is_over: bool = False


class Asking(asyncio.Protocol):
    """One connection that asks, compares and asks again."""

    def __init__(self, load: Load, asked: Iterator[tuple[bytes, bytes]]) -> None:
        """Nothing is asked before the connection is made."""
        self.load, self.asked, self.got, self.is_asking = load, asked, b"", False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Compare a whole answer."""
        self.got = self.got + data if self.got else data
        head, mark, body = self.got.partition(b"\r\n\r\n")
        if not mark or len(body) < len(self.wanted):
            return
        self.load.latencies_s.append(time.perf_counter() - self.began)
        self.load.wrong += body != self.wanted or not head.startswith(b"HTTP/1.1 200 OK\r\n")
        self.got, self.is_asking = b"", False
        if self.load.is_over:
            self.transport.close()
        else:
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """Count a question without an answer."""
        self.load.dropped += self.is_asking

    def _ask(self) -> None:
        sent, self.wanted = next(self.asked)
        self.is_asking, self.began = True, time.perf_counter()
        self.transport.write(sent)


def loaded(port: int, asked: Sequence[tuple[bytes, bytes]], *, connections: int, seconds: float) -> Load:
    """Load on a port for so many seconds."""

    async def run() -> Load:
        load, loop = Load(), asyncio.get_running_loop()
        made = [
            await loop.create_connection(partial(_asking, load, asked, one), "127.0.0.1", port)
            for one in range(connections)
        ]
        await asyncio.sleep(seconds)
        load.is_over = True
        until = time.monotonic() + 5
        while any(not transport.is_closing() for transport, _ in made) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        load.dropped += sum(protocol.is_asking for _, protocol in made)
        return load

    return uvloop.run(run())


def _asking(load: Load, asked: Sequence[tuple[bytes, bytes]], start: int) -> Asking:
    return Asking(load, _from(asked, start))


def _from(asked: Sequence[tuple[bytes, bytes]], start: int) -> Iterator[tuple[bytes, bytes]]:
    chosen = random.Random(start)
    while True:
        yield asked[chosen.randrange(len(asked))]


def bare(_state: Path, _database: str) -> tuple[Any, Any]:
    """An ASGI application that replies with the same bytes to everything, and uvicorn's usual protocol."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})

    return app, "httptools"


def route(state: Path, database: str) -> tuple[Any, Any]:
    """The service without its fast path."""
    return application(_opened(state, database)), "httptools"


def fast(state: Path, database: str) -> tuple[Any, Any]:
    """The service as it is served."""
    service = _opened(state, database)
    return application(service), http_protocol(service)


def _opened(state: Path, database: str) -> Service:
    before, began = _resident_mb(), time.process_time()
    service = opened(settings(state, database)).__enter__()
    Jobs(jobs(service)[:1], service.database, holder=service.holder, now=service.now, log=service.log).start()
    spent, grown = time.process_time() - began, _resident_mb() - before
    print(f"snapshot of {len(service.snapshot):,} accounts: loaded in {spent:.1f} CPU-s, {grown:.0f} MB", flush=True)
    return service


def settings(state: Path, database: str) -> ServerSettings:
    """The service's settings: throttling is live, everything else in shadow."""
    return ServerSettings(storage=Storing(state, database), decisions=Deciding(live=("throttle",)))


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _serve(made: Made, state: Path, database: str, pipe: Connection) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    app, http = made(state, database)
    config = uvicorn.Config(app, http=http, loop="uvloop", lifespan="off", log_config=None, access_log=False)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    pipe.send(listener.getsockname()[1])
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def serving(made: Made, state: Path, database: str) -> Iterator[tuple[int, int]]:
    """The port and the process id of a server."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(made, state, database, there))
    process.start()
    try:
        yield here.recv(), process.pid or 0
    finally:
        process.terminate()
        process.join()


def cpu_s(pid: int) -> float:
    """CPU-seconds a process has used."""
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def campaigns(accounts: int) -> Iterator[dict[str, Any]]:
    """Campaigns as detection hands them over; what is recommended differs from one to the next."""
    actions = ("throttle", "verify", "observe")
    for number, start in enumerate(range(0, accounts, PER_CAMPAIGN)):
        members = [account(one) for one in range(start, min(start + PER_CAMPAIGN, accounts))]
        told = {
            "action": actions[number % len(actions)],
            "check": "identity" if number % len(actions) == 1 else None,
            "account_ids": members,
            "because": "The campaign harvests under common control. Shadow: recommended, nothing acts. (policy x 1)",
            "approvals": 0,
            "expires_after_days": 7,
        }
        trait = {"kind": "template", "family": "content", "weight_bits": 12.5, "durability": "high"}
        yield {
            "campaign_id": f"c-{number:012x}",
            "verdict": "distillation",
            "probability": None,
            "account_ids": members,
            "evidence": [trait],
            "lineage": [],
            "recommended_decisions": [told],
        }


def account(number: int) -> str:
    """An account's id."""
    return f"acct-{number:08}"


def written(service: Service, found: Sequence[dict[str, Any]], told: str) -> None:
    """Reconcile, and print what it cost."""
    began, began_at = time.process_time(), time.perf_counter()
    with service.database.write() as connection:
        done = decisions.reconcile(connection, found, now=service.now(), policy_name="x 1")
    spent, took = time.process_time() - began, time.perf_counter() - began_at
    print(f"reconcile, {told}: {spent:.1f} CPU-s, {took:.1f} s; {done.taken:,} taken", flush=True)


def questions(port: int, key: str, accounts: int) -> list[tuple[bytes, bytes]]:
    """Requests and the answers that are right, by the bulk route; one in ten is of an account that is unknown."""
    chosen = random.Random(7).sample(range(accounts + accounts // 9), min(ASKED, accounts))
    found = []
    with Client(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": key}, timeout=60) as client:
        for start in range(0, len(chosen), 10_000):
            ids = [account(one) for one in chosen[start : start + 10_000]]
            rows = client.post("/v1/decisions/bulk", json={"account_ids": ids}).raise_for_status().json()["decisions"]
            found += [(_request(one, key), orjson.dumps(row)) for one, row in zip(ids, rows, strict=True)]
    return found


def _request(account_id: str, key: str) -> bytes:
    headers = f"Host: gateway\r\nUser-Agent: gateway/1\r\nAccept: */*\r\nAuthorization: Bearer {key}\r\n"
    return f"GET /v1/decisions/{account_id} HTTP/1.1\r\n{headers}\r\n".encode()


def measured(name: str, port: int, pid: int, asked: Sequence[tuple[bytes, bytes]], told: argparse.Namespace) -> None:
    """Load a server several times and print medians."""
    loaded(port, asked, connections=told.connections, seconds=1.0)
    rates, per_core, middles, tails, wrong, dropped = [], [], [], [], 0, 0
    for _ in range(told.repeats):
        before, began = cpu_s(pid), time.perf_counter()
        load = loaded(port, asked, connections=told.connections, seconds=told.seconds)
        took, spent = time.perf_counter() - began, cpu_s(pid) - before
        count, ordered = len(load.latencies_s), sorted(load.latencies_s)
        rates.append(count / took)
        per_core.append(count / spent)
        middles.append(1e3 * ordered[count // 2])
        tails.append(1e3 * ordered[count * 99 // 100])
        wrong, dropped = wrong + load.wrong, dropped + load.dropped
    rate, core, p50, p99 = map(statistics.median, (rates, per_core, middles, tails))
    print(
        f"{name:12}{rate:10,.0f} requests/s{core:10,.0f} per CPU-second of the server"
        f"   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   {wrong} wrong, {dropped} dropped",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--route", action="store_true", help="measure the route without its fast path as well")
    parser.add_argument("--database", default="", help="postgresql://...; SQLite when left out")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with opened(settings(state, told.database)) as service:
            key = made_key(service.database, name="gateway", roles=["enforcer"], by="bench", now=utc_now())
            found = list(campaigns(told.accounts))
            written(service, found[:1], f"{min(PER_CAMPAIGN, told.accounts):,} new accounts")
            written(service, found[:1], "the same again")
            written(service, found, f"{told.accounts:,} accounts")
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        with serving(bare, state, told.database) as (port, pid):
            measured("bare ASGI", port, pid, [(_request("a", key), BODY)], told)
        with serving(fast, state, told.database) as (port, pid):
            measured("decisions", port, pid, questions(port, key, told.accounts), told)
        if told.route:
            with serving(route, state, told.database) as (port, pid):
                measured("route", port, pid, questions(port, key, told.accounts), told)


if __name__ == "__main__":
    main()
