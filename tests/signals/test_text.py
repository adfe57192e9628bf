"""Tokens: what is one, and what reads the same."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillwatch.signals import oracle, text
from stillwatch.signals.characters import entries


def hashes(*texts: str) -> list[list[int]]:
    found = text.tokens(pa.array(texts, pa.string()))
    return [found.hashes[a:b].tolist() for a, b in zip(found.bounds, found.bounds[1:], strict=False)]


@pytest.mark.parametrize(
    ("plain", "disguised"),
    [
        ("Hello, World", "hello world"),
        ("full width", "ｆｕｌｌ　ｗｉｄｔｈ"),
        ("step by step", "st\u200bep b\u00ady st\ufeffep"),
        ("zalgo", "z\u0336a\u0337l\u0335g\u0334o\u0336"),
        ("café", "cafe\u0301"),
        ("fine", "ﬁne"),
        ("scope", "ѕсоре"),  # Cyrillic letters that look Latin
        ("ガ", "ｶﾞ"),
        ("각", "\u1100\u1161\u11a8"),
    ],
)
def test_disguises_of_a_word_give_the_same_tokens(plain: str, disguised: str) -> None:
    first, second = hashes(plain, disguised)
    assert first == second != []


@pytest.mark.parametrize(
    ("one", "other"), [("item 17", "item 18"), ("ab c", "a bc"), ("step", "stop"), ("naïve", "naive")]
)
def test_different_words_give_different_tokens(one: str, other: str) -> None:
    first, second = hashes(one, other)
    assert first != second


def test_unspaced_scripts_are_cut_into_characters_and_hangul_is_not() -> None:
    assert [len(tokens) for tokens in hashes("逐步思考", "ひらがな", "ไทย", "단계별로 생각해", "看 GPT4 吧")] == [
        4,
        4,
        3,
        2,
        3,
    ]


def test_the_low_bits_tell_words_characters_and_numbers_apart() -> None:
    assert [token & 3 for token in hashes("word 考 17 gpt4")[0]] == [0, 1, 2, 2]


def test_every_assigned_code_point_equals_the_reference() -> None:
    codes = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cs", "Cn", "Co")]
    for start in range(0, len(codes), 20_000):
        texts = [f"a{chr(code)}b" for code in codes[start : start + 20_000]]
        for value, found in zip(texts, hashes(*texts), strict=True):
            assert found == oracle.tokens(value), hex(ord(value[1]))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(st.sampled_from("aZ0 -é考ﬁ\u0301\u200b<\u0338"), max_size=30), max_size=6), st.integers(0, 40))
def test_words_of_any_length_at_any_place_equal_the_reference(parts: list[str], length: int) -> None:
    texts = [*parts, " ".join(["q" * length, *parts, "Z9" * length])]
    assert hashes(*texts) == [oracle.tokens(value) for value in texts]


def test_broken_utf8_stays_inside_its_row() -> None:
    data = b"good\xe4\xff\xf7\x80" + b"\xc3" + b"fine"
    offsets = pa.py_buffer(np.array([0, 8, 9, 13], np.int32).tobytes())
    broken = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(data))
    found = text.tokens(broken)
    assert found.hashes[found.bounds[2] :].tolist() == hashes("fine")[0]


def test_a_null_that_hides_text_has_no_tokens() -> None:
    values = pa.array(["seen", "hidden"])
    masked = pa.StringArray.from_buffers(2, values.buffers()[1], values.buffers()[2], pa.py_buffer(b"\x01"))
    assert text.tokens(masked).counts.tolist() == [1, 0]


def test_fingerprints_are_the_same_on_every_platform() -> None:
    assert [token % 1_000_003 for token in hashes("Reason step by step 考 42")[0]] == [
        82955,
        572743,
        242364,
        572743,
        705226,
        242038,
    ]


def test_the_tables_cover_unicode() -> None:
    assert len(entries()) == 0x110000
