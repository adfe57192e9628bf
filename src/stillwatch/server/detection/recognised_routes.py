"""Routes of analysts to campaigns of partners that are recognised here, and to who bears them."""

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Query, Request

from stillwatch import store
from stillwatch.server.detection.detector import output_folder
from stillwatch.server.detection.routes import MOST_ROWS, Analyst, Rows, Text, service_of
from stillwatch.server.tables import recognised_campaigns as table

router = APIRouter(prefix="/v1", tags=["detection"])
_SHOWN = [column for column in table.c if column.name != "document" and not column.name.startswith("told_")]


@router.get("/recognised")
def recognised_list(
    request: Request,
    _: Analyst,
    state: Annotated[Literal["open", "dormant"] | None, Query()] = None,
    after: Text = "",
    limit: Rows = 100,
) -> dict[str, Any]:
    """Campaigns of partners that are or were recognised here, by id; `next` goes into `after`. None accuses."""
    wanted = sa.select(*_SHOWN).where(table.c.campaign_ref > after)
    if state is not None:
        wanted = wanted.where(table.c.state == state)
    with service_of(request).database.read() as connection:
        rows = list(connection.execute(wanted.order_by(table.c.campaign_ref).limit(limit + 1)).mappings())
    told = [dict(row) for row in rows[:limit]]
    return {"recognised": told, "next": told[-1]["campaign_ref"] if len(rows) > limit else None}


@router.get("/recognised/{campaign_ref}")
def recognised_show(request: Request, campaign_ref: Text, _: Analyst) -> dict[str, Any]:
    """One of them: how many bear it, since when, what they share beside it, how sure, and the innocent reading."""
    row = _row(request, campaign_ref)
    return {**row.document, **{column.name: getattr(row, column.name) for column in _SHOWN}}


@router.get("/recognised/{campaign_ref}/accounts")
def recognised_accounts(
    request: Request, campaign_ref: Text, _: Analyst, after: Text = "", limit: Rows = MOST_ROWS
) -> dict[str, Any]:
    """The accounts that bear it by the last detection, by id. Nothing is held against them."""
    _row(request, campaign_ref)
    found = store.read_recognised(output_folder(service_of(request).settings))
    ids = sorted(one for row in found if row["campaign_ref"] == campaign_ref for one in row["account_ids"])
    rest = [one for one in ids if one > after]
    return {"accounts": rest[:limit], "next": rest[limit - 1] if len(rest) > limit else None}


def _row(request: Request, campaign_ref: str) -> Any:
    with service_of(request).database.read() as connection:
        row = connection.execute(sa.select(table).where(table.c.campaign_ref == campaign_ref)).first()
    if row is None:
        raise HTTPException(404, "No such campaign of a partner was recognised here.")
    return row
