"""Harvests behind innocent explanations: a contract, a public tool, a company, stolen keys. Their twins go free."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.flow import hiding, planted, scans

from stillwatch.explanations.explain import explain
from stillwatch.scan import Scanned
from stillwatch.subjects import erase

Campaign = dict[str, Any]
ACCUSING = ("distillation", "coordinated")
TWINS = {"partner", "coder", "firm", "mover", "people"}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hiding") / "out"


@pytest.fixture(scope="module")
def found(out: Path) -> Scanned:
    return scans.scan(hiding.write(out.parent / "world"), out)


def accusing(found: Scanned) -> list[Campaign]:
    return [campaign for campaign in found.campaigns if campaign["verdict"] in ACCUSING]


def through(found: Scanned, organisation: str) -> Campaign:
    [campaign] = [c for c in accusing(found) if c["declared"] and c["declared"]["organization_id"] == organisation]
    return campaign


def of(found: Scanned, segment: str) -> Campaign:
    """The campaign that holds most of a planted population."""
    counts = [(Counter(map(planted.segment_of, c["account_ids"]))[segment], n) for n, c in enumerate(accusing(found))]
    return accusing(found)[max(counts)[1]]


def segments(campaign: Campaign) -> Counter[str]:
    return Counter(map(planted.segment_of, campaign["account_ids"]))


def decided(campaign: Campaign) -> dict[str, tuple[str, str]]:
    return {
        account: (decision["action"], decision["because"])
        for decision in campaign["recommended_decisions"]
        for account in decision["account_ids"]
    }


def test_a_verified_reseller_that_relays_a_harvest_is_found_by_the_wordings_it_shares_with_it(found: Scanned) -> None:
    relay, outside = through(found, "shell-z"), of(found, "outside")
    assert relay["verdict"] == outside["verdict"] == "distillation"
    assert segments(relay) == {"shell": hiding.COUNTS["shell"]}
    assert relay["declared"]["same_wordings_as"] == [outside["campaign_id"]]
    assert "declared" in relay["declared"]["because"]
    assert outside["campaign_id"] in relay["declared"]["because"]


def test_nothing_goes_further_than_verifying_a_verified_organisation(found: Scanned) -> None:
    for organisation in ("shell-z", "firm-s"):
        campaign = through(found, organisation)
        actions = {action for action, _ in decided(campaign).values()}
        assert actions == {"verify"}
        assert set(decided(campaign)) == set(campaign["account_ids"])


def test_a_relay_behind_a_public_tool_is_found_and_the_tool_excuses_nothing(found: Scanned) -> None:
    relay = of(found, "harness")
    assert relay["verdict"] == "distillation"
    assert segments(relay) == {"harness": hiding.COUNTS["harness"]}
    tool = next(h for h in relay["benign_hypotheses"] if h["name"] == "public harness")
    assert (tool["survives"], tool["tested"]) == (False, True)


def test_staff_who_harvest_are_named_and_their_colleagues_are_not(found: Scanned) -> None:
    campaign = through(found, "firm-s")
    assert campaign["verdict"] == "coordinated"  # alone, with nobody outside who sends the same
    assert campaign["account_ids"] == [f"staff-{number:03}" for number in range(hiding.STAFF_WHO_HARVEST)]
    assert campaign["declared"]["accounts"] == hiding.COUNTS["staff"]


def test_holders_of_stolen_keys_are_found_told_and_never_more_than_verified(found: Scanned) -> None:
    campaign = of(found, "outside")
    victims = {victim["account_id"] for victim in campaign["compromised"]}
    assert victims <= {f"victim-{number:03}" for number in range(hiding.COUNTS["victim"])}
    assert len(victims) >= hiding.COUNTS["victim"] - 1
    for victim in victims:
        action, because = decided(campaign)[victim]
        assert action == "verify"
        assert "Tell the holder" in because
    others = {action for account, (action, _) in decided(campaign).items() if account not in victims}
    assert others & {"throttle", "shape", "suspend"}


def test_no_twin_is_accused(found: Scanned) -> None:
    accused = Counter[str]()
    for campaign in accusing(found):
        accused += segments(campaign)
    assert accused.keys() & TWINS == set()


def test_every_explanation_is_tested_in_every_campaign_when_the_data_are_there(found: Scanned) -> None:
    for campaign in found.campaigns:
        starved = {h["name"] for h in campaign["benign_hypotheses"] if not h["tested"]}
        assert starved <= {"multiple accounts without harvest"}


def test_a_victim_and_an_organisations_account_are_told_what_sets_them_apart(found: Scanned, out: Path) -> None:
    assert found.campaigns
    victim, relay = explain(out, "victim-000").membership, explain(out, "shell-000").membership
    assert victim is not None
    assert relay is not None
    assert str(victim.part).startswith("Its key looks stolen, and its holder a victim")
    assert "declared, by contract, and says nothing against anybody" in str(relay.part)


def test_erasing_a_victim_leaves_no_trace_of_it(found: Scanned, out: Path) -> None:
    assert "victim-001" in (out / "campaigns.json").read_text(encoding="utf-8")
    erase(out, "victim-001", holds=None, today=date(2026, 6, 30))
    assert "victim-001" not in (out / "campaigns.json").read_text(encoding="utf-8")
    assert found.campaigns
