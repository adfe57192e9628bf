"""Partners, collections and rights, looked after by an administrator."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from stillwatch.errors import InputError
from stillwatch.server.access import Principal, requires
from stillwatch.server.service import Service
from stillwatch.server.taxii import collections, partners, publishing

router = APIRouter(tags=["partners"])
Administrator = Annotated[Principal, Depends(requires("admin"))]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Groups = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=100)]


class NewPartner(BaseModel):
    """A partner to know from now on. Its keys are those of its id with the role `partner`."""

    partner_id: str = Field(min_length=1, max_length=63)
    name: Name
    clearance: str = Field(default="amber", max_length=20)
    identity_ref: str | None = Field(default=None, max_length=60)
    groups: Groups = []


class PartnerChange(BaseModel):
    """What is to change of a partner; what is left out stays."""

    name: Name | None = None
    clearance: str | None = Field(default=None, max_length=20)
    identity_ref: str | None = Field(default=None, max_length=60)
    groups: Groups | None = None


class NewCollection(BaseModel):
    """A collection to make; with a group, only members of it have rights."""

    title: Name
    description: str | None = Field(default=None, max_length=1000)
    alias: str | None = Field(default=None, max_length=35)
    group_id: str | None = Field(default=None, max_length=64)


class Rights(BaseModel):
    """What a partner may do in a collection; nothing takes its rights away."""

    can_read: bool = False
    can_write: bool = False


@router.get("/v1/partners")
def list_partners(request: Request, _by: Administrator) -> dict[str, Any]:
    """Every partner."""
    with _service(request).database.read() as connection:
        return {"partners": partners.every(connection)}


@router.post("/v1/partners", status_code=201)
def add_partner(request: Request, told: NewPartner, by: Administrator) -> dict[str, str]:
    """Know a partner from now on; it has no rights yet."""
    service = _service(request)
    new = partners.Partner(told.partner_id, told.name, told.clearance, told.identity_ref, tuple(told.groups))
    with service.database.write() as connection:
        partners.added(connection, new, by=by.name, now=service.now())
    return {"partner_id": new.partner_id}


@router.patch("/v1/partners/{partner_id}")
def change_partner(request: Request, partner_id: str, told: PartnerChange, by: Administrator) -> dict[str, str]:
    """Change what is told of a partner, its clearance above all."""
    service = _service(request)
    with service.database.write() as connection, _Missing(partner_id):
        changes = told.model_dump(exclude_none=True)
        partners.changed(connection, partner_id, changes, by=by.name, now=service.now())
    return {"partner_id": partner_id}


@router.delete("/v1/partners/{partner_id}")
def remove_partner(request: Request, partner_id: str, by: Administrator) -> dict[str, int]:
    """Forget a partner: its rights end and its keys are revoked."""
    service = _service(request)
    with service.database.write() as connection, _Missing(partner_id):
        return {"revoked_keys": partners.removed(connection, partner_id, by=by.name, now=service.now())}


@router.get("/v1/collections")
def list_collections(request: Request, _by: Administrator) -> dict[str, Any]:
    """Every collection, with the rights in it."""
    with _service(request).database.read() as connection:
        return {"collections": collections.every(connection)}


@router.post("/v1/collections", status_code=201)
def make_collection(request: Request, told: NewCollection, by: Administrator) -> dict[str, str]:
    """Make a collection that nobody may read or write yet."""
    service = _service(request)
    with service.database.write() as connection:
        made = collections.made(connection, **told.model_dump(), by=by.name, now=service.now())
    return {"collection_id": made}


@router.put("/v1/collections/{collection_id}/rights/{partner_id}", status_code=204)
def grant(request: Request, collection_id: str, partner_id: str, told: Rights, by: Administrator) -> None:
    """Let a partner do so much in a collection, in place of what it might before."""
    service = _service(request)
    with service.database.write() as connection, _Missing(collection_id, partner_id):
        collections.granted(connection, collection_id, partner_id, **told.model_dump(), by=by.name, now=service.now())


@router.delete("/v1/collections/{collection_id}/objects/{object_id}")
def withdraw(request: Request, collection_id: str, object_id: str, by: Administrator) -> dict[str, int]:
    """Take an object out of a collection, whoever brought it. Who has read it keeps it: a revocation is published."""
    service = _service(request)
    with service.database.write() as connection, _Missing(collection_id, object_id):
        gone = publishing.withdrawn(connection, collection_id, object_id, by=by.name, now=service.now())
    return {"versions": gone}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


class _Missing:
    """404 for what the path names and there is not."""

    def __init__(self, *names: str) -> None:
        if not all(name.isprintable() for name in names):
            raise HTTPException(404, "There is no such thing.")

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, InputError):
            raise HTTPException(404, str(error)) from error
