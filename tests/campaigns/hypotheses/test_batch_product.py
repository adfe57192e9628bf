"""A product is one owner's and one thing."""

from tests.campaigns.clues import PROVEN, bearing, facts, members, outcome, shared, unit

from stillwatch.campaigns.hypotheses.batch_product import hypothesis

OWNED = members(organization_id="o")
RARE = outcome("proven", elicitation=3.0)  # as in one ordinary customer of eight


def test_one_owners_traffic_of_one_kind_is_a_product() -> None:
    assert hypothesis(facts(members=OWNED), PROVEN).survives
    assert hypothesis(facts(evidence=[shared("payment", 10)]), PROVEN).survives


def test_a_product_is_one_thing() -> None:
    many = bearing(capabilities={"reasoning": 2500, "grading": 1500, "task_generation": 1000})
    assert not hypothesis(facts(members=OWNED, bearing=many), PROVEN).survives


def test_accounts_without_an_owner_run_no_product() -> None:
    found = hypothesis(facts(), PROVEN)
    assert not found.survives
    assert found.nearness == 0.0


def test_prompts_far_from_ordinary_use_or_a_campaigns_wordings_are_no_product() -> None:
    assert not hypothesis(facts(members=OWNED), RARE).survives
    assert not hypothesis(unit(), PROVEN).survives
