"""What a household shares ties no cluster, unless there are more households in it than anywhere."""

import numpy as np
import pytest
from tests.linkage.planted import account, found_in

from stillwatch.linkage import Clusters, cohesion
from stillwatch.linkage.holdings import GROUPS, Holdings
from stillwatch.linkage.households import MOST, Households

ACCOUNTS = 4000
INSIDE = 20
Rows = list[tuple[str, str, str]]


def couples(count: int, first: int, kind: str = "payment") -> Rows:
    """`count` couples with a card each, from the account `first` on."""
    return [(account(first + i), kind, f"{kind}-{first}-{i // 2}") for i in range(2 * count)]


def tied(rows: Rows) -> dict[str, int]:
    """Which groups tie the first INSIDE accounts, and how many of them."""
    of, _, _ = found_in(rows, ACCOUNTS)
    labels = np.where(np.arange(ACCOUNTS) < INSIDE, 0, -1)
    chosen = Clusters(labels, np.zeros(ACCOUNTS), np.zeros(ACCOUNTS, dtype=np.int64), labels)
    return {row["group"]: row["linked"] for row in cohesion(of, chosen, []).to_pylist()}


def test_two_couples_among_many_couples_tie_nothing() -> None:
    everywhere = couples(2, 0) + couples(2, 0, "device") + couples(200, 100) + couples(20, 100, "device")
    assert tied(everywhere) == {}


def test_a_cluster_of_couples_where_couples_are_rare_is_tied() -> None:
    assert tied(couples(8, 0) + couples(4, 100)) == {"payment": 16}


def test_one_card_of_more_than_a_household_ties_as_before() -> None:
    card = [(account(i), "payment", "card") for i in range(MOST + 1)]
    assert tied(card + couples(400, 100)) == {"payment": MOST + 1}


def test_where_a_crowd_is_tied_couples_beside_it_are_not_counted_with_it() -> None:
    card = [(account(i), "payment", "card") for i in range(MOST + 1)]
    assert tied(card + couples(1, 10) + couples(400, 100)) == {"payment": MOST + 1}


@pytest.fixture
def of() -> Holdings:
    return found_in(couples(200, 100), ACCOUNTS)[0]


def test_the_p_value_is_the_share_of_draws_of_households_with_as_many_couples(of: Holdings) -> None:
    households, payment = Households(of), GROUPS.index("payment")
    rng, units = np.random.default_rng(0), ACCOUNTS - 200  # 200 couples and 3,600 who share nothing
    for holders in (2, 4, 6):
        couples_in = holders // 2
        drawn = rng.random((200_000, INSIDE - couples_in)) < 200 / units
        expected = float((drawn.sum(axis=1) >= couples_in).mean())
        assert households.p_value(payment, holders, INSIDE) == pytest.approx(expected, abs=0.004)


def test_nobody_who_shares_is_no_household(of: Holdings) -> None:
    assert Households(of).p_value(GROUPS.index("payment"), 1, INSIDE) == 1.0
    assert Households(of).p_value(GROUPS.index("payment"), 0, INSIDE) == 1.0


WORDING = "public"


def followed(sayers_elsewhere: int) -> Rows:
    """Five couples in the cluster, one of each holds a wording, as so many outside do; a few couples elsewhere."""
    said = [(account(i), "template", WORDING) for i in [*range(0, 10, 2), *range(1000, 1000 + sayers_elsewhere)]]
    return couples(5, 0) + couples(5, 0, "device") + couples(20, 100) + couples(20, 100, "device") + said


def test_couples_of_whom_one_holds_what_many_singles_hold_tie_nothing() -> None:
    """The wording takes one of each into the cluster and the other follows; singles have nothing to follow."""
    assert "payment" in tied(followed(sayers_elsewhere=0))
    assert not {"payment", "device"} & tied(followed(sayers_elsewhere=200)).keys()


def test_what_a_crowd_shares_is_asked_of_no_wording() -> None:
    card = [(account(i), "payment", "card") for i in range(MOST + 1)]
    assert "payment" in tied(card + followed(sayers_elsewhere=200))


def test_among_the_holders_of_a_wording_the_least_p_value_counts_corrected_for_all(of: Holdings) -> None:
    said = [(account(i), "template", f"said-{n}") for n, last in enumerate((8, 2000)) for i in range(last)]
    of = found_in(couples(200, 100) + couples(4, 0) + said, ACCOUNTS)[0]
    households, payment = Households(of), GROUPS.index("payment")
    wordings = np.array([of.values.index(f"said-{n}") for n in range(2)])
    mates = np.concatenate([of.held[of.edges_of(np.arange(8))]])
    alone = households.p_value(payment, 8, 8)
    assert households.p_value_among_sayers(payment, mates, wordings) == pytest.approx(2 * alone)
    assert households.p_value_among_sayers(payment, mates, wordings[1:]) > 0.99
    assert households.p_value_among_sayers(payment, mates[:0], wordings) == 1.0
