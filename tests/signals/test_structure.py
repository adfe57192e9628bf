"""Size and shape of an exchange."""

from collections.abc import Callable
from typing import Any

import pytest

from stillwatch.records import EXCHANGES

SignalOf = Callable[..., dict[str, Any]]


def test_it_fires_alike_on_exchanges_of_one_shape(signal_of: SignalOf) -> None:
    first = signal_of("a b", turn_count=4, tool_count=2, input_tokens=900, output_tokens=130)
    second = signal_of("c d", turn_count=5, tool_count=3, input_tokens=1000, output_tokens=200)
    assert first["token_shape"] == second["token_shape"]


def test_a_look_alike_with_one_tool_more_in_the_next_bucket_has_another_shape(signal_of: SignalOf) -> None:
    assert signal_of(turn_count=1, tool_count=3)["token_shape"] != signal_of(turn_count=1, tool_count=4)["token_shape"]


def test_the_code_is_packed_as_the_module_says(signal_of: SignalOf) -> None:
    shape = signal_of(turn_count=3, tool_count=0, image_count=None, input_tokens=1000, output_tokens=1)["token_shape"]
    assert shape == (3 << 18) | (1 << 14) | (0 << 10) | (11 << 5) | 2


def test_the_largest_counts_stay_in_their_bucket(signal_of: SignalOf) -> None:
    shape = signal_of(turn_count=2**31 - 1, image_count=2**31 - 1, output_tokens=2**62)["token_shape"]
    assert shape == (15 << 18) | (15 << 10) | 31


@pytest.mark.parametrize(
    ("prompt", "chars", "words"),
    [("two words", 9, 2), ("逐步思考", 4, 4), ("🙂", 1, 0), ("e\u0301", 2, 1), ("...", 3, 0)],
)
def test_characters_and_words_are_counted(prompt: str, chars: int, words: int, signal_of: SignalOf) -> None:
    found = signal_of(prompt)
    assert (found["prompt_chars"], found["prompt_words"]) == (chars, words)


def test_every_packed_column_is_in_the_contract() -> None:
    from stillwatch.signals import structure

    assert all(name in EXCHANGES.names for name, _ in structure._PACKING)
