"""Where traffic comes in: OTLP from SDKs, collectors and Envoy, LiteLLM's posts, and exchanges in our own columns."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, HTTPException, Request, Response

from stillwatch.errors import InputError, ServiceError
from stillwatch.server import metrics
from stillwatch.server.access import Principal, requires
from stillwatch.server.gate import Passage
from stillwatch.server.intake import taking
from stillwatch.server.intake.bodies import AGAIN, received, unpacked
from stillwatch.server.intake.replies import otlp_failed, otlp_taken
from stillwatch.server.intake.taking import Kind, Taken
from stillwatch.server.logging import failure
from stillwatch.server.service import Service

BATCH_ID = "X-Stillwatch-Batch-Id"
PROTOBUF, JSON, ARROW = "application/x-protobuf", "application/json", "application/vnd.apache.arrow.stream"
_LISTED = 20  # rejected rows that a reply names
_LINES = ("", JSON, "application/x-ndjson", "application/jsonl", "application/octet-stream", "text/plain")

router = APIRouter(tags=["intake"])
Source = Annotated[Principal, Depends(requires("ingest"))]


def _body(*types: str) -> dict[str, Any]:
    """What OpenAPI is told of a body that is read piece by piece."""
    text = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": dict.fromkeys(types, text)}}


@router.post("/v1/traces", openapi_extra=_body(PROTOBUF, JSON))
async def traces(request: Request, principal: Source) -> Response:
    """GenAI spans as OTLP/HTTP has them, in protobuf or JSON."""
    return await _otlp(request, principal, taking.SPANS)


@router.post("/v1/logs", openapi_extra=_body(PROTOBUF, JSON))
async def logs(request: Request, principal: Source) -> Response:
    """GenAI log records and Envoy's access log as OTLP/HTTP has them, in protobuf or JSON."""
    return await _otlp(request, principal, taking.LOG_RECORDS)


@router.post("/v1/litellm", openapi_extra=_body(JSON, "application/x-ndjson"))
async def litellm(request: Request, principal: Source) -> Response:
    """StandardLoggingPayloads as LiteLLM's generic_api callback posts them: an array, one per line, or one."""
    return await _plain(request, principal, taking.LITELLM)


@router.post("/v1/exchanges", openapi_extra=_body("application/x-ndjson", ARROW))
async def exchanges(request: Request, principal: Source) -> Response:
    """Exchanges in our own columns: JSON lines, a JSON array, or an Arrow IPC stream."""
    return await _plain(request, principal, taking.ARROW if _type(request) == ARROW else taking.LINES)


async def _plain(request: Request, principal: Principal, kind: Kind) -> Response:
    if _type(request) not in (*_LINES, ARROW) or (_type(request) == ARROW and kind is not taking.ARROW):
        raise HTTPException(415, f"Content-Type {_type(request)}: send {JSON}, application/x-ndjson")
    done = await _taken(request, principal, kind)
    told = {
        "batch_id": done.batch_id,
        "accepted": done.accepted,
        "rejected": done.rejected,
        "reasons": [{"line": one.line, "reason": one.reason} for one in done.reasons[:_LISTED]],
        "duplicate": done.is_duplicate,
    }
    return Response(orjson.dumps(told), media_type=JSON)


async def _otlp(request: Request, principal: Principal, kind: Kind) -> Response:
    content_type = _type(request)
    if content_type not in (PROTOBUF, JSON):
        raise HTTPException(415, f"Content-Type {content_type}: send {PROTOBUF} or {JSON}")
    is_json = content_type == JSON
    try:
        read = replace(taking.OTLP_JSON, name=kind.name) if is_json else kind
        return otlp_taken(await _taken(request, principal, read), kind, is_json=is_json)
    except HTTPException as refusal:
        return otlp_failed(refusal, is_json=is_json)


async def _taken(request: Request, principal: Principal, kind: Kind) -> Taken:
    service: Service = request.app.state.service
    limits, encoding = service.settings.intake, request.headers.get("content-encoding", "")
    with service.gate.passage() as passage:
        sent = await received(request, passage, limits)
        body = _Body(sent, encoding, _sender(request), request.headers.get(BATCH_ID, ""), passage)
        work = partial(_worked, service, principal, kind, body)
        return await asyncio.get_running_loop().run_in_executor(service.gate.threads, work)


@dataclass(frozen=True, slots=True)
class _Body:
    """A body as it was sent, with what its headers say."""

    sent: bytes
    encoding: str
    sender: str
    batch_id: str
    passage: Passage


def _sender(request: Request) -> str:
    """What tells one source from another: its credential. It is only hashed, never kept."""
    return request.headers.get("authorization", "") or request.headers.get("x-api-key", "")


def _worked(service: Service, principal: Principal, kind: Kind, body: _Body) -> Taken:
    """In a thread: the body unpacked and taken in; what is wrong with it becomes a reply."""
    content = unpacked(body.sent, body.encoding, body.passage, service.settings.intake)
    batch_id = taking.batch_id_of(body.sender, kind, body.batch_id, content)
    try:
        done = taking.taken(service, principal, kind, content, batch_id)
    except InputError as error:
        raise HTTPException(400, str(error)) from error
    except ServiceError as error:
        service.log.error("not_kept", **failure(error))
        raise HTTPException(503, str(error), AGAIN) from error
    _count(kind, done, len(body.sent))
    if done.unparsed and not done.accepted and done.unparsed == done.rejected:
        first = done.reasons[0]
        raise HTTPException(400, f"nothing in it could be read; at {first.line or 'its start'}: {first.reason}")
    return done


def _count(kind: Kind, done: Taken, size: int) -> None:
    if done.is_duplicate:
        metrics.intake_duplicates.inc()
        return
    metrics.intake_exchanges.labels(kind.name).inc(done.accepted)
    metrics.intake_rejected.labels(kind.name).inc(done.rejected)
    metrics.intake_bytes.labels(kind.name).inc(size)


def _type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
