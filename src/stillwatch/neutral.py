"""Text that strangers wrote, made harmless for a terminal and for a spreadsheet.

Why:    account ids, model names, user agents and prompt skeletons are the attacker's words. Printed raw they can move
        the cursor, hide or reorder text, or run a formula in the analyst's spreadsheet.
Misses: letters that merely look alike; an analyst must still read an id before acting on it.
Source: ECMA-48, 5th ed., 1991 (control functions); Boucher & Anderson, "Trojan Source", USENIX Security 2023 (bidi);
        OWASP, "CSV Injection".
"""

import re
import unicodedata
from typing import Final

# An escape sequence with its arguments: CSI; OSC, DCS and kin up to their terminator; any other two-character escape.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_BREAKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")

# Invisible characters outside the Unicode categories dropped below: fillers, and selectors that can hide data.
_INVISIBLE: Final = re.compile("[\u115f\u1160\u3164\uffa0\u034f\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Controls, formats (bidi, zero-width, tags), surrogates and private use.
_DROPPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co"})

_FORMULA_STARTS: Final = frozenset("=+-@|%\t\r\n'＝＋－＠")


def terminal(text: str) -> str:
    """The text on one line, without anything that acts on a terminal or hides from a reader."""
    if text.isascii() and text.isprintable():  # nearly every string: nothing to do
        return text
    plain = _BREAKS.sub(" ", _ESCAPES.sub("", text))
    plain = _INVISIBLE.sub("", plain)
    return "".join(character for character in plain if unicodedata.category(character) not in _DROPPED_CATEGORIES)


def csv_cell(value: object) -> str:
    """The value as a cell that no spreadsheet takes for a formula; a null is empty, a number stays a number.

    Quoting of separators is the CSV writer's business, not ours.
    """
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    text = terminal(str(value))
    raw = str(value)
    starts = {raw[:1], text[:1], text.lstrip()[:1]}
    return f"'{text}" if starts & _FORMULA_STARTS else text
