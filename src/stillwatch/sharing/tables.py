"""Indicators as plain tables: one row for each value, as CSV and as JSON lines, both ways.

Why:    a spreadsheet, a shell script and a database take a table; none of them takes STIX.
Misses: campaigns, techniques and everything else that is no value; share a bundle or a MISP event for those. A table
        cannot take a value back either: what has expired or was taken back is simply not in the next one.
Source: RFC 4180 for CSV; OWASP, "CSV Injection", for what a spreadsheet makes of a cell.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from stillwatch.errors import SharingError
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.matchable import Matchable, matchable
from stillwatch.sharing.objects import extension, extension_schema, pattern, stix_id
from stillwatch.sharing.outside import parsed, plain_relationship, refuse_long, whole
from stillwatch.sharing.words import INDICATOR_DESCRIPTION, SKETCH_DESCRIPTION

Row = Mapping[str, str]

MOST_ROWS: Final = 200_000

_PROPERTIES: Final = json.loads(extension_schema())["properties"]
_TIME: Final = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z"
_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_COUNT: Final = r"\d{1,9}"

# Column, the form of its cells, and what that form is called in an error. An optional cell may be empty.
_COLUMNS: Final = {
    "kind": (_PROPERTIES["kind"]["pattern"], "a kind of trait"),
    "value": (
        _PROPERTIES["value"]["pattern"],
        "16 to 64 hexadecimal digits or a JA4; a spreadsheet may have changed it",
    ),
    "account_count": (_COUNT, "a whole number"),
    "group_id": (rf"({_PROPERTIES['group_id']['pattern'].strip('^$')})?", "the id of a sharing group"),
    "epoch": (rf"({_COUNT})?", "a whole number"),
    "key_id": (r"([0-9a-f]{8,64})?", "the id of a key"),
    "durability": ("|".join(_PROPERTIES["durability"]["enum"]), "a durability"),
    "bits": (r"(-?\d{1,6}(\.\d{1,6})?)?", "a number"),
    "sampled_from": (rf"({_COUNT})?", "a whole number"),
    "valid_from": (_TIME, "a time as 2026-02-24T08:00:00Z; a spreadsheet may have changed it"),
    "valid_until": (_TIME, "a time as 2026-02-24T08:00:00Z; a spreadsheet may have changed it"),
    "campaign": (r"c-[0-9a-f]{12}", "the id of a campaign"),
    "tlp": ("|".join(map(re.escape, TLP_MARKINGS)), "a TLP 2.0 marking"),
    "sender": (rf"identity--{_UUID}", "the STIX id of an identity"),
    "indicator": (rf"indicator--{_UUID}", "the STIX id of an indicator"),
    "created": (_TIME, "a time as 2026-02-24T08:00:00Z; a spreadsheet may have changed it"),
    "modified": (_TIME, "a time as 2026-02-24T08:00:00Z; a spreadsheet may have changed it"),
}
COLUMNS: Final = tuple(_COLUMNS)
_FORMS: Final = {name: re.compile(form) for name, (form, _) in _COLUMNS.items()}
_NUMBERS: Final = frozenset({"account_count", "epoch", "bits", "sampled_from"})
_OF_THE_VALUE: Final = frozenset({"value", "account_count"})  # the other columns are the same for a whole indicator


def to_csv(objects: Sequence[Mapping[str, Any]], *, now: datetime) -> str:
    """The values of the indicators that are valid now as CSV with a header.

    Raises:
        SharingError: a cell has a form that no reader would accept, such as that of a formula.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(_rows(objects, now))
    return text.getvalue()


def to_jsonl(objects: Sequence[Mapping[str, Any]], *, now: datetime) -> str:
    """The values of the indicators that are valid now, one JSON object a line, without the cells that are empty.

    Raises:
        SharingError: a cell has a form that no reader would accept.
    """
    lines = []
    for row in _rows(objects, now):
        stated = {name: json.loads(cell) if name in _NUMBERS else cell for name, cell in row.items() if cell}
        lines.append(json.dumps(stated) + "\n")
    return "".join(lines)


def from_csv(text: str) -> list[dict[str, Any]]:
    """The indicators of a table that `to_csv` wrote, with the objects they name.

    Raises:
        SharingError: naming the line and the column that is not in form.
    """
    refuse_long(text)
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    numbered: list[tuple[int, Row]] = []
    try:
        header = next(reader, [])
        if sorted(header) != sorted(COLUMNS):
            raise _refusal(1, f"the columns are not {', '.join(COLUMNS)}, with commas between")
        for cells in reader:
            if len(cells) != len(header):
                raise _refusal(reader.line_num, f"it has not {len(header)} cells")
            numbered.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise _refusal(reader.line_num, "it is not CSV") from error
    return _indicators(numbered)


