"""How much traffic the service takes in: OTLP protobuf with prompts of 1 KB, beside a bare decode of the same bytes.

    python bench/intake.py --processes 2 --seconds 60
    python bench/intake.py --seconds 600 --look-every-s 30 --most-gb 8 --folder /where/there/is/room

First each step by itself in one thread, in CPU-microseconds per exchange. Then real processes of the service that share
one state, folding as they go, under senders that never pause. What lasts is the lesser of two rates: what is
acknowledged, and what is folded. With `--look-every-s` whatever could grow is printed as it goes, with `--rate` senders
keep to so many exchanges a second in all, and beyond `--most-gb` on the disk they stop. On a busy machine the
CPU-seconds count: a rate per CPU-second times the cores is what a machine of one's own would do.
"""

import argparse
import http.client
import io
import json
import math
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from stillwatch import ingest
from stillwatch.ingest import wire
from stillwatch.ingest.bodies import sent_exchanges, sent_spans
from stillwatch.ingest.otlp_columns import NAMES
from stillwatch.intake import exchanges_schema, numbered_signals
from stillwatch.server import ServerSettings, application, opened
from stillwatch.server.access import Principal, made_key
from stillwatch.server.intake import fold, taking
from stillwatch.server.intake.jobs import jobs
from stillwatch.server.jobs import Jobs
from stillwatch.server.journal import Frame, Header, Journal
from stillwatch.server.service import utc_now
from stillwatch.server.settings import Detecting, Storing, Taking
from stillwatch.settings import KEY_VARIABLE
from stillwatch.state.manifest import manifest_of

SPANS_PER_BODY = 500  # a full batch of an SDK is 512
PROMPT_BYTES = 1_000
ACCOUNTS = 20_000
ROOM_BYTES = 128 << 20  # what may wait, half of what a service allows: a short run sees what happens once it is full
# Of a row: what is looked at, of the process that has most.
HEAD = "    s       folded      /s  wait MB  state MB  B/exch.  folders  memory MB  files"
FOLDED_BODIES = 200  # what some seconds bring
WARM_BODIES = 10  # of each process: the first ones load and compile
_SYLLABLES = ("ka", "lo", "mer", "tin", "su", "vel", "dor", "pa", "ni", "gra", "fen", "ro", "bil", "tas", "we", "ly")
_WORDS = [a + b + c for a in _SYLLABLES for b in _SYLLABLES for c in (*_SYLLABLES, "")]  # no digits: they count as one


@dataclass
class Body:
    """An export request, and where the trace ids of its spans stand: new ids make it new traffic."""

    content: np.ndarray[Any, Any]
    places: np.ndarray[Any, Any]

    @classmethod
    def made(cls, seed: int, at: datetime) -> "Body":
        """A body of chat spans."""
        rng, request = random.Random(seed), ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        scopes = "scope_spans" if hasattr(resource, "scope_spans") else "instrumentation_library_spans"  # older copies
        scope = getattr(resource, scopes).add()
        resource.resource.attributes.append(_pair("service.name", "gateway"))
        for _ in range(SPANS_PER_BODY):
            _fill(scope.spans.add(), rng, at)
        content = request.SerializeToString()
        records = wire.walked(content, NAMES, is_log=False).records
        return cls(np.frombuffer(content, np.uint8).copy(), records[:, wire.TRACE])

    def numbered(self, number: int) -> bytes:
        """The body with ids of its own."""
        raw = np.frombuffer(number.to_bytes(8, "big"), np.uint8)
        self.content[self.places[:, None] + np.arange(8)] = raw
        return self.content.tobytes()


