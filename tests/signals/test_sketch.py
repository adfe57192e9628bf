"""The sketch: what two prompts share, and what they must not."""

import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from tests.disguises import disguises, with_invisible

from stillwatch.records import SKETCH_SIZE

SignalOf = Callable[..., dict[str, Any]]
MakeBatch = Callable[..., pa.RecordBatch]
Sketches = Callable[[list[str]], list[set[int]]]

SEED = 5
INSTRUCTION = (
    "You are grading the work of a junior analyst. Read the report below with care, list every claim that is not "
    "supported by the data, explain for each why the support is missing, and close with a judgement of its rigour"
)
CHINESE = "请仔细阅读下面的报告，逐条列出没有数据支持的论断，说明每一条为什么缺乏依据，并给出对整体严谨程度的评价。"


@pytest.fixture(scope="module")
def vocabulary() -> list[str]:
    generator = random.Random(SEED)
    return ["".join(generator.choices("abcdefghijklmnopqrstuvwxyz", k=generator.randint(2, 9))) for _ in range(5000)]


@pytest.fixture(scope="module")
def sketches(make_batch: MakeBatch) -> Sketches:
    from stillwatch.signals import signals

    def of(prompts: list[str]) -> list[set[int]]:
        found = signals(make_batch([{"prompt": prompt} for prompt in prompts]))["sketch"]
        return [{value for value in sketch if value} for sketch in found.to_pylist()]

    return of


def words(generator: random.Random, vocabulary: list[str], low: int, high: int) -> str:
    return " ".join(generator.choices(vocabulary, k=generator.randint(low, high)))


def test_it_fires_on_two_prompts_of_one_template(sketches: Sketches) -> None:
    first, second = sketches([f"{INSTRUCTION}: sales fell in May", f"{INSTRUCTION}: we surveyed nine towns"])
    assert len(first & second) >= 4


def test_a_look_alike_on_the_same_topic_shares_nothing(sketches: Sketches) -> None:
    first, second = sketches(
        [INSTRUCTION, "Please grade this junior analyst's report and tell me what is unsupported."]
    )
    assert not first & second


@pytest.mark.parametrize("at", ["head", "tail"])
def test_an_instruction_keeps_its_fingerprints_however_long_the_slot_is(
    at: str, sketches: Sketches, vocabulary: list[str]
) -> None:
    generator = random.Random(SEED)
    prompts, alone = [], []
    for _ in range(300):
        instruction = words(generator, vocabulary, 25, 45)
        alone.append(instruction)
        for _ in range(2):
            slot = words(generator, vocabulary, 0, 600)
            prompts.append(f"{instruction} {slot}" if at == "head" else f"{slot} {instruction}")
    found, whole = sketches(prompts), sketches(alone)
    shared = [first & second for first, second in zip(found[::2], found[1::2], strict=True)]
    kept = [len(both & own) / min(len(own), SKETCH_SIZE // 2) for both, own in zip(shared, whole, strict=True) if own]
    assert sum(kept) / len(kept) > 0.97
    assert sum(len(both) for both in shared) / len(shared) > 5
    assert sum(len(both) < 2 for both in shared) / len(shared) < 0.02


def test_unrelated_prompts_share_almost_nothing(sketches: Sketches, vocabulary: list[str]) -> None:
    generator = random.Random(SEED + 1)
    found = sketches([words(generator, vocabulary, 5, 300) for _ in range(600)])
    holders: dict[int, int] = {}
    for sketch in found:
        for fingerprint in sketch:
            holders[fingerprint] = holders.get(fingerprint, 0) + 1
    assert sum(count > 1 for count in holders.values()) / len(holders) < 0.001


def test_a_chinese_instruction_keeps_its_fingerprints(sketches: Sketches) -> None:
    first, second = sketches([CHINESE + "五月销售下降了" * 9, CHINESE + "我们调查了九个城镇，结果如下" * 3])
    assert len(first & second) >= 6


def test_an_instruction_of_forty_words_has_about_eight_fingerprints(sketches: Sketches, vocabulary: list[str]) -> None:
    generator = random.Random(SEED)
    counts = [len(sketch) for sketch in sketches([words(generator, vocabulary, 40, 40) for _ in range(400)])]
    assert 8 < sum(counts) / len(counts) < 11


def test_numbers_are_one_class_in_the_sketch_and_not_in_the_text_id(signal_of: SignalOf) -> None:
    first, second, third = (signal_of(f"please translate item {n} of the list") for n in ("17", "18", "1,017"))
    assert first["sketch"] == second["sketch"] == third["sketch"]
    assert len({first["text_id"], second["text_id"], third["text_id"]}) == 3


def test_case_punctuation_and_invisible_characters_change_neither(signal_of: SignalOf) -> None:
    first, second = signal_of("Explain this, please!"), signal_of("explain\u200b THIS please")
    assert (first["sketch"], first["text_id"]) == (second["sketch"], second["text_id"])


@pytest.mark.parametrize("text", [INSTRUCTION, CHINESE], ids=["english", "chinese"])
def test_invisible_characters_do_not_change_the_sketch(signal_of: SignalOf, text: str) -> None:
    hidden = with_invisible(text)
    assert hidden != text
    assert signal_of(hidden)["sketch"] == signal_of(text)["sketch"]


@pytest.mark.parametrize("disguised", disguises(INSTRUCTION).values(), ids=disguises(INSTRUCTION).keys())
def test_case_look_alikes_width_and_strokes_do_not_change_the_sketch(signal_of: SignalOf, disguised: str) -> None:
    assert disguised != INSTRUCTION
    assert signal_of(disguised)["sketch"] == signal_of(INSTRUCTION)["sketch"]


@pytest.mark.parametrize("prompt", ["hi", "17", "考", "two words", "逐步", "one two three"])
def test_the_shortest_prompt_has_a_fingerprint(prompt: str, signal_of: SignalOf) -> None:
    sketch = signal_of(prompt)["sketch"]
    assert len(sketch) == SKETCH_SIZE
    assert any(sketch)
    assert min(sketch) >= 0


def test_a_prompt_without_words_has_no_sketch(signal_of: SignalOf) -> None:
    assert signal_of("?!")["sketch"] is None


def test_no_fingerprint_stands_twice_in_a_sketch(make_batch: MakeBatch, vocabulary: list[str]) -> None:
    from stillwatch.signals import signals

    generator = random.Random(SEED)
    prompts = [words(generator, vocabulary, 1, 90) for _ in range(300)] + ["again and again " * 50]
    for sketch in signals(make_batch([{"prompt": prompt} for prompt in prompts]))["sketch"].to_pylist():
        filled = [value for value in sketch if value]
        assert len(filled) == len(set(filled))


def test_text_ids_of_many_prompts_are_distinct(make_batch: MakeBatch) -> None:
    from stillwatch.signals import signals

    found = signals(make_batch([{"prompt": f"w{i} x{i % 7} {i}"} for i in range(20_000)]))["text_id"]
    assert len(pa.compute.unique(found)) == 20_000
