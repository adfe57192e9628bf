"""Raw columns become exchanges: typed, required fields checked, identifiers hashed, an id made where there is none."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.ingest.cells import typed_columns
from stillwatch.ingest.keys import Key, hashed, hashed_addresses, hashed_lists, present
from stillwatch.ingest.readers import Raw, Rejection
from stillwatch.ingest.times import ACCEPTED
from stillwatch.records import EXCHANGES, REJECTED, TIMESTAMP, arrow_schema

UNKNOWN_MODEL = "unknown"
AHEAD = "its time lies more than a day ahead of the clock here"
_SCHEMA = arrow_schema(EXCHANGES)
_REJECTED = arrow_schema(REJECTED)


@dataclass(frozen=True, slots=True)
class Looked:
    """Where account and time were looked for, in words for a rejection, and the operator's constants.

    `latest` is the last moment an exchange may have; null when any will do, as in logs of the past.
    """

    account_field: str
    clock: str
    constants: Mapping[str, Any]
    latest: datetime | None = None


def exchange_batch(
    raw: Raw, key: Key, looked: Looked, schema: pa.Schema = _SCHEMA
) -> tuple[pa.RecordBatch, Sequence[Rejection]]:
    """The rows that are exchanges, and why the others are not; of their columns those of the schema.

    The schema may lack columns and want texts as dictionaries; an id, an account, a time and a model it must have.
    """
    columns = _columns(raw, looked, schema.names)
    if columns["exchange_id"].null_count:  # an id is made from the whole row
        columns = _columns(raw, looked, EXCHANGES.names)
    columns, refused = _usable(columns, raw.lines, looked)
    rejections = [*raw.rejections, *refused]
    if columns["model"].null_count:
        columns["model"] = pc.fill_null(columns["model"].cast(pa.string()), UNKNOWN_MODEL)
    columns = _with_identifiers(columns, key)
    columns["exchange_id"] = _with_ids(columns)
    arrays = [_as(columns[field.name], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema), rejections


def _usable(
    columns: Mapping[str, pa.Array], lines: pa.Array, looked: Looked
) -> tuple[dict[str, pa.Array], list[Rejection]]:
    """The rows with an account and a time we can use, and why the others have none."""
    has_account, has_time = columns["account_id"].is_valid(), columns["started_at"].is_valid()
    is_good = pc.and_(has_account, has_time)
    no_time = pc.and_(has_account, pc.invert(has_time))
    reasons = [
        (pc.invert(has_account), f"no account: looked for {looked.account_field}"),
        (no_time, f"no usable time: looked for {looked.clock}; accepted is {ACCEPTED}"),
    ]
    if looked.latest is not None:
        is_ahead = pc.greater(columns["started_at"], pa.scalar(looked.latest, TIMESTAMP)).fill_null(False)
        reasons.append((pc.and_(is_good, is_ahead), AHEAD))
        is_good = pc.and_(is_good, pc.invert(is_ahead))
    if pc.all(is_good).as_py():
        return dict(columns), []
    rejections = [found for which, reason in reasons for found in _why(lines.filter(which), reason)]
    return {name: values.filter(is_good) for name, values in columns.items()}, rejections


def _columns(raw: Raw, looked: Looked, names: Sequence[str]) -> dict[str, pa.Array]:
    wanted = [EXCHANGES.column(name) for name in names]
    return typed_columns(wanted, raw.columns, len(raw.lines), looked.constants, keep_encoded=True)


def _as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if values.type == kind:
        return values
    return values.dictionary_encode() if pa.types.is_dictionary(kind) else values.cast(kind)


def rejected_batch(file: str, rejections: Sequence[Rejection]) -> pa.RecordBatch:
    """Rejections of one file as rows of `rejected`."""
    rows = [[file] * len(rejections), [r.line for r in rejections], [r.reason for r in rejections]]
    return pa.RecordBatch.from_arrays(
        [pa.array(cells, kind) for cells, kind in zip(rows, _REJECTED.types, strict=True)], schema=_REJECTED
    )


def _why(lines: pa.Array, reason: str) -> list[Rejection]:
    return [Rejection(line, reason) for line in lines.to_pylist()]


def _with_identifiers(columns: Mapping[str, pa.Array], key: Key) -> dict[str, pa.Array]:
    made = dict(columns)
    if "client_ip" in columns:
        made["client_ip"], made["client_ip_prefix"] = _hashed_network(columns, key)
    if "end_user_id" in columns:
        made["end_user_id"] = hashed(key, "end_user", columns["end_user_id"])
    for name in ("reasoning_issued", "reasoning_replayed"):
        if name in columns:
            made[name] = hashed_lists(key, "reasoning", columns[name])
    return made


def _hashed_network(columns: Mapping[str, pa.Array], key: Key) -> tuple[pa.Array, pa.Array]:
    """The address, and the prefix that the log gives, else the address's own."""
    addresses, prefixes = hashed_addresses(key, present(columns["client_ip"]))
    given = columns.get("client_ip_prefix")
    if given is None or given.null_count == len(given):
        return addresses, prefixes
    given = hashed(key, "ip_prefix", present(given))
    return addresses, pc.coalesce(given.cast(pa.string()), prefixes.cast(pa.string()))


def _with_ids(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Ids, made from the row's content where the log has none: the same row has the same id in any order and file."""
    ids = columns["exchange_id"].cast(pa.string())
    if ids.null_count == 0:
        return ids
    missing = ids.is_null()
    others = [columns[name] for name in EXCHANGES.names if name != "exchange_id"]
    content = _content([values.filter(missing) for values in others])
    made = [hashlib.blake2b(row, digest_size=16).hexdigest() for row in content.to_pylist()]
    return pc.replace_with_mask(ids, missing, pa.array(made, pa.string()))


def _content(columns: Sequence[pa.Array]) -> pa.Array:
    """Each row as one binary value; lengths stand before texts so that no two rows can spell the same."""
    parts = []
    for values in columns:
        if pa.types.is_dictionary(values.type):
            values = values.cast(pa.string())  # noqa: PLW2901
        if pa.types.is_timestamp(values.type):
            values = values.cast(pa.int64())  # noqa: PLW2901
        if pa.types.is_list(values.type):
            values = pc.binary_join(values, " ")  # noqa: PLW2901 - elements are hex by now
        if pa.types.is_string(values.type):
            parts.append(pc.binary_length(values).cast(pa.string()))
        parts.append(values.cast(pa.string()))
    filled = [pc.fill_null(part, "~").cast(pa.binary()) for part in parts]
    return pc.binary_join_element_wise(*filled, b"\x1f")
