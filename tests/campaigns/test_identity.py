"""Identity: a successor keeps the id of what it succeeds, and says where it came from."""

from typing import Any

from stillwatch.campaigns.identity import Identity, identities, new_id

NONE: frozenset[str] = frozenset()
EXPOSURE = dict.fromkeys("abcdefghij", 10)


def campaign(name: str, accounts: str, templates: str = "") -> dict[str, Any]:
    """A campaign of the last run; accounts and templates are letters."""
    return {
        "campaign_id": name,
        "account_ids": list(accounts),
        "templates": [{"template_id": template} for template in templates],
    }


def named(clusters: list[str], prior: list[dict[str, Any]], templates: list[str] | None = None) -> list[Identity]:
    used = [frozenset(t) for t in templates] if templates else [NONE] * len(clusters)
    return identities([list(c) for c in clusters], used, EXPOSURE, prior)


def test_a_cluster_never_seen_before_is_named_after_its_members_in_any_order() -> None:
    assert named(["abc"], [])[0] == Identity(new_id(["c", "a", "b"]))
    assert new_id(["a", "b"]) != new_id(["a", "c"])


def test_a_successor_with_half_of_the_exposure_inherits_the_id() -> None:
    assert named(["abxy"], [campaign("c-1", "abcd")])[0].campaign_id == "c-1"


def test_a_successor_with_less_than_half_splits_off_under_a_new_id() -> None:
    (found,) = named(["axyz"], [campaign("c-1", "abcd")])
    assert found == Identity(new_id("axyz"), (("c-1", "split_from"),))


def test_exposure_counts_not_accounts() -> None:
    exposure = {"a": 100, "b": 1, "c": 1, "d": 1}
    (found,) = identities([["a"]], [NONE], exposure, [campaign("c-1", "abcd")])
    assert found.campaign_id == "c-1"


def test_when_a_campaign_splits_the_larger_part_keeps_the_id() -> None:
    small, large = named(["de", "abc"], [campaign("c-1", "abcde")])
    assert large == Identity("c-1")
    assert small.lineage == (("c-1", "split_from"),)
    assert small.campaign_id != "c-1"


def test_two_equal_halves_never_share_one_id() -> None:
    left, right = named(["ab", "cd"], [campaign("c-1", "abcd")])
    assert left.campaign_id == "c-1"
    assert right == Identity(new_id("cd"), (("c-1", "split_from"),))


def test_merged_campaigns_keep_the_id_of_the_larger_and_name_the_other() -> None:
    (found,) = named(["abcdefgh"], [campaign("c-1", "abc"), campaign("c-2", "defgh")])
    assert found == Identity("c-2", (("c-1", "merged_into"),))


def test_the_same_templates_with_other_accounts_are_a_displaced_campaign() -> None:
    (found,) = named(["xyz"], [campaign("c-1", "abc", "pqrs")], ["pqtu"])
    assert found == Identity(new_id("xyz"), (("c-1", "displaced_from"),))


def test_few_templates_in_common_are_no_displacement() -> None:
    assert named(["xyz"], [campaign("c-1", "abc", "pqrs")], ["ptuv"])[0].lineage == ()
    assert named(["xyz"], [campaign("c-1", "abc", "")], [""])[0].lineage == ()


def test_an_unrelated_campaign_leaves_no_trace() -> None:
    assert named(["abc"], [campaign("c-1", "fgh")])[0] == Identity(new_id("abc"))


def test_a_campaign_without_exposure_is_inherited_by_nobody() -> None:
    assert named(["xyz"], [campaign("c-1", "xyz")])[0].campaign_id == new_id("xyz")
