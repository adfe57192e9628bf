"""How TAXII is spoken: its media type both ways, and its error objects (sections 1.6.8, 3.6)."""

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import orjson
from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import DataError

from stillwatch.errors import ServiceError, StillwatchError, StoreError

VERSION: Final = "2.1"
TAXII: Final = f"application/taxii+json;version={VERSION}"
STIX: Final = "application/stix+json;version=2.1"
_RANGES: Final = frozenset({"*/*", "application/*", "application/taxii+json"})
_TITLES: Final = {
    400: "The request cannot be understood",
    401: "Authentication is needed",
    403: "This is not allowed",
    404: "There is no such thing here",
    406: "The media type that is wanted is not served",
    413: "The content is too large",
    415: "The content has a media type that is not taken",
    422: "The content cannot be processed",
    429: "Too much was asked or sent",
}
_OTHERS: Final = "The request cannot be answered"
_MOST_RANGES: Final = 50
_ZERO = re.compile(r"0(\.0{0,3})?")


class TaxiiRoute(APIRoute):
    """A route whose refusals are TAXII error objects."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with what it raises told in TAXII's way."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as error:
                return failed(error.status_code, str(error.detail), error.headers)
            except RequestValidationError:
                return failed(400, "A parameter of the URL has no value that it may have.")
            except DataError:
                return failed(422, "The request holds a value that cannot be kept.")
            except (ServiceError, StoreError) as error:
                return failed(503, str(error), {"Retry-After": "5"})
            except StillwatchError as error:
                return failed(400, str(error))

        return told


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A reply of TAXII; bytes are JSON already."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status, {"Content-Type": TAXII, "X-Content-Type-Options": "nosniff", **(headers or {})})


def failed(status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal as a TAXII error object."""
    told = {"title": _TITLES.get(status, _OTHERS), "description": words, "http_status": str(status)}
    return answer(told, status, headers)


def refuse_other_replies(accept: str | None) -> None:
    """406 when a client takes no reply that we could give; no header, like `*/*`, takes any."""
    if accept is None or not accept.strip():
        return
    if any(_is_ours(part) for part in accept.split(",")[:_MOST_RANGES]):
        return
    raise HTTPException(406, f"Accept: {TAXII} is what is served here.")


def refuse_other_content(content_type: str) -> None:
    """415 when content is not TAXII 2.1."""
    if _named(content_type)[0] != "application/taxii+json" or not _is_ours(content_type):
        raise HTTPException(415, f"Content-Type: {TAXII} is what is taken here.")


def _is_ours(text: str) -> bool:
    name, parameters = _named(text)
    if name not in _RANGES or _ZERO.fullmatch(parameters.get("q", "1")):
        return False
    return parameters.get("version", VERSION) == VERSION


def _named(text: str) -> tuple[str, dict[str, str]]:
    name, *given = (part.strip() for part in text.split(";"))
    pairs = (part.partition("=") for part in given)
    return name.lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
