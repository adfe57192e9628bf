"""Innocent readings are ranked by how close they came."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts, GroupLink, Member, Usage
from stillwatch.campaigns.hypotheses import findings, hypotheses
from stillwatch.explanations.readings import WITHOUT_HARVEST, readings
from stillwatch.records import ACCOUNTS, EXCHANGES, INTENTS

# Those that state no amount: a person's word, a yes or no, and a list of what else is shared.
WITHOUT_AMOUNT = {"analyst verdict", "multiple accounts without harvest", "shared network"}
HARVEST = {result: TestResult(result, 0.001, 20.0, "because") for result in ("proven", "not_proven")}


def cluster(size: int = 20, **given: Any) -> Facts:
    names = {
        "evidence": [],
        "links": [GroupLink("content", 20, 1.0, 20, 1e-9), GroupLink("network", 20, 1.0, 20, 1e-9)],
        "templates": [],
        "bearing": Usage(1000, 900, 20, 10, 50, 0, 0, (0,) * len(INTENTS)),
        "first_seen_at": datetime(2026, 3, 1, tzinfo=UTC),
        "last_seen_at": datetime(2026, 3, 2, tzinfo=UTC),
        **dict.fromkeys(("exchanges", "input_tokens", "output_tokens", "reasoning_tokens"), 1000),
        "by_capability": {},
        "by_model": {},
        **dict.fromkeys(("timeline", "model_days"), ()),
        "has_prompts": True,
        "public_share": 0.1,
        "busiest_days_share": 0.2,
        "columns": frozenset(f"{table.name}.{name}" for table in (ACCOUNTS, EXCHANGES) for name in table.names),
        "members": [Member(f"a{number}") for number in range(size)],
        **given,
    }
    return Facts(**names)


def told(facts: Facts, result: str = "proven") -> list[dict[str, Any]]:
    return [asdict(finding) for finding in findings(facts, HARVEST[result])]


FIRM = [Member(f"a{number}", "firm", "paid") for number in range(20)]


def test_what_was_found_over_what_is_needed_comes_with_the_result() -> None:
    found = {reading.name: reading.nearness for reading in readings({"benign_hypotheses": told(cluster())})}
    assert found["ci fleet"] == pytest.approx(0.05 / 0.5)
    assert found["small team"] == pytest.approx(12 / 20)
    assert found["verified organisation"] == 0.0
    assert found["shared network"] is None


def test_results_of_an_older_scan_have_no_amount() -> None:
    [old] = readings({"benign_hypotheses": [{"name": "reseller", "survives": False, "because": "so"}]})
    assert old.nearness is None


def test_a_reading_that_only_the_harvest_refutes_came_closest() -> None:
    [closest, *_] = readings({"benign_hypotheses": told(cluster(members=FIRM))})
    assert (closest.name, closest.survives, closest.nearness) == ("declared organisation", False, 1.0)


def test_what_explains_the_accounts_stands_before_what_only_denies_the_harvest() -> None:
    hold = [
        {"name": name, "survives": True, "because": "so"} for name in (WITHOUT_HARVEST, "small team", "analyst verdict")
    ]
    found = readings({"benign_hypotheses": hold})
    assert [reading.name for reading in found] == ["analyst verdict", "small team", WITHOUT_HARVEST]
    assert [reading.explains_control for reading in found] == [True, True, False]


def test_the_one_reading_that_leaves_common_control_is_the_one_its_file_marks() -> None:
    found = findings(cluster(), HARVEST["not_proven"])
    assert {finding.name for finding in found if finding.coordinated} == {WITHOUT_HARVEST}


def test_every_reading_is_told_in_the_first_sentence_of_its_file() -> None:
    found = readings({"benign_hypotheses": told(cluster())})
    assert len(found) == len(hypotheses())
    assert [reading.name for reading in found if reading.meaning == reading.name] == []


def test_a_reading_nobody_knows_is_listed_last_under_its_name() -> None:
    new = {"name": "moon phase", "survives": False, "because": "it was new"}
    last = readings({"benign_hypotheses": [new, *told(cluster())]})
    [found] = [reading for reading in last if reading.name == "moon phase"]
    assert (found.meaning, found.nearness) == ("moon phase", None)
    assert last.index(found) >= len(last) - len(WITHOUT_AMOUNT) - 1
