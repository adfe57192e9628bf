"""A body comes in piece by piece, bounded in bytes, in time and in what it unpacks to."""

import asyncio
import zlib
from collections.abc import AsyncIterator

from fastapi import HTTPException, Request

from stillwatch.server.gate import Full, Passage
from stillwatch.server.settings import Taking

ENCODINGS = ("", "identity", "gzip")
AGAIN = {"Retry-After": "5"}
_CLOSE = {"Connection": "close"}  # what was not read is not worth reading
_GZIP = 31  # of zlib: a gzip header and trailer
_TAKEN_BYTES = 1 << 20  # asked of the gate at once


async def received(request: Request, passage: Passage, limits: Taking) -> bytes:
    """The bytes of a body as they were sent.

    413 when they are too many, 408 when they take too long, 415 for an encoding we do not read, 503 when too much is
    on its way.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ENCODINGS:
        raise HTTPException(415, f"Content-Encoding {encoding}: send gzip, or none", _CLOSE)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.max_body_bytes:
        raise too_large(limits)
    try:
        async with asyncio.timeout(limits.body_timeout_s):
            pieces = await _pieces(_stream(request), passage, limits)
    except TimeoutError as error:
        raise HTTPException(408, f"the body was not here after {limits.body_timeout_s:g} s", _CLOSE) from error
    except Full as error:
        raise busy() from error
    return b"".join(pieces)


async def _stream(request: Request) -> AsyncIterator[bytes]:
    """The pieces of a body; 400 when the sender is gone before its end, which only a log will tell."""
    is_open = True
    while is_open:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400, "the body ended early", _CLOSE)
        yield message.get("body", b"")
        is_open = message.get("more_body", False)


async def _pieces(stream: AsyncIterator[bytes], passage: Passage, limits: Taking) -> list[bytes]:
    pieces, size, allowed = [], 0, 0
    async for piece in stream:
        size += len(piece)
        if size > limits.max_body_bytes:
            raise too_large(limits)
        while allowed < size:
            passage.take(_TAKEN_BYTES)
            allowed += _TAKEN_BYTES
        pieces.append(piece)
    return pieces


def unpacked(content: bytes, encoding: str, passage: Passage, limits: Taking) -> bytes:
    """The body without its encoding.

    400 when it is not what it says, 413 when it unpacks to too much, 503 when too much is on its way.
    """
    if encoding.strip().lower() != "gzip":
        return content
    pieces, size = [], 0
    try:
        while content:
            member = zlib.decompressobj(wbits=_GZIP)
            while content and not member.eof:
                pieces.append(member.decompress(content, _TAKEN_BYTES))
                content = member.unconsumed_tail
                size += len(pieces[-1])
                passage.take(len(pieces[-1]))
                if size > limits.max_body_bytes:
                    raise too_large(limits)
            if not member.eof:
                raise HTTPException(400, "the gzip body ends early")
            content = member.unused_data
    except zlib.error as error:
        raise HTTPException(400, f"the body is not gzip: {error}") from error
    except Full as error:
        raise busy() from error
    return b"".join(pieces)


def too_large(limits: Taking) -> HTTPException:
    """The reply to a body above the limit."""
    return HTTPException(413, f"the body is more than {limits.max_body_bytes} bytes: send smaller batches", _CLOSE)


def busy() -> HTTPException:
    """The reply while too much is on its way."""
    return HTTPException(503, "too much is on its way into the state: send it again later", {**AGAIN, **_CLOSE})
