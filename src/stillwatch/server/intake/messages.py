"""Messages of a queue as one body: what can be read together, and what cannot be read at all set aside with a reason.

A message holds one JSON document, an array of them, or an OTLP request in protobuf. One that is none of these must not
take those beside it with it, so each is looked at alone before they are joined.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from stillwatch.errors import InputError
from stillwatch.ingest import formats
from stillwatch.ingest.bodies import document_format, sent_documents, sent_faults
from stillwatch.ingest.readers import Raw, Rejection
from stillwatch.server.intake.taking import LOG_RECORDS, SPANS, Kind

PROTOBUF = {"otlp_spans": SPANS, "otlp_logs": LOG_RECORDS}
SOURCE = "kafka"


@dataclass(frozen=True, slots=True)
class Joined:
    """A body, and how it is to be read."""

    kind: Kind
    content: bytes


def format_names() -> tuple[str, ...]:
    """What a topic may be said to hold."""
    return (*(name for name, found in formats().items() if found.rows is not None), *PROTOBUF)


def joined(values: Sequence[bytes], format_name: str, max_bytes: int) -> Joined:
    """The messages as one body; without a name the format is recognised, as that of a file is."""
    if format_name in PROTOBUF:
        return _requests(values, PROTOBUF[format_name], max_bytes)
    lines, faults, first = list[bytes](), list[Rejection](), list[Any]()
    for number, value in enumerate(values, start=1):
        try:
            documents = _documents(value, max_bytes)
        except ValueError as error:
            faults.append(Rejection(number, str(error)))
            continue
        lines += documents
        first += [document for document in map(orjson.loads, documents[: 8 - len(first)]) if isinstance(document, dict)]
    name = format_name or document_format(first) or "jsonl"
    return Joined(
        _kind(Kind(SOURCE, name, lambda content, _: sent_documents(content, name)), faults), b"\n".join(lines)
    )


def _documents(value: bytes, max_bytes: int) -> list[bytes]:
    """The documents of a message, each on one line.

    Raises:
        ValueError: it holds none, in words that quote nothing.
    """
    if len(value) > max_bytes:
        raise ValueError(f"a message of more than {max_bytes} bytes")
    try:
        told = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError("a message that is not JSON") from error
    if isinstance(told, list):
        return [orjson.dumps(document) for document in told]
    return [orjson.dumps(told) if b"\n" in value or b"\r" in value else value]


def _requests(values: Sequence[bytes], kind: Kind, max_bytes: int) -> Joined:
    """Requests one after the other are one request in protobuf; those that are none are left out."""
    good, faults = list[bytes](), list[Rejection]()
    for number, value in enumerate(values, start=1):
        try:
            for _ in kind.slices(value, max_bytes):
                pass
        except InputError as error:
            faults.append(Rejection(number, str(error)))
        else:
            good.append(value)
    return Joined(_kind(replace(kind, name=SOURCE), faults), b"".join(good))


def _kind(kind: Kind, faults: Sequence[Rejection]) -> Kind:
    if not faults:
        return kind

    def slices(content: bytes, max_bytes: int) -> Iterator[Raw]:
        yield sent_faults(faults)
        yield from kind.slices(content, max_bytes)

    return replace(kind, slices=slices)