def _fill(span: Any, rng: random.Random, at: datetime) -> None:  # noqa: ANN401 - generated without types
    began = int(at.timestamp() * 1e9) - rng.randrange(10**12)
    span.trace_id, span.span_id, span.name = rng.randbytes(16), rng.randbytes(8), "chat large-2"
    span.start_time_unix_nano, span.end_time_unix_nano = began, began + 10**9
    prompt = ""
    while len(prompt) < PROMPT_BYTES:
        prompt += rng.choice(_WORDS) + " "
    asked = [{"role": "user", "parts": [{"type": "text", "content": prompt}]}]
    said = {"role": "assistant", "parts": [{"type": "text", "content": prompt[:300]}], "finish_reason": "stop"}
    account = rng.randrange(ACCOUNTS)
    told = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "large-2",
        "gen_ai.response.model": "large-2",
        "gen_ai.response.id": f"chatcmpl-{rng.randrange(10**9)}",
        "gen_ai.response.finish_reasons": ["stop"],
        "llm.account.id": f"acct-{account}",
        "client.address": f"198.18.{account % 200}.{account // 200}",
        "user_agent.original": f"sdk/1.{account % 7}",
        "server.address": "api.example.com",
        "gen_ai.usage.input_tokens": rng.randrange(200, 400),
        "gen_ai.usage.output_tokens": rng.randrange(900),
        "gen_ai.input.messages": json.dumps(asked),
        "gen_ai.output.messages": json.dumps([said]),
    }
    span.attributes.extend(_pair(name, cell) for name, cell in told.items())


def _pair(name: str, cell: Any) -> KeyValue:  # noqa: ANN401 - a text, a number or a list
    if isinstance(cell, list):
        values = [AnyValue(string_value=text) for text in cell]
        return KeyValue(key=name, value=AnyValue(array_value=ArrayValue(values=values)))
    value = AnyValue(int_value=cell) if isinstance(cell, int) else AnyValue(string_value=cell)
    return KeyValue(key=name, value=value)


def steps(body: bytes, folder: Path) -> Iterator[tuple[str, float]]:
    """CPU-microseconds per exchange of each step and all before it, in one thread."""
    key, schema, latest = ingest.Key(b"k" * 32), exchanges_schema(), datetime.now(UTC) + timedelta(days=1)

    def exchanges() -> list[Any]:
        sent = sent_exchanges(sent_spans(body, schema.names), "otlp", key=key, schema=schema, latest=latest)
        return [rows for rows, _, _ in sent]

    def signals() -> list[Any]:
        return [numbered_signals(rows, key) for rows in exchanges()]

    journal = Journal(folder / "alone", utc_now)
    yield "bare decode with protobuf's own library", _cpu_us(lambda: ExportTraceServiceRequest.FromString(body))
    yield "walk over the bytes", _cpu_us(lambda: wire.walked(body, NAMES, is_log=False))
    yield "to exchanges", _cpu_us(exchanges)
    yield "to signals", _cpu_us(signals)
    header = Header("b", 0, "bench", "bench")
    yield "to the disk", _cpu_us(lambda: journal.append([Frame(header, rows) for rows in signals()]))
    journal.close()


def fold_us(folder: Path) -> float:
    """CPU-microseconds per exchange from the journal to the state, in one thread: the second of two lots."""
    made = [Body.made(seed, datetime.now(UTC)) for seed in range(4)]
    sender, spent = Principal("bench", frozenset({"ingest"})), 0.0
    settings = ServerSettings(
        storage=Storing(state=folder / "alone"), detection=Detecting(memory_limit="700MB", threads=1)
    )
    with opened(settings) as service:
        for lot in range(2):
            for number in range(lot * FOLDED_BODIES, (lot + 1) * FOLDED_BODIES):
                content = made[number % len(made)].numbered(number)
                taking.taken(service, sender, taking.SPANS, content, str(number))
            began = time.process_time()
            with redirect_stdout(io.StringIO()):  # its log
                fold(service)
            spent = time.process_time() - began
    return spent / FOLDED_BODIES / SPANS_PER_BODY * 1e6


def _cpu_us(work: Callable[[], Any], rounds: int = 12) -> float:
    """The least of some rounds: what is above it is other processes in the caches."""
    work()
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent) / SPANS_PER_BODY * 1e6


