import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stillwatch.errors import SharingError
from stillwatch.sharing.formats import FORMATS
from stillwatch.sharing.outside import MOST_OBJECTS, parsed

NOW = datetime(2026, 2, 12, tzinfo=UTC)
SOURCE = Path(__file__).parents[2] / "src" / "stillwatch"
Object = dict[str, Any]
LIGHT = [name for name in FORMATS if name != "misp"]  # test_misp.py pays for loading pymisp


@pytest.fixture
def objects(every_object: list[Object]) -> list[Object]:
    return every_object


def test_every_format_is_there_under_its_name() -> None:
    assert list(FORMATS) == ["stix", "misp", "sigma", "csv", "jsonl"]
    assert all(name == one.name for name, one in FORMATS.items())
    assert len({one.suffix for one in FORMATS.values()}) == len(FORMATS)
    assert [one.name for one in FORMATS.values() if one.read is None] == ["sigma"]


@pytest.mark.parametrize("name", LIGHT)
def test_indicators_come_back_from_every_format_that_can_be_read(objects: list[Object], name: str) -> None:
    form = FORMATS[name]
    text = form.write(objects, NOW)
    assert text.endswith("\n")
    if form.read is not None:
        back = {one["id"]: one for one in form.read(text)}
        assert all(back[one["id"]] == one for one in objects if one["type"] == "indicator")


def test_a_bundle_keeps_everything(objects: list[Object]) -> None:
    form = FORMATS["stix"]
    assert form.read is not None
    assert form.read(form.write(objects, NOW)) == objects


@pytest.mark.parametrize("name", LIGHT)
def test_nothing_to_share_is_a_file_that_can_be_read(objects: list[Object], name: str) -> None:
    form = FORMATS[name]
    text = form.write(objects[:2], NOW)  # the producer and the marking, which every set of objects begins with
    assert form.read is None or {one["type"] for one in form.read(text)} <= {"identity", "marking-definition"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"type": "bundle"}', '{"type": "bundle", "objects": [3]}', '{"type": "x", "objects": []}']
)
def test_what_is_no_bundle_is_refused_in_words(text: str) -> None:
    read = FORMATS["stix"].read
    assert read is not None
    with pytest.raises(SharingError):
        read(text)


def test_a_bundle_of_too_many_objects_is_refused() -> None:
    read = FORMATS["stix"].read
    assert read is not None
    with pytest.raises(SharingError, match="more than"):
        read(json.dumps({"type": "bundle", "objects": [{}] * (MOST_OBJECTS + 1)}))


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "NaN", "Infinity", "[" * 200_000, "1" * 5_000, '"\\ud800'])
def test_json_from_outside_is_read_strictly(text: str) -> None:
    with pytest.raises(SharingError) as caught:
        parsed(text)
    assert text not in str(caught.value)


def test_only_the_part_for_misp_names_pymisp() -> None:
    named = re.compile(r"^(?:from|import) (?:pymisp|stillwatch\.sharing\.misp)", re.MULTILINE)
    naming = {path for path in SOURCE.rglob("*.py") if named.search(path.read_text(encoding="utf-8"))}
    assert {path.parent for path in naming} == {SOURCE / "sharing" / "misp"}


def test_misp_without_pymisp_says_what_to_install(monkeypatch: pytest.MonkeyPatch, objects: list[Object]) -> None:
    loaded = [name for name in sys.modules if name.startswith("stillwatch.sharing.misp")]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymisp", None)
    with pytest.raises(SharingError, match="extra `sharing`"):
        FORMATS["misp"].write(objects, NOW)
