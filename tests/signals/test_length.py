"""How long a prompt is."""

from collections.abc import Callable
from typing import Any

import pytest

SignalOf = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(("prompt", "words"), [("two words", 2), ("逐步思考", 4), ("e\u0301", 1), ("x1 2y", 2)])
def test_it_fires_on_every_word(prompt: str, words: int, signal_of: SignalOf) -> None:
    assert signal_of(prompt)["prompt_words"] == words


@pytest.mark.parametrize("prompt", ["🙂", "...", "\u200b"])
def test_a_look_alike_without_a_word_has_none(prompt: str, signal_of: SignalOf) -> None:
    assert signal_of(prompt)["prompt_words"] == 0
