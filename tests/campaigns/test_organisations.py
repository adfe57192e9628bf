"""Verified organisations as units: found by wordings of a campaign outside, or by asking for everything."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.campaigns.clues import DECLARED, TELLING, bearing, facts, intents, members, ordinary, outcome, unit
from tests.campaigns.logs import Logs

from stillwatch.campaigns import Facts, Marks, Member, Past, Surroundings, campaigns, organisation_units
from stillwatch.campaigns.facts import Usage
from stillwatch.campaigns.harvest import harvest
from stillwatch.campaigns.hypotheses import Finding
from stillwatch.campaigns.known import Span
from stillwatch.campaigns.organisations import MIN_PEERS, SAME_HARVEST_P_VALUE, declared_control, declared_verdict
from stillwatch.engines.embedded import EmbeddedEngine

REFERENCE = ordinary()
FIRM = [f"o{n}" for n in range(8)]
OUTSIDE = [f"x{n}" for n in range(6)]
CAMPAIGN = facts(members=[Member(name) for name in OUTSIDE])
ASKS = ("forced_trace_tags", "rubric_grading", "task_generation")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(tmp_path, memory_limit="200MB", threads=1) as engine:
        yield engine


def firm(**columns: Any) -> Logs:
    """An organisation of eight accounts with a template of its own, six outsiders and some strangers."""
    logs = Logs()
    checked = {"access_program": "enterprise", "verification_level": "contract", **columns}
    logs.open(FIRM, organization_id="o", **checked)
    logs.open([*OUTSIDE, *(f"s{n}" for n in range(20))])
    for account in FIRM:
        logs.send(account, 1, 5)
    return logs


def units(logs: Logs, engine: EmbeddedEngine, accused: list[Facts]) -> list[Facts]:
    return organisation_units(logs.tables(engine), engine, logs.sent(), accused, REFERENCE)


def relay(wordings: int = 2, strangers: int = 0) -> Logs:
    """Four of the accounts send wordings of the campaign outside; so do strangers, when asked for."""
    logs = firm()
    for template in range(10, 10 + wordings):
        senders = [*OUTSIDE, *FIRM[:4], *(f"s{n}" for n in range(strangers))]
        for account in senders:
            logs.send(account, template, 6, asks="forced_trace_tags")
    return logs


def test_an_organisation_that_sends_a_campaigns_wordings_is_a_unit_of_the_accounts_that_do(
    engine: EmbeddedEngine,
) -> None:
    (found,) = units(relay(), engine, [CAMPAIGN])
    assert found.account_ids == FIRM[:4]
    assert found.declared is not None
    assert found.declared.organisation == "o"
    assert found.declared.accounts == len(FIRM)
    assert found.declared.outside == (tuple(OUTSIDE),)
    assert found.declared.shared == 2
    assert found.bearing.exchanges == 2 * 4 * 6
    assert found.declared.pooled.exchanges == found.bearing.exchanges + CAMPAIGN.bearing.exchanges
    assert all(item.weight_bits > 0 for item in found.evidence)


@pytest.mark.parametrize(
    ("logs", "accused"),
    [(relay(1), [CAMPAIGN]), (relay(strangers=3), [CAMPAIGN]), (relay(), []), (firm(), [CAMPAIGN])],
    ids=["one wording may be picked up", "strangers send it too", "nobody outside is accused", "nothing in common"],
)
def test_less_than_that_makes_no_unit(engine: EmbeddedEngine, logs: Logs, accused: list[Facts]) -> None:
    assert units(logs, engine, accused) == []


def asking(asks: tuple[str, ...], **columns: Any) -> Logs:
    """Five of the accounts send a wording of their own for each ask."""
    logs = firm(**columns)
    for template, ask in enumerate(asks, start=20):
        for account in FIRM[:5]:
            logs.send(account, template, 6, asks=ask)
    return logs


def one_product_each() -> Logs:
    """Three products, each on keys of its own."""
    logs = firm()
    for number, account in enumerate(FIRM):
        logs.send(account, 20 + number % 2, 20, asks=ASKS[number % 2])
    for account in ("p0", "p1", "p2"):
        logs.open([account], organization_id="o", access_program="enterprise", verification_level="contract")
        logs.send(account, 30, 20, asks=ASKS[2])
    return logs


def test_an_organisation_that_asks_for_many_things_is_a_unit_without_anybody_outside(engine: EmbeddedEngine) -> None:
    (found,) = units(asking(ASKS), engine, [])
    assert found.declared is not None
    assert found.account_ids == FIRM[:5]
    assert found.declared.asks == ASKS
    assert (found.declared.outside, found.declared.shared) == ((), 0)
    assert all(item.weight_bits == 0 for item in found.evidence)  # alone, its wordings are evidence of nothing


@pytest.mark.parametrize(
    "logs",
    [
        asking(ASKS[:2]),
        one_product_each(),
        asking(("step_by_step", "expert_persona", "rubric_grading")),
        asking(ASKS, access_program="partner"),
        asking(ASKS, verification_level="email"),
    ],
    ids=[
        "two things",
        "one thing to a key",
        "what products ask for",
        "a partner, broad by trade",
        "nobody verified it",
    ],
)
def test_products_a_partner_and_an_unverified_name_are_none(engine: EmbeddedEngine, logs: Logs) -> None:
    assert units(logs, engine, []) == []


def test_units_do_not_depend_on_the_order_of_rows(engine: EmbeddedEngine) -> None:
    one, other = relay(), relay()
    other.exchanges.reverse()
    other.accounts.reverse()
    assert units(one, engine, [CAMPAIGN]) == units(other, engine, [CAMPAIGN])


def verdict(harvest: str, explanations: list[Finding] | None = None, **changes: Any) -> str | None:
    given = {"own_p_value": 0.01, "outside": {"distillation"}} | {
        key: changes.pop(key) for key in ("own_p_value", "outside") if key in changes
    }
    return declared_verdict(replace(DECLARED, **changes), outcome(harvest), explanations or [], **given)


def test_the_same_wordings_as_a_proven_harvest_are_one_when_they_are_far_out_here_too() -> None:
    assert verdict("not_proven") == "distillation"
    assert verdict("proven", own_p_value=0.2) == "coordinated"
    assert verdict("not_proven", own_p_value=0.2) is None


def test_common_control_outside_alone_needs_a_harvest_that_is_proven() -> None:
    assert verdict("proven", outside={"coordinated"}) == "coordinated"
    assert verdict("not_proven", outside={"coordinated"}) is None


def test_an_organisation_alone_is_never_accused_of_distillation() -> None:
    alone = {"outside": set(), "peers": MIN_PEERS}
    assert verdict("proven", own_p_value=0.001, **alone) is not None
    declared = replace(DECLARED, outside=(), peers=MIN_PEERS)
    assert declared_verdict(declared, TELLING, [], own_p_value=0.001, outside=set()) == "coordinated"
    few = replace(declared, peers=MIN_PEERS - 1)
    assert declared_verdict(few, TELLING, [], own_p_value=0.001, outside=set()) == "insufficient_data"
    ordinary_among_peers = replace(declared, peers_as_far=2)
    assert declared_verdict(ordinary_among_peers, TELLING, [], own_p_value=0.001, outside=set()) is None


def test_an_innocent_explanation_that_holds_ends_the_accusation() -> None:
    holds = [Finding("analyst verdict", True, "so")]
    assert verdict("proven", holds) == "explained"
    assert verdict("not_proven", holds) is None


def test_the_link_is_said_to_be_declared_and_weighs_nothing() -> None:
    found = declared_control(DECLARED, 12)
    assert (found.result, found.p_value, found.bits) == ("proven", None, 0.0)
    assert found.because.startswith("the link is declared, not found")


def test_a_campaign_through_an_organisation_names_it_the_link_and_the_campaign_outside() -> None:
    outside = facts(members=[Member(f"x{n}") for n in range(12)])
    inside = unit(outside=(tuple(outside.account_ids),), pooled=bearing())
    found = campaigns_of([inside], outside)
    through = next(campaign for campaign in found if campaign["declared"])
    other = next(campaign for campaign in found if not campaign["declared"])
    assert through["verdict"] == other["verdict"] == "distillation"
    assert through["declared"]["same_wordings_as"] == [other["campaign_id"]]
    assert "says nothing against anybody" in through["declared"]["because"]
    assert f"{len(inside.members)} of the 40 accounts" in through["declared"]["because"]


def test_what_is_far_out_in_one_organisation_of_many_asked_about_may_be_chance() -> None:
    """The same part of one is called a harvest when it alone shares wordings with the campaign, and not among ten."""
    outside = facts(members=[Member(f"x{n}") for n in range(12)])
    asks = intents(step_by_step=20)
    taken = Usage(100, 90, 8, 1, 0, 90_000, 100, asks, {"general": 67, "reasoning": 33})
    inside = replace(unit(outside=(tuple(outside.account_ids),), pooled=taken), bearing=taken)
    p_value = harvest(inside, REFERENCE).p_value
    assert p_value is not None
    assert SAME_HARVEST_P_VALUE / 10 < p_value <= SAME_HARVEST_P_VALUE
    assert [one["verdict"] for one in campaigns_of([inside], outside) if one["declared"]] == ["distillation"]
    assert not any(one["declared"] for one in campaigns_of([inside] * 10, outside))


def campaigns_of(inside: list[Facts], outside: Facts) -> list[dict[str, Any]]:
    """What is reported of a campaign and of what runs through organisations."""
    first, last = outside.first_seen_at, outside.last_seen_at
    spans = {account: Span(9, first, last) for one in [outside, *inside] for account in one.account_ids}
    past = Past((), spans, last)
    marks = [Marks() for _ in [outside, *inside]]
    return campaigns([outside, *inside], REFERENCE, marks=marks, past=past, others=Surroundings(1000))


def test_usage_of_two_units_adds_up_and_nothing_changes_nothing() -> None:
    one, other = bearing(), Usage(10, 9, 2, 1, 0, 50, 5, intents(step_by_step=4), {"grading": 10})
    both = one + other
    assert (both.exchanges, both.items, both.accounts, both.copies) == (5010, 4909, 14, 101)
    assert both.capabilities == {"grading": 10, "reasoning": 5000}
    assert sum(both.intents) == sum(one.intents) + 4
    assert one + other == other + one
    assert (one + other) + one == one + (other + one)
    assert one + Usage() == Usage() + one == one


def test_members_of_a_unit_belong_to_a_verified_organisation() -> None:
    assert {member.principal for member in unit().members} == {"organisation o"}
    assert {member.principal for member in members(3)} == {"a00", "a01", "a02"}
