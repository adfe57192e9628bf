"""The endpoints of TAXII 2.1 (sections 4 and 5), under one API root."""

from typing import Annotated, Final

import sqlalchemy as sa
from fastapi import APIRouter, Depends, HTTPException, Request, Response

from stillwatch.server import audit
from stillwatch.server.service import Service
from stillwatch.server.tables import taxii_objects
from stillwatch.server.taxii import posting, publishing, reading
from stillwatch.server.taxii.collections import Collection, open_to
from stillwatch.server.taxii.entry import NOT_FOUND, Asks, collection_for
from stillwatch.server.taxii.filters import (
    Paged,
    SpecVersion,
    Version,
    Wanted,
    conditions,
    of_one,
    wanted,
)
from stillwatch.server.taxii.media import STIX, TAXII, TaxiiRoute, answer

DISCOVERY: Final = "/taxii2/"
ROOT: Final = "/taxii2/default/"
_COLLECTION: Final = f"{ROOT}collections/{{collection_id}}/"
_OBJECT: Final = f"{_COLLECTION}objects/{{object_id}}/"
_TAKES: Final = {"requestBody": {"required": True, "content": {TAXII: {"schema": {"type": "object"}}}}}

router = APIRouter(tags=["taxii"], route_class=TaxiiRoute, default_response_class=Response)
Filters = Annotated[Wanted, Depends(wanted)]


@router.get(DISCOVERY)
def discover(_asks: Asks) -> Response:
    """What this server offers (section 4.1)."""
    told = {
        "title": "stillwatch",
        "description": "Campaigns and indicators for partners.",
        "default": ROOT,
        "api_roots": [ROOT],
    }
    return answer(told)


@router.get(ROOT)
def api_root(request: Request, _asks: Asks) -> Response:
    """The one API root (section 4.2)."""
    told = {
        "title": "stillwatch",
        "versions": [TAXII],
        "max_content_length": posting.max_content_bytes(request.app.state.service),
    }
    return answer(told)


@router.get(f"{ROOT}status/{{status_id}}/")
def get_status(request: Request, asks: Asks, status_id: str) -> Response:
    """What became of objects that were sent; told to their sender alone (section 4.3)."""
    if asks.partner is None or not (status_id.isascii() and status_id.isprintable()):
        raise HTTPException(404, NOT_FOUND)
    with _service(request).database.read() as connection:
        found = posting.status_of(connection, asks.partner, status_id)
    if found is None:
        raise HTTPException(404, NOT_FOUND)
    return answer(found)


@router.get(f"{ROOT}collections/")
def get_collections(request: Request, asks: Asks) -> Response:
    """The collections in which the partner has a right (section 5.1)."""
    if asks.partner is None:
        return answer({})
    with _service(request).database.read() as connection:
        found = open_to(connection, asks.partner)
    return answer({"collections": [_told(one) for one in found]} if found else {})


@router.get(_COLLECTION)
def get_collection(request: Request, asks: Asks, collection_id: str) -> Response:
    """One collection, by its id or alias (section 5.2)."""
    with _service(request).database.read() as connection:
        collection, _ = collection_for(connection, asks, collection_id)
    return answer(_told(collection))


@router.get(f"{_COLLECTION}manifest/")
def get_manifest(request: Request, asks: Asks, collection_id: str, asked: Filters) -> Response:
    """What is in a collection, without the objects (section 5.3)."""
    with _service(request).database.read() as connection:
        collection, one = collection_for(connection, asks, collection_id, "read")
        page = reading.found(connection, one, collection.collection_id, asked)
    return answer(reading.manifest(page), headers=page.headers())


@router.get(f"{_COLLECTION}objects/")
def get_objects(request: Request, asks: Asks, collection_id: str, asked: Filters) -> Response:
    """Objects of a collection (section 5.4)."""
    with _service(request).database.read() as connection:
        collection, one = collection_for(connection, asks, collection_id, "read")
        body, page = reading.envelope(connection, one, collection.collection_id, asked)
    return answer(body, headers=page.headers())


