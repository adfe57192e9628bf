"""A campaign among the users of a public tool is cut out of the cluster that all of them make together."""

import numpy as np
import pytest
from tests.linkage.planted import Row, account, background, no_starts, trait_table

from stillwatch.linkage import Known, findings, holdings
from stillwatch.linkage.evidence import stand_by_themselves
from stillwatch.membership import LINKED_SHARE

ACCOUNTS = 1_000
USERS = [account(i) for i in range(220)]
CAMPAIGN = USERS[:44]
DEVICE, EXIT = CAMPAIGN[:15], CAMPAIGN[20:34]  # of five and seven accounts: too few of all users to tie these


def tool(rng: np.random.Generator) -> list[Row]:
    """What the users of a public tool say: its system prompt, and four of the six sentences it puts in."""
    rows = [(user, "system_prompt", "tool") for user in USERS]
    for user in USERS:
        rows += [(user, "rewording", f"tool-{number}") for number in rng.choice(6, 4, replace=False)]
    return rows


def own_wordings(members: list[str]) -> list[Row]:
    """Of eight templates four each."""
    return [(member, "template", f"own-{(place + t) % 8}") for place, member in enumerate(members) for t in range(4)]


def shared_things() -> list[Row]:
    devices = [(member, "device", f"device-{place // 5}") for place, member in enumerate(DEVICE)]
    return devices + [(member, "ip", f"exit-{place // 7}") for place, member in enumerate(EXIT)]


def standing(rows: list[Row], seed: int = 0) -> list[set[str]]:
    """The clusters that stand, and that nobody is in two is checked on the way."""
    ids = [account(i) for i in range(ACCOUNTS)]
    traits = trait_table(rows)
    told = findings(traits, (), Known(ids, (), no_starts(holdings(traits, ids)), fdr=0.01, seed=seed))
    members: dict[int, set[str]] = {}
    for row in told.members.to_pylist():
        members.setdefault(row["cluster_id"], set()).add(row["account_id"])
    assert sum(map(len, members.values())) == len(set().union(*members.values()))
    return [members[number] for number in stand_by_themselves(told.cohesion, LINKED_SHARE)]


def world(*more: list[Row], seed: int = 0) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [*background(rng, ACCOUNTS), *tool(rng), *(row for rows in more for row in rows)]


def test_the_things_shared_tie_too_small_a_part_of_all_users() -> None:
    assert max(len(DEVICE), len(EXIT)) < LINKED_SHARE * len(USERS)


@pytest.mark.parametrize("seed", range(3))
def test_a_campaign_behind_a_public_tool_is_cut_out_of_its_users(seed: int) -> None:
    assert standing(world(own_wordings(CAMPAIGN), shared_things(), seed=seed), seed) == [set(CAMPAIGN)]


@pytest.mark.parametrize(
    "more",
    [(own_wordings(CAMPAIGN),), (shared_things(),), (own_wordings(USERS), shared_things())],
    ids=["wordings of its own and nothing else", "what the tool says and nothing else", "wordings that all users have"],
)
def test_nothing_is_cut_out_without_wordings_of_its_own_and_what_ties_them(more: tuple[list[Row], ...]) -> None:
    assert standing(world(*more)) == []


def test_the_order_of_rows_does_not_matter() -> None:
    rows = world(own_wordings(CAMPAIGN), shared_things())
    assert standing(rows[::-1]) == standing(rows)
