"""Rewordings: how many words go, which stay, and that every language has its wordings."""

from random import Random

import pytest
from tests.evaluation.wordings import kept

from stillwatch.evaluation.grammar import ITEM_PARTS, SLOT, grammar, worded
from stillwatch.evaluation.hostile import HARVEST
from stillwatch.evaluation.languages import SPOKEN, languages, spoken
from stillwatch.evaluation.paraphrase import stand_ins, variants

TEXT = (
    "Think step by step and show the whole reasoning before you answer. Put it between <reasoning> and </reasoning>. "
)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.6])
@pytest.mark.parametrize("name", HARVEST)
def test_the_share_of_replaced_words_is_the_one_asked_for(name: str, share: float) -> None:
    recipe, dice = grammar().recipes[name], Random(4)
    parts = [worded(text, dice, grammar()) for text in (*recipe.before, *recipe.after)]
    text = "".join(parts)
    made = ["".join(row) for row in zip(*(variants(part, share, 200) for part in parts), strict=True)]
    assert 1 - sum(kept(text, variant) for variant in made) / len(made) == pytest.approx(
        share, abs=0.06
    )  # words can match by chance


def test_marks_numbers_and_line_breaks_stay() -> None:
    for variant in variants("<reasoning> JSON 42\n\n### Task:\n", 0.6, 50):
        assert variant.startswith("<reasoning> JSON 42\n\n### ")
        assert variant.endswith(":\n")


def test_nothing_is_replaced_at_zero_and_the_same_text_gives_the_same_variants() -> None:
    assert set(variants(TEXT, 0.0, 5)) == {TEXT}
    assert variants(TEXT, 0.5, 5) == variants(TEXT, 0.5, 5)
    assert len(set(variants(TEXT, 0.5, 300))) > 290


def test_no_word_stands_in_for_itself_and_each_has_three_stand_ins() -> None:
    for word, others in stand_ins().items():
        assert word == word.lower()
        assert len(set(others)) == len(others) >= 3, word
        assert word not in others


@pytest.mark.parametrize("language", languages())
def test_every_language_says_the_same_two_things_at_about_the_same_length(language: str) -> None:
    words, dice = spoken(language), Random(1)
    for name in SPOKEN:
        recipe = words.recipes[name]
        for _ in range(40):
            text = "".join(worded(part, dice, words) for part in (*recipe.before, *recipe.middle, *recipe.after))
            assert not set("|{}@") & set(text)
            assert 60 < len(text) < 600
        for kind in (*recipe.item, *([recipe.second] if recipe.second else [])):
            for frame in words.frames[kind]:
                pieces = SLOT.split(frame)
                assert len([piece for piece in pieces if piece]) <= ITEM_PARTS
                assert all(slot in words.slots for slot in pieces[1::2])


def test_only_the_two_recipes_change_with_the_language() -> None:
    plain, japanese = grammar(), spoken("ja")
    changed = {name for name in plain.recipes if plain.recipes[name] != japanese.recipes[name]}
    assert changed == set(SPOKEN)
    assert all(plain.recipes[name].capability == japanese.recipes[name].capability for name in SPOKEN)
