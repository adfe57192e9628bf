import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.sharing.planted import GROUP, everything

from stillwatch.errors import SharingError
from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.objects import EXTENSION_ID
from stillwatch.sharing.tables import COLUMNS, from_csv, from_jsonl, to_csv, to_jsonl

NOW = datetime(2026, 2, 12, tzinfo=UTC)  # every indicator of the samples is valid
KEY_ID = "0f3c9a1155aa77cc"
Object = dict[str, Any]
FORMS = pytest.mark.parametrize(("write", "read"), [(to_csv, from_csv), (to_jsonl, from_jsonl)], ids=["csv", "jsonl"])


@pytest.fixture
def objects(every_object: list[Object]) -> list[Object]:
    return every_object


def indicators(objects: list[Object]) -> dict[str, Object]:
    return {one["id"]: one for one in objects if one["type"] == "indicator"}


def with_cell(text: str, column: str, cell: str, line: int = 2) -> str:
    """The CSV text with another cell in that line."""
    rows = list(csv.reader(io.StringIO(text)))
    rows[line - 1][COLUMNS.index(column)] = cell
    made = io.StringIO()
    csv.writer(made).writerows(rows)
    return made.getvalue()


@FORMS
@pytest.mark.parametrize("tlp", TLP_MARKINGS)
def test_indicators_come_back_as_they_were(advised: list[Object], write: Any, read: Any, tlp: str) -> None:
    sent = everything(advised, tlp)
    back = read(write(sent, now=NOW))
    assert indicators(back) == indicators(sent)
    around = {one["id"]: one for one in back if one["type"] != "indicator"}
    assert around.items() <= {one["id"]: one for one in sent}.items()
    # Without its campaign an inbox would not know what an indicator is a lead to.
    joined = {(one["source_ref"], one["relationship_type"]) for one in around.values() if one["type"] == "relationship"}
    assert joined == {(key, "indicates") for key in indicators(sent)}


def test_a_table_has_one_row_for_each_value(objects: list[Object]) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(objects, now=NOW))))
    values = [v["value"] for one in indicators(objects).values() for v in one["extensions"][EXTENSION_ID]["values"]]
    assert sorted(row["value"] for row in rows) == sorted(values)
    first = rows[0]
    assert first["campaign"] == "c-7692c3ad3540"
    assert (first["tlp"], first["sender"][:10]) == ("amber", "identity--")


def test_json_lines_state_numbers_as_numbers(objects: list[Object]) -> None:
    rows = [json.loads(line) for line in to_jsonl(objects, now=NOW).splitlines()]
    assert {type(row["account_count"]) for row in rows} == {int}
    assert {row.get("group_id") for row in rows} == {None, GROUP.group_id}
    assert {row["epoch"] for row in rows if "group_id" in row} == {GROUP.epoch}


def test_what_has_expired_or_was_taken_back_is_not_in_the_table(objects: list[Object]) -> None:
    assert len(to_csv(objects, now=datetime(2030, 1, 1, tzinfo=UTC)).splitlines()) == 1
    for one in indicators(objects).values():
        one["revoked"] = True
    assert to_jsonl(objects, now=NOW) == ""


def test_the_order_of_objects_changes_nothing(objects: list[Object]) -> None:
    assert to_csv(objects, now=NOW) == to_csv(objects[::-1], now=NOW)


def test_no_cell_is_a_formula_to_a_spreadsheet(objects: list[Object]) -> None:
    for row in csv.reader(io.StringIO(to_csv(objects, now=NOW))):
        assert not [cell for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "|", "%")]


