"""The web application: every route of the service, over what it holds."""

import json

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from stillwatch import __version__
from stillwatch.errors import InputError, ServiceError, StillwatchError, StoreError
from stillwatch.server.decisions.brakes import router as brakes
from stillwatch.server.decisions.routes import router as decisions
from stillwatch.server.service import Service

_STATUS: dict[type[Exception], int] = {
    InputError: 422,
    ServiceError: 503,
    StoreError: 503,
}  # anything else we raise on purpose is the caller's: 400


def application(service: Service) -> FastAPI:
    """The application; the caller starts and stops what the service holds."""
    app = FastAPI(title="stillwatch", version=__version__, docs_url="/docs", redoc_url=None)
    app.state.service = service
    app.add_exception_handler(StillwatchError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.include_router(decisions)
    app.include_router(brakes)
    return app


def _told(_request: Request, error: Exception) -> JSONResponse:
    """One of our errors as a reply: a sentence, never a stack."""
    status = _STATUS.get(type(error), 400)
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse({"detail": str(error)}, status, headers)


def _invalid(_request: Request, error: Exception) -> Response:
    """What is wrong with a request, and where; never what was given, which may be secret, or no text at all."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    told = [{name: fault[name] for name in ("type", "loc", "msg")} for fault in faults]
    return Response(json.dumps({"detail": told}), 422, media_type="application/json")
