"""Innocent readings are ranked by how close they came."""

from typing import Any

from stillwatch.explanations.readings import readings


def told(name: str, *, survives: bool = False, nearness: float | None = None, explains: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "survives": survives,
        "because": "so",
        "meaning": f"It is {name}.",
        "nearness": nearness,
        "explains_control": explains,
    }


def ranked(*hypotheses: dict[str, Any]) -> list[str]:
    return [reading.name for reading in readings({"benign_hypotheses": list(hypotheses)})]


def test_of_those_that_fell_the_nearest_comes_first_and_those_without_an_amount_last() -> None:
    fallen = [told("far", nearness=0.1), told("unknown"), told("near", nearness=0.9), told("refuted", nearness=1.0)]
    assert ranked(*fallen) == ["refuted", "near", "far", "unknown"]


def test_what_explains_the_accounts_stands_before_what_only_denies_the_harvest() -> None:
    denies = told("free trials", survives=True, nearness=1.0, explains=False)
    team, cleared = (told(name, survives=True, nearness=1.0) for name in ("small team", "analyst verdict"))
    assert ranked(denies, team, cleared) == ["analyst verdict", "small team", "free trials"]


def test_those_that_hold_stand_before_those_that_fell_and_equals_by_name() -> None:
    assert ranked(told("b"), told("a"), told("holds", survives=True, nearness=1.0)) == ["holds", "a", "b"]


def test_a_reading_keeps_what_the_campaign_says_of_it() -> None:
    [reading] = readings({"benign_hypotheses": [told("small team", nearness=0.6)]})
    assert (reading.meaning, reading.because, reading.nearness) == ("It is small team.", "so", 0.6)
