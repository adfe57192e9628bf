"""The brake: one person stops an action for everybody, at once and in every process; the settings stay as they are.

Why:    a policy that goes wrong at night must not wait for somebody who can restart the service.
Misses: it makes nothing live; only the settings do. A gateway that keeps a copy hears of it within seconds.
"""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request

from stillwatch.records import ACTIONS
from stillwatch.server import audit
from stillwatch.server.access import Principal, requires
from stillwatch.server.decisions import ledger
from stillwatch.server.decisions.bodies import Acting, Action, Undoing
from stillwatch.server.service import Service
from stillwatch.server.tables import brakes

router = APIRouter(prefix="/v1/actions", tags=["decisions"])

Reader = Annotated[Principal, Depends(requires("analyst", "approver"))]
Releaser = Annotated[Principal, Depends(requires("approver"))]


@router.get("")
def actions(request: Request, _: Reader) -> list[Acting]:
    """Every action: whether it is live, and whether the brake is on."""
    service: Service = request.app.state.service
    named = service.settings.decisions.live
    with service.database.read() as connection:
        held = {row.action: row for row in connection.execute(sa.select(brakes))}
    return [_acting(action, action in named, held.get(action)) for action in ACTIONS]


@router.post("/{action}/brake")
def brake(request: Request, principal: Reader, action: Action, asked: Undoing) -> list[Acting]:
    """Put the brake on: the action is in shadow for everybody until the brake is released."""
    service: Service = request.app.state.service
    put = {"principal": principal.name, "at": service.now(), "because": asked.because}
    with service.database.write() as connection:
        audit.hold(connection)
        connection.execute(brakes.delete().where(brakes.c.action == action))
        connection.execute(brakes.insert().values(action=action, **put))
        _noted(connection, service, principal, "action.braked", action, asked.because)
    service.snapshot.refresh(service.database)
    return actions(request, principal)


@router.post("/{action}/release")
def release(request: Request, principal: Releaser, action: Action, asked: Undoing) -> list[Acting]:
    """Release the brake: the action is live again if the settings name it."""
    service: Service = request.app.state.service
    with service.database.write() as connection:
        audit.hold(connection)
        if connection.execute(brakes.delete().where(brakes.c.action == action)).rowcount:
            _noted(connection, service, principal, "action.released", action, asked.because)
    service.snapshot.refresh(service.database)
    return actions(request, principal)


def _noted(
    connection: sa.Connection, service: Service, principal: Principal, act: str, action: str, because: str
) -> None:
    ledger.next_change(connection)
    told = {"because": because}
    audit.record(connection, at=service.now(), principal=principal.name, action=act, subject=action, after=told)


def _acting(action: Any, is_named: bool, held: Any) -> Acting:
    return Acting(
        action=action,
        is_live=is_named and held is None,
        is_named=is_named,
        braked_by=held and held.principal,
        braked_at=held and held.at,
        braked_because=held and held.because,
    )
