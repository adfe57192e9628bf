import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from stillwatch.decisions import AccountFacts, Policy, load_policy, reason_and_source, recommended_decisions
from stillwatch.decisions.policy import AccountCondition, CampaignCondition, Outcome, Rule
from stillwatch.records import (
    ACCESS_PROGRAMS,
    ACTIONS,
    CHECKS,
    DURABILITIES,
    ROLES,
    VERDICTS,
    VERIFICATION_LEVELS,
)
from stillwatch.schemas import schema

SAMPLES = Path(__file__).parent.parent / "golden" / "sample_campaigns.json"
Made = Callable[..., dict[str, Any]]

WEAK = [
    {"kind": kind, "family": family, "value": "a", "account_count": 60, "weight_bits": bits, "durability": durability}
    for kind, family, bits, durability in (
        ("ip", "network", 40.0, "low-medium"),
        ("client", "tooling", 9.0, "low"),
        ("payment", "payment", 0.4, "medium"),
    )
]


def always(action: str, check: str | None = None, approvals: int = 9) -> Policy:
    rule = Rule(
        "all",
        "Because we say so.",
        CampaignCondition(VERDICTS),
        AccountCondition(),
        Outcome(action, check, approvals, 7),
    )
    return Policy("harsh", 1, {"default": ("payment", "identity"), "education": ("programme_documents",)}, (rule,))


