"""Routes of analysts: campaigns, who is in them, why, what analysts say of them, and the detections that found them."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import AfterValidator, BaseModel, Field

from stillwatch import explanations, store
from stillwatch.errors import InputError
from stillwatch.records import VERDICTS
from stillwatch.server import audit
from stillwatch.server.access import Principal, requires
from stillwatch.server.detection import runs
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.service import Service
from stillwatch.server.tables import analyst_verdicts, campaign_accounts, campaigns, detections

router = APIRouter(prefix="/v1", tags=["detection"])
MOST_ROWS = 1_000
Analyst = Annotated[Principal, Depends(requires("analyst"))]
Admin = Annotated[Principal, Depends(requires("admin"))]
Rows = Annotated[int, Query(ge=1, le=MOST_ROWS, description="rows at most")]
_SHOWN = [column for column in campaigns.c if column.name != "document" and not column.name.startswith("told_")]


def _storable(text: str) -> str:
    """The text, when every database can hold it."""
    if "\0" in text:
        raise ValueError("a NUL character cannot be kept")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("half a character cannot be kept") from error
    return text


Text = Annotated[str, AfterValidator(_storable)]


class AnalystVerdict(BaseModel):
    """What an analyst found, and what it rests on: it is shown on appeal."""

    verdict: Literal["guilty", "innocent"]
    because: Annotated[Text, Field(min_length=1, max_length=2_000, pattern=r"\S")]


@router.get("/campaigns")
def campaigns_list(
    request: Request,
    _: Analyst,
    verdict: Annotated[str | None, Query(pattern=f"^({'|'.join(VERDICTS)})$")] = None,
    state: Annotated[Literal["open", "dormant"] | None, Query()] = None,
    after: Text | None = None,
    limit: Rows = 100,
) -> dict[str, Any]:
    """Campaigns, those with the latest traffic first; `next` goes into `after` for the page that follows."""
    wanted = sa.select(*_SHOWN)
    if verdict is not None:
        wanted = wanted.where(campaigns.c.verdict == verdict)
    if state is not None:
        wanted = wanted.where(campaigns.c.state == state)
    with service_of(request).database.read() as connection:
        if after is not None:
            last = _campaign(connection, after)
            at, name = campaigns.c.last_seen_at, campaigns.c.campaign_id
            wanted = wanted.where((at < last.last_seen_at) | ((at == last.last_seen_at) & (name > after)))
        order = (campaigns.c.last_seen_at.desc(), campaigns.c.campaign_id)
        rows = [dict(row) for row in connection.execute(wanted.order_by(*order).limit(limit + 1)).mappings()]
    return {"campaigns": rows[:limit], "next": rows[limit - 1]["campaign_id"] if len(rows) > limit else None}


@router.get("/campaigns/{campaign_id}")
def campaign_show(request: Request, campaign_id: Text, _: Analyst) -> dict[str, Any]:
    """A campaign with everything it rests on, and what analysts said of it."""
    with service_of(request).database.read() as connection:
        row = _campaign(connection, campaign_id)
        said = _verdicts(connection, "campaign", campaign_id)
    told = {column.name: getattr(row, column.name) for column in _SHOWN}
    return {**row.document, **told, "analyst_verdicts": said}


@router.get("/campaigns/{campaign_id}/accounts")
def campaign_members(
    request: Request, campaign_id: Text, _: Analyst, after: Text = "", limit: Rows = MOST_ROWS
) -> dict[str, Any]:
    """Accounts that are or were members, by id; `left_at` is null for those that are."""
    mine = campaign_accounts.c.campaign_id == campaign_id
    wanted = sa.select(campaign_accounts).where(mine, campaign_accounts.c.account_id > after)
    with service_of(request).database.read() as connection:
        _campaign(connection, campaign_id)
        rows = connection.execute(wanted.order_by(campaign_accounts.c.account_id).limit(limit + 1)).all()
    told = [
        {
            "account_id": row.account_id,
            "joined_at": row.joined_at,
            "left_at": row.left_at,
            "is_compromised": bool(row.is_compromised),
        }
        for row in rows[:limit]
    ]
    return {"accounts": told, "next": rows[limit - 1].account_id if len(rows) > limit else None}


@router.post("/campaigns/{campaign_id}/verdict", status_code=201)
def campaign_verdict(request: Request, campaign_id: Text, body: AnalystVerdict, principal: Analyst) -> dict[str, Any]:
    """An analyst's verdict on a campaign; a detection reads it at once."""
    service = service_of(request)
    with service.database.write() as connection:
        _campaign(connection, campaign_id)
        return _judged(connection, "campaign", campaign_id, body, principal, service.now())


