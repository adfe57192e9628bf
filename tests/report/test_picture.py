import random
from itertools import pairwise

from stillwatch.report.picture import FAMILIES, MOST_ACCOUNTS, MOST_TRAITS, picture, sample


def link(account_id: str, family: str, value: str, bits: float = 5.0) -> dict[str, object]:
    return {"account_id": account_id, "kind": family, "family": family, "value": value, "weight_bits": bits}


IDS = [f"a{index:02d}" for index in range(12)]
ROWS = [link(one, "content", "t", 9.0) for one in IDS] + [link(one, "payment", "card") for one in IDS[:5]]


def test_a_sample_is_even_and_bounded() -> None:
    many = [f"a{index:05d}" for index in range(20_000)]
    chosen = sample(random.Random(1).sample(many, len(many)))
    assert len(chosen) == MOST_ACCOUNTS
    assert chosen == sorted(chosen)
    gaps = {int(after[1:]) - int(before[1:]) for before, after in pairwise(chosen)}
    assert gaps <= {555, 556}
    assert sample(["b", "a"]) == ["a", "b"]


def test_every_link_between_what_is_shown_is_drawn() -> None:
    drawn = picture(IDS, ROWS, 40)
    assert drawn is not None
    assert (len(drawn.traits), len(drawn.accounts), len(drawn.links)) == (2, 12, 17)
    assert (drawn.sampled, drawn.total) == (12, 40)


def test_the_order_of_links_changes_nothing() -> None:
    assert picture(IDS, ROWS, 12) == picture(IDS[::-1], random.Random(2).sample(ROWS, len(ROWS)), 12)


def test_each_family_shows_its_best_before_any_shows_its_second() -> None:
    crowd = [link(one, "content", f"t{number}", 20.0) for one in IDS for number in range(30)]
    few = [link(one, family, "x", 1.0) for one in IDS[:2] for family in ("payment", "network")]
    drawn = picture(IDS, crowd + few, 12)
    assert drawn is not None
    assert len(drawn.traits) == MOST_TRAITS
    assert {trait.style for trait in drawn.traits} == {"content", "payment", "network"}


def test_a_trait_that_one_account_holds_alone_is_not_drawn() -> None:
    assert picture(IDS, [link("a01", "payment", "card")], 12) is None


def test_an_account_that_holds_nothing_shown_is_hollow() -> None:
    drawn = picture(IDS, ROWS[12:], 12)
    assert drawn is not None
    assert sum(node.style == "lone" for node in drawn.accounts) == 7


def test_a_family_without_a_colour_of_its_own_borrows_one() -> None:
    drawn = picture(IDS, [link(one, '"><script>', "x") for one in IDS], 12)
    assert drawn is not None
    assert {trait.style for trait in drawn.traits} == {"other"}
    assert "other" not in FAMILIES


def test_nodes_stay_inside_the_picture() -> None:
    drawn = picture(IDS, ROWS, 12)
    assert drawn is not None
    for node in (*drawn.traits, *drawn.accounts):
        assert node.radius < node.x < drawn.width - node.radius
        assert node.radius < node.y < drawn.height - node.radius
