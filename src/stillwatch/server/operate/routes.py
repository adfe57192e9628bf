"""What keeps the service running asks here: is it alive, is it ready, what does it count."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from stillwatch.server.access import Principal, principal_in, requires
from stillwatch.server.metrics import REGISTRY
from stillwatch.server.operate.health import unready

router = APIRouter(tags=["operate"])
_admin = requires("admin")


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Whether the process answers; nothing else is looked at."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "Not ready."}})
def readyz(request: Request) -> JSONResponse:
    """Whether it can do its work: 200 or 503. What is missing is told to those who have a role."""
    missing = unready(request.app.state.service)
    told: dict[str, object] = {"status": "not ready" if missing else "ready"}
    has_key = {"authorization", "x-api-key"} & set(request.headers)
    if has_key and (principal := principal_in(request)) is not None and principal.roles:
        told["missing"] = missing
    return JSONResponse(told, 503 if missing else 200)


def may_scrape(request: Request) -> Principal:
    """Who may read metrics: an admin, and whoever has the token of the settings."""
    token = request.app.state.service.settings.server.metrics_token
    given = request.headers.get("authorization", "").encode()
    if token and hmac.compare_digest(given, f"Bearer {token}".encode()):
        return Principal("metrics", frozenset())
    return _admin(request)


may_scrape.roles = ("admin",)  # type: ignore[attr-defined]  # tests walk the routes and read it


@router.get("/metrics", response_class=Response)
def metrics(_principal: Annotated[Principal, Depends(may_scrape)]) -> Response:
    """What the service counts, for Prometheus."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
