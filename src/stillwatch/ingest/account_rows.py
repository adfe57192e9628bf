"""The accounts file becomes the accounts table: identifiers hashed, what is derived from plain ones derived first."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.errors import InputError
from stillwatch.ingest.cells import strings, typed_columns
from stillwatch.ingest.exchange_batches import rejected_batch
from stillwatch.ingest.fieldmap import ACCOUNT_EXTRAS, FieldMap, Names
from stillwatch.ingest.keys import Key, hashed, hashed_addresses, present
from stillwatch.ingest.readers import Raw, Rejection, Source
from stillwatch.ingest.reading import converted, raw_slices
from stillwatch.records import ACCOUNTS, REJECTED, Column, arrow_schema

PATTERN_CHARS = 32  # longer local parts are random, and their shape says no more
_SCHEMA = arrow_schema(ACCOUNTS)
_EXTRAS = tuple(Column(name, pa.string(), "plain; hashed on the way in and not kept") for name in ACCOUNT_EXTRAS)
_TIMES = ("created_at", "verified_at")


def accounts(path: Path, *, key: Key, field_map: FieldMap | None = None) -> tuple[pa.Table, pa.Table]:
    """The accounts of a Parquet, JSON or CSV file, one row per account, and what was rejected.

    Of several rows of one account the one verified last, then created last, counts. A cell that cannot be read is
    null and is told in `rejected`; its row stays.

    Raises:
        InputError: when there is no such file.
    """
    if not path.is_file():
        raise InputError(f"there is no accounts file {path}; check --accounts, or leave it out to scan without one")
    names = (field_map or FieldMap()).accounts
    wanted = (*ACCOUNTS.names, *ACCOUNT_EXTRAS)
    source = Source(path, columns=wanted, required=("account_id",), names=names)
    batches, rejections = [], list[Rejection]()
    for raw in raw_slices(source, is_mapped=True)[1]:
        for batch, refused in converted(raw, lambda part: _account_batch(part, key, names)):
            batches.append(batch)
            rejections += refused
    table, repeated = _one_row_each(pa.Table.from_batches(batches, _SCHEMA))
    rejected = rejected_batch(str(path), [*rejections, *repeated])
    return table, pa.Table.from_batches([rejected], arrow_schema(REJECTED))


def told_accounts(rows: Sequence[Mapping[str, Any]], *, key: Key) -> tuple[pa.Table, list[Rejection]]:
    """Accounts that a program tells of under our names, one row each in their order, identifiers hashed.

    The line of a rejection is the place of its row in `rows`, from 0.
    """
    columns = {name: [row.get(name) for row in rows] for name in (*ACCOUNTS.names, *ACCOUNT_EXTRAS)}
    batch, rejections = _account_batch(Raw(columns, pa.array(range(len(rows)), pa.int64())), key, Names())
    return pa.Table.from_batches([batch], _SCHEMA), list(rejections)


def email_parts(address: str) -> tuple[str, str] | None:
    """Domain and pattern of an e-mail address; null when it is none.

    >>> email_parts("Anna.K1987@Example.com")
    ('example.com', 'a4.a1d4')
    """
    local, _, domain = address.strip().lower().rpartition("@")
    if not local or not domain:
        return None
    kinds = local.translate(_ASCII_KINDS) if local.isascii() else "".join(map(_character_kind, local))
    return domain, _pattern(kinds)


@lru_cache(maxsize=1 << 16)
def _pattern(kinds: str) -> str:
    """Runs of letters and of digits with their lengths, anything else as it stands; many addresses have one pattern."""
    runs = ((kind, sum(1 for _ in run)) for kind, run in groupby(kinds))
    return "".join(f"{kind}{length}" if kind in "ad" else kind * length for kind, length in runs)[:PATTERN_CHARS]


def _character_kind(character: str) -> str:
    if character.isalpha():
        return "a"
    return "d" if character.isnumeric() else character


_ASCII_KINDS = {code: _character_kind(chr(code)) for code in range(128)}


def _account_batch(raw: Raw, key: Key, names: Names) -> tuple[pa.RecordBatch, Sequence[Rejection]]:
    columns = typed_columns((*ACCOUNTS.columns, *_EXTRAS), raw.columns, len(raw.lines), names.constants)
    rejections = [*raw.rejections, *_unreadable_times(raw, columns)]
    for column in ACCOUNTS.columns:
        if column.values:
            columns[column.name], refused = _enumerated(column, columns[column.name], raw.lines)
            rejections += refused
    has_account = columns["account_id"].is_valid()
    lost = raw.lines.filter(pc.invert(has_account)).to_pylist()
    looked_for = names.columns.get("account_id", "account_id")
    rejections += [Rejection(line, f"no account: looked for {looked_for}") for line in lost]
    kept = {name: values.filter(has_account) for name, values in columns.items()}
    kept = _with_identifiers(kept, key)
    return pa.RecordBatch.from_arrays([kept[name] for name in _SCHEMA.names], schema=_SCHEMA), rejections


def _unreadable_times(raw: Raw, columns: Mapping[str, pa.Array]) -> list[Rejection]:
    refused = []
    for name in _TIMES:
        if name in raw.columns:
            is_lost = pc.and_(columns[name].is_null(), strings(raw.columns[name]).is_valid())
            refused += [Rejection(line, f"{name} is no usable time; read as missing") for line in _at(raw, is_lost)]
    return refused


def _at(raw: Raw, mask: pa.Array) -> list[int]:
    lines: list[int] = raw.lines.filter(mask).to_pylist()
    return lines


def _enumerated(column: Column, values: pa.Array, lines: pa.Array) -> tuple[pa.Array, list[Rejection]]:
    """The column in lower case; what is not one of its values becomes null and is told."""
    lowered = pc.utf8_lower(pc.utf8_trim_whitespace(values))
    is_known = pc.is_in(lowered, pa.array(column.values))
    reason = f"{column.name} is not one of {', '.join(column.values)}; read as missing"
    unknown = lines.filter(pc.and_(values.is_valid(), pc.invert(is_known))).to_pylist()
    return pc.if_else(is_known, lowered, pa.scalar(None, pa.string())), [Rejection(line, reason) for line in unknown]


def _with_identifiers(columns: Mapping[str, pa.Array], key: Key) -> dict[str, pa.Array]:
    is_plain = pc.match_substring(columns["email_hash"], "@")  # somebody put the address itself where its hash belongs
    misplaced = pc.if_else(is_plain, columns["email_hash"], pa.scalar(None, pa.string()))
    emails = pc.coalesce(columns["email"], misplaced)
    parts = [email_parts(value) if value else None for value in emails.to_pylist()]
    domains = pa.array([part and part[0] for part in parts], pa.string())
    patterns = pa.array([part and part[1] for part in parts], pa.string())
    addresses, prefixes = hashed_addresses(key, present(columns["signup_ip"]))
    given_prefix = hashed(key, "ip_prefix", present(columns["signup_ip_prefix"]))
    return {
        **columns,
        "email_domain": pc.coalesce(pc.utf8_lower(columns["email_domain"]), domains),
        "email_pattern": pc.coalesce(columns["email_pattern"], patterns),
        "email_hash": hashed(key, "email", pc.coalesce(emails, columns["email_hash"])),
        "phone_hash": hashed(key, "phone", pc.coalesce(columns["phone"], columns["phone_hash"])),
        "payment_fingerprint": hashed(key, "payment", columns["payment_fingerprint"]),
        "device_fingerprint": hashed(key, "device", columns["device_fingerprint"]),
        "signup_ip": addresses,
        "signup_ip_prefix": pc.coalesce(given_prefix, prefixes),
    }


def _one_row_each(table: pa.Table) -> tuple[pa.Table, list[Rejection]]:
    """One row per account, whatever order the rows came in; rows that differ from it are told, equal ones are not."""
    if len(table) == pc.count_distinct(table["account_id"]).as_py():
        return table, []
    rest = [name for name in _SCHEMA.names if name not in ("account_id", *_TIMES)]
    order = [
        ("account_id", "ascending"),
        ("verified_at", "descending"),
        ("created_at", "descending"),
        *((name, "ascending") for name in rest),
    ]
    ordered = table.take(pc.sort_indices(table, sort_keys=order))
    first = [True, *_differs(ordered, ["account_id"])]
    distinct = [True, *_differs(ordered, _SCHEMA.names)]
    extra = sum(distinct) - sum(first)
    told = f"the account has another row that differs; its newest counts ({extra} such rows)"
    return ordered.filter(pa.array(first)), [Rejection(None, told)] if extra else []


def _differs(table: pa.Table, names: Sequence[str]) -> list[bool]:
    """For each row but the first: whether it differs from the row before it in any of the columns."""
    differs = pa.array([False] * (len(table) - 1))
    for name in names:
        column = table[name].combine_chunks()
        before, here = column.slice(0, len(column) - 1), column.slice(1)
        unequal = pc.fill_null(pc.not_equal(before, here), True)
        both_null = pc.and_(before.is_null(), here.is_null())
        differs = pc.or_(differs, pc.and_(unequal, pc.invert(both_null)))
    found: list[bool] = differs.to_pylist()
    return found
