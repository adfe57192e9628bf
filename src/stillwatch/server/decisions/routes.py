"""Decisions over HTTP: for gateways what to do, for people what was decided and their say in it."""

import re
import weakref
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Annotated, Literal

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse

from stillwatch.errors import ServiceError
from stillwatch.server.access import Principal, requires
from stillwatch.server.decisions import people
from stillwatch.server.decisions.answers import ANSWERS
from stillwatch.server.decisions.bodies import (
    ApprovingCampaign,
    Asked,
    ByHand,
    Changed,
    Record,
    Records,
    Row,
    Rows,
    Undoing,
    UndoingCampaign,
)
from stillwatch.server.decisions.deltas import deltas
from stillwatch.server.decisions.snapshot import MOST_READERS, Snapshot
from stillwatch.server.tables import decisions

router = APIRouter(prefix="/v1/decisions", tags=["decisions"])

Enforcer = Annotated[Principal, Depends(requires("enforcer"))]
Analyst = Annotated[Principal, Depends(requires("analyst"))]
Approver = Annotated[Principal, Depends(requires("approver"))]
Undoer = Annotated[Principal, Depends(requires("analyst", "approver"))]
DecisionId = Annotated[str, Path(pattern=r"^[0-9a-f]{20}$")]
_LINES = 200  # of the snapshot, written at once
_MOST_STREAMS = 1_000
_PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding, Authorization, X-API-Key"}


def namespace_of(principal: Principal) -> bytes:
    """What goes before the account ids a principal speaks of; it sees no others."""
    return principal.account_id("").encode()


