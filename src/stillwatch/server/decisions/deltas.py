"""Changes of decisions as server-sent events, for clients that keep a snapshot of their own.

Every change bears the version it leads to, so that a client which comes back says what it saw last. Rows are told as
they are when they are sent; a row that changed twice meanwhile is told once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
from fastapi.concurrency import run_in_threadpool

from stillwatch.server.decisions.snapshot import Snapshot

SILENCE_S = 15.0  # after which a comment says that the line is alive, and the key is looked at again
_SLICE = 500  # rows written at once


async def deltas(
    snapshot: Snapshot, since: str, namespace: bytes, *, may_go_on: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """Changes after a version for as long as the client listens, the process runs and `may_go_on` says so."""
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    quiet = snapshot.versions.listen(lambda: _wake(loop, changed))
    try:
        yield b"retry: 2000\n\n"
        version = since
        while not snapshot.versions.is_hung_up:
            changed.clear()
            if version != snapshot.version:
                missed = await run_in_threadpool(snapshot.since, version, namespace)
                if missed is None:
                    version = snapshot.version
                    yield b"event: reset\ndata: " + orjson.dumps({"version": version}) + b"\n\n"
                    continue
                version, rows = missed
                for start in range(0, len(rows), _SLICE):
                    yield b"".join(_message(*one) for one in rows[start : start + _SLICE])
            try:
                await asyncio.wait_for(changed.wait(), SILENCE_S)
            except TimeoutError:
                if not await may_go_on():
                    return
                yield b": still here\n\n"
    finally:
        quiet()


def _message(version: str, row: bytes) -> bytes:
    return b"id: " + version.encode() + b"\nevent: decision\ndata: " + row + b"\n\n"


def _wake(loop: Any, changed: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop has ended, and the stream with it
        loop.call_soon_threadsafe(changed.set)
