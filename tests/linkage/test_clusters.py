"""Clusters: planted campaigns are found exactly, chance forms none, and neither order nor names matter."""

import hashlib
from itertools import combinations

import numpy as np
import pytest
from tests.linkage.planted import (
    Row,
    account,
    background,
    campaign,
    dealt_campaign,
    found_in,
    indexed,
    member_sets,
    no_starts,
    shuffled_kinds,
)

from stillwatch.linkage import clusters, weights
from stillwatch.linkage.clusters import SMALLEST

ACCOUNTS = 600
MEMBERS = [account(i) for i in range(100, 124)]
OTHERS = [account(i) for i in range(300, 318)]
STRANGERS = [account(i) for i in range(400, 500)]


def planted(seed: int, cells: int = 3) -> list[Row]:
    return background(np.random.default_rng(seed), ACCOUNTS) + dealt_campaign(MEMBERS, cells=cells)


def holding(accounts: list[str], kind: str, value: str) -> list[Row]:
    return [(name, kind, value) for name in accounts]


def two_templates(accounts: list[str]) -> list[Row]:
    return holding(accounts, "template", "x-more") + holding(accounts, "template", "x-most")


def sets(rows: list[Row], seed: int = 0, outsiders: tuple[str, ...] = ()) -> list[set[str]]:
    of, _, found = found_in(rows, ACCOUNTS, seed, outsiders)
    return member_sets(of, found)


# Found whole


