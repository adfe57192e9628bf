"""Cells of a few accounts that many small things join again and again are one hand's; teams and households are not."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from tests.linkage.planted import Row, account, no_starts, trait_table

from stillwatch.linkage import Clusters, Known, findings, holdings, weights
from stillwatch.linkage.clusters import with_crossed
from stillwatch.linkage.crossing import LOOSE, P_VALUE, SMALL, WIDE, Counting, crossed
from stillwatch.linkage.evidence import stand_by_themselves

ACCOUNTS = 160
WORLDS = 60
CELLS = ((0, 1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11))  # of the campaign
ACROSS = (  # what joins them; no value has more than two holders
    (0, 5, "payment"),
    (1, 9, "payment"),
    (6, 10, "device"),
    (2, 7, "device"),
    (3, 11, "ip"),
    (8, 4, "ip"),
)
CARD: list[Row] = [(account(i), "payment", "card") for i in (0, 1, 2, 5, 6, 9, 10)]


def worded(cells: tuple[tuple[int, ...], ...], name: str) -> list[Row]:
    """Three templates that each cell has to itself."""
    return [(account(i), "template", f"{name}-{c}-{t}") for c, cell in enumerate(cells) for i in cell for t in range(3)]


def innocents(rng: random.Random) -> list[Row]:
    """Teams with wordings, some with a card; couples with a card, a device and an address; strangers' addresses."""
    rows: list[Row] = []
    teams = [tuple(range(first, first + 4)) for first in range(20, 80, 4)]
    rows += worded(tuple(teams), "team")
    for number, team in enumerate(teams[:6]):
        rows += [(account(i), "payment", f"team-card-{number}") for i in team]
    alone = rng.sample(range(20, ACCOUNTS), 40)
    for number, couple in enumerate(zip(alone[::2], alone[1::2], strict=True)):
        rows += [(account(i), kind, f"{kind}-{number}") for i in couple for kind in ("payment", "device", "ip")]
    for number in range(25):
        rows += [(account(i), "ip", f"carrier-{number}") for i in rng.sample(range(ACCOUNTS), 2)]
    return rows


def shared(pairs: tuple[tuple[int, int, str], ...], name: str = "x") -> list[Row]:
    """Values that two accounts hold and nobody else does."""
    return [(account(i), kind, f"{name}-{n}") for n, (*both, kind) in enumerate(pairs) for i in both]


def found(
    rows: list[Row], accounts: int = ACCOUNTS, counting: Counting = SMALL, known: Sequence[int] = ()
) -> list[set[str]]:
    """The members of each set of cells; `known` are accounts that stand in one cluster."""
    of = holdings(trait_table(rows), [account(i) for i in range(accounts)])
    home = np.where(np.isin(np.arange(accounts), known), 0, -1)
    sets = crossed(of, np.ones(accounts, dtype=bool), home, counting, seed=0)
    return [{of.account_ids[i] for i in one.members} for one in sets]


CAMPAIGN = {account(i) for cell in CELLS for i in cell}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return innocents(random.Random(1)) + worded(CELLS, "campaign")


def test_cells_that_pairs_of_cards_devices_and_addresses_join_are_one_set(rows: list[Row]) -> None:
    assert found(rows + shared(ACROSS)) == [CAMPAIGN]


def test_the_order_of_rows_does_not_matter(rows: list[Row]) -> None:
    mixed = rows + shared(ACROSS)
    random.Random(2).shuffle(mixed)
    assert found(mixed) == [CAMPAIGN]


def test_what_is_shared_within_cells_joins_nothing(rows: list[Row]) -> None:
    inside = tuple((cell[i], cell[i + 1], kind) for cell in CELLS for i in range(2) for kind in ("payment", "device"))
    assert found(rows + shared(inside)) == []


def test_a_card_of_accounts_in_several_cells_counts_for_each_of_them(rows: list[Row]) -> None:
    assert found(rows + CARD + shared(((3, 7, "ip"),))) == [CAMPAIGN]


def test_one_card_alone_is_one_customers_however_many_hold_it(rows: list[Row]) -> None:
    assert found(rows + CARD) == []


