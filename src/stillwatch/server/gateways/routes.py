"""The check over HTTP: any path and method below /v1/check, as Envoy's ext_authz and nginx's auth_request ask."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from stillwatch.server.gateways.authorization import running
from stillwatch.server.gateways.checks import KEY_HEADER, Answer, Asked, checked

__all__ = ["router", "running"]

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
REFUSE_WITH = "x-stillwatch-refuse-with"  # of a gateway that passes on this status only, as nginx does with 403

router = APIRouter(tags=["gateways"], include_in_schema=False)


async def answered(request: Request) -> Answer:
    """The answer to the gateway. It must never be why a request fails, so a wrong key is a failure and no refusal."""
    headers = request.headers
    asked = Asked(header=lambda name: headers.get(name, ""))
    return await checked(request.app.state.service, headers.get(KEY_HEADER, ""), asked)


answered.roles = ("enforcer",)  # type: ignore[attr-defined]  # it asks for the role itself, as `requires` does


@router.api_route("/v1/check", methods=METHODS)
@router.api_route("/v1/check/{path:path}", methods=METHODS)
async def check(request: Request, answer: Annotated[Answer, Depends(answered)]) -> Response:
    """200: serve it, and tell the upstream the headers. 403 or 429: refuse. 503: nothing is known, serve it."""
    only = request.headers.get(REFUSE_WITH, "")
    status = int(only) if only in ("401", "403") and answer.status in (403, 429) else answer.status
    return Response(answer.body, status, answer.headers)