@pytest.mark.parametrize("cells", [2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_cells_without_a_template_in_common_are_one_cluster_by_their_cards_and_addresses(seed: int, cells: int) -> None:
    held = [{value for name, kind, value in dealt_campaign(MEMBERS, cells=cells) if kind == "template"}]
    assert len(held[0]) == 3 * cells, "the cells are to share no template"
    assert sets(planted(seed, cells)) == [set(MEMBERS)]


def test_two_campaigns_stay_apart_and_the_larger_comes_first() -> None:
    rows = planted(0) + dealt_campaign(OTHERS, "y")
    assert sets(rows) == [set(MEMBERS), set(OTHERS)]


def test_a_member_that_mixes_in_much_other_traffic_is_still_a_member() -> None:
    assert sets(planted(0) + [(MEMBERS[0], "template", f"public-{t}") for t in range(40)]) == [set(MEMBERS)]


def test_accounts_without_any_prompt_form_a_cluster_by_their_cards_devices_and_addresses() -> None:
    rows = background(np.random.default_rng(3), ACCOUNTS)
    for place, member in enumerate(MEMBERS):
        rows += [(member, "payment", f"card-x{place % 4}"), (member, "device", f"device-x{place % 5}")]
        rows += [(member, "ip", f"exit-x{(place + i) % 6}") for i in range(3)]
    without_prompts = [row for row in rows if row[1] not in ("template", "client")]
    assert sets(without_prompts) == [set(MEMBERS)]
    assert sets(rows) == [set(MEMBERS)]


# Chance and thin evidence form none


@pytest.mark.parametrize("seed", range(10))
def test_holders_dealt_anew_within_each_kind_form_no_cluster(seed: int) -> None:
    rows = planted(seed) + campaign(OTHERS, "y")
    assert sets(rows), "there must be something to lose"
    assert sets(shuffled_kinds(rows, np.random.default_rng(1000 + seed))) == []


def test_background_alone_forms_no_cluster() -> None:
    assert sets(background(np.random.default_rng(7), ACCOUNTS)) == []


def test_accounts_that_share_a_single_address_only_form_no_cluster() -> None:
    assert sets(background(np.random.default_rng(3), ACCOUNTS) + holding(MEMBERS, "ip", "one-exit")) == []


def test_accounts_that_share_templates_and_nothing_else_form_no_cluster() -> None:
    assert sets([row for row in planted(0) if not row[2].startswith(("x-exit", "x-card"))]) == []


@pytest.mark.parametrize("lacking", ["x-exit", "x-card"])
def test_cells_that_meet_in_one_kind_only_are_not_one_cluster(lacking: str) -> None:
    assert set(MEMBERS) not in sets([row for row in planted(0) if not row[2].startswith(lacking)])


def test_fewer_than_the_smallest_cluster_is_none() -> None:
    assert SMALLEST == 5
    five = [account(i) for i in range(5)]
    assert sets(planted(0) + dealt_campaign(five, "y", cells=1)) == [set(MEMBERS), set(five)]
    assert sets(planted(0) + dealt_campaign(five[:4], "y", cells=1)) == [set(MEMBERS)]


def test_without_any_trait_every_account_is_in_no_cluster() -> None:
    of = indexed([], 4)
    found = clusters(of, weights(of), no_starts(of), seed=0)
    assert found.of_account.tolist() == [-1, -1, -1, -1]
    assert found.count == 0
    assert (found.bits == 0).all()
    assert (found.groups == 0).all()


# Who is admitted


@pytest.mark.parametrize("strangers", [1, 2, 6])
def test_who_holds_one_template_of_a_campaign_is_no_member_and_who_holds_two_is(strangers: int) -> None:
    members, passing = MEMBERS[: 20 - strangers], STRANGERS[:strangers]
    assert sets(planted(0) + holding(members + passing, "template", "x-more")) == [set(MEMBERS)]
    assert sets(planted(0) + two_templates(members + passing)) == [{*MEMBERS, *passing}]


@pytest.mark.parametrize("kinds", [["template"], ["system_prompt"], ["system_prompt", "system_prompt"]])
def test_one_wording_of_a_campaign_admits_nobody_and_system_prompts_alone_do_not_either(kinds: list[str]) -> None:
    shared = [row for n, kind in enumerate(kinds) for row in holding([*MEMBERS, STRANGERS[0]], kind, f"x-more-{n}")]
    assert sets(planted(0) + shared) == [set(MEMBERS)]


def test_an_account_with_nothing_but_own_templates_is_a_member_by_content_alone() -> None:
    of, _, found = found_in(planted(0) + two_templates([*MEMBERS, STRANGERS[0]]), ACCOUNTS)
    lone = of.account_ids.index(STRANGERS[0])
    assert found.of_account[lone] == 0
    assert found.groups[lone] == 1
    assert found.bits[lone] > 0


@pytest.mark.parametrize(
    ("kind", "beside", "admits"),
    [
        ("template", ("ip", "x-exit-0"), True),
        ("rewording", ("ip", "x-exit-0"), False),
        ("rewording", ("payment", "x-card-0"), True),
    ],
)
def test_one_rewording_admits_beside_a_card_and_not_beside_an_address(
    kind: str, beside: tuple[str, str], admits: bool
) -> None:
    """Who merely uses a sentence of a text rewords it as well, and an exit is shared by many."""
    lone = STRANGERS[0]
    rows = planted(0) + holding([*MEMBERS[:19], lone], kind, "x-more") + holding([lone], *beside)
    assert sets(rows) == [{*MEMBERS, lone} if admits else set(MEMBERS)]


def test_two_rewordings_of_a_campaign_admit_as_two_templates_do() -> None:
    rows = [row for n in range(2) for row in holding([*MEMBERS[:19], STRANGERS[0]], "rewording", f"x-more-{n}")]
    assert sets(planted(0) + rows) == [{*MEMBERS, STRANGERS[0]}]


@pytest.mark.parametrize(
    ("values", "admits"),
    [
        (["7", "7:1", "7:2"], False),
        (["7:1", "8"], True),
        (["7:1", "8:1"], False),
        (["7:1", "8:1", "9:1"], False),
        (["7:1", "7:2", "8:1", "9:1"], False),
        (["7:1", "8:1", "9:1", "10:1"], True),
    ],
)
def test_a_rewording_and_its_settings_are_one_wording_and_settings_of_few_are_none(
    values: list[str], admits: bool
) -> None:
    lone = STRANGERS[0]
    rows = [row for v in values for row in holding([*MEMBERS[:19], lone], "setting" if ":" in v else "rewording", v)]
    assert sets(planted(0) + rows) == [{*MEMBERS, lone} if admits else set(MEMBERS)]


def test_a_campaign_that_rewords_everything_is_found_whole() -> None:
    rows = [(name, "rewording" if kind == "template" and name in MEMBERS else kind, v) for name, kind, v in planted(0)]
    assert sets(rows) == [set(MEMBERS)]


@pytest.mark.parametrize("strangers", [30, 90])
def test_a_popular_template_admits_none_of_the_strangers_that_hold_it(strangers: int) -> None:
    assert sets(planted(0) + holding(MEMBERS + STRANGERS[:strangers], "template", "popular")) == [set(MEMBERS)]


@pytest.mark.parametrize(
    ("sharing", "kind"), [(8, "template"), (8, "system_prompt"), (24, "system_prompt"), (24, "template")]
)
def test_an_innocent_team_that_shares_a_loose_phrase_is_not_in_the_campaign(kind: str, sharing: int) -> None:
    team = OTHERS[:12]
    rows = planted(0) + holding(MEMBERS[:sharing] + team, kind, "loose")
    rows += holding(team, "payment", "team-card") + holding(team, "ip", "team-office")
    rows += [row for t in range(3) for row in holding(team, "template", f"team-{t}")]
    found = sets(rows)
    assert found[0] == set(MEMBERS)
    assert found[1:] in ([], [set(team)])


def test_the_innocent_team_stays_out_however_many_other_campaigns_there_are() -> None:
    team, accounts = OTHERS[:12], 1200
    rows = background(np.random.default_rng(0), accounts) + dealt_campaign(MEMBERS)
    rows += holding(MEMBERS + team, "template", "loose")
    rows += holding(team, "payment", "team-card") + holding(team, "ip", "team-office")
    rows += [row for t in range(3) for row in holding(team, "template", f"team-{t}")]
    for other in range(6):
        rows += dealt_campaign([account(500 + 30 * other + i) for i in range(24)], f"y{other}")
    of, _, found = found_in(rows, accounts)
    assert set(MEMBERS) in member_sets(of, found)


def test_a_newcomer_without_prompts_is_admitted_by_two_kinds_and_not_by_one() -> None:
    newcomer = STRANGERS[0]
    card, exit_ = (newcomer, "payment", "x-card-0"), (newcomer, "ip", "x-exit-0")
    assert sets([*planted(0), card, exit_]) == [{*MEMBERS, newcomer}]
    assert sets([*planted(0), card]) == [set(MEMBERS)]
    assert sets([*planted(0), exit_]) == [set(MEMBERS)]


def test_of_a_cell_too_small_to_stand_two_who_pay_as_several_members_do_are_members() -> None:
    pair, third = STRANGERS[:2], STRANGERS[2]
    small = [row for name in ("z1", "z2") for row in holding([*pair, third], "template", name)]
    assert sets([*planted(0), *small]) == [set(MEMBERS)]
    assert sets([*planted(0), *small, *holding(pair, "payment", "x-card-0")]) == [{*MEMBERS, *pair}]
    one_each = [row for at, name in enumerate(pair) for row in holding([name], "payment", f"x-card-{at}")]
    assert sets([*planted(0), *small, *one_each]) == [set(MEMBERS)], "the owner of a stolen card shares nothing else"


def test_a_card_that_strangers_hold_as_well_ties_nobody_to_the_campaign() -> None:
    newcomer = STRANGERS[0]
    rows = [*planted(0), (newcomer, "payment", "x-card-0"), (newcomer, "ip", "x-exit-0")]
    assert newcomer in sets(rows)[0]
    assert sets(rows + holding(STRANGERS[1:7], "payment", "x-card-0"))[0] == set(MEMBERS)


def test_outsiders_are_never_members_and_count_as_strangers_in_what_they_hold() -> None:
    lone, outside = STRANGERS[0], STRANGERS[1:4]
    rows = planted(0) + two_templates([*MEMBERS[:20], lone, *outside])
    rows += holding(outside, "payment", "x-card-0") + holding(outside, "ip", "x-exit-0")
    assert sets(rows) == [{*MEMBERS, lone, *outside}]
    assert sets(rows, outsiders=tuple(outside)) == [set(MEMBERS)]  # 20 of the 24 holders are too few to admit the lone
    assert sets(rows, outsiders=(*MEMBERS, lone, *outside)) == []


def test_every_member_is_tied_by_two_groups_here_and_strangers_by_nothing() -> None:
    of, _, found = found_in(planted(2), ACCOUNTS)
    inside = found.of_account >= 0
    assert {of.account_ids[i] for i in np.flatnonzero(inside)} == set(MEMBERS)
    assert (found.groups[inside] >= 2).all()
    assert (found.bits[inside] > 0).all()
    assert (found.bits[~inside] == 0).all()
    assert (found.groups[~inside] == 0).all()


# What must not matter


def test_the_order_of_the_trait_table_does_not_matter() -> None:
    rows = planted(1) + dealt_campaign(OTHERS, "y")
    mixed = [rows[i] for i in np.random.default_rng(5).permutation(len(rows))]
    (of, weighed, found), (of_mixed, weighed_mixed, found_mixed) = found_in(rows, ACCOUNTS), found_in(mixed, ACCOUNTS)
    assert of.values == of_mixed.values
    np.testing.assert_array_equal(weighed.bits, weighed_mixed.bits)
    np.testing.assert_array_equal(found.of_account, found_mixed.of_account)
    np.testing.assert_array_equal(found.bits, found_mixed.bits)
    np.testing.assert_array_equal(found.groups, found_mixed.groups)


def rich_world() -> list[Row]:
    """Two campaigns, lone holders, a popular template and a team that shares a phrase with the larger campaign."""
    rows = planted(1) + dealt_campaign(OTHERS, "y")
    rows += two_templates(MEMBERS[:20] + STRANGERS[:2])
    rows += holding(MEMBERS + STRANGERS[:30], "template", "popular")
    return rows + holding(MEMBERS[:8] + STRANGERS[50:58], "system_prompt", "loose")


@pytest.mark.parametrize("salt", range(4))
def test_the_names_of_values_do_not_matter(salt: int) -> None:
    def renamed(value: str) -> str:
        return hashlib.sha256(f"{salt}{value}".encode()).hexdigest()

    rows = rich_world()
    expected = sets(rows)
    assert [len(members) for members in expected] == [26, 18]
    assert sets([(name, kind, renamed(value)) for name, kind, value in rows]) == expected


def test_the_names_of_accounts_do_not_matter() -> None:
    order = np.random.default_rng(8).permutation(ACCOUNTS)
    other = {account(i): account(int(place)) for i, place in enumerate(order)}
    rows = rich_world()
    expected = [{other[name] for name in members} for members in sets(rows)]
    assert sets([(other[name], kind, value) for name, kind, value in rows]) == expected


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_seed_does_not_matter_where_the_evidence_is_plain(seed: int) -> None:
    assert sets(rich_world(), seed) == sets(rich_world())


def test_no_account_is_in_two_clusters() -> None:
    found = sets(rich_world())
    assert all(not one & other for one, other in combinations(found, 2))
