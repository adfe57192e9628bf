"""What keeps the service running asks here: is it alive, is it ready, what does it count."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from stillwatch.server.access import Principal, requires
from stillwatch.server.metrics import REGISTRY

router = APIRouter(tags=["operate"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Whether the process answers; nothing else is looked at."""
    return {"status": "alive"}


@router.get("/metrics", response_class=Response)
def metrics(_principal: Annotated[Principal, Depends(requires("admin"))]) -> Response:
    """What the service counts, for Prometheus."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