def from_jsonl(text: str) -> list[dict[str, Any]]:
    """The indicators of a table that `to_jsonl` wrote, with the objects they name.

    Raises:
        SharingError: naming the line and the column that is not in form.
    """
    refuse_long(text)
    numbered = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            numbered.append((number, _cells(line, number)))
    return _indicators(numbered)


def _cells(line: str, number: int) -> Row:
    try:
        stated = parsed(line)
    except SharingError as error:
        raise _refusal(number, "it is not JSON") from error
    if not isinstance(stated, dict) or not stated.keys() <= set(COLUMNS):
        raise _refusal(number, f"it is no object with the keys {', '.join(COLUMNS)}")
    if any(isinstance(cell, bool) or not isinstance(cell, str | int | float) for cell in stated.values()):
        raise _refusal(number, "a value in it is neither text nor a number")
    return {name: str(stated.get(name, "")) for name in COLUMNS}


def _rows(objects: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[Row]:
    for one in matchable(objects, now):
        for value in one.values:
            row = {name: "" if cell is None else str(cell) for name, cell in _stated(one, value).items()}
            fault = _fault(row)
            if fault:
                raise SharingError(
                    f"An indicator cannot stand in a table: {fault}. Nothing was written; share a bundle."
                )
            yield row


def _stated(one: Matchable, value: Mapping[str, Any]) -> dict[str, object]:
    measures, indicator = one.measures, one.indicator
    return {
        "kind": one.kind,
        "value": value["value"],
        "account_count": value["account_count"],
        "group_id": measures.get("group_id"),
        "epoch": measures.get("epoch"),
        "key_id": measures.get("key_id"),
        "durability": measures.get("durability"),
        "bits": measures.get("weight_bits"),
        "sampled_from": measures.get("sampled_from"),
        "valid_from": indicator["valid_from"],
        "valid_until": indicator.get("valid_until"),
        "campaign": one.campaign,
        "tlp": one.tlp,
        "sender": indicator.get("created_by_ref"),
        "indicator": indicator["id"],
        "created": indicator["created"],
        "modified": indicator["modified"],
    }


def _fault(row: Row) -> str | None:
    """What is not in form, by column; never what stands there. No form begins as a formula does, but for a number."""
    wrong = next((name for name in COLUMNS if not _FORMS[name].fullmatch(row[name])), None)
    return None if wrong is None else f"{wrong}: not {_COLUMNS[wrong][1]}"


def _refusal(line: int, why: str) -> SharingError:
    return SharingError(f"Line {line}: {why}. Ask the sender for the file again.")


def _indicators(numbered: Sequence[tuple[int, Row]]) -> list[dict[str, Any]]:
    if len(numbered) > MOST_ROWS:
        raise _refusal(numbered[MOST_ROWS][0], f"more than {MOST_ROWS} rows")
    rows: dict[str, list[Row]] = {}
    for line, row in numbered:
        fault = _fault(row)
        if fault:
            raise _refusal(line, fault)
        same = rows.setdefault(row["indicator"], [])
        same.append(row)
        if any(a[name] != b[name] for a, b in pairwise(same[-2:]) for name in COLUMNS if name not in _OF_THE_VALUE):
            raise _refusal(line, "it differs from another line of its indicator in more than the value")
    return whole([one for same in rows.values() for one in _objects(same)]) if rows else []


def _objects(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """The indicator of these rows, and that it indicates its campaign, whose id follows from its sender's."""
    indicator = _indicator(rows)
    yield indicator
    campaign = stix_id("campaign", indicator["created_by_ref"], rows[0]["campaign"])
    indicates = plain_relationship(indicator, "indicates", campaign)
    if indicates is not None:
        yield indicates


def _indicator(rows: Sequence[Row]) -> dict[str, Any]:
    row = rows[0]
    values = list(dict.fromkeys(one["value"] for one in rows))
    held = {one["value"]: int(one["account_count"]) for one in rows}
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": row["indicator"],
        "created_by_ref": row["sender"],
        "created": row["created"],
        "modified": row["modified"],
        "object_marking_refs": [TLP_MARKINGS[row["tlp"]]],
        "name": f"Traits of campaign {row['campaign']}: {row['kind']}",
        "description": SKETCH_DESCRIPTION if row["sampled_from"] else INDICATOR_DESCRIPTION,
        "indicator_types": ["anomalous-activity", "attribution"],
        "pattern_type": "stix",
        "pattern_version": "2.1",
        "pattern": pattern(row["kind"], values),
        "valid_from": row["valid_from"],
        "valid_until": row["valid_until"],
        "extensions": extension(
            kind=row["kind"],
            durability=row["durability"],
            weight_bits=float(row["bits"]) if row["bits"] else None,
            sampled_from=int(row["sampled_from"]) if row["sampled_from"] else None,
            group_id=row["group_id"] or None,
            epoch=int(row["epoch"]) if row["epoch"] else None,
            key_id=row["key_id"] or None,
            values=[{"value": value, "account_count": held[value]} for value in values],
        ),
    }
