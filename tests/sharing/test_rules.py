import re
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from tests.sharing.planted import GROUP, everything

from stillwatch.sharing.marking import TLP_MARKINGS
from stillwatch.sharing.objects import EXTENSION_ID
from stillwatch.sharing.rules import INNOCENT_TWINS, to_sigma
from stillwatch.sharing.traits import CLIENT_KINDS, JA4_KIND, KINDS, LEAST_HOLDERS

NOW = datetime(2026, 2, 12, tzinfo=UTC)
Object = dict[str, Any]

# The two specifications of SigmaHQ, version 2, as far as we use them, by hand: stricter than theirs where they leave a
# field free, and `field` of a value count stands in the condition, as the text says.
DAY = r"^\d{4}-(0[1-9]|1[012])-(0[1-9]|[12]\d|3[01])$"
WORDS = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string", "minLength": 2}}
STATED = {
    "title": {"type": "string", "minLength": 1, "maxLength": 256},
    "id": {"type": "string", "format": "uuid"},
    "status": {"enum": ["stable", "test", "experimental", "deprecated", "unsupported"]},
    "description": {"type": "string", "maxLength": 65_535},
    "author": {"type": "string"},
    "date": {"type": "string", "pattern": DAY},
    "modified": {"type": "string", "pattern": DAY},
    "tags": {**WORDS, "items": {"type": "string", "pattern": r"^[a-z0-9_-]+\.[a-z0-9._-]+$"}},
    "falsepositives": WORDS,
    "level": {"enum": ["informational", "low", "medium", "high", "critical"]},
}
RULE = {
    "type": "object",
    "additionalProperties": False,
    "required": [*STATED, "name", "logsource", "detection"],
    "properties": {
        **STATED,
        "name": {"type": "string", "pattern": "^[a-z0-9_]{2,256}$"},
        "logsource": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {key: {"type": "string"} for key in ("category", "product", "service", "definition")},
        },
        "detection": {
            "type": "object",
            "required": ["condition", "selection"],
            "properties": {
                "condition": {"const": "selection"},
                "selection": {"type": "object", "minProperties": 1, "additionalProperties": WORDS},
            },
            "additionalProperties": False,
        },
        "fields": WORDS,
    },
}
CORRELATION = {
    "type": "object",
    "additionalProperties": False,
    "required": [*STATED, "correlation"],
    "properties": {
        **STATED,
        "correlation": {
            "type": "object",
            "additionalProperties": False,
            "required": ["type", "rules", "group-by", "timespan", "condition"],
            "properties": {
                "type": {"const": "value_count"},
                "rules": WORDS,
                "group-by": WORDS,
                "timespan": {"type": "string", "pattern": r"^\d{1,9}[smhd]$"},
                "condition": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["gte", "field"],
                    "properties": {"gte": {"type": "integer", "minimum": 2}, "field": {"type": "string"}},
                },
            },
        },
    },
}


@pytest.fixture
def objects(every_object: list[Object]) -> list[Object]:
    return every_object


def documents(objects: list[Object], now: datetime = NOW) -> list[Object]:
    return list(yaml.safe_load_all(to_sigma(objects, now=now)))


def indicators(objects: list[Object]) -> list[Object]:
    return [one for one in objects if one["type"] == "indicator"]


def test_rules_follow_sigmas_specifications(objects: list[Object]) -> None:
    found = documents(objects)
    assert len(found) == 2 * len(indicators(objects))
    for one in found:
        shape = CORRELATION if "correlation" in one else RULE
        Draft202012Validator(shape, format_checker=FormatChecker()).validate(one)
        assert uuid.UUID(one["id"]).version == 5
    assert len({one["id"] for one in found}) == len(found)


def test_a_correlation_counts_accounts_that_share_one_value(objects: list[Object]) -> None:
    found = documents(objects)
    rules = {one["name"]: one for one in found if "name" in one}
    assert len(rules) == len(found) // 2
    for one in found:
        if "correlation" not in one:
            continue
        (name,) = one["correlation"]["rules"]
        (field,) = rules[name]["detection"]["selection"]
        assert one["correlation"]["group-by"] == [field]
        assert one["correlation"]["condition"] == {"gte": LEAST_HOLDERS, "field": "account_id"}


def test_a_rule_holds_the_values_of_its_indicator(objects: list[Object]) -> None:
    told = {
        tuple(next(iter(one["detection"]["selection"].values()))) for one in documents(objects) if "detection" in one
    }
    held = {tuple(value["value"] for value in one["extensions"][EXTENSION_ID]["values"]) for one in indicators(objects)}
    assert told == held


def test_only_the_correlation_calls_for_a_look_and_never_for_more(objects: list[Object]) -> None:
    found = documents(objects)
    assert {one["level"] for one in found if "detection" in one} == {"informational"}
    assert {one["level"] for one in found if "correlation" in one} == {"low", "medium"}
    assert {one["status"] for one in found} == {"experimental"}
    ja4 = next(one for one in found if one["title"].endswith("ja4") and "correlation" in one)
    assert ja4["level"] == "low"


def test_every_kind_has_its_innocent_twins() -> None:
    missing = (KINDS - CLIENT_KINDS) | {JA4_KIND}
    assert missing - INNOCENT_TWINS.keys() == set()
    assert all(INNOCENT_TWINS.values())


def test_a_rule_names_its_twins_and_its_key(objects: list[Object]) -> None:
    ip, template, ja4 = (
        next(one for one in documents(objects) if one["title"].endswith(f"requests: {kind}"))
        for kind in ("ip", "template", "ja4")
    )
    assert any("VPN" in twin for twin in ip["falsepositives"])
    assert "key 0f3c9a1155aa77cc" in ip["description"]
    assert any("public prompt" in twin for twin in template["falsepositives"])
    assert f"Keyed by the sharing group {GROUP.group_id}, epoch {GROUP.epoch}." in template["description"]
    assert "No key is needed" in ja4["description"]


@pytest.mark.parametrize("tlp", TLP_MARKINGS)
def test_the_marking_stands_in_sigmas_words(advised: list[Object], tlp: str) -> None:
    found = documents(everything(advised, tlp))
    assert {tag for one in found for tag in one["tags"]} == ({f"tlp.{tlp.replace('+', '-')}"} if found else set())


def test_what_has_expired_or_was_taken_back_makes_no_rule(objects: list[Object]) -> None:
    assert documents(objects, datetime(2030, 1, 1, tzinfo=UTC)) == []
    for one in indicators(objects):
        one["revoked"] = True
    assert to_sigma(objects, now=NOW) == ""


@pytest.mark.parametrize(
    "text", ["x: y\n- z", "&a *a !!python/object:os.system", "'\"", "# no", "\u2028---\n", "no", "1e10", "", "x\x85y"]
)
def test_yaml_keeps_any_text_as_text(objects: list[Object], text: str) -> None:
    one = indicators(objects)[0]
    one["extensions"][EXTENSION_ID]["kind"] = text
    one["extensions"][EXTENSION_ID]["values"][0]["value"] = text
    rule = documents([one])[0]
    assert rule["detection"]["selection"] == {f"{text}_keyed": [text]}


def test_sending_again_gives_the_same_rules(objects: list[Object]) -> None:
    assert to_sigma(objects, now=NOW) == to_sigma(objects[::-1], now=NOW)
    assert re.fullmatch(r"(---\n([^-].*\n)+)+", to_sigma(objects, now=NOW))
