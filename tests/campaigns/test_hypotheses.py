"""Innocent explanations as a set: found by being there, each with its own test, needs and words."""

import importlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.campaigns.clues import NOT_PROVEN, PROVEN, PROVEN_BITS, TELLING, facts, members, unit

from stillwatch.campaigns.hypotheses import findings, hypotheses
from stillwatch.campaigns.hypotheses.base import TELLING_BITS

KNOWN = {one.name: one for one in hypotheses()}
WANTED = {
    "verified organisation",
    "class assignment",
    "public harness",
    "evaluation suite",
    "judge user",
    "ci fleet",
    "reseller",
    "shared network",
    "migration",
    "batch product",
    "multiple accounts",
}
# No term of ours may reach a customer: it would have to be explained to whoever appeals.
JARGON = re.compile(r"cluster|p-value|bits|sketch|fingerprint|linkage|unit\b|[a-z]_[a-z]|acct|\ba\d\d\b")


def test_the_explanations_that_were_asked_for_are_there() -> None:
    assert set(KNOWN) >= WANTED


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_an_explanation_says_why_it_exists_what_it_misses_and_where_it_comes_from(name: str) -> None:
    text = importlib.import_module(KNOWN[name].test.__module__).__doc__ or ""
    assert all(word in text for word in ("Why:", "Misses:", "Source:"))


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_an_explanation_has_a_test_of_its_own(name: str) -> None:
    assert (Path(__file__).parent / "hypotheses" / f"test_{name.replace(' ', '_')}.py").is_file()


@pytest.mark.parametrize("name", sorted(name for name in KNOWN if KNOWN[name].needs))
def test_an_explanation_without_its_data_is_starved_and_says_of_what(name: str) -> None:
    one = KNOWN[name]
    for need in one.needs:
        found = one.finding(replace(facts(), columns=facts().columns - {need}), PROVEN)
        assert (found.survives, found.tested) == (False, False)
        assert found.because.startswith("starved: ")
        assert need in found.because


def test_no_explanation_needs_country_language_or_time_zone() -> None:
    needs = {need for one in hypotheses() for need in one.needs}
    assert not any("country" in need or "language" in need for need in needs)


@pytest.mark.parametrize("harvest", [PROVEN, NOT_PROVEN, TELLING])
def test_every_result_is_in_words_that_can_be_shown_to_a_customer(harvest: object) -> None:
    cases = [facts(), unit(), facts(members=members(organization_id="o", verification_level="contract"))]
    for case in cases:
        for finding in findings(case, harvest):  # type: ignore[arg-type]
            assert finding.because
            assert not JARGON.search(finding.because), finding.because
            assert finding.nearness is None or 0.0 <= finding.nearness <= 1.0


def test_those_that_hold_come_first() -> None:
    business = members(organization_id="o", verification_level="business")
    found = findings(facts(members=business, pardoned=True), NOT_PROVEN)
    survives = [finding.survives for finding in found]
    assert len(found) == len(KNOWN)
    assert survives == sorted(survives, reverse=True)
    assert survives.count(True) >= 3


def test_nothing_explains_a_proven_harvest_by_unverified_strangers() -> None:
    assert PROVEN_BITS == TELLING_BITS
    assert not any(finding.survives for finding in findings(facts(), TELLING))


def test_only_multiple_accounts_leaves_the_coordination_standing() -> None:
    assert [f.name for f in findings(facts(), NOT_PROVEN) if f.coordinated] == ["multiple accounts without harvest"]


def test_nothing_explains_wordings_of_a_campaign_outside_by_a_contract() -> None:
    holds = [finding for finding in findings(unit(), PROVEN) if finding.survives and not finding.coordinated]
    assert holds == []