def test_who_is_joined_within_his_cell_already_counts_no_more(rows: list[Row]) -> None:
    inside = tuple((*pair, "device") for pair in ((0, 1), (1, 2), (5, 6), (9, 10)))
    assert found(rows + CARD + shared(((3, 7, "ip"), *inside))) == []


def test_one_couple_joins_two_cells_once_however_much_it_shares(rows: list[Row]) -> None:
    couple = tuple((0, 5, kind) for kind in ("payment", "device", "phone", "ip") for _ in range(4))
    assert found(rows + shared(couple)) == []


def test_addresses_alone_charge_nobody(rows: list[Row]) -> None:
    assert found(rows + shared(tuple((one, other, "ip") for one, other, _ in ACROSS))) == []


def test_a_cell_that_addresses_alone_join_to_the_others_is_not_charged(rows: list[Row]) -> None:
    team = tuple((member, 20 + i, "ip") for i, member in enumerate((0, 6, 10, 3)))
    assert found(rows + shared(ACROSS) + shared(team, "carrier-x")) == [CAMPAIGN]


def test_who_holds_a_single_wording_of_a_cell_is_not_charged(rows: list[Row]) -> None:
    passer_by = [(account(150), "template", "campaign-0-0")]
    assert found(rows + shared(ACROSS) + passer_by) == [CAMPAIGN]


@pytest.mark.parametrize(("more", "is_found"), [(7, True), (9, False)])
def test_a_third_of_a_set_is_joined(more: int, is_found: bool) -> None:
    """Twelve accounts that share things, and `more` in each of their three cells that share nothing."""
    places = [range(ACCOUNTS + more * c, ACCOUNTS + more * (c + 1)) for c in range(3)]
    cells = tuple((*cell, *place) for cell, place in zip(CELLS, places, strict=True))
    world = innocents(random.Random(1)) + worded(cells, "campaign") + shared(ACROSS)
    world += shared(((1, 5, "device"), (6, 9, "phone"), (2, 10, "payment"), (3, 7, "device"), (8, 11, "phone")), "more")
    everybody = {account(i) for cell in cells for i in cell}
    assert found(world, ACCOUNTS + 3 * more) == ([everybody] if is_found else [])


@pytest.mark.parametrize("counting", [SMALL, WIDE])
def test_a_world_of_many_accounts_is_left_alone(rows: list[Row], counting: Counting) -> None:
    assert found(rows + shared(ACROSS), counting.accounts + 1, counting) == []


def large() -> list[Row]:
    """Three thousand accounts: teams of four with wordings, couples across them, and the cells of the campaign."""
    rng = random.Random(3)
    others = rng.sample(range(20, 3_000), 1_000)
    couples = zip(others[::2], others[1::2], strict=True)
    shares = [
        (account(i), kind, f"{kind}-{n}") for n, both in enumerate(couples) for i in both for kind in ("payment", "ip")
    ]
    return (
        worded(tuple(tuple(range(i, i + 4)) for i in range(20, 3_000, 4)), "team") + shares + worded(CELLS, "campaign")
    )


def test_among_many_accounts_enough_cards_join_a_set() -> None:
    more = tuple((one, 5 + one % 4, "device") for one in range(5)) + tuple(
        (one, 9 + one % 3, "phone") for one in range(3)
    )
    assert found(large() + shared(ACROSS + more), 3_000, WIDE) == [CAMPAIGN]


def test_among_many_accounts_one_wording_of_its_own_suffices_later() -> None:
    """Each account of the campaign says what three thousand say, and one template of its cell."""
    first = [row for row in large() if not row[2].startswith("campaign-")]
    behind = [(account(i), "template", f"campaign-{c}-0") for c, cell in enumerate(CELLS) for i in cell]
    more = tuple((one, 5 + one % 4, "device") for one in range(5)) + tuple(
        (one, 9 + one % 3, "phone") for one in range(3)
    )
    rows = first + behind + shared(ACROSS + more)
    assert found(rows, 3_000, WIDE) == []
    assert found(rows, 3_000, LOOSE) == [CAMPAIGN]


def test_among_many_accounts_a_card_of_many_is_one_customers_and_cards_of_some_are_not() -> None:
    places = [i for cell in CELLS for i in cell]
    one = [(account(i), "payment", "card") for i in places]
    some = [(account(i), "payment", f"card-{n % 4}") for n, i in enumerate(places)]
    other = shared(((3, 7, "ip"),))
    assert found(large() + one + other, 3_000, WIDE) == []
    assert found(large() + some + other, 3_000, WIDE) == [CAMPAIGN]


