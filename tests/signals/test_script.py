"""The writing system of a prompt."""

from collections.abc import Callable
from typing import Any

import pytest

SignalOf = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("prompt", "script"),
    [
        ("Write a sonnet", "latin"),
        ("Напиши сонет", "cyrillic"),
        ("写一首十四行诗", "han"),
        ("東京の天気を教えてください", "kana"),
        ("소네트를 써 줘", "hangul"),
        ("اكتب قصيدة", "arabic"),
        ("เขียนบทกวี", "thai"),
        ("एक कविता लिखो", "devanagari"),
        ("γράψε ένα ποίημα", "greek"),
        ("כתוב שיר", "hebrew"),
    ],
)
def test_it_fires_on_each_writing_system(prompt: str, script: str, signal_of: SignalOf) -> None:
    assert signal_of(prompt)["script"] == script


def test_a_look_alike_with_a_few_foreign_letters_keeps_its_script(signal_of: SignalOf) -> None:
    assert signal_of("Translate 写 and の and ж into English for me")["script"] == "latin"


def test_numbers_and_signs_have_no_script(signal_of: SignalOf) -> None:
    assert signal_of("12 + 3 = ?")["script"] is None
