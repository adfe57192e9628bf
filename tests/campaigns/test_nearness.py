"""Every wording of a result is understood, and told with how near the explanation came and what it means."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts, GroupLink, Member, Usage
from stillwatch.campaigns.hypotheses import findings, hypotheses
from stillwatch.campaigns.hypotheses.base import Finding
from stillwatch.campaigns.nearness import meaning, nearness
from stillwatch.records import INTENTS

# Those that state no amount: a person's word, a yes or no, and a list of what else is shared.
WITHOUT_AMOUNT = {"analyst verdict", "multiple accounts without harvest", "public template", "shared network"}
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
        "members": [Member(f"a{number}") for number in range(size)],
        **given,
    }
    return Facts(**names)


def outcomes(facts: Facts, result: str = "proven") -> list[Finding]:
    return findings(facts, HARVEST[result])


STUDENTS = [Member(f"a{number}", access_program="education") for number in range(20)]
FIRM = [Member(f"a{number}", "firm", "paid") for number in range(20)]
CHECKED = [Member(f"a{number}", "firm", "partner", "contract") for number in range(20)]


@pytest.mark.parametrize(
    ("facts", "result"),
    [
        (cluster(), "proven"),
        (cluster(), "not_proven"),
        (cluster(size=6), "not_proven"),
        (cluster(members=STUDENTS), "proven"),
        (cluster(members=STUDENTS, bearing=Usage(intents=(0,) * len(INTENTS))), "proven"),
        (cluster(members=FIRM), "proven"),
        (cluster(members=CHECKED), "proven"),
    ],
)
def test_the_amount_in_every_result_is_understood(facts: Facts, result: str) -> None:
    missed = {finding.name for finding in outcomes(facts, result) if nearness(finding) is None}
    without_prompts = {"build fleet", "same items"} if facts.bearing.exchanges == 0 else set()
    assert missed <= WITHOUT_AMOUNT | without_prompts


def test_nearness_is_what_was_found_over_what_is_needed() -> None:
    found = {finding.name: nearness(finding) for finding in outcomes(cluster())}
    assert found["build fleet"] == pytest.approx(0.05 / 0.5)
    assert found["small team"] == pytest.approx(12 / 20)
    assert found["verified organisation"] == 0.0
    assert found["shared network"] is None


def test_what_only_the_harvest_refutes_had_all_it_needs() -> None:
    found = {finding.name: finding for finding in outcomes(cluster(members=FIRM))}
    assert not found["declared organisation"].survives
    assert nearness(found["declared organisation"]) == 1.0


def test_every_explanation_is_told_in_the_first_sentence_of_its_file() -> None:
    found = outcomes(cluster())
    assert len(found) == len(hypotheses())
    assert [finding.name for finding in found if meaning(finding) == finding.name] == []


def test_one_that_nobody_knows_states_no_amount_and_means_its_name() -> None:
    new = Finding("moon phase", False, "it was new")
    assert (meaning(new), nearness(new)) == ("moon phase", None)
