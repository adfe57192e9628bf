"""Who may do what: API keys with roles, checked on every route.

A key is `sw_`, its public id and 32 random bytes; only its SHA-256 is kept. The namespace of a key goes before every
account id it brings in, so that one source cannot speak for the accounts of another.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI, HTTPException, Request
from fastapi.routing import APIRoute, iter_route_contexts

from stillwatch.errors import InputError, SettingsError
from stillwatch.server import audit, metrics
from stillwatch.server.database import Database
from stillwatch.server.tables import api_keys

ROLES = ("ingest", "enforcer", "analyst", "approver", "admin", "partner")
# The only routes without a role: they tell nothing that is not in this repository, or prove who sends in another way.
OPEN = frozenset(
    {"/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/openapi.json", "/v1/webhooks/verification"}
)
KEY_PREFIX = "sw_"
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a name for the audit log, roles, and the namespace of the accounts it may tell of (null: any)."""

    name: str
    roles: frozenset[str]
    namespace: str | None = None

    def account_id(self, given: str) -> str:
        """The account id as we keep it: with the namespace before it."""
        return given if self.namespace is None else f"{self.namespace}:{given}"

    def may(self, *roles: str) -> bool:
        """Whether it has one of the roles; admin has every role but ingest and partner."""
        held = self.roles | ({"enforcer", "analyst", "approver"} if "admin" in self.roles else frozenset())
        return not held.isdisjoint(roles)


def made_key(
    database: Database,
    *,
    name: str,
    roles: Collection[str],
    by: str,
    now: datetime,
    namespace: str | None = None,
    expires_at: datetime | None = None,
) -> str:
    """A new key, shown once: what is kept is its hash.

    Raises:
        SettingsError: a role does not exist, or the namespace holds more than letters, digits and dashes.
    """
    wrong = sorted(set(roles) - set(ROLES))
    if wrong or not roles:
        raise SettingsError(f"roles {', '.join(wrong) or '(none)'}: give some of {', '.join(ROLES)}")
    if namespace is not None and not _NAMESPACE.fullmatch(namespace):
        raise SettingsError(f"namespace {namespace!r}: use a-z, 0-9 and dashes, at most 63 of them")
    key_id = secrets.token_hex(6)
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    key = f"{KEY_PREFIX}{key_id}_{secret}"
    kept = {"name": name, "roles": sorted(set(roles)), "namespace": namespace}
    with database.write() as connection:
        connection.execute(
            api_keys.insert().values(key_id=key_id, hash=hash_of(key), created_at=now, expires_at=expires_at, **kept)
        )
        audit.record(connection, at=now, principal=by, action="key.made", subject=key_id, after=kept)
    return key


def hash_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def principal_of(database: Database, key: str, *, now: datetime) -> Principal | None:
    """Who holds the key; None when it is unknown, revoked or expired."""
    with database.read() as connection:
        row = connection.execute(sa.select(api_keys).where(api_keys.c.hash == hash_of(key))).mappings().first()
    if row is None or row["revoked_at"] is not None or (row["expires_at"] is not None and row["expires_at"] <= now):
        return None
    return Principal(f"key:{row['name']}", frozenset(row["roles"]), row["namespace"])


def keys(database: Database) -> list[dict[str, Any]]:
    """Every key that was made, oldest first; without its hash."""
    shown = [column for column in api_keys.c if column.name != "hash"]
    with database.read() as connection:
        rows = connection.execute(sa.select(*shown).order_by(api_keys.c.created_at, api_keys.c.key_id)).mappings()
        return [dict(row) for row in rows]


def revoke(database: Database, key_id: str, *, by: str, now: datetime) -> None:
    """Have a key stop working at once; one that is revoked stays so.

    Raises:
        InputError: there is no such key.
    """
    with database.write() as connection:
        row = connection.execute(sa.select(api_keys).where(api_keys.c.key_id == key_id)).mappings().first()
        if row is None:
            raise InputError(f"there is no key {key_id}; see `stillwatch keys list`")
        if row["revoked_at"] is None:
            connection.execute(api_keys.update().where(api_keys.c.key_id == key_id).values(revoked_at=now))
            audit.record(connection, at=now, principal=by, action="key.revoked", subject=key_id)


def requires(*roles: str) -> Callable[[Request], Principal]:
    """A dependency of a route: the principal, when it has one of the roles; admin has every role but ingest.

    401 without a valid key or token, 429 when its address has come with too many of them, 403 without the role.
    """

    def checked(request: Request) -> Principal:
        principal = principal_in(request)
        if principal is None:
            raise refused(request)
        if not principal.may(*roles):
            held = ", ".join(sorted(principal.roles)) or "none"
            raise HTTPException(403, f"This needs the role {' or '.join(roles)}; yours: {held}.")
        return principal

    checked.roles = roles  # type: ignore[attr-defined]  # tests walk the routes and read it
    return checked


def unguarded(app: FastAPI) -> list[str]:
    """Routes that need no role and are not in OPEN; there must be none."""
    return [path for path, _, roles in guards(app) if path not in OPEN and not roles]


def guards(app: FastAPI) -> Iterator[tuple[str, frozenset[str], frozenset[str]]]:
    """Every route: its path, its methods, and the roles any of which it asks for (none: open to all)."""
    for route in iter_route_contexts(app.routes):
        found: frozenset[str] = frozenset()
        waiting = [route.dependant] if isinstance(route.original_route, APIRoute) else []
        while waiting:
            dependant = waiting.pop()
            found |= frozenset(getattr(dependant.call, "roles", ()))
            waiting += dependant.dependencies
        yield route.path or "", frozenset(route.methods or ()), found


def principal_in(request: Request) -> Principal | None:
    """Who asks, by the headers of the request."""
    service: Any = request.app.state.service
    found: Principal | None = service.principal(
        request.headers.get("authorization", ""), request.headers.get("x-api-key", "")
    )
    request.state.principal = found  # for the log
    return found


def refused(request: Request) -> HTTPException:
    """What somebody without a valid key is told; after many of them, to wait. A valid key always passes."""
    service: Any = request.app.state.service
    metrics.refused_keys.inc()
    if service.failures.note(request.client.host if request.client else "", service.now()):
        return HTTPException(429, "Too many requests without a valid key: wait a minute.", {"Retry-After": "60"})
    return HTTPException(
        401, "Give a valid API key: Authorization: Bearer KEY", {"WWW-Authenticate": 'Bearer realm="stillwatch"'}
    )
