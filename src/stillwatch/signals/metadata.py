"""Which keys the client's metadata has, whatever their values.

Why:    request metadata tied campaigns to their makers; the set of keys is a fingerprint of the code that sends them.
Misses: clients that send none or the keys their SDK always sends; sanitised metadata is uniform among strangers too.
Source: Anthropic (2026), "Detecting and preventing distillation attacks", attribution by request metadata.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

import orjson
import pyarrow as pa

from stillwatch.signals.text import Batch, encoded

COLUMNS = ("metadata_keys_id",)
READS = ("metadata",)


def signal(batch: Batch) -> dict[str, pa.Array]:
    """Hash of the sorted top-level keys; null without metadata, without keys, or when it is not a JSON object."""
    distinct = encoded(batch.column("metadata"))
    ids: dict[tuple[str, ...], int] = {}
    found = []
    for value in distinct.dictionary:
        keys = _keys(memoryview(value.as_buffer()))
        found.append((ids.get(keys) or ids.setdefault(keys, _id(keys))) if keys else None)
    return {"metadata_keys_id": pa.array(found, pa.int64()).take(distinct.indices)}


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    try:
        value = json.loads(str(exchange.get("metadata") or ""), parse_constant=_refuse)
        keys = sorted(value) if isinstance(value, dict) else []
        return {"metadata_keys_id": _id(keys) if keys else None}
    except (ValueError, RecursionError):
        return {"metadata_keys_id": None}


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON


def _keys(text: memoryview) -> tuple[str, ...]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ()
    return tuple(sorted(value)) if isinstance(value, dict) else ()


def _id(keys: Iterable[str]) -> int:
    text = json.dumps(list(keys))  # unambiguous, whatever characters the keys hold
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
