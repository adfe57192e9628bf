"""Verifications over HTTP: look, ask, begin, record a result, appeal, decide the appeal; results of vendors, signed."""

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from stillwatch.decisions import PROGRAMME_CHECKS
from stillwatch.server import audit
from stillwatch.server.access import Principal, requires
from stillwatch.server.accounts.bodies import limited
from stillwatch.server.accounts.requirements import default_check
from stillwatch.server.accounts.results import signed_result, taken_in, verifiers
from stillwatch.server.accounts.verifications import STATES, appealed, found, require, resulted, started
from stillwatch.server.service import Service
from stillwatch.server.tables import verifications

MOST_WEBHOOK_BYTES = 64 << 10
VENDOR = "webhook"  # who acts when a signed webhook does
router = APIRouter(tags=["verifications"])

Analyst = Annotated[Principal, Depends(requires("analyst"))]
Starter = Annotated[Principal, Depends(requires("analyst", "ingest"))]
Administrator = Annotated[Principal, Depends(requires("admin"))]
Approver = Annotated[Principal, Depends(requires("approver"))]
Text = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
Because = Text
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]


_RESULT = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "type": {"enum": ["verification.passed", "verification.failed"]},
                    "data": {
                        "type": "object",
                        "properties": {
                            "reference": {"type": "string", "maxLength": 64},
                            "because": {"type": ["string", "null"], "maxLength": 500},
                            "evidence_digest": {"type": ["string", "null"], "maxLength": 128},
                        },
                        "required": ["reference"],
                    },
                },
                "required": ["type", "data"],
            }
        }
    },
}


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Ask(_Told):
    """Ask an account for a check."""

    account_id: Text
    check: Literal[PROGRAMME_CHECKS]  # type: ignore[valid-type]  # the same words as in the policy
    because: Because


class Finding(_Told):
    """What a check found, and the digest of the evidence, which stays elsewhere."""

    result: Literal["passed", "failed"]
    because: Because
    evidence_digest: Annotated[str, Field(pattern=r"^[0-9A-Za-z:+/=_-]{1,128}$")] | None = None


class Appeal(_Told):
    """Why the result should not stand, in the customer's words."""

    because: Because


