"""What keeps the service running asks here: is it alive, is it ready, what does it count."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from stillwatch.server.access import Principal, principal_in, requires
from stillwatch.server.metrics import fail_opens
from stillwatch.server.operate.health import unready
from stillwatch.server.operate.scraping import exposition

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
def metrics(request: Request, _principal: Annotated[Principal, Depends(may_scrape)]) -> Response:
    """What the service counts, for Prometheus."""
    return Response(exposition(request.app.state.service), media_type=CONTENT_TYPE_LATEST)


class FailOpens(BaseModel):
    """How many answers a gateway gave without knowing better since it told last."""

    count: int = Field(ge=1, le=1_000_000_000)


@router.post("/v1/fail-opens", status_code=204)
def tell_fail_opens(told: FailOpens, _principal: Annotated[Principal, Depends(requires("enforcer"))]) -> None:
    """Count the requests that a gateway let pass because it had no decisions to go by."""
    fail_opens.inc(told.count)
