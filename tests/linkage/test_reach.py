"""Strangers who use the wording of a class, a team or an abuser are not charged with what these share."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest
from tests.linkage.planted import Row, account, background, found_in, indexed, member_sets, no_starts

from stillwatch.linkage import reach, starts
from stillwatch.linkage.holdings import Ints
from stillwatch.linkage.merging import Linkable
from stillwatch.linkage.synchrony import Synchrony
from stillwatch.linkage.weights import Weights

ACCOUNTS = 600
STUDENTS = [account(i) for i in range(100, 140)]
ABUSED = [account(i) for i in range(200, 220)]
PUBLIC = [account(i) for i in range(300, 345)]


def a_class(students: list[str], name: str) -> list[Row]:
    """One sheet, one campus, one domain of mail."""
    rows = [(one, "template", f"{name}-sheet-{t}") for one in students for t in range(2)]
    rows += [(one, "ip", f"{name}-campus-{(place + i) % 8}") for place, one in enumerate(students) for i in range(3)]
    return rows + [(one, "email_domain", name) for one in students]


def free_credit(accounts: list[str], name: str) -> list[Row]:
    """One device and one address for nearly all of them, and a small application."""
    rows = [(one, "template", f"{name}-app-{t}") for one in accounts for t in range(2)]
    rows += [(one, "device", f"{name}-device") for place, one in enumerate(accounts) if place % 10]
    return rows + [(one, "ip", f"{name}-home") for place, one in enumerate(accounts) if place % 10 != 1]


def said_by(accounts: list[str], *kinds: str) -> list[Row]:
    return [(one, kind, "everybody-says-so") for kind in kinds for one in accounts]


def sets(rows: list[Row], seed: int = 0) -> list[set[str]]:
    of, _, found = found_in(background(np.random.default_rng(seed), ACCOUNTS) + rows, ACCOUNTS)
    return member_sets(of, found)


@pytest.mark.parametrize(("group", "accounts"), [(a_class, STUDENTS), (free_credit, ABUSED)], ids=["class", "abuser"])
def test_users_of_a_public_prompt_are_not_in_the_cluster_of_a_group_that_uses_it_too(
    group: Callable[[list[str], str], list[Row]], accounts: list[str]
) -> None:
    """One cell holds everybody; of the public at most one has an address of a member by chance."""
    (found,) = sets(group(accounts, "x") + said_by(accounts + PUBLIC, "template", "rewording"))
    assert found >= set(accounts)
    assert len(found - set(accounts)) <= 1


def test_two_classes_that_one_wording_brings_together_are_two_clusters() -> None:
    both = a_class(STUDENTS[:22], "x") + a_class(STUDENTS[22:], "y") + said_by(STUDENTS, "template")
    assert sets(both) == [set(STUDENTS[:22]), set(STUDENTS[22:])]


def test_members_of_a_campaign_who_share_wordings_only_stay_where_its_hygiene_is_good() -> None:
    """Half of the accounts are caught by each of two groups, so that a quarter is caught by none."""
    members = [account(i) for i in range(100, 160)]
    rows = [(one, "template", f"x-{t}") for one in members for t in range(3)]
    rows += [(one, "device", f"x-{place % 4 // 2}") for place, one in enumerate(members) if place % 2]
    rows += [(one, "payment", f"x-{place % 3}") for place, one in enumerate(members) if place % 4 < 2]
    assert sets(rows) == [set(members)]


def a_hand(members: list[str]) -> list[Row]:
    """Exits for two in three and cards for half, templates dealt out."""
    placed = list(enumerate(members))
    rows = [(one, "template", f"h-{(place + t) % 12}") for place, one in placed for t in range(4)]
    rows += [(one, "ip", f"h-exit-{(place * 5 + i) % 16}") for place, one in placed for i in range(3) if place % 3]
    return rows + [(one, "payment", f"h-card-{place // 24}") for place, one in placed[::2]]


def reached(rows: list[Row], members: list[str], begun: Sequence[tuple[str, int]] = ()) -> dict[str, int]:
    """The label of each account where these were one cluster, and everything weighs the same.

    `begun` are accounts, and minutes in which they started.
    """
    of = indexed(rows, ACCOUNTS)
    each = np.ones(len(of.values))
    weighed = Weights(control=each, bits=each, valid=each > 0)
    everybody = np.ones(of.account_count, dtype=bool)
    nobody = np.zeros(of.account_count, dtype=np.int64) - 1
    known = no_starts(of)
    if begun:
        account_ids, minutes = (pa.array(column) for column in zip(*begun, strict=True))
        known = starts(pa.table({"account_id": account_ids, "minute": minutes}), of.account_ids)
    by = Linkable(of, weighed, Synchrony(known), everybody, ~everybody, nobody)
    one_cluster = np.where(np.isin(of.account_ids, members), 0, -1)
    return dict(zip(of.account_ids, reach.within_reach(by, one_cluster, 0).tolist(), strict=True))


@pytest.mark.parametrize("sold", [1, 3])
def test_a_home_connection_sold_as_an_exit_is_no_bridge_for_a_whole_class(sold: int) -> None:
    """Some of the hand use the sheet of the class; a few students sell their homes, which the hand uses."""
    hand, students = [account(i) for i in range(60, 180)], [account(i) for i in range(200, 240)]
    rows = a_hand(hand) + a_class(students, "x")
    rows += [(one, "template", f"x-sheet-{t}") for one in hand[:30] for t in range(2)]
    rows += [(one, "ip", f"h-exit-{place}") for place, one in enumerate(students[:sold])]
    labels = reached(rows, hand + students)
    assert {labels[one] for one in hand} == {0}
    assert {labels[one] for one in students[sold:]} == {1}


def test_a_class_leaves_whole_where_some_of_it_send_what_is_the_hands_own() -> None:
    """Ten of forty students hold more of the hand's wordings than of their sheet's."""
    hand, students = [account(i) for i in range(60, 180)], [account(i) for i in range(200, 240)]
    rows = a_hand(hand) + a_class(students, "x")
    rows += [(one, "template", f"x-sheet-{t}") for one in hand[:30] for t in range(2)]
    rows += [(one, "template", f"h-{t}") for one in students[:10] for t in range(3)]
    labels = reached(rows, hand + students)
    assert {labels[one] for one in hand} == {0}
    assert {labels[one] for one in students} == {1}


def test_who_holds_nothing_but_phrases_of_a_campaign_is_let_go_where_none_of_those_is_tied() -> None:
    """Two phrases of a campaign are the phrases of eight developers, too few to make them public."""
    hand, others = [account(i) for i in range(60, 180)], [account(i) for i in range(200, 208)]
    rows = a_hand(hand) + [(one, "rewording", f"phrase-{t}") for one in hand + others for t in range(2)]
    assert sets(rows)[0] == set(hand)


HAND, USERS = [account(i) for i in range(60, 180)], [account(i) for i in range(200, 500)]


def a_tools_users() -> list[Row]:
    """A hand behind a public tool: everybody sends the tool's five wordings, the hand two of its twelve templates."""
    rows = [(one, "rewording", f"tool-{t}") for one in HAND + USERS for t in range(3)]
    rows += [(one, kind, "tool") for one in HAND + USERS for kind in ("template", "system_prompt")]
    return rows + [(one, "template", f"h-{(place + t) % 12}") for place, one in enumerate(HAND) for t in range(2)]


