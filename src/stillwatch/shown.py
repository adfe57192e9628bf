"""What accounts show, on the driver: every trait as three numbers beside the texts they stand for, every value hashed.

A text is held once, however many rows have it: of texts there are far fewer than rows.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch import ingest

# Kinds whose values are still readable in an engine; all else that an engine hands on is hashed.
READABLE_KINDS = ("client", "email_domain", "email_pattern", "signup_cohort", "artefact")
NAMED = ["account_id", "kind", "value"]
_TEXTS = pa.schema([(name, pa.string()) for name in NAMED])


def shown(tables: Iterable[pa.Table], key: ingest.Key) -> pa.Table:
    """All traits of all accounts: account_id, kind and value, as dictionaries with one chunk each.

    `tables` have these columns as texts.
    """
    rows = pa.concat_tables(table.select(NAMED).cast(_TEXTS) for table in tables)
    return _hashed(encoded(rows), key)


def encoded(table: pa.Table) -> pa.Table:
    """The table with its texts as dictionaries, in one chunk each."""
    with ThreadPoolExecutor() as pool:
        return pa.table(list(pool.map(_encoded, table.columns)), names=table.column_names)


def _encoded(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return column.dictionary_encode().combine_chunks() if pa.types.is_string(column.type) else column


def plain(table: pa.Table) -> pa.Table:
    """The table with its dictionaries as texts."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def of_principals(table: pa.Table, people: Mapping[str, str]) -> pa.Table:
    """The rows with each account replaced by its principal; those of accounts without traffic are left out.

    A verified organisation is one customer, however many accounts it has: what its accounts share among themselves
    links nobody.
    """
    table = encoded(table)
    accounts, place = _one(table["account_id"]), table.column_names.index("account_id")
    principals = pa.array(list(people.values()), pa.string()).dictionary_encode()
    known = pc.index_in(accounts.dictionary, pa.array(list(people), pa.string()))
    codes = principals.indices.take(known).fill_null(-1).to_numpy()[accounts.indices.to_numpy()]
    kept = codes >= 0
    named = pa.DictionaryArray.from_arrays(pa.array(codes[kept]), principals.dictionary)
    return table.filter(pa.array(kept)).set_column(place, "account_id", named)


def _hashed(rows: pa.Table, key: ingest.Key) -> pa.Table:
    """The traits with readable values replaced by their HMAC; a text that no row has any more is gone."""
    kinds, values = _one(rows["kind"]), _one(rows["value"])
    codes, numbers = values.indices.to_numpy(), np.empty(rows.num_rows, np.int32)
    hashing = ("", *READABLE_KINDS)  # the first for values that are hashed already
    names = [hashing.index(name) if name in READABLE_KINDS else 0 for name in kinds.dictionary.to_pylist()]
    hashed_as = np.array(names, np.int8)[kinds.indices.to_numpy()]
    texts: list[pa.Array] = [pa.array([], pa.string())]
    for number, kind in enumerate(hashing):
        of_kind = np.flatnonzero(hashed_as == number)
        is_used = np.zeros(len(values.dictionary), np.bool_)
        is_used[codes[of_kind]] = True
        numbers[of_kind] = sum(map(len, texts)) + (np.cumsum(is_used) - 1)[codes[of_kind]]
        used = values.dictionary.filter(pa.array(is_used))
        texts.append(pa.array([key.identifier(kind, text) for text in used.to_pylist()], pa.string()) if kind else used)
    hashed = pa.DictionaryArray.from_arrays(pa.array(numbers), pa.concat_arrays(texts))
    return rows.set_column(rows.column_names.index("value"), "value", hashed)


def _one(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """The only chunk of a column of dictionaries."""
    return column.combine_chunks()