@router.post("/accounts/{account_id:path}/verdict", status_code=201)
def account_verdict(request: Request, account_id: Text, body: AnalystVerdict, principal: Analyst) -> dict[str, Any]:
    """An analyst's verdict on an account that is or was in a campaign, or bears a recognised one of a partner.

    A detection reads it at once.
    """
    service, named = service_of(request), principal.account_id(account_id)
    with service.database.write() as connection:
        mine = campaign_accounts.c.account_id == named
        is_member = connection.execute(sa.select(campaign_accounts.c.campaign_id).where(mine)).first() is not None
        if not is_member and not _bears(service, named):
            raise HTTPException(404, "No campaign has or had this account, and it bears no recognised one.")
        return _judged(connection, "account", named, body, principal, service.now())


@router.get("/accounts/{account_id:path}/explanation")
def account_explanation(request: Request, account_id: Text, principal: Analyst) -> dict[str, Any]:
    """Why an account is in a campaign or in none, in words that can be shown to its holder."""
    try:
        explained = explanations.explain(output_folder(service_of(request).settings), principal.account_id(account_id))
    except InputError as error:
        raise HTTPException(404, "The last detection saw no such account, or there was none yet.") from error
    return {**asdict(explained), "text": explanations.text(explained)}


@router.get("/detections")
def detections_list(request: Request, _: Analyst, limit: Rows = 100) -> dict[str, Any]:
    """Detections, newest first."""
    shown = [column for column in detections.c if column.name != "inputs"]
    wanted = sa.select(*shown).order_by(detections.c.number.desc()).limit(limit)
    with service_of(request).database.read() as connection:
        return {"detections": [dict(row) for row in connection.execute(wanted).mappings()]}


@router.post("/detections", status_code=202)
def detection_request(request: Request, principal: Admin) -> dict[str, Any]:
    """Have a detection run as soon as none does."""
    service = service_of(request)
    with service.database.write() as connection:
        return {"number": runs.requested(connection, by=principal.name, now=service.now()), "outcome": "requested"}


def _judged(
    connection: sa.Connection, kind: str, subject: str, body: AnalystVerdict, principal: Principal, now: datetime
) -> dict[str, Any]:
    """Keep a verdict, and have a detection run on it: whoever was cleared shall not wait."""
    row = {
        "subject": subject,
        "subject_kind": kind,
        "verdict": body.verdict,
        "because": body.because.strip(),
        "author": principal.name,
        "decided_at": now,
    }
    connection.execute(analyst_verdicts.insert().values(**row))
    after = {"verdict": body.verdict, "because": row["because"]}
    audit.record(connection, at=now, principal=principal.name, action=f"{kind}.verdict", subject=subject, after=after)
    runs.requested(connection, by=principal.name, now=now)
    return row


def _bears(service: Service, account_id: str) -> bool:
    """Whether the account bears a campaign of a partner that the last detection recognised."""
    return any(account_id in one["account_ids"] for one in store.read_recognised(output_folder(service.settings)))


def _campaign(connection: sa.Connection, campaign_id: str) -> Any:
    row = connection.execute(sa.select(campaigns).where(campaigns.c.campaign_id == campaign_id)).first()
    if row is None:
        raise HTTPException(404, "There is no such campaign.")
    return row


def _verdicts(connection: sa.Connection, kind: str, subject: str) -> list[dict[str, Any]]:
    shown = [analyst_verdicts.c[name] for name in ("verdict", "because", "author", "decided_at")]
    mine = (analyst_verdicts.c.subject_kind == kind) & (analyst_verdicts.c.subject == subject)
    rows = connection.execute(sa.select(*shown).where(mine).order_by(analyst_verdicts.c.number))
    return [dict(row) for row in rows.mappings()]


def service_of(request: Request) -> Service:
    """What the application holds."""
    held: Service = request.app.state.service
    return held
