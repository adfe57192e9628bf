"""Releases over HTTP: what would leave, propose it, approve it, and what left."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request

from stillwatch.server.access import Principal, requires
from stillwatch.server.service import Service
from stillwatch.server.sharing import releases as kept
from stillwatch.server.sharing.bodies import Asked, Release, Releases, WholeRelease
from stillwatch.server.sharing.releases import Person

router = APIRouter(prefix="/v1/sharing", tags=["sharing"])
Either = Annotated[Principal, Depends(requires("analyst", "approver"))]
Approver = Annotated[Principal, Depends(requires("approver"))]
ReleaseId = Annotated[str, Path(pattern=r"^[0-9a-f]{20}$")]
_MOST = 2**31 - 1


@router.post("/preview")
def preview(request: Request, _: Either, asked: Asked) -> dict[str, Any]:
    """What would leave that is new to the recipient, and what stays and why. Nothing is kept."""
    service = _service(request)
    under = kept.sending_of(service.settings, asked, now=service.now())
    return kept.would_leave(service.database, service.settings, under, asked).as_json()


@router.post("/releases", status_code=201)
def propose(request: Request, by: Either, asked: Asked) -> WholeRelease:
    """Propose a release: what passes the gate now, and no more. Somebody else approves it."""
    service = _service(request)
    release_id = kept.propose(service.database, service.settings, asked, by=Person(by.name, service.now()))
    with service.database.read() as connection:
        return WholeRelease(**kept.found(connection, release_id))


@router.post("/releases/{release_id}/approve")
def approve(request: Request, by: Approver, release_id: ReleaseId) -> Release:
    """Approve a release that somebody else has proposed, and let it leave."""
    service = _service(request)
    kept.approve(service.database, service.settings, release_id, by=Person(by.name, service.now()))
    with service.database.read() as connection:
        return Release(**kept.found(connection, release_id))


@router.post("/releases/{release_id}/withdraw")
def withdraw(request: Request, by: Either, release_id: ReleaseId) -> Release:
    """Drop a proposal."""
    service = _service(request)
    with service.database.write() as connection:
        kept.withdraw(connection, release_id, by=Person(by.name, service.now()))
        return Release(**kept.found(connection, release_id))


@router.get("/releases")
def listed(
    request: Request,
    _: Either,
    state: Literal["proposed", "released", "withdrawn"] | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    after: Annotated[int | None, Query(ge=1, le=_MOST)] = None,
) -> Releases:
    """Releases, newest first."""
    with _service(request).database.read() as connection:
        rows = kept.listed(connection, state=state, after=after, limit=limit + 1)
    following = rows[limit - 1]["number"] if len(rows) > limit else None
    return Releases(releases=[Release(**row) for row in rows[:limit]], next=following)


@router.get("/releases/{release_id}")
def whole(request: Request, _: Either, release_id: ReleaseId) -> WholeRelease:
    """A release with its ids; while it is proposed, with everything that would leave."""
    with _service(request).database.read() as connection:
        return WholeRelease(**kept.found(connection, release_id))


def _service(request: Request) -> Service:
    held: Service = request.app.state.service
    return held
