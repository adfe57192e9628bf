"""Verified organisations as units: found by wordings of a campaign outside, or by asking for everything."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.campaigns.clues import (
    DECLARED,
    REACHED,
    TELLING,
    bearing,
    facts,
    intents,
    learned,
    members,
    ordinary,
    ordinary_units,
    outcome,
    unit,
)
from tests.campaigns.logs import Logs

from stillwatch.campaigns import Facts, Marks, Member, Past, Surroundings, campaigns, organisation_units
from stillwatch.campaigns.facts import Relayed, Usage
from stillwatch.campaigns.harvest import harvest
from stillwatch.campaigns.hypotheses import Finding
from stillwatch.campaigns.known import Span
from stillwatch.campaigns.ordinary import Ordinary
from stillwatch.campaigns.organisations import MIN_PEERS, SAME_HARVEST_P_VALUE, declared_control, declared_verdict
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import EXTRACTION_TECHNIQUES, INTENTS

REFERENCE = ordinary()
FIRM = [f"o{n}" for n in range(8)]
OUTSIDE = [f"x{n}" for n in range(6)]
CAMPAIGN = facts(members=[Member(name) for name in OUTSIDE])
ASKS = ("forced_trace_tags", "rubric_grading", "task_generation")
COMMON = ("forced_trace_tags", "post_hoc_rationale", "trace_cleaning")  # what a product of somebody's asks for
PRETEXTS = ("debug_pretext", "translation_laundering")


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


def units(logs: Logs, engine: EmbeddedEngine, accused: list[Facts], reference: Ordinary = REFERENCE) -> list[Facts]:
    return organisation_units(logs.tables(engine), engine, logs.sent(), accused, reference)


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


def everybody(others: int = 700, **users: int) -> Ordinary:
    """The firm and so many other customers: 20 use each of COMMON, and of other techniques as many as is said."""
    asked = [dict(zip(INTENTS, one.intents, strict=True)) for one in ordinary_units(others + 1)]
    uses = dict.fromkeys(COMMON, 20) | users
    for place, one in enumerate(asked):
        one |= {name: int(place == others or place < uses.get(name, 0)) for name in EXTRACTION_TECHNIQUES}
    crowd = zip(ordinary_units(others + 1), asked, strict=True)
    return learned([replace(one, intents=intents(**counts)) for one, counts in crowd])


def test_an_organisation_that_reaches_for_reasoning_as_hardly_anybody_does_is_a_unit_of_the_accounts_that_do(
    engine: EmbeddedEngine,
) -> None:
    """Each account asks for one thing, and there is no other organisation to compare with."""
    logs = firm()
    for number, account in enumerate(FIRM[:6]):
        logs.send(account, 20 + number % 2, 6, asks=PRETEXTS[number % 2])
    logs.send(FIRM[6], 20, 1, asks=PRETEXTS[0])  # once or twice is no use of a wording
    (found,) = units(logs, engine, [], everybody(1_000, debug_pretext=1))
    assert found.declared is not None
    assert found.account_ids == FIRM[:6]
    assert found.declared.reached == (("debug_pretext", 3, 1, 1_000), ("translation_laundering", 3, 0, 1_000))
    assert found.declared.peers == 0
    assert found.bearing.exchanges == 6 * 6


def test_a_partner_is_no_exception_as_its_customers_are_customers(engine: EmbeddedEngine) -> None:
    (found,) = units(asking(PRETEXTS, access_program="partner"), engine, [], everybody())
    assert found.declared is not None
    assert [way.technique for way in found.declared.reached] == list(PRETEXTS)


def relayed(asks: tuple[str, ...], times: int = 6, others: int = 50, **columns: Any) -> Logs:
    """A partner of whose accounts five send a wording for each ask, so often each, and eight what customers do."""
    logs = firm(**{"access_program": "partner", **columns})
    for template, ask in enumerate(asks, start=20):
        for account in FIRM[:5]:
            logs.send(account, template, times, asks=ask, family=40 + template)
    for account in FIRM:
        logs.send(account, None, others)
    return logs


def test_a_partner_is_a_unit_where_several_prompts_that_ask_are_each_a_large_part_of_what_it_sends(
    engine: EmbeddedEngine,
) -> None:
    (found,) = units(relayed(ASKS), engine, [])
    assert found.account_ids == FIRM[:5]
    assert found.declared is not None
    assert found.declared.relayed == (3, round(90 / (8 * 5 + 8 * 50 + 90), 6))
    assert (found.declared.outside, found.declared.reached, found.declared.peers) == ((), (), 0)
    assert judged(found, REFERENCE) == "coordinated"


@pytest.mark.parametrize(
    "logs",
    [
        relayed(ASKS[:2]),
        relayed(ASKS, times=5, others=80),
        relayed(("step_by_step", *ASKS[:2])),
        relayed(ASKS, verification_level="email"),
    ],
    ids=["a product of one or two prompts", "small parts", "one asks for what products ask for", "nobody verified it"],
)
def test_less_than_that_is_the_traffic_of_customers(engine: EmbeddedEngine, logs: Logs) -> None:
    assert units(logs, engine, []) == []


def test_one_prompt_in_several_wordings_is_one(engine: EmbeddedEngine) -> None:
    logs = relayed(ASKS)
    for row in logs.exchanges:
        row["family_id"] = row["family_id"] and 1
    assert units(logs, engine, []) == []


def test_a_prompt_that_is_mostly_refused_asks_for_nothing(engine: EmbeddedEngine) -> None:
    logs = relayed(ASKS)
    for row in logs.exchanges:
        if row["template_id"] == 20:
            row["finish_reason"] = "refusal"
    assert units(logs, engine, []) == []


def test_a_company_is_not_asked_how_large_a_part_its_own_products_are(engine: EmbeddedEngine) -> None:
    found = units(relayed(ASKS, access_program="enterprise"), engine, [])
    assert [one.declared.relayed for one in found if one.declared] == [None]


def test_of_an_organisation_one_thing_is_tested_first_what_others_send_then_how_it_reaches(
    engine: EmbeddedEngine,
) -> None:
    (found,) = units(asking((*PRETEXTS, *ASKS)), engine, [], everybody())
    assert found.declared is not None
    assert len(found.declared.reached) == 2
    both = relay()
    for template, ask in enumerate(PRETEXTS, start=20):
        for account in FIRM[:5]:
            both.send(account, template, 6, asks=ask)
    (found,) = units(both, engine, [CAMPAIGN], everybody())
    assert found.declared is not None
    assert found.account_ids == FIRM[:4]
    assert (found.declared.outside, found.declared.reached) == ((tuple(OUTSIDE),), ())


def refused(share: int) -> Logs:
    """Two pretexts, every wording refused so often of six times."""
    logs = asking(PRETEXTS)
    for number, row in enumerate(row for row in logs.exchanges if row["intents"]):
        row["finish_reason"] = "content_filter" if number % 6 < share else "stop"
    return logs


def tried(accounts: int, times: int) -> Logs:
    """A red team: so many accounts try each of twelve forms, and what is asked in them is the same."""
    logs = firm()
    for form in range(12):
        for account in FIRM[:accounts]:
            logs.send(account, 20 + form, times, asks=PRETEXTS[form % 2])
            for number, row in enumerate(logs.exchanges[-times:]):
                row["item_id"] = -1 - (times * form + number)
    return logs


@pytest.mark.parametrize(
    ("logs", "reference"),
    [
        (asking(PRETEXTS[:1]), everybody()),
        (asking((PRETEXTS[0], COMMON[0])), everybody()),
        (one_product_each(), everybody()),
        (asking(COMMON[:2]), everybody()),
        (asking(PRETEXTS), everybody(1_000, debug_pretext=2)),
        (asking(PRETEXTS), everybody(597)),
        (asking(PRETEXTS, verification_level="email"), everybody()),
        (tried(4, 2), everybody()),
        (refused(4), everybody()),
    ],
    ids=[
        "one pretext",
        "a pretext and a tag",
        "several products with one tag each",
        "what customers do ask for",
        "two of a thousand others do it",
        "too few others to say that it is rare",
        "nobody verified it",
        "a red team of four",
        "a red team that is mostly refused",
    ],
)
def test_products_and_red_teams_do_not_reach_as_a_harvest_does(
    engine: EmbeddedEngine, logs: Logs, reference: Ordinary
) -> None:
    assert [one for one in units(logs, engine, [], reference) if one.declared and one.declared.reached] == []


def test_two_pretexts_in_each_prompt_of_one_product_are_one_wording(engine: EmbeddedEngine) -> None:
    logs = asking(PRETEXTS[:1])
    for row in logs.exchanges:
        row["intents"] = row["intents"] and sum(1 << INTENTS.index(name) for name in PRETEXTS)
    assert units(logs, engine, [], everybody()) == []


def test_a_large_red_team_asks_the_same_again_and_that_is_no_harvest(engine: EmbeddedEngine) -> None:
    (found,) = units(tried(8, 2), engine, [], everybody())
    assert found.declared is not None
    assert found.declared.reached
    assert harvest(found, everybody()).result == "not_proven"
    assert judged(found, everybody()) is None
    for number, row in enumerate((logs := tried(8, 8)).exchanges):
        row["item_id"] = number  # the same, but a corpus shared out
    (found,) = units(logs, engine, [], everybody())
    assert judged(found, everybody()) == "coordinated"


def judged(found: Facts, reference: Ordinary) -> str | None:
    """The verdict on what runs through an organisation, no campaign outside."""
    return next((one["verdict"] for one in campaigns_of([found], reference=reference)), None)


def test_units_do_not_depend_on_the_order_of_rows(engine: EmbeddedEngine) -> None:
    one, other = relay(), relay()
    other.exchanges.reverse()
    other.accounts.reverse()
    assert units(one, engine, [CAMPAIGN]) == units(other, engine, [CAMPAIGN])


def verdict(harvest: str, explanations: list[Finding] | None = None, **changes: Any) -> str | None:
    given = {"own_p_value": 0.01, "is_own": True, "outside": {"distillation"}}
    given |= {key: changes.pop(key) for key in given if key in changes}
    return declared_verdict(replace(DECLARED, **changes), outcome(harvest), explanations or [], **given)


def test_the_same_wordings_as_a_proven_harvest_are_one_when_they_are_far_out_here_too() -> None:
    assert verdict("proven") == "distillation"
    assert verdict("not_proven", is_own=False) == "coordinated", "far out, and no harvest by itself"
    assert verdict("proven", is_own=False) == "coordinated", "a harvest together with the campaign only"
    assert verdict("proven", own_p_value=0.2) == "coordinated"
    assert verdict("not_proven", own_p_value=0.2) is None


def test_common_control_outside_alone_needs_a_harvest_that_is_proven() -> None:
    assert verdict("proven", outside={"coordinated"}) == "coordinated"
    assert verdict("not_proven", outside={"coordinated"}) is None


def test_an_organisation_alone_is_never_accused_of_distillation() -> None:
    alone = {"outside": set(), "peers": MIN_PEERS}
    assert verdict("proven", own_p_value=0.001, **alone) is not None
    declared = replace(DECLARED, outside=(), peers=MIN_PEERS)
    assert declared_verdict(declared, TELLING, [], own_p_value=0.001, is_own=True, outside=set()) == "coordinated"
    few = replace(declared, peers=MIN_PEERS - 1)
    assert declared_verdict(few, TELLING, [], own_p_value=0.001, is_own=True, outside=set()) == "insufficient_data"
    ordinary_among_peers = replace(declared, peers_as_far=2)
    assert declared_verdict(ordinary_among_peers, TELLING, [], own_p_value=0.001, is_own=True, outside=set()) is None


def test_reaching_as_hardly_anybody_does_is_coordinated_at_most_and_needs_no_other_organisation() -> None:
    reaching = {"outside": (), "reached": (REACHED,), "peers": 0}
    declared = replace(DECLARED, **reaching)
    assert declared_verdict(declared, TELLING, [], own_p_value=1e-9, is_own=True, outside=set()) == "coordinated"
    as_far = replace(declared, peers=20, peers_as_far=20)
    assert declared_verdict(replace(as_far, reached=()), TELLING, [], own_p_value=0, is_own=True, outside=set()) is None
    assert declared_verdict(as_far, TELLING, [], own_p_value=1e-9, is_own=True, outside=set()) == "coordinated"
    assert declared_verdict(declared, outcome("not_proven"), [], own_p_value=1e-9, is_own=True, outside=set()) is None
    holds = [Finding("analyst verdict", True, "so")]
    assert declared_verdict(declared, TELLING, holds, own_p_value=1e-9, is_own=True, outside=set()) == "explained"


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


def test_a_campaign_of_an_organisation_that_reaches_says_how_and_how_many_others_do() -> None:
    inside = unit(outside=(), shared=0, reached=(REACHED, REACHED._replace(technique="replay_decoding", others=0)))
    (through,) = campaigns_of([inside])
    assert through["verdict"] == "coordinated"
    assert through["declared"]["because"].endswith(
        "They ask for the model's reasoning in ways that hardly any other customer does: debug pretext (9 accounts; "
        "1 of 1,200 other customers), replay decoding (9 accounts; 0 of 1,200 other customers)."
    )


def test_a_campaign_through_a_partner_says_how_large_a_part_it_is_and_whose_it_may_be() -> None:
    inside = unit(outside=(), shared=0, relayed=Relayed(4, 0.487))
    (through,) = campaigns_of([inside])
    assert through["verdict"] == "coordinated"
    because = through["declared"]["because"]
    assert because.startswith("What could be a harvest runs through")
    assert because.endswith(
        "4 different prompts that ask for what customers seldom ask for are 49% of all that this partner sends, each "
        "at least 5%; the traffic of many customers is mixed. They may be the work of one large customer, whom the "
        "partner can name."
    )


def test_what_is_far_out_in_one_organisation_of_many_asked_about_may_be_chance() -> None:
    """Who alone shares wordings with the campaign is `coordinated`, and among ten nobody is.

    Customers who happen to use two of its wordings are far out by what they do all day; by itself that is no harvest.
    """
    outside = facts(members=[Member(f"x{n}") for n in range(12)])
    asks = intents(step_by_step=20)
    taken = Usage(100, 90, 8, 1, 0, 90_000, 100, asks, {"general": 67, "reasoning": 33})
    inside = replace(unit(outside=(tuple(outside.account_ids),), pooled=taken), bearing=taken)
    p_value = harvest(inside, REFERENCE).p_value
    assert p_value is not None
    assert SAME_HARVEST_P_VALUE / 10 < p_value <= SAME_HARVEST_P_VALUE
    assert [one["verdict"] for one in campaigns_of([inside], outside) if one["declared"]] == ["coordinated"]
    assert not any(one["declared"] for one in campaigns_of([inside] * 10, outside))


def campaigns_of(
    inside: list[Facts], outside: Facts | None = None, reference: Ordinary = REFERENCE
) -> list[dict[str, Any]]:
    """What is reported of a campaign and of what runs through organisations."""
    clusters = [*([outside] if outside else []), *inside]
    spans = {id_: Span(9, one.first_seen_at, one.last_seen_at) for one in clusters for id_ in one.account_ids}
    past = Past((), spans, clusters[0].last_seen_at)
    marks = [Marks() for _ in clusters]
    return campaigns(clusters, reference, marks=marks, past=past, others=Surroundings(1000))


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
