"""What the bearers of a lead share beside it."""

import numpy as np
from tests.linkage.planted import Row, account, background, campaign, indexed, no_starts

from stillwatch.linkage import Clusters, cohesion
from stillwatch.linkage.bearers import SHARED_SCHEMA, shared_by_bearers

ACCOUNTS = 600
MEMBERS = [account(i) for i in range(10, 34)]
OTHERS = [account(i) for i in range(100, 130)]


def bearing(accounts: list[str], lead: str) -> list[Row]:
    return [(one, "lead", lead) for one in accounts]


def shared(rows: list[Row], outsiders: tuple[str, ...] = ()) -> dict[tuple[str, str], int]:
    of = indexed(background(np.random.default_rng(0), ACCOUNTS) + rows, ACCOUNTS)
    table = shared_by_bearers(of, no_starts(of), outsiders=outsiders)
    assert table.schema == SHARED_SCHEMA
    return {(row["lead"], row["group"]): row["principals"] for row in table.to_pylist()}


def test_what_one_hand_bought_shows_and_the_wordings_do_not() -> None:
    found = shared(campaign(MEMBERS) + bearing(MEMBERS, "theirs"))
    assert found == {("theirs", "network"): 24, ("theirs", "payment"): 24}


def test_strangers_who_bear_a_lead_share_nothing() -> None:
    assert shared(bearing(OTHERS, "a-lie")) == {}


def test_accounts_that_bear_two_leads_count_for_both() -> None:
    found = shared(campaign(MEMBERS) + bearing(MEMBERS, "one") + bearing([*MEMBERS, *OTHERS], "two"))
    assert {lead for lead, _ in found} == {"one", "two"}
    assert {count for (lead, _), count in found.items() if lead == "two"} == {54}


def test_outsiders_bear_nothing() -> None:
    assert shared(campaign(MEMBERS) + bearing(MEMBERS, "theirs"), tuple(MEMBERS)) == {}
    assert shared([]) == {}


def test_the_numbers_are_those_of_cohesion_for_the_same_accounts() -> None:
    rows = background(np.random.default_rng(0), ACCOUNTS) + campaign(MEMBERS) + bearing(MEMBERS, "theirs")
    of = indexed(rows, ACCOUNTS)
    labels = np.array([0 if one in MEMBERS else -1 for one in of.account_ids], np.int64)
    nothing = np.zeros(ACCOUNTS)
    told = cohesion(of, Clusters(labels, nothing, labels, labels), []).to_pylist()
    own = {row["group"]: (row["linked"], row["p_value"]) for row in told if row["group"] != "content"}
    table = shared_by_bearers(of, no_starts(of), outsiders=()).to_pylist()
    assert {row["group"]: (row["linked"], row["p_value"]) for row in table} == own