@pytest.mark.parametrize("cell", ["=cmd|'/C calc'!A1", "+1+1", "@SUM(1)", "-1+1", "\tx", "=1"])
@pytest.mark.parametrize("place", ["value", "kind", "group_id"])
def test_a_formula_can_neither_be_written_nor_read(objects: list[Object], cell: str, place: str) -> None:
    text = to_csv(objects, now=NOW)
    with pytest.raises(SharingError, match=f"Line 2: {place}: not ") as caught:
        from_csv(with_cell(text, place, cell))
    assert cell not in str(caught.value)
    measures = next(iter(indicators(objects).values()))["extensions"][EXTENSION_ID]
    if place == "value":
        measures["values"][0]["value"] = cell
    else:
        measures[place] = cell
    with pytest.raises(SharingError, match="cannot stand in a table"):
        to_csv(objects, now=NOW)


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    [
        ("value", "6.67E+15", "a spreadsheet may have changed it"),
        ("value", "203.0.113.7", "16 to 64 hexadecimal digits or a JA4"),
        ("account_count", "many", "a whole number"),
        ("epoch", "1.5", "a whole number"),
        ("bits", "NaN", "a number"),
        ("durability", "eternal", "a durability"),
        ("valid_until", "24/02/2026", "a spreadsheet may have changed it"),
        ("campaign", "<script>", "the id of a campaign"),
        ("tlp", "white", "a TLP 2.0 marking"),
        ("sender", "somebody", "the STIX id of an identity"),
        ("indicator", "indicator--1", "the STIX id of an indicator"),
        ("modified", "", "a time as"),
    ],
)
def test_an_error_names_the_line_and_the_column_and_never_the_cell(
    objects: list[Object], column: str, cell: str, told: str
) -> None:
    with pytest.raises(SharingError) as caught:
        from_csv(with_cell(to_csv(objects, now=NOW), column, cell, line=4))
    assert str(caught.value).startswith(f"Line 4: {column}: not ")
    assert told in str(caught.value)
    assert not cell or cell not in str(caught.value).replace("e-", "")


def test_lines_of_one_indicator_agree_but_for_the_value(objects: list[Object]) -> None:
    text = to_csv(objects, now=NOW)
    ids = [row["indicator"] for row in csv.DictReader(io.StringIO(text))]
    second = next(index for index in range(1, len(ids)) if ids[index] == ids[index - 1]) + 2
    with pytest.raises(SharingError, match=f"Line {second}: it differs from another line of its indicator"):
        from_csv(with_cell(text, "durability", "low", line=second))


def test_too_few_accounts_are_refused_when_they_come_in(objects: list[Object]) -> None:
    # A value that fewer than five accounts hold could point at a person, at whoever's door it stands.
    with pytest.raises(SharingError, match="Not in the form that stillwatch writes"):
        from_csv(with_cell(to_csv(objects, now=NOW), "account_count", "4"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kind;value\r\n",
        ",".join(COLUMNS) + ",canary\r\n",
        ",".join(COLUMNS) + "\r\ncanary\r\n",
        ",".join(COLUMNS) + '\r\n"canary',
        "\x00",
    ],
)
def test_what_is_no_table_of_ours_is_refused_in_words(text: str) -> None:
    with pytest.raises(SharingError, match=r"^Line \d+: ") as caught:
        from_csv(text)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "line", ["canary", "[]", '{"canary": 1}', '{"kind": ["x"]}', '{"kind": true}', '{"kind": "x", "kind": "y"}', "{}"]
)
def test_a_line_that_is_none_of_ours_is_refused_by_its_number(objects: list[Object], line: str) -> None:
    with pytest.raises(SharingError, match=r"^Line 3: ") as caught:
        from_jsonl(to_jsonl(objects, now=NOW).splitlines()[0] + "\n\n" + line + "\n")
    assert "canary" not in str(caught.value)


def test_a_table_that_a_spreadsheet_saved_again_is_still_read(objects: list[Object]) -> None:
    text = to_csv(objects, now=NOW)
    assert from_csv("\ufeff" + text.replace("\r\n", "\n")) == from_csv(text)
    assert from_csv(",".join(COLUMNS) + "\r\n") == []
