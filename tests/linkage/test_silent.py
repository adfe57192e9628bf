"""Silent members: where nearly all of a cluster say what is its own, whoever says other things only is let go."""

import numpy as np
import pytest
from tests.linkage.planted import account, background, found_in, indexed, member_sets

from stillwatch.linkage.holdings import Ints
from stillwatch.linkage.silent import bodies_apart, without_silent

ACCOUNTS = 600
CAMPAIGN = range(100, 120)
SILENT = 120  # shares a card and a device with the campaign, and says what some others say
OUTSIDE = range(300, 340)

Rows = list[tuple[str, str, str]]


def said_by(accounts: range, wording: str, kind: str = "template") -> Rows:
    return [(account(i), kind, wording) for i in accounts]


def left_in(rows: Rows, members: range, newcomer: str = "") -> list[int]:
    labels: Ints = np.full(ACCOUNTS, -1, dtype=np.int64)
    labels[list(members)] = 0
    others = [row for row in background(np.random.default_rng(0), ACCOUNTS) if row[0] != newcomer]
    of = indexed(others + rows, ACCOUNTS)
    return np.flatnonzero(without_silent(of, labels) == 0).tolist()


@pytest.mark.parametrize("kind", ["template", "rewording", "system_prompt"])
def test_who_says_nothing_of_what_nearly_all_say_is_let_go(kind: str) -> None:
    rows = said_by(range(100, 112), "one", kind) + said_by(range(108, 120), "other", kind)
    assert left_in(rows, range(100, 121)) == list(CAMPAIGN)


def test_many_silent_ones_are_how_this_campaign_is() -> None:
    own = said_by(range(100, 118), "own")
    assert left_in(own, range(100, 121)) == list(range(100, 121)), "three of 21"
    assert left_in(own, range(100, 120)) == list(range(100, 118)), "two of twenty"


def test_a_newcomer_who_says_nothing_at_all_stays() -> None:
    own = said_by(CAMPAIGN, "own")
    assert left_in(own, range(100, 121), account(SILENT)) == list(range(100, 121))
    assert left_in(own, range(100, 121)) == list(CAMPAIGN)


def test_two_with_a_wording_of_their_own_stay() -> None:
    """As a campaign begins a new wording; a third holder is elsewhere."""
    rows = said_by(range(100, 119), "own") + said_by(range(119, 122), "new")
    assert left_in(rows, range(100, 121)) == list(range(100, 121))


def test_nobody_leaves_what_no_wording_ties() -> None:
    rows = [(account(i), "payment", f"card-{i // 5}") for i in CAMPAIGN]
    assert left_in(rows, CAMPAIGN) == list(CAMPAIGN)


def test_what_mostly_others_say_is_not_the_clusters_own() -> None:
    """The last member says what forty outside say as well."""
    public = said_by(OUTSIDE, "public") + said_by(range(115, 121), "public")
    assert left_in(said_by(CAMPAIGN, "own") + public, range(100, 121)) == list(CAMPAIGN)


def test_other_clusters_are_left_alone() -> None:
    labels: Ints = np.full(ACCOUNTS, -1, dtype=np.int64)
    labels[100:121], labels[200:210] = 0, 1
    rows = said_by(CAMPAIGN, "own") + [(account(i), "payment", "card") for i in range(200, 210)]
    kept = without_silent(indexed(background(np.random.default_rng(0), ACCOUNTS) + rows, ACCOUNTS), labels)
    assert np.flatnonzero(kept != labels).tolist() == [SILENT]


def apart_in(rows: Rows, members: range) -> list[list[int]]:
    labels: Ints = np.full(ACCOUNTS, -1, dtype=np.int64)
    labels[list(members)] = 0
    labels[500:505] = 1  # another cluster, which says nothing
    names = {account(i) for i in members}
    others = [row for row in background(np.random.default_rng(0), ACCOUNTS) if row[0] not in names]
    found = bodies_apart(indexed(others + rows, ACCOUNTS), labels)
    assert found[500:505].tolist() == [1] * 5
    return [np.flatnonzero(found == label).tolist() for label in np.unique(found[list(members)])]


@pytest.mark.parametrize("kind", ["template", "artefact"])
def test_several_who_say_other_things_together_are_a_cluster_of_their_own(kind: str) -> None:
    rows = said_by(range(100, 130), "one", kind) + said_by(range(120, 150), "other", kind)
    beside = said_by(range(150, 155), "beside")
    assert apart_in(rows + beside, range(100, 155)) == [list(range(100, 150)), list(range(150, 155))]
    joined = said_by(range(149, 151), "both")
    assert apart_in(rows + beside + joined, range(100, 155)) == [list(range(100, 155))]


def test_a_few_who_begin_with_a_new_wording_are_not_set_apart() -> None:
    rows = said_by(range(100, 150), "own") + said_by(range(150, 154), "new")
    assert apart_in(rows, range(100, 154)) == [list(range(100, 154))]


def test_a_hand_of_two_bodies_is_one_cluster() -> None:
    rows = said_by(range(100, 144), "own") + said_by(range(144, 149), "other")
    assert apart_in(rows, range(100, 149)) == [list(range(100, 149))], "44 of 49"
    assert len(apart_in(rows + said_by(range(143, 150), "more"), range(100, 150))) == 1


def test_what_mostly_others_say_sets_nobody_apart() -> None:
    rows = said_by(range(100, 150), "own") + said_by(range(150, 155), "public") + said_by(OUTSIDE, "public")
    assert apart_in(rows, range(100, 155)) == [list(range(100, 155))]


def test_no_cluster_is_no_body() -> None:
    nobody: Ints = np.full(ACCOUNTS, -1, dtype=np.int64)
    of = indexed(background(np.random.default_rng(0), ACCOUNTS), ACCOUNTS)
    assert (bodies_apart(of, nobody) == -1).all()


def test_linkage_lets_go_of_who_shares_a_card_and_a_device_and_nothing_said() -> None:
    rows = background(np.random.default_rng(0), ACCOUNTS)
    for t in range(3):
        rows += said_by(CAMPAIGN, f"own-{t}")
    rows += [(account(i), "payment", f"own-card-{i // 4}") for i in CAMPAIGN]
    rows += [(account(i), "device", f"device-{i % 4}") for i in CAMPAIGN]
    rows += [(account(SILENT), "payment", "own-card-29"), (account(SILENT), "device", "device-0")]
    of, _, found = found_in(rows, ACCOUNTS)
    assert member_sets(of, found) == [{account(i) for i in CAMPAIGN}]