def by_account(decisions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {account_id: decision for decision in decisions for account_id in decision["account_ids"]}


def assert_conform(decisions: list[dict[str, Any]]) -> None:
    shape = schema("campaigns")
    item = shape["$defs"]["campaign"]["properties"]["recommended_decisions"]
    Draft202012Validator({"$defs": shape["$defs"], **item}).validate(decisions)


def test_the_default_policy_suspends_a_proven_harvest_with_two_people(campaign: Made) -> None:
    decisions = recommended_decisions(campaign(), {}, load_policy(None))
    assert_conform(decisions)
    assert [(d["action"], len(d["account_ids"]), d["approvals"]) for d in decisions] == [("suspend", 64, 2)]


def test_the_default_policy_shapes_when_nothing_calibrates_the_probability(campaign: Made) -> None:
    decisions = recommended_decisions(campaign(probability=None), {}, load_policy(None))
    assert [decision["action"] for decision in decisions] == ["shape"]


def test_the_default_policy_verifies_common_control_and_says_nothing_of_the_explained(campaign: Made) -> None:
    policy = load_policy(None)
    assert [d["action"] for d in recommended_decisions(campaign("coordinated"), {}, policy)] == ["verify"]
    assert recommended_decisions(campaign("explained"), {}, policy) == []
    assert [d["action"] for d in recommended_decisions(campaign("insufficient_data"), {}, policy)] == ["observe"]


@pytest.mark.parametrize("verdict", [verdict for verdict in VERDICTS if verdict != "distillation"])
@pytest.mark.parametrize("action", ACTIONS)
def test_only_distillation_gets_more_than_a_check(campaign: Made, verdict: str, action: str) -> None:
    decisions = recommended_decisions(campaign(verdict), {}, always(action))
    furthest = "verify" if verdict == "coordinated" else "observe"
    assert decisions
    assert all(ACTIONS.index(d["action"]) <= ACTIONS.index(furthest) for d in decisions)


def test_evidence_that_is_easy_to_fake_goes_no_further_than_a_check(campaign: Made) -> None:
    decisions = recommended_decisions(campaign(evidence=WEAK), {}, always("suspend"))
    assert [decision["action"] for decision in decisions] == ["verify"]
    assert "easy to fake" in decisions[0]["because"]


def test_durable_evidence_of_the_campaign_does_not_condemn_an_account_it_does_not_touch(campaign: Made) -> None:
    made = campaign()
    bystander = made["account_ids"][3]
    facts = {bystander: AccountFacts(durability="low"), made["account_ids"][4]: AccountFacts(durability="high")}
    decided = by_account(recommended_decisions(made, facts, always("suspend")))
    assert decided[bystander]["action"] == "verify"
    assert decided[made["account_ids"][4]]["action"] == "suspend"


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("verdict", ["distillation", "coordinated"])
def test_a_victim_is_verified_and_told_whatever_the_rule(campaign: Made, verdict: str, action: str) -> None:
    made = campaign(verdict)
    victim = made["account_ids"][0]
    decided = by_account(recommended_decisions(made, {victim: AccountFacts(role="compromised")}, always(action)))
    assert decided[victim]["action"] == "verify"
    assert decided[victim]["check"]
    assert "Tell the holder" in decided[victim]["because"]


def test_a_victim_is_verified_and_told_even_when_no_rule_fits(campaign: Made) -> None:
    made = campaign()
    victim = made["account_ids"][0]
    nobody = Policy("empty", 1, {"default": ("identity",)}, ())
    decisions = recommended_decisions(made, {victim: AccountFacts(role="compromised")}, nobody)
    assert [(d["action"], d["account_ids"]) for d in decisions] == [("verify", [victim])]


@pytest.mark.parametrize("action", ["shape", "suspend"])
def test_shaping_and_suspending_need_two_people_even_if_the_rule_asks_for_none(campaign: Made, action: str) -> None:
    decisions = recommended_decisions(campaign(), {}, always(action, approvals=0))
    assert [(d["action"], d["approvals"]) for d in decisions] == [(action, 2)]


def test_an_innocent_campaign_gets_no_decision(campaign: Made) -> None:
    assert recommended_decisions(campaign(), {}, always("suspend"), analyst_verdict="innocent") == []
    assert recommended_decisions(campaign(), {}, always("suspend"), analyst_verdict="guilty") != []


def test_an_innocent_account_gets_no_decision_even_as_a_victim(campaign: Made) -> None:
    made = campaign()
    cleared = made["account_ids"][:2]
    facts = {
        cleared[0]: AccountFacts(analyst_verdict="innocent"),
        cleared[1]: AccountFacts(analyst_verdict="innocent", role="compromised"),
    }
    decided = by_account(recommended_decisions(made, facts, always("suspend")))
    assert set(decided) == set(made["account_ids"]) - set(cleared)


def test_a_guilty_verdict_on_an_account_lifts_no_limit(campaign: Made) -> None:
    made = campaign("coordinated")
    facts = {account_id: AccountFacts(analyst_verdict="guilty") for account_id in made["account_ids"]}
    assert {d["action"] for d in recommended_decisions(made, facts, always("suspend"))} == {"verify"}


def test_the_first_rule_that_fits_counts(campaign: Made) -> None:
    rules = (*always("observe").rules, *always("suspend").rules)
    assert (
        recommended_decisions(campaign(), {}, Policy("two", 1, {"default": ("identity",)}, rules))[0]["action"]
        == "observe"
    )


@pytest.mark.parametrize(
    "wanted",
    [
        CampaignCondition(("coordinated",)),
        CampaignCondition(("distillation",), min_accounts=65),
        CampaignCondition(("distillation",), min_exposure_tokens=63_902_119),
        CampaignCondition(("distillation",), min_exposure_exchanges=41_821),
        CampaignCondition(("distillation",), min_probability=0.995),
    ],
)
def test_a_condition_that_is_just_missed_does_not_fit(campaign: Made, wanted: CampaignCondition) -> None:
    rule = Rule("one", "Because we say so.", wanted, AccountCondition(), Outcome("throttle", None, 1, 7))
    assert recommended_decisions(campaign(), {}, Policy("one", 1, {"default": ("identity",)}, (rule,))) == []


def test_a_condition_that_is_just_met_fits(campaign: Made) -> None:
    wanted = CampaignCondition(("distillation",), 64, 63_902_118, 41_820, 0.994, False, "very high")
    rule = Rule("one", "Because we say so.", wanted, AccountCondition(), Outcome("throttle", None, 1, 7))
    policy = Policy("one", 1, {"default": ("identity",)}, (rule,))
    assert [d["action"] for d in recommended_decisions(campaign(), {}, policy)] == ["throttle"]
    assert recommended_decisions(campaign(probability=None), {}, policy) == []


def test_the_check_fits_the_programme_and_what_was_passed_already(campaign: Made) -> None:
    made = campaign("coordinated")
    free, paid, student, unknown = made["account_ids"][:4]
    facts = {
        free: AccountFacts(access_program="free", verification_level="phone"),
        paid: AccountFacts(access_program="paid", verification_level="payment"),
        student: AccountFacts(access_program="education", verification_level="email"),
        unknown: AccountFacts(),
    }
    decided = by_account(recommended_decisions(made, facts, load_policy(None)))
    checks = [decided[account_id]["check"] for account_id in (free, paid, student, unknown)]
    assert checks == ["payment", "identity", "programme_documents", "payment"]


def test_a_customer_under_contract_is_asked_before_anything_else(campaign: Made) -> None:
    made = campaign()
    customer = made["account_ids"][0]
    facts = {customer: AccountFacts(access_program="enterprise", verification_level="contract")}
    decided = by_account(recommended_decisions(made, facts, load_policy(None)))
    assert (decided[customer]["action"], decided[customer]["check"]) == ("verify", "programme_documents")


def test_every_reason_says_that_nothing_acts_and_which_rule_spoke(campaign: Made) -> None:
    for decision in recommended_decisions(campaign(), {}, load_policy(None)):
        assert "nothing acts" in decision["because"]
        assert "(policy default 1, rule proven-harvest)" in decision["because"]


facts = st.builds(
    AccountFacts,
    st.none() | st.sampled_from(ACCESS_PROGRAMS),
    st.none() | st.sampled_from(VERIFICATION_LEVELS),
    st.none() | st.sampled_from(ROLES),
    st.none() | st.sampled_from(["guilty", "innocent"]),
    st.none() | st.sampled_from(DURABILITIES),
)
outcomes = st.builds(
    Outcome, st.sampled_from(ACTIONS), st.none() | st.sampled_from(CHECKS), st.integers(0, 3), st.just(7)
)
rules = st.lists(
    st.builds(
        lambda outcome, verdicts, roles: Rule("r", "Because.", CampaignCondition(tuple(verdicts)), roles, outcome),
        outcomes,
        st.lists(st.sampled_from(VERDICTS), min_size=1),
        st.builds(AccountCondition, roles=st.none() | st.just(("compromised",))),
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    verdict=st.sampled_from(VERDICTS), people=st.lists(facts, min_size=1, max_size=8), rules=rules, weak=st.booleans()
)
def test_no_policy_can_lift_a_limit(
    campaign: Made, verdict: str, people: list[AccountFacts], rules: list[Rule], weak: bool
) -> None:
    ids = [f"a{index}" for index in range(len(people))]
    made = campaign(verdict, account_ids=ids, **({"evidence": WEAK} if weak else {}))
    policy = Policy("any", 1, {"default": ("phone", "identity")}, tuple(rules))
    decisions = recommended_decisions(made, dict(zip(ids, people, strict=True)), policy)
    assert_conform(decisions)
    named = [account_id for decision in decisions for account_id in decision["account_ids"]]
    assert len(named) == len(set(named))
    for account_id, decision in by_account(decisions).items():
        one = people[ids.index(account_id)]
        action = decision["action"]
        assert one.analyst_verdict != "innocent"
        assert (decision["check"] is not None) == (action == "verify")
        if action in ("throttle", "shape", "suspend"):
            assert verdict == "distillation"
            assert one.role != "compromised"
            assert not weak
            assert one.durability not in ("low", "low-medium")
        if action == "verify":
            assert verdict in ("distillation", "coordinated")
        if action in ("shape", "suspend"):
            assert decision["approvals"] >= 2


def test_the_order_of_accounts_changes_nothing(campaign: Made) -> None:
    made = campaign()
    turned = {**made, "account_ids": list(reversed(made["account_ids"]))}
    policy = load_policy(None)
    assert recommended_decisions(made, {}, policy) == recommended_decisions(turned, {}, policy)


@given(verdict=st.sampled_from(["distillation", "coordinated"]), action=st.sampled_from(ACTIONS))
def test_a_victim_of_an_accused_campaign_is_verified_and_told_whatever_the_policy_says(
    verdict: str, action: str
) -> None:
    found = json.loads(SAMPLES.read_text(encoding="utf-8"))[0] | {"verdict": verdict}
    victims = {account: AccountFacts(role="compromised") for account in found["account_ids"]}
    for policy in (always(action), Policy("silent", 1, {"default": ("identity",)}, ())):
        decisions = recommended_decisions(found, victims, policy)
        assert [decision["action"] for decision in decisions] == ["verify"]
        assert all("Tell the holder" in decision["because"] for decision in decisions)
        assert {account for decision in decisions for account in decision["account_ids"]} == set(found["account_ids"])


@pytest.mark.parametrize("level", ["business", "contract"])
@pytest.mark.parametrize("action", ["throttle", "shape", "suspend"])
def test_a_verified_organisation_is_asked_before_anything_else_happens_to_it(
    campaign: Made, level: str, action: str
) -> None:
    people = {account: AccountFacts(verification_level=level) for account in campaign()["account_ids"]}
    decisions = recommended_decisions(campaign(), people, always(action))
    assert [decision["action"] for decision in decisions] == ["verify"]
    assert "whose own people are asked first" in decisions[0]["because"]


def test_reason_and_source_of_a_recommendation_come_apart_without_the_remark_on_shadow(campaign: Made) -> None:
    decision = recommended_decisions(campaign(probability=None), {}, load_policy(None))[0]
    reason, source = reason_and_source(decision["because"])
    assert source == "policy default 1, rule large-harvest"
    assert reason.endswith("while people look at it.")
    assert reason_and_source("A reason (of a kind).") == ("A reason (of a kind).", "")