@router.get("/snapshot", response_class=StreamingResponse, responses={304: {"description": "Nothing changed."}})
def snapshot(
    request: Request,
    principal: Enforcer,
    if_none_match: Annotated[str, Header()] = "",
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """Every account with an action or one in shadow, a line each, after a line with the version and the count."""
    held = request.app.state.service.snapshot
    held.lapse()
    if f'"{held.version}"' in (tag.strip().removeprefix("W/") for tag in if_none_match.split(",")):
        return Response(status_code=304, headers={**_PRIVATE, "ETag": f'"{held.version}"'})
    version, lines = read_by_one(held, namespace_of(principal))
    headers = {**_PRIVATE, "ETag": f'"{version}"'}
    if _accepts_gzip(accept_encoding):
        headers["Content-Encoding"] = "gzip"
        lines = _gzipped(lines)
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


@router.get("/deltas", response_class=StreamingResponse)
async def follow(
    request: Request,
    principal: Enforcer,
    since: Annotated[str, Query(max_length=100)] = "",
    last_event_id: Annotated[str, Header(max_length=100)] = "",
) -> StreamingResponse:
    """Changed rows as server-sent events, from a version on."""
    service = request.app.state.service
    if service.snapshot.versions.followers >= _MOST_STREAMS:
        raise ServiceError(f"{_MOST_STREAMS} clients follow decisions already. Try again later.")
    given = request.headers.get("authorization", ""), request.headers.get("x-api-key", "")

    async def may_go_on() -> bool:
        found = await run_in_threadpool(service.principal, *given)
        return found is not None and found.may("enforcer") and found.namespace == principal.namespace

    stream: AsyncIterator[bytes] = deltas(
        service.snapshot, last_event_id or since, namespace_of(principal), may_go_on=may_go_on
    )
    return StreamingResponse(stream, media_type="text/event-stream", headers={**_PRIVATE, "X-Accel-Buffering": "no"})


@router.post("/bulk", responses={200: {"model": Rows}})
def bulk(request: Request, principal: Enforcer, asked: Asked) -> Response:
    """What to do about many accounts, in the order they were asked about."""
    held, namespace = request.app.state.service.snapshot, namespace_of(principal)
    rows = b",".join(held.reply(account_id.encode(), namespace) for account_id in asked.account_ids)
    return _json(b'{"decisions":[' + rows + b"]}")


@router.post("/approve")
def approve_campaign(request: Request, principal: Approver, asked: ApprovingCampaign) -> Changed:
    """Approve what a campaign's accounts are proposed for, all at once."""
    service = request.app.state.service
    with service.database.write() as connection:
        approved, active = people.approve_campaign(
            connection, asked.campaign_id, asked.action, principal=principal.name, now=service.now()
        )
    service.snapshot.refresh(service.database)
    return Changed(changed=approved, active=active)


@router.post("/undo")
def undo_campaign(request: Request, principal: Undoer, asked: UndoingCampaign) -> Changed:
    """Undo everything a campaign decided, all at once."""
    service = request.app.state.service
    with service.database.write() as connection:
        undone = people.undo_campaign(
            connection, asked.campaign_id, because=asked.because, principal=principal.name, now=service.now()
        )
    service.snapshot.refresh(service.database)
    return Changed(changed=undone, active=0)


@router.head("/{account_id}", include_in_schema=False)
@router.get("/{account_id}", responses={200: {"model": Row}})
def decision(request: Request, principal: Enforcer, account_id: str) -> Response:
    """What to do about an account now."""
    row, place = request.app.state.service.snapshot.answer(account_id.encode(), namespace_of(principal))
    ANSWERS.note(place)
    return _json(row)


@router.get("")
def listed(
    request: Request,
    _: Analyst,
    campaign_id: Annotated[str | None, Query(pattern=r"^[!-~]+$")] = None,
    account_id: Annotated[str | None, Query(pattern=r"^[^\x00]+$")] = None,
    state: Literal["proposed", "active", "undone", "expired", "withdrawn", "replaced"] | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    after: Annotated[str | None, Query(pattern=r"^[0-9a-f]{20}$")] = None,
) -> Records:
    """Decisions as they are kept, newest first."""
    wanted = {"campaign_id": campaign_id, "account_id": account_id, "state": state}
    fits = sa.and_(sa.true(), *(decisions.c[name] == value for name, value in wanted.items() if value is not None))
    with request.app.state.service.database.read() as connection:
        found, following = people.records(connection, fits, limit=limit, after=after)
    return Records(decisions=[Record(**one) for one in found], next=following)


@router.post("", status_code=201)
def decide(request: Request, principal: Analyst, asked: ByHand) -> Record:
    """Decide about an account by hand."""
    service = request.app.state.service
    with service.database.write() as connection:
        made = people.decide(connection, asked, author=principal.name, now=service.now())
        record = people.record_of(connection, made)
    service.snapshot.refresh(service.database)
    return Record(**record)


@router.post("/{decision_id}/approve")
def approve(request: Request, principal: Approver, decision_id: DecisionId) -> Record:
    """Agree to a proposal; it is active once enough people have."""
    service = request.app.state.service
    with service.database.write() as connection:
        people.approve(connection, decision_id, principal=principal.name, now=service.now())
        record = people.record_of(connection, decision_id)
    service.snapshot.refresh(service.database)
    return Record(**record)


@router.post("/{decision_id}/undo")
def undo(request: Request, principal: Undoer, decision_id: DecisionId, asked: Undoing) -> Record:
    """End a decision for good: detection does not bring it back."""
    service = request.app.state.service
    with service.database.write() as connection:
        people.undo(connection, decision_id, because=asked.because, principal=principal.name, now=service.now())
        record = people.record_of(connection, decision_id)
    service.snapshot.refresh(service.database)
    return Record(**record)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})


def read_by_one(held: Snapshot, namespace: bytes) -> tuple[str, Iterator[bytes]]:
    """The version and the lines, whose reader is counted until they are all read or nobody holds them.

    Raises:
        ServiceError: too many read already.
    """
    if not held.readers.acquire(blocking=False):
        raise ServiceError(f"{MOST_READERS} clients read all decisions already. Try again later.")
    try:
        version, count, rows = held.whole(namespace)
        return version, Reading(_lines(orjson.dumps({"version": version, "count": count}), rows), held.readers.release)
    except BaseException:
        held.readers.release()
        raise


class Reading:
    """Lines that are read once; `over` is called when they end or fail, or when nobody holds them, begun or not."""

    def __init__(self, lines: Iterator[bytes], over: Callable[[], None]) -> None:
        """Nothing is read yet."""
        self._lines = lines
        self._over = weakref.finalize(self, over)
        self._over.atexit = False

    def __iter__(self) -> "Reading":
        """Itself."""
        return self

    def __next__(self) -> bytes:
        """The next lines; whoever keeps a spent reading is counted no longer."""
        try:
            return next(self._lines)
        except BaseException:
            self._over()
            raise


def _lines(first: bytes, rows: Iterator[bytes]) -> Iterator[bytes]:
    yield first + b"\n"
    while some := list(islice(rows, _LINES)):
        yield b"\n".join(some) + b"\n"


def _gzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _accepts_gzip(header: str) -> bool:
    for coding in header.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "*"):
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return False