def exits() -> list[Row]:
    """Of four in five of the hand."""
    rows = [(one, "ip", f"h-exit-{(place * 7 + i) % 16}") for place, one in enumerate(HAND) for i in range(2)]
    return [row for row in rows if row[0] not in HAND[::5]]


def in_waves() -> list[tuple[str, int]]:
    """Four in five of the hand begin at three of twenty moments of a day, and everybody else when they like."""
    rng, days = np.random.default_rng(0), range(0, 14 * 1440, 1440)
    begun = [(one, day + int(m)) for one in HAND[::5] + USERS for day in days for m in rng.integers(1440, size=3)]
    for day in days:
        waves = rng.integers(1440, size=20)
        together = [one for one in HAND if one not in HAND[::5]]
        begun += [(one, day + int(m)) for one in together for m in rng.choice(waves, 3, replace=False)]
    return begun


CARD = [(one, "payment", "h-card") for one in HAND[1:4]]


@pytest.mark.parametrize(
    ("rows", "begun"),
    [(exits(), []), (exits() + CARD, []), (CARD, in_waves())],
    ids=["exits", "exits and a card", "lockstep and a card"],
)
def test_users_of_a_public_tool_leave_the_cluster_of_a_campaign_that_one_group_catches(
    rows: list[Row], begun: list[tuple[str, int]]
) -> None:
    """Those of the campaign who are missed stay: they hold fewer of its templates than of the tool's wordings."""
    labels = reached(a_tools_users() + rows, HAND + USERS, begun)
    assert {labels[one] for one in HAND} == {0}
    assert 0 not in {labels[one] for one in USERS}


