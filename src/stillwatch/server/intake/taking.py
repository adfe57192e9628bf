"""A body becomes signals on disk: read, hashed, measured, forgotten; only then is it acknowledged."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch import state
from stillwatch.ingest.bodies import (
    Sent,
    sent_arrow,
    sent_documents,
    sent_exchanges,
    sent_log_records,
    sent_spans,
)
from stillwatch.ingest.readers import Raw, Rejection
from stillwatch.intake import exchanges_schema, numbered_signals
from stillwatch.records import SIGNALS, arrow_schema
from stillwatch.server.access import Principal
from stillwatch.server.journal import Frame, Header
from stillwatch.server.logging import failure
from stillwatch.server.service import Service
from stillwatch.signals import inputs

AHEAD = timedelta(days=1)  # clocks differ; what is further ahead is no time of a request
MOST_REASONS = 1_000  # rejected rows of one part of a body that are listed; the others are counted
_NAMESPACED = ("account_id", "exchange_id")  # an id of one source must not stand for an exchange of another


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of body: its name, the format whose words it shares, and its reader."""

    name: str
    format_name: str
    slices: Callable[[bytes, int], Iterator[Raw]]


SPANS = Kind("spans", "otlp", lambda content, _: sent_spans(content, inputs()))
LOG_RECORDS = Kind("log records", "otlp", lambda content, _: sent_log_records(content, inputs()))
OTLP_JSON = Kind("otlp json", "otlp", lambda content, _: sent_documents(content, "otlp"))
LITELLM = Kind("litellm", "litellm", lambda content, _: sent_documents(content, "litellm"))
LINES = Kind("lines", "jsonl", lambda content, _: sent_documents(content, "jsonl"))
ARROW = Kind("arrow", "jsonl", sent_arrow)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a body: `unparsed` are the rejected rows of which nothing could be read."""

    batch_id: str
    accepted: int = 0
    rejected: int = 0
    unparsed: int = 0
    reasons: tuple[Rejection, ...] = ()
    is_duplicate: bool = False


def taken(service: Service, principal: Principal, kind: Kind, content: bytes, batch_id: str) -> Taken:
    """Have the exchanges of a body on disk.

    Raises:
        InputError: it is not what it says, and where.
        ServiceError: it cannot be kept now.
    """
    if service.gate.is_known(batch_id):
        return Taken(batch_id, is_duplicate=True)
    with service.gate.working:
        frames, told = _frames(service, principal, kind, content, batch_id)
    if frames:
        service.journal.append(frames)
    if told.accepted or not told.unparsed:
        service.gate.remember(batch_id)
    _observed(service, frames)
    return told


def batch_id_of(sender: str, kind: Kind, given: str, content: bytes) -> str:
    """The name of a batch: what the sender calls it, else what it holds; of this sender's and this kind only."""
    told = "\0".join([sender, kind.name, "named" if given else "content", ""]).encode("utf-8", "replace")
    return hashlib.sha256(told + (given.encode("utf-8", "replace") or content)).hexdigest()[:24]


def _frames(
    service: Service, principal: Principal, kind: Kind, content: bytes, batch_id: str
) -> tuple[list[Frame], Taken]:
    found: list[Frame] = []
    reasons: list[Rejection] = []
    accepted = rejected = unparsed = 0
    made_by = f"{service.key.key_id} {state.kernels()}"
    for rows, rejections, not_read in _sent(service, kind, content):
        accepted, rejected, unparsed = accepted + rows.num_rows, rejected + len(rejections), unparsed + not_read
        listed = list(rejections[:MOST_REASONS])
        reasons += listed[: MOST_REASONS - len(reasons)]
        if rows.num_rows or rejections:
            told = [(one.line, one.reason) for one in listed]
            header = Header(batch_id, len(found), f"{kind.name} of {principal.name}", made_by, len(rejections), told)
            signals = numbered_signals(with_namespace(rows, principal), service.key)
            found.append(Frame(header, signals))
    return found, Taken(batch_id, accepted, rejected, unparsed, tuple(reasons))


def _sent(service: Service, kind: Kind, content: bytes) -> Iterator[Sent]:
    slices = kind.slices(content, service.settings.intake.max_body_bytes)
    latest = service.now() + AHEAD
    return sent_exchanges(slices, kind.format_name, key=service.key, schema=_schema(), latest=latest)


_schema = cache(exchanges_schema)


def with_namespace(rows: pa.RecordBatch, principal: Principal) -> pa.RecordBatch:
    """The exchanges with the principal's namespace before their ids and those of their accounts."""
    if principal.namespace is None:
        return rows
    for name in _NAMESPACED:
        place = rows.schema.get_field_index(name)
        field = rows.schema.field(place)
        rows = rows.set_column(place, field, _mapped(rows.column(place), partial(_prefixed, principal)))
    return rows


def _prefixed(principal: Principal, values: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(pa.scalar(principal.account_id("")), values, "")


def _mapped(values: pa.Array, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    if not pa.types.is_dictionary(values.type):
        return function(values)
    return pa.DictionaryArray.from_arrays(values.indices, function(values.dictionary))


def _observed(service: Service, frames: list[Frame]) -> None:
    """Tell the observers what was acknowledged, texts written out; they must not fail the request."""
    if not service.observers or not frames:
        return
    schema = arrow_schema(SIGNALS)
    batches = [frame.signals.select(schema.names) for frame in frames]
    signals = pa.concat_tables([pa.Table.from_batches([batch]).cast(schema) for batch in batches])
    for observer in service.observers:
        try:
            observer(signals)
        except Exception as error:  # the boundary of an observer: what was acknowledged stays acknowledged
            service.log.error("observer_failed", **failure(error))
