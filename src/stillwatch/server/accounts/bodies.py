"""Request bodies read within a limit, before anything looks at them."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import HTTPException, Request


def limited(most_bytes: int) -> Callable[[Request], Awaitable[bytes]]:
    """A dependency of a route: the body as it came; 413 as soon as it is longer."""

    async def body(request: Request) -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > most_bytes:
                raise HTTPException(413, f"The body is longer than {most_bytes} bytes. Send less at a time.")
            parts.append(part)
        return b"".join(parts)

    return body


def read_json(body: bytes) -> Any:
    """What a JSON body says; 400 when it is none. The reply does not repeat it."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, "The body is not JSON.") from error


def text_of(told: Any, name: str, *, most_chars: int = 500) -> str:
    """A text that a body must hold under the name; 422 when it does not, or holds another thing."""
    value = told.get(name) if isinstance(told, dict) else None
    if not isinstance(value, str) or not value.strip() or len(value) > most_chars or not value.isprintable():
        raise HTTPException(422, f"{name}: give a text of at most {most_chars} characters that print.")
    return value.strip()


def optional_text(told: Any, name: str, *, most_chars: int = 500) -> str | None:
    """A text that a body may hold under the name; null when it does not."""
    return text_of(told, name, most_chars=most_chars) if isinstance(told, dict) and told.get(name) is not None else None