@router.post(f"{_COLLECTION}objects/", status_code=202, openapi_extra=_TAKES)
def add_objects(request: Request, asks: Asks, body: posting.Content, collection_id: str) -> Response:
    """Take objects into a collection (section 5.5)."""
    service = _service(request)
    with service.database.read() as connection:  # before any work is done for somebody who may not
        _, one = collection_for(connection, asks, collection_id, "write")
    given = posting.objects_in(body)
    with service.database.read() as connection:
        posting.refuse_flood(connection, one, len(given), service.now())
    objects = posting.read(given)
    with service.database.write() as connection:
        collection, one = collection_for(connection, asks, collection_id, "write")
        status = posting.posted(connection, one, collection.collection_id, objects, now=service.now())
    return answer(status, 202)


@router.get(_OBJECT)
def get_object(
    request: Request,
    asks: Asks,
    collection_id: str,
    object_id: str,
    paged: Paged,
    match_version: Version = None,
    match_spec_version: SpecVersion = None,
) -> Response:
    """One object, in the versions that are asked for (section 5.6)."""
    asked = of_one(object_id, paged, match_version, match_spec_version)
    with _service(request).database.read() as connection:
        collection, one = collection_for(connection, asks, collection_id, "read")
        if not reading.is_there(connection, one, collection.collection_id, object_id):
            raise HTTPException(404, NOT_FOUND)
        body, page = reading.envelope(connection, one, collection.collection_id, asked)
    return answer(body, headers=page.headers())


@router.delete(_OBJECT)
def delete_object(
    request: Request,
    asks: Asks,
    collection_id: str,
    object_id: str,
    match_version: Version = None,
    match_spec_version: SpecVersion = None,
) -> Response:
    """Take out an object that the partner sent itself: all its versions, or those that are named (section 5.7)."""
    service = _service(request)
    asked = of_one(object_id, None, match_version or "all", match_spec_version)
    with service.database.write() as connection:
        audit.hold(connection)
        collection, one = collection_for(connection, asks, collection_id, "read", "write")
        table, where = taxii_objects, conditions(one, collection.collection_id, asked)
        rows = connection.execute(sa.select(table.c.added_us, table.c.posted_by).where(*where)).all()
        if not rows:
            raise HTTPException(404, NOT_FOUND)
        if any(row.posted_by != one.partner_id for row in rows):
            raise HTTPException(403, "You may delete what you sent, and nothing else.")
        publishing.taken_out(connection, collection.collection_id, [row.added_us for row in rows])
        audit.record(
            connection,
            at=service.now(),
            principal=asks.principal.name,
            action="collection.deleted",
            subject=f"{collection.collection_id} {object_id}",
            before={"versions": len(rows)},
        )
    return answer(b"")


@router.get(f"{_OBJECT}versions/")
def get_versions(
    request: Request,
    asks: Asks,
    collection_id: str,
    object_id: str,
    paged: Paged,
    match_spec_version: SpecVersion = None,
) -> Response:
    """The versions of an object (section 5.8)."""
    asked = of_one(object_id, paged, "all", match_spec_version)
    with _service(request).database.read() as connection:
        collection, one = collection_for(connection, asks, collection_id, "read")
        if not reading.is_there(connection, one, collection.collection_id, object_id):
            raise HTTPException(404, NOT_FOUND)
        page = reading.found(connection, one, collection.collection_id, asked)
    return answer(reading.versions(page), headers=page.headers())


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _told(one: Collection) -> dict[str, object]:
    """A collection as TAXII has it."""
    told = {"id": one.collection_id, "title": one.title, "description": one.description, "alias": one.alias}
    rights = {"can_read": one.can_read, "can_write": one.can_write, "media_types": [STIX]}
    return {name: value for name, value in told.items() if value is not None} | rights
