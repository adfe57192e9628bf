"""Identity: a successor keeps the id of what it succeeds, and names whose accounts it holds."""

from datetime import UTC, datetime

from stillwatch.campaigns.identity import Identity, identities, new_id
from stillwatch.campaigns.known import Known, Span

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def known(name: str, accounts: str, *, former: str = "", exchanges: dict[str, int] | None = None) -> Known:
    """A known campaign; accounts are letters that made ten exchanges each unless told otherwise."""
    made = exchanges or {}
    spans = {letter: Span(made.get(letter, 10), NOON, NOON) for letter in accounts}
    return Known(name, "distillation", spans | {letter: Span(10, NOON, NOON, is_member=False) for letter in former})


def named(clusters: list[str], before: list[Known]) -> list[Identity]:
    return identities([list(cluster) for cluster in clusters], before)


def test_a_cluster_never_seen_before_is_named_after_its_members_in_any_order() -> None:
    assert named(["abc"], [])[0] == Identity(new_id(["c", "a", "b"]))
    assert new_id(["a", "b"]) != new_id(["a", "c"])


def test_a_successor_with_half_of_the_exposure_inherits_the_id() -> None:
    assert named(["abxy"], [known("c-1", "abcd")])[0].campaign_id == "c-1"


def test_a_successor_with_less_than_half_splits_off_under_a_new_id() -> None:
    (found,) = named(["axyz"], [known("c-1", "abcd")])
    assert found == Identity(new_id("axyz"), (("c-1", "split_from", 0.25),))


def test_exposure_counts_not_accounts() -> None:
    (found,) = named(["a"], [known("c-1", "abcd", exchanges={"a": 100})])
    assert found.campaign_id == "c-1"


def test_two_accounts_that_a_ban_has_left_make_no_heir() -> None:
    (found,) = named(["abvwxyz"], [known("c-1", "abcdefgh")])
    assert found.campaign_id == new_id("abvwxyz")


def test_former_accounts_neither_inherit_nor_count() -> None:
    assert named(["ab"], [known("c-1", "abcd", former="efghij")])[0].campaign_id == "c-1"
    assert named(["efg"], [known("c-1", "abcd", former="efg")])[0] == Identity(new_id("efg"))


def test_when_a_campaign_splits_the_larger_part_keeps_the_id() -> None:
    small, large = named(["de", "abc"], [known("c-1", "abcde")])
    assert large == Identity("c-1")
    assert small.kin == (("c-1", "split_from", 0.4),)
    assert small.campaign_id != "c-1"


def test_two_equal_halves_never_share_one_id() -> None:
    left, right = named(["ab", "cd"], [known("c-1", "abcd")])
    assert left.campaign_id == "c-1"
    assert right == Identity(new_id("cd"), (("c-1", "split_from", 0.5),))


def test_merged_campaigns_keep_the_id_of_the_larger_and_name_the_other() -> None:
    (found,) = named(["abcdefgh"], [known("c-1", "abc"), known("c-2", "defgh")])
    assert found == Identity("c-2", (("c-1", "merged_into", 1.0),))


def test_the_order_of_known_campaigns_changes_no_id() -> None:
    before = [known("c-1", "abc"), known("c-2", "def"), known("c-3", "gh")]
    there, back = named(["abcdef", "gh"], before), named(["abcdef", "gh"], before[::-1])
    assert [found.campaign_id for found in there] == [found.campaign_id for found in back] == ["c-1", "c-3"]


def test_an_unrelated_campaign_leaves_no_trace() -> None:
    assert named(["abc"], [known("c-1", "fgh")])[0] == Identity(new_id("abc"))


def test_a_campaign_without_exposure_is_inherited_by_nobody() -> None:
    before = known("c-1", "xyz", exchanges={"x": 0, "y": 0, "z": 0})
    assert named(["xyz"], [before])[0].campaign_id == new_id("xyz")
