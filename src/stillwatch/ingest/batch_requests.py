"""Batch request files: lines of requests without a clock, which the operator must give."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson
import pyarrow as pa

from stillwatch.ingest.documents import Json
from stillwatch.ingest.readers import Raw, Rejection, Row, Source, document_reader

NEEDS_START = "this format has no clock: give the time the batch was submitted with --started-at"


def batch_reader(rows: Callable[[Any, Source], Iterable[Row]]) -> Callable[[Source], Iterator[Raw]]:
    """A reader of a batch format; without a start time the file is rejected as a whole."""
    reader = document_reader(rows)

    def read(source: Source) -> Iterator[Raw]:
        if source.started_at is None:
            return iter([Raw({}, pa.array([], pa.int64()), (Rejection(None, NEEDS_START),))])
        return reader(source)

    return read


def batch_columns(entry: Mapping[str, Any], source: Source, named: tuple[Json, ...], end_user: Json) -> dict[str, Any]:
    """What both formats share. `named` are the places an account may stand, in order."""
    account = next((value for value in named if isinstance(value, str | int) and value != ""), None)
    # A custom id is unique in its file at best, so the id is made of the whole line: a file read twice counts once.
    identity = orjson.dumps([account, source.started_at, entry], option=orjson.OPT_SORT_KEYS)
    return {
        "exchange_id": hashlib.blake2b(identity, digest_size=16).hexdigest(),
        "started_at": source.started_at,
        "account_id": account,
        "end_user_id": end_user if end_user != account else None,
        "access_path": "batch",
    }
