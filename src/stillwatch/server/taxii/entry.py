"""Who asks: a key as Basic, Bearer or X-API-Key, the partner that it speaks for, and what it may do in a collection.

TAXII clients know HTTP Basic (section 1.6.8.2 demands it), so the key may come as its password; the user is not looked
at. A key of no partner is let in and finds nothing: 404, as for a collection that a partner has no right in.
"""

import base64
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import sqlalchemy as sa
from fastapi import Depends, HTTPException, Request

from stillwatch.server.access import KEY_PREFIX, Principal, refused
from stillwatch.server.service import Service
from stillwatch.server.taxii.collections import Collection, open_to
from stillwatch.server.taxii.media import refuse_other_replies
from stillwatch.server.taxii.partners import ROLE, Partner, partner_of

CHALLENGE: Final = 'Basic realm="stillwatch", charset="UTF-8", Bearer realm="stillwatch"'
NOT_FOUND: Final = "It does not exist, or you have no right to it."


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and the partner it speaks for; none: it sees nothing."""

    principal: Principal
    partner: Partner | None


def asking(request: Request) -> Asking:
    """Who asks: 401 and 429 without a valid key, 403 without the role, 406 for a reply that we cannot give."""
    service: Service = request.app.state.service
    principal = _principal(service, request)
    request.state.principal = principal  # for the log
    if principal is None:
        refusal = refused(request)
        if refusal.status_code == 401:
            refusal = HTTPException(401, "Give your API key, as the password of Basic or as Bearer.")
            refusal.headers = {"WWW-Authenticate": CHALLENGE}
        raise refusal
    if not principal.may(ROLE):
        raise HTTPException(403, f"This needs a key with the role {ROLE}.")
    refuse_other_replies(request.headers.get("accept"))
    with service.database.read() as connection:
        return Asking(principal, partner_of(connection, principal))


asking.roles = (ROLE,)  # type: ignore[attr-defined]  # the application walks the routes and reads it
Asks = Annotated[Asking, Depends(asking)]


def collection_for(
    connection: sa.Connection, asks: Asking, id_or_alias: str, *needs: Literal["read", "write"]
) -> tuple[Collection, Partner]:
    """The collection as it is open to who asks: 404 without any right there, 403 without one that is needed."""
    one, is_name = asks.partner, id_or_alias.isascii() and id_or_alias.isprintable()
    found = open_to(connection, one, id_or_alias) if one is not None and is_name else []
    if one is None or not found:
        raise HTTPException(404, NOT_FOUND)
    for need in needs:
        if not (found[0].can_read if need == "read" else found[0].can_write):
            raise HTTPException(403, f"You may not {need} this collection.")
    return found[0], one


def _principal(service: Service, request: Request) -> Principal | None:
    authorization, api_key = request.headers.get("authorization", ""), request.headers.get("x-api-key", "")
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() not in ("basic", "token"):
        return service.principal(authorization, api_key)
    key = _password(given) if scheme.lower() == "basic" else given.strip()
    return service.principal("", key) if key.startswith(KEY_PREFIX) else None


def _password(given: str) -> str:
    try:
        return base64.b64decode(given.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""
