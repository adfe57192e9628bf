"""The published JSON Schemas are what the tables say, and are schemas."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from stillwatch import records
from stillwatch.records import TABLES, Column, Table

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "src" / "stillwatch" / "schemas"
PUBLISHED = sorted(FOLDER.glob("*.schema.json"))
WRITTEN_BY_HAND = {
    "campaigns",
    "known_campaigns",
    "policy",
    "recognised",
    "run",
}  # nested documents that no table describes
TABLE_NAMES = sorted(table.name for table in TABLES)
GENERATED = sorted([*TABLE_NAMES, "exported_objects"])

EXAMPLES = {"string": "a", "integer": 1, "number": 0.5, "boolean": True}


def published(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    return schema


def example(column: Column, schema: dict[str, Any]) -> Any:
    """A value the column may hold."""
    if column.values:
        return column.values[0]
    shape = schema["properties"][column.name]
    if shape.get("format") == "date-time":
        return "2026-02-23T00:00:00Z"
    kinds = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
    return EXAMPLES[kinds[0]]


def smallest_row(table: Table) -> dict[str, Any]:
    schema = published(table.name)
    return {column.name: example(column, schema) for column in table.columns if column.required}


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema that describes an object; conditions (if, then) describe none."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def test_publishing_again_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("publish_schemas", ROOT / "scripts" / "publish_schemas.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    script.main()
    again = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert set(again) >= {f"{name}.schema.json" for name in GENERATED}
    assert {name for name, text in again.items() if (FOLDER / name).read_text(encoding="utf-8") != text} == set()


def test_every_schema_belongs_to_a_table_or_is_known_to_be_written_by_hand() -> None:
    names = {path.name.removesuffix(".schema.json") for path in PUBLISHED}
    assert set(GENERATED) <= names
    assert names - set(GENERATED) <= WRITTEN_BY_HAND


def test_every_table_of_the_records_is_published() -> None:
    tables = {value for value in vars(records).values() if isinstance(value, Table)}
    assert {table.name for table in tables} == set(TABLE_NAMES)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_every_schema_is_valid_and_closed(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    assert [found for found in objects(schema) if "additionalProperties" not in found] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_schema_takes_the_smallest_row_and_refuses_less_more_and_other_words(table: Table) -> None:
    validator = Draft202012Validator(published(table.name))
    row = smallest_row(table)
    assert validator.is_valid(row)
    assert validator.is_valid(row | {column.name: None for column in table.columns if not column.required})
    assert not validator.is_valid(row | {"no_such_column": 1})
    for column in table.columns:
        if column.required:
            assert not validator.is_valid({name: value for name, value in row.items() if name != column.name})
        if column.values:
            assert not validator.is_valid(row | {column.name: "no such word"})