@dataclass
class Load:
    """Senders that never pause, and what was acknowledged."""

    ports: list[int]
    headers: dict[str, str]
    until: float
    enough: float = math.inf
    acknowledged: int = 0
    refused: int = 0
    rate: float = math.inf  # exchanges a second, of all senders together
    most_bytes: float = math.inf  # of the state
    state: Path = Path()
    began: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, number: int, body: Body) -> None:
        """Send bodies to one process until the time is over."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[number % len(self.ports)], timeout=120)
        sequence = number << 40
        while self._goes_on(sequence):
            sequence += 1
            connection.request("POST", "/v1/traces", body.numbered(sequence), self.headers)
            reply = connection.getresponse()
            reply.read()
            with self.lock:
                self.acknowledged += SPANS_PER_BODY * (reply.status == 200)
                self.refused += reply.status == 503
            if reply.status not in (200, 503):
                raise RuntimeError(f"{reply.status}")
            if reply.status == 503:
                time.sleep(0.2)
            ahead_s = self.acknowledged / self.rate - (time.monotonic() - self.began)
            time.sleep(max(0.0, min(ahead_s, self.until - time.monotonic())))

    def _goes_on(self, sequence: int) -> bool:
        if sequence % 256 == 0 and self.most_bytes < math.inf and bytes_in(self.state) > self.most_bytes:
            self.until = 0.0  # for every sender
        return time.monotonic() < self.until and self.acknowledged < self.enough


def serve(state: Path) -> None:
    """A process of the service; prints its port."""
    settings = ServerSettings(
        storage=Storing(state=state),
        intake=Taking(fold_every_s=5.0, max_pending_bytes=ROOM_BYTES),
        detection=Detecting(memory_limit="700MB", threads=1),
    )
    with opened(settings) as service, socket.create_server(("127.0.0.1", 0)) as listening:
        work = Jobs(jobs(service), service.database, holder=service.holder, now=service.now, log=service.log)
        work.start()
        server = uvicorn.Server(uvicorn.Config(application(service), log_level="warning"))
        sys.stderr.write(f"{listening.getsockname()[1]}\n")
        sys.stderr.flush()
        server.run(sockets=[listening])
        work.stop()


@contextmanager
def serving(state: Path) -> Iterator[tuple[int, int]]:
    """Process id and port of a process of the service."""
    command = [sys.executable, __file__, "--serve", str(state)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as run:
        told = cast(TextIO, run.stderr)
        try:
            yield run.pid, int(told.readline())
        finally:
            run.terminate()
            told.read()


def cpu_s(pid: int) -> float:
    """CPU-seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> int:
    """The most memory a process held."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) >> 10


def loaded(folder: Path, told: argparse.Namespace) -> None:
    """The service under load."""
    processes, senders = told.processes, told.senders
    state = folder / "state"
    with opened(ServerSettings(storage=Storing(state=state))) as service:
        key = made_key(service.database, name="bench", roles=["ingest"], by="bench", now=utc_now())
    bodies = [Body.made(seed, datetime.now(UTC)) for seed in range(senders)]
    headers = {"X-API-Key": key, "Content-Type": "application/x-protobuf"}
    with ExitStack() as held:
        running = [held.enter_context(serving(state)) for _ in range(processes)]
        ports = [port for _, port in running]
        warm = Load(ports, headers, time.monotonic() + 120, enough=WARM_BODIES * processes * SPANS_PER_BODY)
        _run(warm, bodies)
        while not folded(state):  # the first fold loads and compiles as much again
            time.sleep(0.5)
        before, began, was_folded = [cpu_s(pid) for pid, _ in running], time.monotonic(), folded(state)
        load = Load(*(ports, headers, began + told.seconds), rate=told.rate, most_bytes=told.most_gb * 1e9, state=state)
        with watched(state, [pid for pid, _ in running], told.look_every_s):
            _run(load, bodies, first=senders)
        wall = time.monotonic() - began
        spent = sum(cpu_s(pid) for pid, _ in running) - sum(before)
        now_folded = folded(state)
        peaks = [peak_mb(pid) for pid, _ in running]
        waiting_mb = sum(path.stat().st_size for path in (state / "journal").iterdir()) >> 20
    in_state = now_folded - was_folded
    per_cpu_s = load.acknowledged / spent
    print(f"{load.acknowledged:,} exchanges acknowledged in {wall:.1f} s, {load.refused} bodies told to come again")
    busy = f"{os.cpu_count()} cores with a load of {os.getloadavg()[0]:.1f}"
    print(f"{load.acknowledged / wall:,.0f} exchanges/s acknowledged and {in_state / wall:,.0f} folded here, on {busy}")
    print(f"so {min(load.acknowledged, in_state) / wall:,.0f} exchanges/s sustained here")
    backlog = load.acknowledged + warm.acknowledged - now_folded
    print(f"waiting at the end: {backlog:,} exchanges, {waiting_mb} of {ROOM_BYTES >> 20} MB that may wait")
    print(f"{spent / wall:.2f} cores used by {processes} processes: {per_cpu_s:,.0f} acknowledged per CPU-second")
    print(f"peak memory of a process: {max(peaks)} MB")


def folded(state: Path) -> int:
    """Exchanges in the state."""
    manifest = manifest_of(state)
    return 0 if manifest is None else sum(batch.exchanges for batch in manifest.batches)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the state and at the processes, the largest of which is told."""

    after_s: float
    folded: int
    waiting_mb: int
    state_mb: int
    folders: int
    memory_mb: int
    files: int

    def line(self, before: "Sample") -> str:
        """As a row under HEAD; the rate is that since the sample before."""
        rate = (self.folded - before.folded) / max(self.after_s - before.after_s, 1e-9)
        each = 1e6 * self.state_mb / max(self.folded, 1)
        return (
            f"{self.after_s:5.0f}{self.folded:13,}{rate:8,.0f}{self.waiting_mb:9,}{self.state_mb:10,}{each:9.1f}"
            f"{self.folders:9}{self.memory_mb:11,}{self.files:7}"
        )


