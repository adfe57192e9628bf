"""The bag of words: what two wordings of one instruction share, and what a disguise does not change."""

import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from tests.disguises import disguises, with_invisible

from stillwatch.records import WORDS_SIZE

SignalOf = Callable[..., dict[str, Any]]
MakeBatch = Callable[..., pa.RecordBatch]
BagOf = Callable[[str | None], list[int] | None]
Bags = Callable[[list[str]], list[set[int]]]

INSTRUCTION = (
    "Grade the work of a junior analyst: read the report with care, list every claim the data do not support, explain "
    "why the support is missing, and close with a judgement of its rigour"
)
REWORDED = (
    "Mark the work of a novice analyst: study the report closely, name every claim the figures do not support, say "
    "why the backing is missing, and finish with a verdict on its rigour"
)
CHINESE = "请仔细阅读下面的报告，逐条列出没有数据支持的论断，说明每一条为什么缺乏依据，并给出对整体严谨程度的评价。"
JAPANESE = "次の報告書をよく読み、データで裏付けられていない主張をすべて挙げ、それぞれの理由を説明してください。"


@pytest.fixture(scope="module")
def bags(make_batch: MakeBatch) -> Bags:
    from stillwatch.signals import signals

    def of(prompts: list[str]) -> list[set[int]]:
        found = signals(make_batch([{"prompt": prompt} for prompt in prompts]))["words"]
        return [{value for value in bag if value} for bag in found.to_pylist()]

    return of


@pytest.fixture(scope="module")
def bag_of(signal_of: SignalOf) -> BagOf:
    return lambda text: signal_of(text)["words"]


def filler(seed: int, words: int) -> str:
    """Words that nothing else has."""
    generator = random.Random(seed)
    return " ".join("".join(generator.choices("bcdfghjklm", k=9)) for _ in range(words))


def test_it_fires_on_a_reworded_instruction(bags: Bags) -> None:
    first, second = bags([INSTRUCTION, REWORDED])
    assert len(first & second) >= 6
    assert len(first) <= 16


def test_a_look_alike_on_another_subject_shares_common_words_only(bags: Bags) -> None:
    first, second = bags([INSTRUCTION, "Please translate this recipe for my aunt and keep the units of the original"])
    assert len(first & second) <= 4


@pytest.mark.parametrize("at", ["head", "tail"])
def test_an_instruction_keeps_its_words_however_long_the_slot_is(bags: Bags, at: str) -> None:
    texts = [f"{INSTRUCTION} {filler(i, n)}" if at == "head" else f"{filler(i, n)} {INSTRUCTION}"
             for i, n in enumerate((5, 50, 500))]  # fmt: skip
    alone, *filled = bags([INSTRUCTION, *texts])
    for bag in filled:
        assert len(alone & bag) >= len(alone) - 1


def test_it_holds_at_most_half_its_size_from_either_end(bags: Bags) -> None:
    head, both = bags([filler(1, 50), f"{filler(1, 50)} {filler(2, 100)} {filler(3, 60)}"])
    assert len(both) == WORDS_SIZE
    assert len(head & both) == WORDS_SIZE // 2
    assert 15 <= len(head) <= 35


def test_one_word_in_two_has_a_mark_whatever_stands_beside_it(bags: Bags) -> None:
    words = filler(4, 400).split()
    marked = [len(bag) for bag in bags(words)]
    assert set(marked) == {0, 1}
    assert 160 <= sum(marked) <= 240
    assert [len(bag) for bag in bags([f"{word} 17" for word in words])] == marked


def test_order_and_repetition_are_not_kept(bag_of: BagOf) -> None:
    words = INSTRUCTION.replace(":", "").replace(",", "").split()[:20]
    turned = words[::-1] + words[:5]
    assert set(bag_of(" ".join(words))) == set(bag_of(" ".join(turned)))


@pytest.mark.parametrize("text", [INSTRUCTION, CHINESE, JAPANESE], ids=["english", "chinese", "japanese"])
def test_invisible_characters_change_nothing(bag_of: BagOf, text: str) -> None:
    hidden = with_invisible(text)
    assert hidden != text
    assert bag_of(hidden) == bag_of(text)


@pytest.mark.parametrize("disguised", disguises(INSTRUCTION).values(), ids=disguises(INSTRUCTION).keys())
def test_case_look_alikes_width_and_strokes_change_nothing(bag_of: BagOf, disguised: str) -> None:
    assert disguised != INSTRUCTION
    assert bag_of(disguised) == bag_of(INSTRUCTION)


def test_in_scripts_without_spaces_neighbouring_characters_are_words(bags: Bags) -> None:
    whole, changed = bags([CHINESE, CHINESE.replace("数据", "证据").replace("说明", "解释")])
    assert len(whole & changed) >= len(whole) * 0.6


def test_numbers_have_no_mark(bag_of: BagOf) -> None:
    assert not any(bag_of("17 2026 3rd 4x4"))


def test_a_prompt_without_a_token_has_no_bag(bag_of: BagOf) -> None:
    assert bag_of("?!") is None
    assert bag_of(None) is None