def test_one_template_of_the_campaigns_own_keeps_no_user_of_the_tool() -> None:
    """Ten users came upon one each; the missed of the campaign hold two."""
    borrowed = [(one, "template", f"h-{place}") for place, one in enumerate(USERS[:10])]
    labels = reached(a_tools_users() + exits() + borrowed, HAND + USERS)
    assert {labels[one] for one in HAND} == {0}
    assert 0 not in {labels[one] for one in USERS}


def test_two_templates_that_are_missed_more_often_than_the_hand_keep_nobody() -> None:
    """Few of those who hold them are caught: they are the users' own, come upon by three of the campaign."""
    theirs = [(one, "template", f"seldom-{t}") for one in HAND[1:4] + USERS[:12] for t in range(2)]
    labels = reached(a_tools_users() + exits() + theirs, HAND + USERS)
    assert {labels[one] for one in HAND} == {0}
    assert 0 not in {labels[one] for one in USERS}


def test_two_templates_that_fewer_than_three_of_the_caught_hold_keep_nobody() -> None:
    """Two of the campaign and one user came upon the same: too few to say how often a template is missed."""
    same = [(one, "template", f"seldom-{t}") for one in HAND[1:3] + USERS[:1] for t in range(2)]
    labels = reached(a_tools_users() + exits() + same, HAND + USERS)
    assert {labels[one] for one in HAND} == {0}
    assert 0 not in {labels[one] for one in USERS}


def test_one_of_many_wordings_that_is_never_missed_by_chance_tells_nothing() -> None:
    """One group catches an eighth of the hand; of its forty-two wordings the caught alone hold one, three of them."""
    caught = HAND[::8]
    rows = [(one, "template", name) for place, one in enumerate(HAND) for name in ("h", f"h-{place // 3}")]
    rows += [(one, "template", "of-three") for one in caught[:3]]
    rows += [(one, "ip", f"h-exit-{(place + i) % 6}") for place, one in enumerate(caught) for i in range(2)]
    labels = reached(rows, HAND)
    assert {labels[one] for one in HAND} == {0}


def test_a_wording_that_nobody_caught_holds_keeps_nobody() -> None:
    """Three of the public hold three wordings of their own and two of everybody's."""
    hand, own = [account(i) for i in range(60, 180)], PUBLIC[:3]
    rows = a_hand(hand) + said_by(hand[:30] + PUBLIC, "template", "rewording")
    rows += [(one, "template", f"theirs-{t}") for one in own for t in range(3)]
    labels = reached(rows, hand + PUBLIC)
    assert {labels[one] for one in hand} == {0}
    assert 0 not in {labels[one] for one in PUBLIC}


def test_where_the_groups_tell_what_a_hand_misses_its_wordings_do_not() -> None:
    """A quarter is caught by neither of two groups, and one wording, sent by the caught only, knows nothing of it."""
    hand = [account(i) for i in range(60, 180)]
    placed = list(enumerate(hand))
    missed, caught = hand[2::4], [one for place, one in placed if place % 4 != 2]
    rows = [(one, "device", f"h-{place // 8 % 4}") for place, one in placed if place % 2]
    rows += [(one, "payment", f"h-{place % 3}") for place, one in placed if place % 4 < 2]
    rows += [(one, "template", f"h-{place // 4 % 2}") for place, one in placed]
    rows += [(one, "template", "of-the-caught") for one in caught]
    rows += [(one, "rewording", "of-many-missed") for one in caught[:33] + missed[:27]]
    labels = reached(rows, hand)
    assert {labels[one] for one in hand} == {0}


@pytest.mark.parametrize("seed", range(3))
def test_clusters_are_looked_at_again_wherever_that_may_change_anything(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four classes that say the same are one cluster, of which one class after the other is let go."""
    classes = [[account(i) for i in range(100 + 30 * k, 122 + 28 * k)] for k in range(4)]
    rows = said_by([one for students in classes for one in students], "template", "rewording")
    for place, students in enumerate(classes):
        rows += a_class(students, f"c{place}")
    asked: list[int] = []
    look = reach._looked_at

    def counted(by: Linkable, labels: Ints, accounts: Ints, seed: int) -> reach._Looked:
        asked.append(len(accounts))
        return look(by, labels, accounts, seed)

    monkeypatch.setattr(reach, "_looked_at", counted)
    found = sets(rows, seed)
    assert len(asked) > 2
    assert asked[-1] < asked[0]
    monkeypatch.setattr(reach, "_left_something", lambda by, before, labels, changed: labels >= 0)
    assert sets(rows, seed) == found
