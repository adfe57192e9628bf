"""Assembled campaigns: the verdict follows from the tests, and the record from the facts."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.campaigns.clues import (
    CONTENT,
    MUCH,
    NETWORK,
    ORDINARY,
    bearing,
    customers,
    facts,
    intents,
    learned,
    members,
    one_day,
    ordinary,
    tie,
)

from stillwatch import schemas
from stillwatch.campaigns import (
    Facts,
    Known,
    Marks,
    Member,
    Past,
    Surroundings,
    campaigns,
    judged_accounts,
    remembered,
    template_name,
    verdicts,
)
from stillwatch.campaigns.assemble import MAX_EVIDENCE, MAX_TEMPLATES
from stillwatch.campaigns.attempts import AttemptDay, Attempts, TechniqueUse
from stillwatch.campaigns.facts import Evidence, GroupLink, TemplateUse
from stillwatch.campaigns.handed_on import HandedOn
from stillwatch.campaigns.hypotheses import Finding
from stillwatch.campaigns.identity import new_id
from stillwatch.campaigns.known import Span
from stillwatch.campaigns.marks import Sample, as_json
from stillwatch.campaigns.volume import Volume
from stillwatch.records import EXTRACTION_TECHNIQUES, INTENTS

REFERENCE = ordinary()
NO_REFERENCE = ordinary(20)
MARKS = Marks(wordings=Sample(1, ["0123456789abcdef"]), clients={"client": 1.0}, infrastructure={"ip": ["a"]})


def window(clusters: Sequence[Facts], known: Sequence[Known] = ()) -> Past:
    """A window in which every member was active all along."""
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 9, tzinfo=UTC)
    ids = [account_id for cluster in clusters for account_id in cluster.account_ids]
    return Past(known, {account_id: Span(100, first, last) for account_id in ids}, last)


def assembled(*clusters: Facts, ordinary_traffic: Any = REFERENCE, known: Any = ()) -> list[dict[str, Any]]:
    marks = [MARKS] * len(clusters)
    past = window(clusters, known)
    return campaigns(clusters, ordinary_traffic, marks=marks, past=past, others=Surroundings(1000))


def test_coordination_and_harvest_without_an_explanation_are_distillation() -> None:
    (found,) = assembled(facts())
    assert found["verdict"] == "distillation"
    assert found["missing"] == []
    assert not any(h["survives"] for h in found["benign_hypotheses"])


@pytest.mark.parametrize(("reached", "verdict"), [(3, "coordinated"), (5, "distillation")])
def test_what_proves_control_has_to_reach_a_good_part_of_those_charged(reached: int, verdict: str) -> None:
    """Control may be proven by a few: all users of a wording are not theirs for that."""
    few = GroupLink("network", reached, 0.5, 12, 1e-9)
    found = assembled(facts(links=[CONTENT, few]))[0]
    assert (found["coordination"]["result"], found["verdict"]) == ("proven", verdict)
    assert any("ties beside wordings for more of the accounts" in one for one in found["missing"]) == (reached == 3)


def using(*asked: str) -> tuple[int, ...]:
    """The exchanges of an account that asks for each of these."""
    return tuple(375 if name in asked else 0 for name in INTENTS)


def kinds(ties: int) -> list[GroupLink]:
    """So many kinds of ties beside wordings, three at most."""
    return [tie(group) for group in ("network", "payment", "device")[:ties]]


GRADING, SEVERAL = using("pairwise_judging"), using("forced_trace_tags", "debug_pretext")


@pytest.mark.parametrize(("volume", "verdict"), [(ORDINARY, "coordinated"), (MUCH, "distillation")])
def test_who_do_a_trades_work_have_to_take_more_than_a_trade_does(volume: Volume, verdict: str) -> None:
    """A crowd that marks answers shares wordings, rooms and cards; a harvest of marks takes far more."""
    marking = facts(member_days=one_day([GRADING] * 12), volume=volume)
    found = assembled(marking)[0]
    assert (found["harvest"]["result"], found["verdict"]) == ("proven", verdict)
    assert any("people at one trade ask" in one for one in found["missing"]) == (verdict == "coordinated")


@pytest.mark.parametrize(
    ("ties", "together", "verdict"), [(2, 12, "coordinated"), (3, 12, "distillation"), (3, 10, "coordinated")]
)
def test_who_do_a_trades_work_and_share_more_than_a_trade_does_are_charged(
    ties: int, together: int, verdict: str
) -> None:
    """Three kinds of things beside one body of wordings, and nobody reaches for reasoning or takes much."""
    links = [replace(CONTENT, together=together), *kinds(ties)]
    marking = facts(links=links, volume=ORDINARY, member_days=one_day([GRADING] * 12))
    (found,) = assembled(marking)
    assert (found["harvest"]["result"], found["verdict"]) == ("proven", verdict)
    assert len(found["missing"]) == (verdict == "coordinated")


FEW, MANY = 300, 900  # ordinary customers, none of whom uses a technique; fewer than 600 cannot show that one is rare


@pytest.mark.parametrize(
    ("techniques", "ties", "of", "verdict"),
    [
        (("forced_trace_tags",), 2, FEW, "coordinated"),
        (("forced_trace_tags",), 3, FEW, "distillation"),
        (("forced_trace_tags", "post_hoc_rationale"), 1, FEW, "distillation"),
        (("replay_decoding",), 1, FEW, "coordinated"),
        (("replay_decoding",), 1, MANY, "distillation"),
    ],
)
def test_one_usual_way_to_reasoning_is_a_trades_unless_much_ties_the_accounts(
    techniques: tuple[str, ...], ties: int, of: int, verdict: str
) -> None:
    links = [CONTENT, *kinds(ties)]
    cluster = facts(links=links, volume=ORDINARY, member_days=one_day([using(*techniques)] * 12))
    (found,) = assembled(cluster, ordinary_traffic=learned(customers(0, of)))
    assert (found["harvest"]["result"], found["verdict"]) == ("proven", verdict)
    assert any("people at one trade ask" in one for one in found["missing"]) == (verdict == "coordinated")


def test_a_technique_that_a_single_account_tries_is_no_second_one() -> None:
    days = one_day([using("forced_trace_tags", "trace_cleaning"), *[using("forced_trace_tags")] * 11])
    tried, meant = (
        assembled(facts(volume=ORDINARY, member_days=each), ordinary_traffic=learned(customers(0)))[0]["verdict"]
        for each in (days, one_day([using("forced_trace_tags", "trace_cleaning")] * 12))
    )
    assert (tried, meant) == ("coordinated", "distillation")


@pytest.mark.parametrize(("together", "verdict"), [(10, "coordinated"), (11, "distillation")])
def test_who_are_charged_without_volume_have_to_hang_together_by_what_they_say(together: int, verdict: str) -> None:
    """Of a crowd that shares rooms with a campaign nobody need have reached for anything."""
    links, days = [replace(CONTENT, together=together), NETWORK], one_day([SEVERAL] * 12)
    cluster = facts(links=links, volume=ORDINARY, member_days=days)
    (found,) = assembled(cluster, ordinary_traffic=learned(customers(0)))
    assert (found["harvest"]["result"], found["verdict"]) == ("proven", verdict)
    assert any("or one body of wordings" in one for one in found["missing"]) == (verdict == "coordinated")


def test_who_take_far_more_are_charged_whatever_else_they_say() -> None:
    (found,) = assembled(facts(links=[replace(CONTENT, together=4), NETWORK], volume=MUCH))
    assert found["verdict"] == "distillation"


@pytest.mark.parametrize(
    ("ties", "reached", "verdict"), [(1, 5, "coordinated"), (3, 5, "distillation"), (1, 3, "coordinated")]
)
def test_far_more_output_charges_nobody_for_what_some_of_them_reach_for(ties: int, reached: int, verdict: str) -> None:
    """They write much, and what they ask for is no more than as many customers may."""
    several = [replace(link, linked=reached) for link in kinds(ties)]
    sent = [intents(forced_trace_tags=1)] * 12
    cluster = facts(
        links=[CONTENT, *several],
        volume=MUCH,
        member_days=one_day(sent),
        bearing=bearing(intents=intents(forced_trace_tags=12)),
    )
    (found,) = assembled(cluster, ordinary_traffic=learned(customers(0)))
    assert (found["harvest"]["result"], found["verdict"]) == ("proven", verdict)
    assert len(found["missing"]) == (verdict == "coordinated")
    assert all("more of what a harvest asks for" in one or "no amount tells" in one for one in found["missing"])


@pytest.mark.parametrize(("named", "verdict"), [(0.0, "coordinated"), (0.5, "distillation")])
def test_who_share_no_wording_beyond_chance_hang_together_by_a_partners_alone(named: float, verdict: str) -> None:
    """Of a cluster that a lead brought together wordings do not speak once more."""
    days = one_day([SEVERAL] * 12)
    without = facts(links=[NETWORK, tie("payment")], volume=ORDINARY, named=named, member_days=days)
    (found,) = assembled(without, ordinary_traffic=learned(customers(0)))
    assert (found["harvest"]["result"], found["verdict"]) == ("proven", verdict)


def test_where_no_volume_was_tested_ties_suffice() -> None:
    marking = facts(member_days=one_day([GRADING] * 12))
    assert (marking.volume.result, assembled(marking)[0]["verdict"]) == ("not_tested", "distillation")


def test_who_take_far_more_than_customers_do_are_charged_however_few_are_tied() -> None:
    few = GroupLink("network", 3, 0.5, 12, 1e-9)
    much, usual = (assembled(facts(links=[CONTENT, few], volume=volume))[0] for volume in (MUCH, ORDINARY))
    assert (much["verdict"], usual["verdict"]) == ("distillation", "coordinated")
    assert not any("ties beside wordings" in one for one in much["missing"])


def test_ties_of_several_groups_add_up() -> None:
    few = [GroupLink(group, 3, 0.5, 12, 1e-9) for group in ("network", "payment")]
    assert assembled(facts(links=[CONTENT, *few]))[0]["verdict"] == "distillation"


def test_coordination_without_a_provable_harvest_is_coordinated() -> None:
    (found,) = assembled(facts(), ordinary_traffic=NO_REFERENCE)
    assert found["verdict"] == "coordinated"
    assert found["harvest"]["result"] == "not_tested"
    assert found["missing"] == [found["harvest"]["because"]]


def test_an_innocent_explanation_that_holds_explains_the_campaign() -> None:
    (found,) = assembled(facts(pardoned=True))
    assert found["verdict"] == "explained"


def test_an_agency_that_marks_is_asked_who_it_is_and_not_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    agency = Finding("workplace", True, "so", coordinated=True)
    monkeypatch.setattr(verdicts, "findings", lambda *_: [agency])
    (found,) = assembled(facts())
    assert found["harvest"]["result"] == "proven"
    assert found["verdict"] == "coordinated"
    assert [one["explains_control"] for one in found["benign_hypotheses"]] == [False]
    monkeypatch.setattr(verdicts, "findings", lambda *_: [replace(agency, survives=False)])
    (found,) = assembled(facts())
    assert found["verdict"] == "distillation"


def test_known_are_the_accounts_of_what_is_accused_or_explained_and_not_by_what_others_send_too() -> None:
    names = ("accused", "pardoned", "public", "loose")
    accused, pardoned, public, loose = (
        replace(facts(), members=[replace(one, account_id=f"{name}-{i}") for i, one in enumerate(members(6))])
        for name in names
    )
    same = {"public_share": 1.0, "bearing": bearing(exchanges=0), "links": [CONTENT, NETWORK]}
    public, loose = replace(public, **same), replace(loose, links=[CONTENT])
    explaining = [one["name"] for one in assembled(public)[0]["benign_hypotheses"] if one["survives"]]
    assert "public template" in explaining
    known = judged_accounts([accused, replace(pardoned, pardoned=True), public, loose], REFERENCE)
    assert {name.split("-")[0] for name in known} == {"accused", "pardoned"}
    assert len(known) == 12


def test_a_harvest_whose_accounts_share_one_group_only_lacks_data() -> None:
    (found,) = assembled(facts(links=[CONTENT]))
    assert found["verdict"] == "insufficient_data"
    assert any("second independent group" in text for text in found["missing"])


def test_a_harvest_whose_second_group_was_measured_and_does_not_tell_is_no_campaign() -> None:
    assert assembled(facts(links=[CONTENT, replace(NETWORK, p_value=0.5)])) == []


def test_strangers_behind_one_address_are_no_campaign() -> None:
    assert assembled(facts(links=[NETWORK], bearing=bearing(exchanges=0))) == []


def test_one_verified_customer_is_explained() -> None:
    firm = facts(members=members(organization_id="o", verification_level="business"))
    (found,) = assembled(replace(firm, bearing=bearing(copies=5000 * 11)))
    assert found["verdict"] == "explained"


def test_the_worst_verdict_comes_first_and_then_the_larger() -> None:
    def other(letter: str, **changes: Any) -> Facts:
        renamed = [replace(member, account_id=letter + member.account_id) for member in members()]
        return facts(members=renamed, **changes)

    found = assembled(other("x", pardoned=True), other("y", exchanges=5500), other("z", exchanges=9000))
    assert [c["verdict"] for c in found] == ["distillation", "distillation", "explained"]
    assert [c["exposure"]["exchanges"] for c in found[:2]] == [9000, 5500]


def test_a_campaign_keeps_its_id_from_the_last_run() -> None:
    (first,) = assembled(facts())
    assert first["campaign_id"] == new_id(facts().account_ids)
    known = remembered([first], window([facts()]))
    (second,) = assembled(facts(members=members(10)), known=known)
    assert second["campaign_id"] == first["campaign_id"]


def test_marks_are_kept_with_the_campaign_and_agree_with_its_schema() -> None:
    (found,) = assembled(facts())
    assert found["marks"] == as_json(MARKS)
    Draft202012Validator(schemas.schema("campaigns")).validate([found])


def test_of_what_is_coordinated_the_far_more_than_ordinary_comes_first() -> None:
    large = Volume("proven", 0.001, 10.0, 3.5, "together they take 3.5 times as much")
    small, busy = (facts(members=[Member(f"{name}{i:02d}") for i in range(12)]) for name in "bc")
    few = replace(small, volume=large, exchanges=5500)
    found = assembled(busy, few, ordinary_traffic=NO_REFERENCE)
    assert [one["verdict"] for one in found] == ["coordinated", "coordinated"]
    assert [one["account_ids"][0] for one in found] == ["b00", "c00"]
    assert [one["volume"]["result"] for one in found] == ["proven", "not_tested"]
    (measure,) = found[0]["volume"]["measures"]
    assert (measure["name"], measure["value"], measure["reference"]) == ("times ordinary", 3.5, 1.0)
    Draft202012Validator(schemas.schema("campaigns")).validate(found)


def test_volume_moves_no_verdict() -> None:
    large = Volume("proven", 0.001, 10.0, 3.5, "together they take 3.5 times as much")
    for changes in ({}, {"links": [NETWORK], "bearing": bearing(exchanges=0)}, {"pardoned": True}):
        plain, told = assembled(facts(**changes)), assembled(facts(**changes, volume=large))
        assert [one["verdict"] for one in told] == [one["verdict"] for one in plain]


def test_every_explanation_says_what_it_means_and_how_near_it_came() -> None:
    (found,) = assembled(facts())
    told = {hypothesis["name"]: hypothesis for hypothesis in found["benign_hypotheses"]}
    assert told["same items"]["meaning"].startswith("Everybody asks the same questions")
    assert 0 <= told["same items"]["nearness"] < 1
    assert [name for name, hypothesis in told.items() if not hypothesis["explains_control"]] == [
        "multiple accounts without harvest"
    ]


def test_lists_are_cut_and_the_strongest_evidence_is_kept() -> None:
    evidence = [Evidence("ip", "network", "network", f"v{i:03d}", 4, 0, float(i), "low") for i in range(150)]
    templates = [TemplateUse(i, 10, 5, 9, None) for i in range(80)]
    (found,) = assembled(facts(evidence=evidence, templates=templates))
    assert len(found["evidence"]) == MAX_EVIDENCE
    assert found["evidence"][0]["value"] == "v149"
    assert len(found["templates"]) == MAX_TEMPLATES


def test_templates_carry_one_name_in_evidence_and_templates() -> None:
    (found,) = assembled(facts())
    assert found["evidence"][0]["value"] == found["templates"][0]["template_id"] == template_name(17)
    assert template_name(-1) == "t-" + "f" * 16


def test_extraction_and_replays_are_told_and_move_no_verdict() -> None:
    days = [AttemptDay(date(2026, 1, 2), (name,), True, 20, 20, 15) for name in EXTRACTION_TECHNIQUES]
    days.append(AttemptDay(date(2026, 1, 4), ("replay_decoding",), False, 1, 900, 3))
    uses = {name: TechniqueUse(20, 15, 2) for name in EXTRACTION_TECHNIQUES}
    reached = {
        "attempts": Attempts(6000, 1080, 138, 9, uses, days),
        "handed_on": HandedOn(
            7, 9, 3, 2, 6, 1, 0, 4, datetime(2026, 1, 4, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC)
        ),
    }
    for changes in ({}, {"links": [NETWORK], "bearing": bearing(exchanges=0)}, {"pardoned": True}):
        plain, told = assembled(facts(**changes)), assembled(facts(**changes, **reached))
        assert [found["verdict"] for found in told] == [found["verdict"] for found in plain]
    (found,) = assembled(facts(**reached))
    Draft202012Validator(schemas.schema("campaigns")).validate([found])
    assert found["extraction"]["sweep"]["winner"] == {
        "techniques": ["replay_decoding"],
        "exchanges": 900,
        "first_on": "2026-01-04",
    }
    assert (found["replays"]["artefacts"], found["replays"]["first_at"]) == (7, "2026-01-04T00:00:00+00:00")
    (plain,) = assembled(facts())
    assert (plain["extraction"]["result"], plain["extraction"]["sweep"]) == ("not_tested", None)
    assert plain["replays"]["last_at"] is None


def test_no_probability_is_claimed_before_anything_calibrates_it() -> None:
    (found,) = assembled(facts())
    assert found["probability"] is None
    assert found["probability_basis"] is None


def test_no_clusters_are_no_campaigns() -> None:
    assert assembled() == []