def test_a_set_that_stands_in_one_cluster_already_is_not_told_again(rows: list[Row]) -> None:
    inside = [i for cell in CELLS for i in cell]
    assert found(rows + shared(ACROSS), known=inside) == []
    assert found(rows + shared(ACROSS), known=inside[:6]) == [CAMPAIGN]


def test_what_a_known_cluster_shares_does_not_pay_for_who_meets_it(rows: list[Row]) -> None:
    """A team that a card and three addresses of a campaign reach by chance is no set with it."""
    team = tuple(range(100, 106))
    met = shared(((1, 101, "payment"), (0, 100, "ip"), (3, 102, "ip"), (6, 103, "ip")), "met")
    world = rows + worded((team,), "other") + shared(ACROSS) + met
    inside = [i for cell in CELLS for i in cell]
    assert found(world, known=inside) == []
    assert found(world, known=inside[:1]) == [CAMPAIGN | {account(i) for i in team}]  # what it shares paid for them


def test_in_worlds_of_innocents_nothing_is_found_more_often_than_its_rate() -> None:
    hits = sum(bool(found(innocents(random.Random(seed)))) for seed in range(WORLDS))
    assert hits <= stats.binom.ppf(0.99, WORLDS, P_VALUE)


def test_a_set_stands_by_its_wordings_and_by_all_that_joins_it_counted_once(rows: list[Row]) -> None:
    ids = [account(i) for i in range(ACCOUNTS)]
    traits = trait_table(rows + shared(ACROSS))
    told = findings(traits, (), Known(ids, (), no_starts(holdings(traits, ids)), fdr=0.01, seed=0))
    members: dict[int, set[str]] = {}
    for row in told.members.to_pylist():
        members.setdefault(row["cluster_id"], set()).add(row["account_id"])
    cluster = next(number for number, accounts in members.items() if accounts == CAMPAIGN)
    groups = {row["group"]: row["linked"] for row in told.cohesion.to_pylist() if row["cluster_id"] == cluster}
    assert groups == {"content": 9, "crossing": 12}  # three holders of a wording are no more than chance
    assert cluster in stand_by_themselves(told.cohesion)


def joined(*cluster: int) -> Clusters:
    """The clusters of the large world in which these accounts stand in one, once sets of cells are looked for."""
    more = tuple((one, 5 + one % 4, "device") for one in range(5)) + tuple(
        (one, 9 + one % 3, "phone") for one in range(3)
    )
    of = holdings(trait_table(large() + shared(ACROSS + more)), [account(i) for i in range(3_000)])
    labels = np.where(np.isin(np.arange(3_000), cluster), 0, -1)
    before = Clusters(labels, np.zeros(3_000), np.zeros(3_000, dtype=np.int64), labels)
    return with_crossed(of, weights(of), before, [0] if cluster else [], seed=0, outsiders=())


def members(found: Clusters) -> list[set[int]]:
    """The accounts of each cluster, by number."""
    return [set(np.flatnonzero(found.of_account == number).tolist()) for number in range(found.count)]


def test_a_set_takes_in_the_cluster_of_which_it_holds_most() -> None:
    found = joined(*CELLS[0], 1_000)
    assert members(found) == [{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1_000}]
    assert list(found.crossed) == [0]  # most are there by crossing alone


def test_where_most_stood_before_crossing_is_not_what_proves_it() -> None:
    others = range(1_000, 1_004)
    found = joined(*CELLS[0], *others)
    assert members(found) == [{*range(12), *others}]
    assert not found.crossed


def test_who_would_be_a_handful_more_of_one_cluster_is_left_alone() -> None:
    assert members(joined(*CELLS[0], *CELLS[1])) == [{*CELLS[0], *CELLS[1]}]


def test_a_cluster_that_reaches_beyond_the_set_keeps_its_members() -> None:
    strangers = range(2_000, 2_020)
    assert members(joined(*CELLS[0], *strangers)) == [{*CELLS[0], *strangers}, {*CELLS[1], *CELLS[2]}]
