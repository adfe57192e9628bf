"""People who mark in one office are asked who they are; marks with the reasoning, through changing exits, accuse.

 24 office     one scheme around essays that are dealt out, one range of addresses, eight hours a day, some cards shared
 24 harvest    another scheme around as many essays, the same cards among as many, exits that change, at any hour;
               half of its prompts ask for the reasoning in tags, which nobody does by trade
600 people     words of their own, addresses, cards and devices of their own
"""

import random
from datetime import timedelta
from typing import Any

import pytest
from tests.flow import planted, scans
from tests.flow.planted import STARTS_AT, WORDS, Row

from stillwatch.scan import Scanned

Campaign = dict[str, Any]
DAYS, COUNT, MARKED = 8, 24, 60
SCHEMES = {
    "office": (
        "Grade the essay below on a scale from 1 to 5 for each criterion of the rubric, structure, argument and "
        "language, and name the weakest sentence of it. The essay that was handed in: {item}",
        "Mark this essay of our course with the rubric: structure, argument and language count from 1 to 5 each, and "
        "a line says why points were taken off. Here is the essay: {item}",
    ),
    "harvest": (
        "Score the following response against the rubric on a scale from 1 to 10 for each criterion. Write your full "
        "reasoning inside <think> tags before every score. The response to be graded against the rubric: {item}",
        "As a strict judge, rate the answer that follows from 1 to 10 on every criterion of the scoring rubric, and "
        "give the total in the end. The answer to be rated now: {item}",
    ),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    world = tmp_path_factory.mktemp("workplace")
    (world / "logs").mkdir()
    planted.write_part(world / "logs" / "part.parquet", exchanges())
    planted.write_accounts(world, accounts())
    return scans.scan(world, world / "out")


def accounts() -> list[Row]:
    people = [row for row in planted.accounts() if planted.segment_of(row["account_id"]) == "people"]
    cards = {f"{segment}-{n:03}": f"card-{segment}-{n // 4}" for segment in SCHEMES for n in range(COUNT // 2)}
    marking = [
        {**row, "account_id": f"{segment}-{n:03}", "device_fingerprint": f"device-{segment}-{n}"}
        for segment in SCHEMES
        for n, row in enumerate(people[:COUNT])
    ]
    paid = [{**row, "payment_fingerprint": cards.get(row["account_id"], f"own-{row['account_id']}")} for row in marking]
    return [*people, *paid]


def exchanges() -> list[Row]:
    rng = random.Random(7)
    rows = [row for row in planted.exchanges() if planted.segment_of(row["account_id"]) == "people"]
    rows += [_marked(segment, n, rng) for segment in SCHEMES for n in range(COUNT) for _ in range(MARKED)]
    rows.sort(key=lambda row: row["started_at"])
    return [{**row, "exchange_id": f"x-{number:06}"} for number, row in enumerate(rows)]


def _marked(segment: str, number: int, rng: random.Random) -> Row:
    prompt = rng.choice(SCHEMES[segment]).format(item=" ".join(rng.choice(WORDS) for _ in range(30)))
    in_office = segment == "office"
    hour = rng.uniform(9, 17) if in_office else rng.uniform(0, 24)
    at_home = in_office and number % 6 == 0
    office, exit_ = f"198.18.40.{rng.randrange(1, 5)}", f"198.18.{rng.randrange(6)}.{number % 2 + 1}"
    return {
        "account_id": f"{segment}-{number:03}",
        "organization_id": None,
        "system_prompt": None,
        "prompt": prompt,
        "completion": "Three, four, two.",
        "model": "large",
        "client_ip": f"203.0.120.{number}" if at_home else office if in_office else exit_,
        "user_agent": f"browser/{number % 7}",
        "started_at": STARTS_AT + timedelta(days=rng.randrange(DAYS), hours=hour),
        "turn_count": 1,
        "input_tokens": len(prompt) // 4,
        "output_tokens": rng.randrange(40, 160),
    }


def of(found: Scanned, segment: str) -> Campaign:
    [campaign] = [c for c in found.campaigns if {planted.segment_of(a) for a in c["account_ids"]} == {segment}]
    return campaign


def reading(campaign: Campaign) -> dict[str, Any]:
    [told] = [one for one in campaign["benign_hypotheses"] if one["name"] == "workplace"]
    return told


def test_who_marks_in_one_office_is_asked_and_not_accused(found: Scanned) -> None:
    office = of(found, "office")
    assert len(office["account_ids"]) == COUNT
    assert office["harvest"]["result"] == "proven", "the marks alone look like a harvest"
    assert reading(office)["survives"], reading(office)["because"]
    assert office["verdict"] == "coordinated"
    assert {decision["action"] for decision in office["recommended_decisions"]} == {"verify"}


def test_marks_with_the_reasoning_through_changing_exits_day_and_night_are_a_harvest(found: Scanned) -> None:
    harvest = of(found, "harvest")
    assert len(harvest["account_ids"]) == COUNT
    assert harvest["verdict"] == "distillation"
    assert not reading(harvest)["survives"]
