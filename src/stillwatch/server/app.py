"""The web application: every route of the service, over what it holds, and its jobs where they are wanted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError

from stillwatch import __version__
from stillwatch.errors import HeldError, InputError, ServiceError, StillwatchError, StoreError
from stillwatch.server.access import unguarded
from stillwatch.server.accounts import jobs as account_jobs
from stillwatch.server.accounts import routes as account_routes
from stillwatch.server.alerts import jobs as alert_jobs
from stillwatch.server.alerts import routes as alert_routes
from stillwatch.server.decisions import brakes, fast
from stillwatch.server.decisions import jobs as decision_jobs
from stillwatch.server.decisions import routes as decision_routes
from stillwatch.server.detection import jobs as detection_jobs
from stillwatch.server.detection import recognised_routes
from stillwatch.server.detection import routes as detection_routes
from stillwatch.server.gateways import routes as gateway_routes
from stillwatch.server.intake import jobs as intake_jobs
from stillwatch.server.intake import routes as intake_routes
from stillwatch.server.jobs import Job, Jobs
from stillwatch.server.operate import retention
from stillwatch.server.operate import routes as operate_routes
from stillwatch.server.operate import subjects as operate_subjects
from stillwatch.server.operate.requests import Requests
from stillwatch.server.partners import jobs as partner_jobs
from stillwatch.server.psi import jobs as psi_jobs
from stillwatch.server.psi import routes as psi_routes
from stillwatch.server.service import Service
from stillwatch.server.sharing import routes as sharing_routes
from stillwatch.server.taxii import administering as taxii_administering
from stillwatch.server.taxii import routes as taxii_routes

# Modules of the parts, each with any of: `router`, routes; `jobs(service)`, a list of jobs; `running(service)`, a
# context that is held while jobs run; `http_protocol(service)`, a protocol of uvicorn that answers before any route.
PARTS: tuple[ModuleType, ...] = (
    intake_routes,
    intake_jobs,
    operate_routes,
    operate_subjects,
    retention,
    decision_routes,
    decision_jobs,
    brakes,
    fast,
    detection_routes,  # before the accounts, whose ids may hold slashes
    recognised_routes,
    detection_jobs,
    account_routes,
    account_jobs,
    alert_routes,
    alert_jobs,
    gateway_routes,
    sharing_routes,
    taxii_routes,
    taxii_administering,
    partner_jobs,
    psi_routes,
    psi_jobs,
)

_STATUS: dict[type[Exception], int] = {
    InputError: 422,
    ServiceError: 503,
    StoreError: 503,
    HeldError: 409,
}  # anything else we raise on purpose is the caller's: 400


def application(service: Service, *, with_jobs: bool = False) -> FastAPI:
    """The application; with jobs, they run from its start to its end. The caller opens and closes the service.

    Raises:
        RuntimeError: a part brings a route that needs no role.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        held = contextlib.ExitStack()
        await asyncio.to_thread(held.enter_context, working(service))
        try:
            yield
        finally:
            await asyncio.to_thread(held.close)

    app = FastAPI(
        title="stillwatch",
        version=__version__,
        docs_url="/docs",
        redoc_url=None,
        lifespan=lifespan if with_jobs else None,
    )
    app.state.service = service
    for part in PARTS:
        if hasattr(part, "router"):
            app.include_router(part.router)
    if bare := unguarded(app):
        raise RuntimeError(f"routes without a role: {', '.join(bare)}; give them Depends(requires(...))")
    app.add_exception_handler(StillwatchError, _told)
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(DataError, _unfit)
    intake = service.settings.intake
    app.add_middleware(
        Requests, log=service.log, max_body_bytes=intake.max_body_bytes, body_timeout_s=intake.body_timeout_s
    )
    return app


def jobs_of(service: Service) -> list[Job]:
    """The jobs of every part."""
    return [job for part in PARTS if hasattr(part, "jobs") for job in part.jobs(service)]


def http_protocol_of(service: Service) -> Any:
    """What uvicorn is to read requests with: what a part brings, else uvicorn's own."""
    return next((part.http_protocol(service) for part in PARTS if hasattr(part, "http_protocol")), "auto")


@contextmanager
def working(service: Service) -> Iterator[None]:
    """Run the jobs of every part; at the end each finishes what it does."""
    jobs = Jobs(jobs_of(service), service.database, holder=service.holder, now=service.now, log=service.log)
    with contextlib.ExitStack() as held:
        for part in PARTS:
            if hasattr(part, "running"):
                held.enter_context(part.running(service))
        jobs.start()
        try:
            yield
        finally:
            service.stopping.set()
            jobs.stop()


def _told(_request: Request, error: Exception) -> JSONResponse:
    """One of our errors as a reply: a sentence, never a stack."""
    status = _STATUS.get(type(error), 400)
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse({"detail": str(error)}, status, headers)


def _misread(_request: Request, error: Exception) -> JSONResponse:
    """A request that is not as the specification says: where and why, without what was sent."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    told = [{"loc": [_text(part) for part in row["loc"]], "msg": row["msg"], "type": row["type"]} for row in found]
    return JSONResponse({"detail": told[:20]}, 422)


def _unfit(_request: Request, _error: Exception) -> JSONResponse:
    """A value that no column can hold, such as a text with NUL."""
    return JSONResponse({"detail": "The request holds a value that cannot be kept: NUL, or a number too large."}, 422)


def _text(part: str | int) -> str | int:
    return part if isinstance(part, int) else part[:100].encode("utf-8", "replace").decode("utf-8")
