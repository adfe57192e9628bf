"""The check over HTTP: any path and method below /v1/check, as Envoy's ext_authz and nginx's auth_request ask."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from stillwatch.server.access import requires
from stillwatch.server.gateways.authorization import running
from stillwatch.server.gateways.checks import KEY_HEADER, Answer, Asked, checked

__all__ = ["router", "running"]

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
REFUSE_WITH = "x-stillwatch-refuse-with"  # of a gateway that passes on this status only, as nginx does with 403

_enforcer = requires("enforcer")

router = APIRouter(tags=["gateways"], include_in_schema=False)


async def answered(request: Request) -> Answer:
    """The answer to a gateway. It must never be why a request fails: a wrong key in its header is a failure of ours.

    Whoever asks with the usual headers instead is told 401 and 403, as everywhere.
    """
    headers, service = request.headers, request.app.state.service
    asked = Asked(header=lambda name: headers.get(name, ""))
    if KEY_HEADER in headers:
        return await checked(service, asked, key=headers[KEY_HEADER])
    return await checked(service, asked, principal=await run_in_threadpool(_enforcer, request))


answered.roles = ("enforcer",)  # type: ignore[attr-defined]  # it asks for the role itself, as `requires` does


@router.api_route("/v1/check", methods=METHODS)
@router.api_route("/v1/check/{path:path}", methods=METHODS)
async def check(request: Request, answer: Annotated[Answer, Depends(answered)]) -> Response:
    """200: serve it, and tell the upstream the headers. 403 or 429: refuse. 503: nothing is known, serve it."""
    only = request.headers.get(REFUSE_WITH, "")
    status = int(only) if only in ("401", "403") and answer.status in (403, 429) else answer.status
    return Response(answer.body, status, answer.headers)
