"""Routes of private matching: analysts offer sets, partners match their own identifiers against them."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, HTTPException, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from stillwatch.server.access import Principal, requires
from stillwatch.server.psi import sessions, sets
from stillwatch.server.service import Service
from stillwatch.server.settings import MOST_OFFERED
from stillwatch.sharing import psi
from stillwatch.sharing.identifiers import LONGEST

OCTETS = "application/octet-stream"
MOST_DAYS = 90
MOST_PARTNERS = 100

router = APIRouter(prefix="/v1/psi", tags=["matching"])
Partner = Annotated[Principal, Depends(requires("partner"))]
Analyst = Annotated[Principal, Depends(requires("analyst"))]
Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
Page = Annotated[int, Path(ge=0, le=MOST_OFFERED)]
Kind = Annotated[str, StringConstraints(min_length=1, max_length=20, pattern="^[a-z0-9_]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern="^[!-~]+$")]
Points = Annotated[bytes, Body(media_type=OCTETS, max_length=sessions.PAGE_POINTS * psi.POINT_BYTES)]

_POINTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}},
    404: {"description": "No such session of yours, or no such page."},
    429: {"description": "A limit is reached."},
}


class Opening(BaseModel):
    """A session to open: of which kind the identifiers are, and how many points come, filled up to a bucket."""

    model_config = ConfigDict(extra="forbid")
    kind: Kind
    size: int = Field(ge=1, le=10 * MOST_OFFERED)


class Opened(BaseModel):
    """A session: how many points each side gives, in pages of how many, until when, and what is left of the day."""

    session_id: str
    size: int
    own_size: int
    page_points: int
    expires_at: datetime
    inputs_left: int


class Offering(BaseModel):
    """A set to offer. `partners`: the names of their keys; left out, every partner may match."""

    model_config = ConfigDict(extra="forbid")
    kind: Kind
    identifiers: list[Annotated[str, StringConstraints(max_length=LONGEST)]] = Field(max_length=MOST_OFFERED)
    partners: list[Name] | None = Field(None, max_length=MOST_PARTNERS)
    days: int = Field(30, ge=1, le=MOST_DAYS)
    skip_refused: bool = False


class Offered(BaseModel):
    """A set that is offered; what is in it is never told. `refused`: identifiers that were left out of it."""

    set_id: str
    kind: str
    partners: list[str] | None
    size: int
    offered_by: str
    offered_at: datetime
    expires_at: datetime
    refused: int | None = None


@router.post("/sessions", status_code=201)
def open_session(request: Request, partner: Partner, asked: Opening) -> Opened:
    """Open a session: counted at once against what a partner may put in a day."""
    service: Service = request.app.state.service
    found = sessions.open_session(service, partner, kind=asked.kind, size=asked.size)
    return Opened(
        session_id=found.session_id,
        size=found.size,
        own_size=found.own_size,
        page_points=sessions.PAGE_POINTS,
        expires_at=found.expires_at,
        inputs_left=found.inputs_left,
    )


@router.post("/sessions/{session_id}/points/{page}", response_class=Response, responses=_POINTS)
def answer_points(request: Request, partner: Partner, session_id: Id, page: Page, points: Points) -> Response:
    """Multiply a page of the partner's blinded points; pages come in order, each once."""
    service: Service = request.app.state.service
    made = sessions.answered(service, partner, session_id, page, points)
    return Response(made, media_type=OCTETS)


@router.get("/sessions/{session_id}/own/{page}", response_class=Response, responses=_POINTS)
def own_points(request: Request, partner: Partner, session_id: Id, page: Page) -> Response:
    """A page of our own blinded points, in random order and filled up with points of nothing."""
    service: Service = request.app.state.service
    return Response(sessions.own_page(service, partner, session_id, page), media_type=OCTETS)


@router.delete("/sessions/{session_id}", status_code=204)
def finish_session(request: Request, partner: Partner, session_id: Id) -> None:
    """End a session: its secret is forgotten."""
    sessions.ended(request.app.state.service, partner, session_id)


@router.post("/sets", status_code=201)
def offer_set(request: Request, by: Analyst, asked: Offering) -> Offered:
    """Offer a set of our identifiers to partners; kept are their digests, encrypted, and only until it expires."""
    service: Service = request.app.state.service
    offer = sets.Offer(asked.kind, asked.identifiers, asked.partners, asked.days, asked.skip_refused)
    limits = service.settings.matching
    return Offered(**sets.offered(service.database, service.key, limits, offer, by=by.name, now=service.now()))


@router.get("/sets")
def list_sets(request: Request, _: Analyst) -> dict[str, list[Offered]]:
    """The sets that are offered, newest first."""
    service: Service = request.app.state.service
    with service.database.read() as connection:
        return {"sets": [Offered(**row) for row in sets.listed(connection, service.now())]}


@router.delete("/sets/{set_id}", status_code=204)
def withdraw_set(request: Request, by: Analyst, set_id: Id) -> None:
    """Offer a set no longer; sessions that run go on."""
    service: Service = request.app.state.service
    with service.database.write() as connection:
        if not sets.withdrawn(connection, set_id, by=by.name, now=service.now()):
            raise HTTPException(404, "There is no such set; GET /v1/psi/sets lists them.")
