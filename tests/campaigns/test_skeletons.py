"""Skeletons: what enough accounts wrote alike is shown, what any one put in is not."""

import string

import numpy as np

from stillwatch.campaigns.skeletons import GAP, MAX_CHARS, MIN_ACCOUNTS, skeleton

HEAD, TAIL = "Solve the following problem in full detail", "and write every step inside tags"


def word(rng: np.random.Generator) -> str:
    return "slot" + "".join(rng.choice(list(string.ascii_lowercase), 10))


def filled(accounts: int, seed: int = 0, slots: int = 6) -> list[tuple[str, str]]:
    """One prompt per account: the same wording around another slot."""
    rng = np.random.default_rng(seed)
    return [(f"a{i}", f"{HEAD} {' '.join(word(rng) for _ in range(slots))} {TAIL}") for i in range(accounts)]


def test_the_common_words_are_shown_with_a_gap_for_the_slot() -> None:
    assert skeleton(filled(8)) == f"{HEAD} {GAP} {TAIL}"


def test_fewer_than_five_accounts_show_nothing() -> None:
    assert MIN_ACCOUNTS == 5
    assert skeleton(filled(4)) is None
    assert skeleton(filled(5)) is not None
    assert skeleton([]) is None


def test_many_prompts_of_few_accounts_show_nothing() -> None:
    assert skeleton([(f"a{i % 4}", text) for i, (_, text) in enumerate(filled(40))]) is None


def test_no_slot_is_ever_shown() -> None:
    for seed in range(20):
        shown = skeleton(filled(5 + seed % 12, seed=seed, slots=1 + seed))
        assert shown is not None
        assert "slot" not in shown


def test_a_slot_that_four_accounts_share_is_not_shown() -> None:
    repeated = [(f"b{i}", f"{HEAD} our secret project name is bluebird {TAIL}") for i in range(4)]
    shown = skeleton(filled(4) + repeated)
    assert shown is not None
    assert "bluebird" not in shown


def test_addresses_paths_and_digits_are_not_shown_even_when_all_wrote_them() -> None:
    text = (
        "Please send the result for order 4711 to jane.doe@example.org and save it under /home/jane or C:\\data\\x now"
    )
    shown = skeleton([(f"a{i}", text) for i in range(9)])
    assert shown is not None
    assert "@" not in shown
    assert "jane" not in shown
    assert not any(character.isdigit() for character in shown)
    assert "data" not in shown


def test_prompts_with_nothing_in_common_show_nothing() -> None:
    rng = np.random.default_rng(2)
    assert skeleton([(f"a{i}", " ".join(word(rng) for _ in range(20))) for i in range(9)]) is None


def test_a_long_skeleton_is_cut() -> None:
    shown = skeleton([(f"a{i}", "the same words again " * 200) for i in range(6)])
    assert shown is not None
    assert len(shown) <= MAX_CHARS


def test_the_order_of_the_exemplars_does_not_matter() -> None:
    prompts = [*filled(9), ("a1", "another prompt of the same account")]
    assert skeleton(prompts[::-1]) == skeleton(prompts)
