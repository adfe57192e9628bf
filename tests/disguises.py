"""Disguises of a text that must change no signal of its words."""

import random


def with_invisible(text: str) -> str:
    """The text with characters between its own that nobody sees."""
    return "".join(c + random.Random(i).choice(["", "\u200b", "\u2060", "\ufe0f"]) for i, c in enumerate(text))


def disguises(text: str) -> dict[str, str]:
    """The text in other characters that look alike, by the kind of disguise."""
    return {
        "capitals": text.upper(),
        "cyrillic twins": text.translate(str.maketrans("aceopxy", "асеорху")),
        "full width": "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
        "strokes": text.replace("a", "a\u0334"),
    }