@router.get("/v1/verifications")
def list_verifications(
    request: Request,
    by: Analyst,
    account_id: str | None = None,
    state: Literal[STATES] | None = None,  # type: ignore[valid-type]  # the same words as in the table
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """Verifications, newest first; by account and state."""
    service: Service = request.app.state.service
    wanted = sa.select(verifications).order_by(
        verifications.c.created_at.desc(), verifications.c.verification_id.desc()
    )
    if account_id is not None:
        if not account_id.isprintable():
            return {"verifications": []}
        wanted = wanted.where(verifications.c.account_id == by.account_id(account_id))
    if by.namespace is not None:
        wanted = wanted.where(verifications.c.account_id.startswith(f"{by.namespace}:", autoescape=True))
    if state is not None:
        wanted = wanted.where(verifications.c.state == state)
    with service.database.read() as connection:
        rows = connection.execute(wanted.limit(limit).offset(offset)).mappings().all()
    return {"verifications": [dict(row) for row in rows]}


@router.get("/v1/verifications/{verification_id}")
def show_verification(request: Request, by: Analyst, verification_id: str) -> dict[str, Any]:
    """One verification."""
    service: Service = request.app.state.service
    with service.database.read() as connection:
        return _own(connection, verification_id, by)


@router.post("/v1/verifications", status_code=201)
def ask_for_verification(request: Request, by: Analyst, told: Ask) -> dict[str, Any]:
    """Ask an account for a check; the open request, when there is one."""
    service: Service = request.app.state.service
    account_id = by.account_id(told.account_id)
    with service.database.write() as connection:
        asked_id = require(connection, account_id, told.check, told.because, None, service.now(), by=by.name)
        return found(connection, asked_id)


@router.post("/v1/verifications/{verification_id}/start")
def start_verification(request: Request, by: Starter, verification_id: str) -> dict[str, Any]:
    """Begin the check: the reference that the vendor will quote, and where to send the customer."""
    service: Service = request.app.state.service
    with service.database.write() as connection:
        _held(connection, verification_id, by)
        row = started(connection, verification_id, by=by.name, now=service.now())
    names = ("verification_id", "account_id", "check", "state", "reference", "deadline_at")
    return {**{name: row[name] for name in names}, "url": _start_url(service.settings.verification.start_url, row)}


@router.post("/v1/verifications/{verification_id}/result")
def record_result(request: Request, by: Analyst, verification_id: str, told: Finding) -> dict[str, Any]:
    """Record what a check found, as a person who looked."""
    service: Service = request.app.state.service
    with service.database.write() as connection:
        row = _held(connection, verification_id, by)
        if row["state"] == "appealed":
            raise HTTPException(409, "The verification is appealed: an approver decides it.")
        row = _resulted(connection, verification_id, told, by, service)
    service.snapshot.refresh(service.database)
    return row


@router.post("/v1/verifications/{verification_id}/appeal")
def appeal(request: Request, by: Administrator, verification_id: str, told: Appeal) -> dict[str, Any]:
    """Appeal on behalf of the customer."""
    service: Service = request.app.state.service
    with service.database.write() as connection:
        _held(connection, verification_id, by)
        return appealed(connection, verification_id, because=told.because, by=by.name, now=service.now())


@router.post("/v1/verifications/{verification_id}/decide")
def decide_appeal(request: Request, by: Approver, verification_id: str, told: Finding) -> dict[str, Any]:
    """Decide an appeal: by somebody who neither recorded the result nor filed the appeal."""
    service: Service = request.app.state.service
    with service.database.write() as connection:
        row = _held(connection, verification_id, by)
        if row["state"] != "appealed":
            raise HTTPException(409, f"The verification is {row['state']}; there is no appeal to decide.")
        if by.name in (row["decided_by"], row["appealed_by"]):
            raise HTTPException(403, "Somebody else has to decide: you recorded the result or filed the appeal.")
        row = _resulted(connection, verification_id, told, by, service)
    service.snapshot.refresh(service.database)
    return row


@router.post("/v1/webhooks/verification", openapi_extra={"requestBody": _RESULT})
def take_in_result(request: Request, body: Annotated[bytes, Depends(limited(MOST_WEBHOOK_BYTES))]) -> dict[str, str]:
    """A vendor's result. Its signature is its key; the same webhook again changes nothing."""
    service: Service = request.app.state.service
    now = service.now()
    told = signed_result(body, request.headers, verifiers(service.settings.verification), now=now)
    with service.database.write() as connection:
        row = taken_in(connection, told, by=VENDOR, now=now, default_check=default_check(service.settings))
    service.snapshot.refresh(service.database)
    return {"verification_id": row["verification_id"], "state": row["state"]}


def _held(connection: sa.Connection, verification_id: str, by: Principal) -> dict[str, Any]:
    """The row, as nobody changes it before we do."""
    audit.hold(connection)
    return _own(connection, verification_id, by)


def _own(connection: sa.Connection, verification_id: str, by: Principal) -> dict[str, Any]:
    """The row, unless it is of an account that the principal may not speak of: 404 then, too."""
    row = found(connection, verification_id)
    if by.namespace is not None and not row["account_id"].startswith(f"{by.namespace}:"):
        raise HTTPException(404, "There is no such verification.")
    return row


def _resulted(
    connection: sa.Connection, verification_id: str, told: Finding, by: Principal, service: Service
) -> dict[str, Any]:
    return resulted(
        connection,
        verification_id,
        told.result,
        by=by.name,
        now=service.now(),
        default_check=default_check(service.settings),
        because=told.because,
        evidence_digest=told.evidence_digest,
    )


def _start_url(template: str, row: dict[str, Any]) -> str | None:
    """Where to send the customer; null when the settings name no place."""
    if not template:
        return None
    return template.replace("{reference}", row["reference"]).replace("{check}", row["check"])
