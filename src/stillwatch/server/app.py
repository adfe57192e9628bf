"""The web application: every route of the service, over what it holds."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from stillwatch import __version__
from stillwatch.errors import InputError, ServiceError, StillwatchError, StoreError
from stillwatch.server.intake.routes import router as intake
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
    app.include_router(intake)
    return app


def _told(_request: Request, error: Exception) -> JSONResponse:
    """One of our errors as a reply: a sentence, never a stack."""
    status = _STATUS.get(type(error), 400)
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse({"detail": str(error)}, status, headers)
