"""What an explanation says of a member, of an outsider and of nobody, and what it never says."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from math import log2
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.linkage import planted
from tests.test_recognised import EVERYBODY, found

from stillwatch import linkage
from stillwatch.explanations import Output, explanation, text
from stillwatch.explanations.words import (
    ACTION_WORDS,
    CHECK_WORDS,
    CONTINUES_WORDS,
    GROUP_WORDS,
    KIND_WORDS,
    VERDICT_WORDS,
)
from stillwatch.linkage.holdings import GROUPS
from stillwatch.records import ACTIONS, CHECKS, KINDS, LINKS, SEEN, VERDICT_RECORDS, VERDICTS, arrow_schema
from stillwatch.schemas import schema

ACCOUNTS = 1000  # of the whole run
MEMBERS = [f"member-{number:02}" for number in range(10)]
PROVEN = {"result": "proven", "p_value": 0.001, "bits": 30.0, "because": "10 principals share traits", "measures": []}
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def campaign(**given: Any) -> dict[str, Any]:
    return {
        "campaign_id": "c-0123456789ab",
        "verdict": "distillation",
        "account_ids": MEMBERS,
        "first_seen_at": "2026-03-01T00:00:00+00:00",
        "last_seen_at": "2026-03-09T00:00:00+00:00",
        "coordination": PROVEN,
        "harvest": PROVEN,
        "benign_hypotheses": [
            {
                "name": "analyst verdict",
                "survives": False,
                "because": "no analyst cleared these accounts",
                "meaning": "An analyst looked and cleared them.",
                "nearness": None,
                "explains_control": True,
            },
            {
                "name": "ci fleet",
                "survives": False,
                "because": "20% of the exchanges repeat an item of the same account",
                "meaning": "Machines of one owner repeat their requests.",
                "nearness": 0.4,
                "explains_control": True,
            },
        ],
        "missing": [],
        "lineage": [],
        "recommended_decisions": [
            {
                "action": "shape",
                "check": None,
                "account_ids": MEMBERS[:5],
                "because": "It harvests.",
                "approvals": 2,
                "expires_after_days": 14,
            }
        ],
        **given,
    }


def links(*held: tuple[str, str, list[str], int]) -> pa.Table:
    """Rows of links: kind, value, holders, and how many accounts hold it in all."""
    rows = [
        {
            "account_id": account,
            "kind": kind,
            "family": KINDS[kind][0],
            "value": value,
            "account_count": count,
            "weight_bits": 9.0,
            "durability": KINDS[kind][2],
        }
        for kind, value, holders, count in held
        for account in holders
    ]
    return pa.Table.from_pylist(rows, arrow_schema(LINKS))


def seen(*names: str, **given: Any) -> pa.Table:
    row = {
        "exchanges": 40,
        "first_seen_at": NOON,
        "last_seen_at": NOON,
        "bearing_exchanges": None,
        "is_verified_organisation": False,
    }
    return pa.Table.from_pylist([{**row, "account_id": name, **given} for name in names], arrow_schema(SEEN))


def output(**given: Any) -> Output:
    of = Output(
        campaigns=[campaign()],
        links=links(
            ("payment", "card", MEMBERS[:4], 4),
            ("ip", "near", [*MEMBERS[:3], "outsider"], 5),
            ("ip_prefix", "wide", [*MEMBERS[:3], "outsider"], 60),
            ("template", "17", MEMBERS, 10),
        ),
        seen=seen(*MEMBERS, "outsider", "alone", bearing_exchanges=10),
        verdicts=pa.Table.from_pylist([], arrow_schema(VERDICT_RECORDS)),
        run={"counts": {"accounts": ACCOUNTS}, "not_judged": []},
    )
    return replace(of, **given)


def opinion(subject: str, verdict: str, because: str, day: int) -> dict[str, Any]:
    kind = "campaign" if subject.startswith("c-") else "account"
    when = datetime(2026, 4, day, tzinfo=UTC)
    return {
        "subject": subject,
        "subject_kind": kind,
        "verdict": verdict,
        "because": because,
        "author": "ada",
        "decided_at": when,
    }


def told(account: str, of: Output) -> str:
    """The text of an explanation on one line, so that wrapping hides nothing."""
    explained = explanation(account, of)
    assert explained is not None
    return " ".join(text(explained).split())


def test_an_account_the_scan_did_not_see_has_no_explanation() -> None:
    assert explanation("nobody", output()) is None


def test_bits_of_a_member_say_how_much_commoner_the_trait_is_among_the_others() -> None:
    found = explanation(MEMBERS[0], output())
    assert found is not None
    assert found.membership is not None
    ties = {tie.kind: tie for tie in found.membership.ties}
    assert (ties["payment"].members, ties["payment"].others, ties["payment"].strangers) == (3, 9, 0)
    assert ties["payment"].bits == pytest.approx(log2((3.5 / 10) / (0.5 / 991)), abs=1e-5)
    assert (ties["template"].members, ties["template"].strangers) == (9, 0)
    assert found.membership.bits == pytest.approx(sum(tie.bits for tie in ties.values()))


def test_one_trait_speaks_for_each_independent_group() -> None:
    found = explanation(MEMBERS[0], output())
    assert found is not None
    assert found.membership is not None
    assert [tie.kind for tie in found.membership.ties] == ["template", "payment", "ip"]  # never ip_prefix beside ip
    assert (found.membership.ties[2].members, found.membership.ties[2].strangers) == (2, 2)


def test_bits_agree_with_the_membership_bits_of_linkage() -> None:
    inside = [planted.account(number) for number in range(10, 34)]
    rows = planted.background(np.random.default_rng(0), 600) + planted.campaign(inside)
    held, weighed, clusters = planted.found_in(rows, 600)
    run = {"counts": {"accounts": 600}, "not_judged": []}
    of = output(
        campaigns=[campaign(account_ids=inside)],
        links=linkage.links(held, weighed),
        seen=seen(*held.account_ids),
        run=run,
    )
    members = linkage.members(held, clusters).to_pylist()
    assert [row["account_id"] for row in members] == inside
    for row in members:
        found = explanation(row["account_id"], of)
        assert found is not None
        assert found.membership is not None
        assert len(found.membership.ties) == row["families"]
        assert found.membership.bits == pytest.approx(row["membership_bits"], abs=1e-5)


def test_a_member_is_told_everything_that_counts() -> None:
    words = told(MEMBERS[0], output())
    for said in (
        "one of 10 accounts in campaign c-0123456789ab, active from 1 Mar 2026 to 9 Mar 2026",
        "Verdict on the campaign: distillation",
        "No decision rests on this account alone",
        "40 requests on 2 Mar 2026",
        "25% of them bear prompts",
        "the same payment instrument as 3 of the 9 other accounts; nobody else has it",
        "the same network address as 2 of the 9 other accounts; 2 accounts outside the campaign have it too",
        "the same prompt template (one instruction, other contents each time) as all the 9 other accounts",
        "in three independent groups",
        "At most one ordinary customer in 1,000",
        "The one that came closest, and fell: ci fleet",
        "20% of the requests repeat an item of the same account. That is 40% of what this reading needs.",
        "- analyst verdict: fell, no analyst cleared these accounts",
        "shape: make what it takes less useful",
        "the approval of two people, and it ends after 14 days",
        "Verification of the business or the contract",
    ):
        assert said in words


@pytest.mark.parametrize("relation", list(CONTINUES_WORDS))
def test_a_member_is_told_which_earlier_campaign_its_own_goes_on_from(relation: str) -> None:
    kin = {
        "campaign_id": "c-ba9876543210",
        "relation": relation,
        "bits": None,
        "because": "4 exchanges recur (9.0 bits)",
    }
    words = told(MEMBERS[0], output(campaigns=[campaign(lineage=[kin])]))
    assert f"{CONTINUES_WORDS[relation]} c-ba9876543210: 4 requests recur (9.0 bits)." in words


def test_every_relation_of_the_schema_has_words() -> None:
    kin = schema("campaigns")["$defs"]["campaign"]["properties"]["lineage"]["items"]["properties"]
    assert set(CONTINUES_WORDS) == set(kin["relation"]["enum"])


def test_a_member_without_a_decision_is_told_so() -> None:
    assert "What is recommended for this account Nothing." in told(MEMBERS[7], output())


def test_a_member_whom_no_validated_trait_ties_is_told_that_prompts_do() -> None:
    words = told(MEMBERS[0], output(links=links()))
    assert "they passed no test by themselves and carry no bits" in words


def test_nobody_else_is_named_and_no_value_is_shown() -> None:
    verdicts = [opinion(MEMBERS[0], "guilty", f"paid for {MEMBERS[3]}, then left with {MEMBERS[4]}.", 1)]
    of = output(verdicts=pa.Table.from_pylist(verdicts, arrow_schema(VERDICT_RECORDS)))
    for account in (MEMBERS[0], "outsider", "alone"):
        found = explanation(account, of)
        for words in (told(account, of), repr(found)):
            assert set(re.findall(r"member-\d+|outsider|alone(?! is| account|:)", words)) <= {account, "alone"}
            assert not re.search(r"\b(card|near|wide|17)\b", words.replace("nearest", ""))
    assert "paid for (another account), then left with (another account)." in told(MEMBERS[0], of)


def test_the_newest_verdict_of_an_analyst_counts_for_the_account_and_for_its_campaign() -> None:
    rows = [
        opinion(MEMBERS[0], "innocent", "spoke to them", 3),
        opinion(MEMBERS[0], "guilty", "first look", 1),
        opinion("c-0123456789ab", "guilty", "traced", 2),
        opinion(MEMBERS[1], "guilty", "somebody else's matter", 4),
    ]
    words = told(MEMBERS[0], output(verdicts=pa.Table.from_pylist(rows, arrow_schema(VERDICT_RECORDS))))
    assert "On 3 Apr 2026 the account was found innocent: spoke to them" in words
    assert "On 2 Apr 2026 the campaign was found guilty: traced" in words
    assert "first look" not in words
    assert "somebody else's matter" not in words


def test_an_outsider_is_told_how_far_it_is_from_the_nearest_campaign() -> None:
    words = told("outsider", output())
    assert "It is in no campaign, and nothing is recommended for it." in words
    assert "the same network address as 4 other accounts, 3 of them in campaigns" in words
    assert "c-0123456789ab (distillation), one group (network) where two are needed" in words
    assert "the same network address as 3 of the 10 other accounts; 1 account outside the campaign has it too" in words


def test_a_trait_that_mostly_strangers_hold_does_not_count_for_membership() -> None:
    of = output(links=links(("ip", "near", [*MEMBERS[:3], "outsider"], 50)))
    assert "no groups where two are needed" in told("outsider", of)


@pytest.mark.parametrize(("sharing", "counted"), [(2, "no groups"), (3, "one group (prompts and software)")])
def test_prompts_count_as_one_of_the_two_groups_when_three_members_share_them(sharing: int, counted: str) -> None:
    of = output(links=links(("template", "17", [*MEMBERS[:sharing], "outsider"], 5)))
    assert f"{counted} where two are needed" in told("outsider", of)


def test_a_tool_that_members_use_counts_for_nothing() -> None:
    of = output(links=links(("client", "17", [*MEMBERS[:3], "outsider"], 5)))
    assert "no groups where two are needed" in told("outsider", of)


def test_an_account_that_shares_nothing_is_told_so() -> None:
    words = told("alone", output())
    assert "beyond what chance explains Nothing." in words
    assert "nothing ties it to the accounts of any campaign" in words


def test_an_account_of_a_verified_organisation_is_told_that_it_counts_as_one_customer() -> None:
    words = told("alone", output(seen=seen("alone", is_verified_organisation=True)))
    assert "It belongs to an organisation that was verified." in words
    assert "How far" not in words


def test_what_could_not_be_judged_is_said_but_not_what_concerns_other_campaigns() -> None:
    run = {"counts": {"accounts": ACCOUNTS}, "not_judged": ["The logs hold no prompts.", "Some campaigns: too small."]}
    words = told("alone", output(run=run))
    assert "The logs hold no prompts." in words
    assert "too small" not in words


@pytest.mark.parametrize("verdict", VERDICTS)
def test_every_verdict_has_words(verdict: str) -> None:
    words = told(MEMBERS[0], output(campaigns=[campaign(verdict=verdict)]))
    assert VERDICT_WORDS[verdict] in words


def test_a_test_that_was_not_run_says_why() -> None:
    harvest = {
        "result": "not_tested",
        "p_value": None,
        "bits": None,
        "because": "0 template-bearing exchanges; at least 30 are needed",
    }
    words = told(MEMBERS[0], output(campaigns=[campaign(verdict="coordinated", harvest=harvest)]))
    assert "not tested. 0 requests with the campaign's own prompts; at least 30 are needed." in words


def test_volume_is_told_where_a_scan_looked_at_it_and_said_to_prove_no_harvest() -> None:
    volume = {"result": "proven", "because": "together they take 3.5 times as much", "p_value": 0.001}
    shown = " ".join(
        told(MEMBERS[0], output(campaigns=[campaign(volume={**volume, "bits": 10.0, "measures": []})])).split()
    )
    assert "by itself that proves no harvest): proven. Together they take 3.5 times as much." in shown
    assert "Volume (" not in told(MEMBERS[0], output())


def test_what_strangers_wrote_cannot_act_on_a_terminal() -> None:
    name = "a\x1b[31m\u202eb"
    explained = explanation(name, output(seen=seen(name)))
    assert explained is not None
    assert text(explained).startswith("Account ab\n")


def test_every_kind_group_action_and_check_has_words() -> None:
    assert set(KIND_WORDS) == set(KINDS)
    assert set(GROUP_WORDS) == set(GROUPS)
    assert (set(ACTION_WORDS), set(CHECK_WORDS)) == (set(ACTIONS), set(CHECKS))


def test_lines_fit_a_terminal_and_sections_stand_apart() -> None:
    explained = explanation(MEMBERS[0], output())
    assert explained is not None
    lines = text(explained).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == f"Account {MEMBERS[0]}"
    assert "" in lines


def test_what_a_partner_says_is_told_without_its_names_and_holds_nothing_against_the_account() -> None:
    [one] = found(EVERYBODY[:6])
    of = output(seen=seen(*EVERYBODY, bearing_exchanges=None), recognised=[one])
    lines = told("a03", of)
    assert "It is in no campaign, and nothing is recommended for it." in lines
    assert "Nothing is held against the account for this" in lines
    assert "as 5 other accounts here; the first did on 2 Mar 2026" in lines
    assert "50% of that provider's leads are taken to prove right" in lines
    assert "Were it a text that anybody can come upon" in lines
    assert "campaign--1" not in lines + str(explanation("a03", of))
    assert "What another provider says" not in told("a09", of)
