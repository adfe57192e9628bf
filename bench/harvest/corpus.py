"""The prompts of a file as arrays: what the product derives from each, and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stillwatch.records import EXCHANGES, arrow_schema
from stillwatch.signals import signals

COLUMNS = ("text", "source", "family", "label")
FEWEST = 40  # prompts of a stream that is used

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Corpus:
    """One row per prompt; a stream is the prompts of one repository, family and label, by row number.

    `fingerprints` (prompts, SKETCH_SIZE) are numbered from 1 on, 0 where there is none and where one repeats.
    """

    fingerprints: Ints
    text_id: Ints
    components: NDArray[np.int8]  # (prompts, EMBEDDING_SIZE) as stored, zeros without a word
    embedding: NDArray[np.float32]  # the same at length 1
    legitimate: Mapping[tuple[str, str], Ints]
    distillation: Mapping[tuple[str, str], Ints]


def corpus(path: Path) -> Corpus:
    """Read a Parquet file with columns text, source, family and label; `source` is `repository:path`.

    Raises:
        ValueError: a column is missing.
    """
    table = pq.read_table(path)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise ValueError(f"{path} lacks the column(s) {', '.join(missing)}; they are text, source, family and label")
    derived = signals(_exchanges(table["text"]))
    components = _matrix(derived["embedding"])
    streams = _streams(table)
    return Corpus(
        fingerprints=_numbered(_matrix(derived["sketch"])),
        text_id=derived["text_id"].fill_null(0).to_numpy(zero_copy_only=False),
        components=components.astype(np.int8),
        embedding=_unit_length(components),
        legitimate={key[1:]: rows for key, rows in streams.items() if key[0] == "legitimate"},
        distillation={key[1:]: rows for key, rows in streams.items() if key[0] == "distillation"},
    )


def _exchanges(texts: pa.ChunkedArray) -> pa.RecordBatch:
    schema = arrow_schema(EXCHANGES)
    given = {
        "exchange_id": pa.array([str(i) for i in range(len(texts))]),
        "prompt": texts.combine_chunks().cast(pa.string()),
    }
    arrays = [given.get(field.name, pa.nulls(len(texts), field.type)) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, names=schema.names)


def _streams(table: pa.Table) -> dict[tuple[str, str, str], Ints]:
    """Rows per label, repository and family, where there are enough."""
    names = ("label", "source", "family")
    found: dict[tuple[str, str, str], list[int]] = {}
    for row, (label, source, family) in enumerate(zip(*(table[name].to_pylist() for name in names), strict=True)):
        found.setdefault((label, source.partition(":")[0], family or ""), []).append(row)
    return {key: np.array(rows) for key, rows in sorted(found.items()) if len(rows) >= FEWEST}


def _matrix(column: pa.Array) -> Ints:
    size = column.type.list_size
    filled = np.zeros((len(column), size), dtype=np.int64)
    filled[np.asarray(column.is_valid())] = np.asarray(column.drop_null().flatten()).reshape(-1, size)
    return filled


def _unit_length(vectors: Ints) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)


def _numbered(sketches: Ints) -> Ints:
    values, codes = np.unique(sketches, return_inverse=True)
    codes = np.sort(codes.reshape(sketches.shape), axis=1) + 1
    codes[codes == np.searchsorted(values, 0) + 1] = 0
    codes[:, 1:][codes[:, 1:] == codes[:, :-1]] = 0
    return np.asarray(codes, dtype=np.int64)
