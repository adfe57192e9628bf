import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.neutral import csv_cell, terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("acct-1", "acct-1"),
        ("Zoë 東京 🙂", "Zoë 東京 🙂"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("one\r\ntwo\tthree\u2028four", "one two three four"),
        ("bell\x07back\x08space\x00nul", "bellbackspacenul"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("a\u2066b\u2069c\u200fd", "abcd"),
        ("a\u200bb\ufeffc\u00add\u2060e", "abcde"),
        ("tag\U000e0041\U000e007f", "tag"),
        ("hangul\u3164filler", "hangulfiller"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("", ""),
    ],
)
def test_nothing_reaches_a_terminal_that_acts_or_hides(text: str, shown: str) -> None:
    assert terminal(text) == shown


@given(st.text(st.characters()))
def test_what_is_left_is_one_line_of_visible_text(text: str) -> None:
    shown = terminal(text)
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for character in shown)
    assert terminal(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\x1b[0m=1",
        "\u200b=1",
        "\ufeff@x",
        "＝1",
        "'already quoted",
        '=HYPERLINK("https://example.org","x")',
        "=cmd|' /C calc'!A0",
    ],
)
def test_a_formula_becomes_text(text: str) -> None:
    assert csv_cell(text).startswith("'")


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, ""), (7, "7"), (-7, "-7"), (-0.5, "-0.5"), (True, "True"), ("c-7692c3ad3540", "c-7692c3ad3540"), ("", "")],
)
def test_ordinary_values_stay_as_they_are(value: object, cell: str) -> None:
    assert csv_cell(value) == cell


@given(st.lists(st.text(st.characters()), min_size=1, max_size=4))
def test_no_cell_of_a_written_file_starts_like_a_formula(texts: list[str]) -> None:
    out = io.StringIO()
    csv.writer(out).writerow([csv_cell(text) for text in texts])
    for row in csv.reader(io.StringIO(out.getvalue())):
        assert not any(cell.lstrip()[:1] in set("=+-@|%") for cell in row if cell.lstrip())