def sampled(state: Path, pids: list[int], after_s: float) -> Sample:
    """A look now."""
    return Sample(
        after_s,
        folded=folded(state),
        waiting_mb=bytes_in(state / "journal") // 1_000_000,
        state_mb=(bytes_in(state) - bytes_in(state / "journal")) // 1_000_000,
        folders=sum(1 for _ in (state / "parts").glob("*")),
        memory_mb=max(_resident_mb(pid) for pid in pids),
        files=max(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
    )


def bytes_in(folder: Path) -> int:
    """Bytes of the files in a folder; one that goes meanwhile counts as nothing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _resident_mb(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) >> 10


@dataclass
class Watch:
    """Looks every so many seconds, and prints each look."""

    state: Path
    pids: list[int]
    every_s: float
    samples: list[Sample] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Until it is over."""
        began = time.monotonic()
        print(HEAD, flush=True)
        while not self.over.wait(self.every_s if self.samples else 0.0):
            self.samples.append(sampled(self.state, self.pids, time.monotonic() - began))
            print(self.samples[-1].line(self.samples[-2 if len(self.samples) > 1 else -1]), flush=True)


@contextmanager
def watched(state: Path, pids: list[int], every_s: float) -> Iterator[Watch]:
    """Look for as long as this is held; 0 s, not at all."""
    watch = Watch(state, pids, every_s)
    if not every_s:
        yield watch
        return
    thread = threading.Thread(target=watch.look)
    thread.start()
    try:
        yield watch
    finally:
        watch.over.set()
        thread.join()


def _run(load: Load, bodies: list[Body], first: int = 0) -> None:
    threads = [threading.Thread(target=load.send, args=(first + n, body)) for n, body in enumerate(bodies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Print what each step costs, then what processes of the service take in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=math.inf, help="exchanges a second; without, as many as can be")
    parser.add_argument("--look-every-s", type=float, default=0.0, help="print what grows; 0: never")
    parser.add_argument("--most-gb", type=float, default=math.inf, help="of the state, on the disk; then it stops")
    parser.add_argument("--folder", type=Path, help="where the state is, until it ends")
    told = parser.parse_args()
    if told.serve:
        serve(told.serve)
        return
    with tempfile.TemporaryDirectory(dir=told.folder) as name:
        os.environ[KEY_VARIABLE] = f"{name}/key"
        body = Body.made(0, datetime.now(UTC))
        print(f"{SPANS_PER_BODY} spans a body, {len(body.content) // SPANS_PER_BODY:,} bytes each")
        for step, spent in steps(body.numbered(1), Path(name)):
            print(f"{spent:7.1f} CPU-us per exchange  {1e6 / spent:10,.0f} per CPU-second  {step}")
        spent = fold_us(Path(name))
        print(f"{spent:7.1f} CPU-us per exchange  {1e6 / spent:10,.0f} per CPU-second  beside it, to the state")
        loaded(Path(name), told)


if __name__ == "__main__":
    main()
