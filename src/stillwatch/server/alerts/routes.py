"""Look at what was sent, and have what died tried again."""

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, HTTPException, Query, Request

from stillwatch.server import audit
from stillwatch.server.access import Principal, requires
from stillwatch.server.alerts.delivering import revived
from stillwatch.server.service import Service
from stillwatch.server.tables import deliveries, outbox

router = APIRouter(tags=["alerts"])
Administrator = Annotated[Principal, Depends(requires("admin"))]


@router.get("/v1/alerts/deliveries")
def list_deliveries(
    request: Request,
    _by: Administrator,
    state: Literal["waiting", "sent", "dead"] | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Deliveries, newest first; by state."""
    service: Service = request.app.state.service
    wanted = (
        sa.select(deliveries, outbox.c.kind, outbox.c.subject)
        .join(outbox, outbox.c.message_id == deliveries.c.message_id)
        .order_by(deliveries.c.order.desc())
        .limit(limit)
    )
    if state is not None:
        wanted = wanted.where(deliveries.c.state == state)
    with service.database.read() as connection:
        rows = connection.execute(wanted).mappings().all()
    return {"deliveries": [{name: value for name, value in row.items() if name != "order"} for row in rows]}


@router.post("/v1/alerts/deliveries/{message_id}/{target_id}/retry")
def retry_delivery(request: Request, by: Administrator, message_id: str, target_id: str) -> dict[str, Any]:
    """Try a dead delivery again."""
    service: Service = request.app.state.service
    if not (message_id.isprintable() and target_id.isprintable()):
        raise HTTPException(404, "There is no such delivery.")
    with service.database.write() as connection:
        if not revived(connection, message_id, target_id, now=service.now()):
            raise HTTPException(404, "There is no such delivery, or it is not dead.")
        audit.record(
            connection,
            at=service.now(),
            principal=by.name,
            action="delivery.retried",
            subject=f"{message_id} {target_id}",
        )
    return {"message_id": message_id, "target_id": target_id, "state": "waiting"}
