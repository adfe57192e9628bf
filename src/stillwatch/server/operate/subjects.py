"""Routes over the data of one account or campaign: hold it, let it go, erase it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import AwareDatetime, BaseModel, Field

from stillwatch.server.access import Principal, requires
from stillwatch.server.operate import erasure, holds

router = APIRouter(tags=["operate"])
Admin = Annotated[Principal, Depends(requires("admin"))]


class HoldAsked(BaseModel):
    """A hold to place: whose data, why, and until when (left out: until it is lifted)."""

    subject: str = Field(min_length=1, max_length=500)
    subject_kind: Literal["account", "campaign"] = "account"
    because: str = Field(min_length=1, max_length=2000)
    until: AwareDatetime | None = None


class Hold(BaseModel):
    """A hold as it stands."""

    hold_id: str
    subject: str
    subject_kind: str
    because: str
    placed_by: str
    placed_at: datetime
    until: datetime | None
    lifted_by: str | None
    lifted_at: datetime | None


@router.post("/v1/holds", status_code=201)
def place_hold(request: Request, asked: HoldAsked, principal: Admin) -> Hold:
    """Keep an account's or a campaign's data from being erased and from running out."""
    service = request.app.state.service
    with service.database.write() as connection:
        row = holds.placed(connection, **asked.model_dump(), by=principal.name, now=service.now())
    return Hold(**row)


@router.get("/v1/holds")
def list_holds(request: Request, _principal: Admin) -> dict[str, list[Hold]]:
    """The holds in force, newest first."""
    service = request.app.state.service
    with service.database.read() as connection:
        return {"holds": [Hold(**row) for row in holds.in_force(connection, service.now())]}


@router.delete("/v1/holds/{hold_id}", status_code=204)
def lift_hold(request: Request, hold_id: str, principal: Admin) -> None:
    """End a hold; again, nothing changes."""
    service = request.app.state.service
    with service.database.write() as connection:
        if not holds.lifted(connection, hold_id, by=principal.name, now=service.now()):
            raise HTTPException(404, "There is no hold of that id; GET /v1/holds lists them.")


@router.post("/v1/accounts/{account_id:path}/erase", responses={409: {"description": "Under legal hold."}})
def erase_account(request: Request, account_id: str, principal: Admin) -> dict[str, Any]:
    """Erase an account from state, output and records; 409 under legal hold, 503 while a detection writes."""
    service = request.app.state.service
    if len(account_id) > 500:
        raise HTTPException(422, "An account id has at most 500 characters.")
    removed = erasure.erase(service, account_id, by=principal.name, now=service.now())
    return {"erased": removed}
