"""Accounts in, with a reading and the checks that they are asked for; what is known of one account."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, HTTPException, Request

from stillwatch.ingest.fieldmap import ACCOUNT_EXTRAS
from stillwatch.records import ACCOUNTS, TIMESTAMP
from stillwatch.server import audit
from stillwatch.server.access import Principal, requires
from stillwatch.server.accounts.bodies import limited, read_json
from stillwatch.server.accounts.known import known
from stillwatch.server.accounts.reading import Reading, reading, recommended_checks
from stillwatch.server.accounts.requirements import policy_and_programmes, required_checks
from stillwatch.server.accounts.rows import MOST_CHARS, MOST_ROWS, Stored, known_rows, stored, told_rows
from stillwatch.server.accounts.verification_routes import router as verification_router
from stillwatch.server.accounts.verifications import of_accounts, proven
from stillwatch.server.service import Service
from stillwatch.server.tables import metadata

MOST_BODY_BYTES = 4 << 20
router = APIRouter(tags=["accounts"])
router.include_router(verification_router)

_TEXT = {"type": ["string", "null"], "maxLength": MOST_CHARS, "pattern": r"^[ -~]*$"}
_WORDS = {column.name: {"enum": [*column.values, None]} for column in ACCOUNTS.columns if column.values}
_TIMES = {
    column.name: {"type": ["string", "null"], "format": "date-time"}
    for column in ACCOUNTS.columns
    if column.type == TIMESTAMP
}
_ROW = {
    "type": "object",
    "properties": {
        **dict.fromkeys((*ACCOUNTS.names, *ACCOUNT_EXTRAS), _TEXT),
        **_WORDS,
        **_TIMES,
        "account_id": {"type": "string", "minLength": 1, "maxLength": 400, "pattern": r"^[!-~]+$"},
    },
    "required": ["account_id"],
    "additionalProperties": False,
}
_ROWS = {"type": "array", "minItems": 1, "maxItems": MOST_ROWS, "items": _ROW}
_BODY = {"required": True, "content": {"application/json": {"schema": {"oneOf": [_ROW, _ROWS]}}}}
Body = Annotated[bytes, Depends(limited(MOST_BODY_BYTES))]


@router.post("/v1/accounts", openapi_extra={"requestBody": _BODY})
def tell_accounts(request: Request, by: Annotated[Principal, Depends(requires("ingest"))], body: Body) -> Any:
    """Take in accounts as they sign up and change; what to ask them for. Nobody is ever refused."""
    service: Service = request.app.state.service
    document, now = read_json(body), service.now()
    told = told_rows(document, key=service.key, principal=by)
    policy, programmes = policy_and_programmes(service.settings)
    ids = [one.account_id for one in told]
    with service.database.write() as connection:
        audit.hold(connection)
        earlier = of_accounts(connection, ids)
        passed = {account_id: level for account_id, rows in earlier.items() if (level := proven(rows))}
        done = stored(connection, told, proven=passed, by=by.name, now=now)
        wanted = [
            required_checks(connection, one.row, earlier[one.row["account_id"]], programmes, by=by.name, now=now)
            for one in done
        ]
    found = _readings(service, [one.row for one in done])
    replies = [
        _reply(one, seen, _checks(seen, one.row, policy.checks), asks)
        for one, seen, asks in zip(done, found, wanted, strict=True)
    ]
    return {"accounts": replies} if isinstance(document, list) else replies[0]


@router.get("/v1/accounts/{account_id:path}")
def show_account(
    request: Request, by: Annotated[Principal, Depends(requires("analyst"))], account_id: str
) -> dict[str, Any]:
    """One account: its row (identifiers hashed), its reading now, the checks it was asked for, and its decisions."""
    service: Service = request.app.state.service
    kept = by.account_id(account_id)
    with service.database.read() as connection:
        row = known_rows(connection, [kept]).get(kept) if kept.isprintable() else None
        if row is None:
            raise HTTPException(404, "There is no such account.")
        asked = of_accounts(connection, [kept])[kept]
        decided = _decisions(connection, kept)
    found = _readings(service, [row])[0]
    return {"account": row, "reading": found.told(with_campaigns=True), "verifications": asked, "decisions": decided}


def _readings(service: Service, rows: list[Any]) -> list[Reading]:
    learned = known(service.settings.storage.state)
    with service.database.read() as connection:
        return [reading(connection, row, known=learned, key=service.key) for row in rows]


def _checks(found: Reading, row: Any, checks: Any) -> list[str]:
    wanted = checks.get(row["access_program"] or "default", checks["default"])
    return recommended_checks(found, wanted, row["verification_level"])


def _reply(one: Stored, found: Reading, checks: list[str], wanted: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "account_id": one.row["account_id"],
        "is_new": one.is_new,
        "reading": found.told(),
        "recommended_checks": checks,
        "required_checks": wanted,
    }


def _decisions(connection: sa.Connection, account_id: str) -> list[dict[str, Any]]:
    """What was decided about the account, when the service decides anything."""
    table = metadata.tables.get("decisions")
    if table is None:
        return []
    rows = connection.execute(sa.select(table).where(table.c.account_id == account_id)).mappings()
    return [dict(row) for row in rows]
