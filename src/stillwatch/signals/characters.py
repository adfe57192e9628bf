"""What each code point is to us: letter, digit, separator or nothing; what it folds to; which script it belongs to.

Why:    prompts that differ in case, width, accents laid on top, invisible characters or borrowed look-alike letters
        read the same to a model, so they must read the same to us.
Misses: spellings in leetspeak, words broken by visible punctuation, look-alikes outside the short list below.
Source: Unicode Standard Annex 15 (normalisation forms) and 44 (general categories); Unicode Technical Standard 39,
        section 4 (confusable characters), of which only the plainest Cyrillic and Greek twins of Latin letters.
"""

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

SEPARATOR, LETTER, DIGIT, UNSPACED, IGNORED = 0, 1, 2, 3, 4

# An entry: script (5 bits), code point it is read as (21), whether it cannot be folded by itself (1), class (3).
CLASS_MASK, COMPOSES = np.uint64(7), np.uint64(8)
FOLD_SHIFT, FOLD_MASK = np.uint64(4), np.uint64(0x1FFFFF)
SCRIPT_SHIFT = np.uint64(25)

SCRIPTS = (
    "latin", "greek", "cyrillic", "armenian", "hebrew", "arabic", "devanagari", "bengali", "gurmukhi", "gujarati",
    "oriya", "tamil", "telugu", "kannada", "malayalam", "sinhala", "thai", "lao", "tibetan", "myanmar", "georgian",
    "hangul", "ethiopic", "khmer", "mongolian", "kana", "han", "other",
)  # fmt: skip
LATIN = SCRIPTS.index("latin")
OTHER = SCRIPTS.index("other")
HAN = SCRIPTS.index("han")
KANA = SCRIPTS.index("kana")
_UNSPACED_SCRIPTS = frozenset({"han", "kana", "thai", "lao", "khmer", "myanmar"})

# First and last code point of the blocks of each script; blocks never move once they are in the standard.
_BLOCKS: tuple[tuple[int, int, str], ...] = (
    (0x0041, 0x024F, "latin"), (0x0250, 0x02AF, "latin"), (0x1E00, 0x1EFF, "latin"), (0x2C60, 0x2C7F, "latin"),
    (0xA720, 0xA7FF, "latin"), (0xAB30, 0xAB6F, "latin"), (0x0370, 0x03FF, "greek"), (0x1F00, 0x1FFF, "greek"),
    (0x0400, 0x052F, "cyrillic"), (0x1C80, 0x1C8F, "cyrillic"), (0x2DE0, 0x2DFF, "cyrillic"),
    (0xA640, 0xA69F, "cyrillic"), (0x0530, 0x058F, "armenian"), (0x0590, 0x05FF, "hebrew"),
    (0x0600, 0x06FF, "arabic"), (0x0750, 0x077F, "arabic"), (0x0870, 0x08FF, "arabic"), (0x0900, 0x097F, "devanagari"),
    (0xA8E0, 0xA8FF, "devanagari"), (0x0980, 0x09FF, "bengali"), (0x0A00, 0x0A7F, "gurmukhi"),
    (0x0A80, 0x0AFF, "gujarati"), (0x0B00, 0x0B7F, "oriya"), (0x0B80, 0x0BFF, "tamil"), (0x0C00, 0x0C7F, "telugu"),
    (0x0C80, 0x0CFF, "kannada"), (0x0D00, 0x0D7F, "malayalam"), (0x0D80, 0x0DFF, "sinhala"), (0x0E00, 0x0E7F, "thai"),
    (0x0E80, 0x0EFF, "lao"), (0x0F00, 0x0FFF, "tibetan"), (0x1000, 0x109F, "myanmar"), (0xA9E0, 0xA9FF, "myanmar"),
    (0xAA60, 0xAA7F, "myanmar"), (0x10A0, 0x10FF, "georgian"), (0x1C90, 0x1CBF, "georgian"),
    (0x2D00, 0x2D2F, "georgian"), (0x1100, 0x11FF, "hangul"), (0x3130, 0x318F, "hangul"), (0xA960, 0xA97F, "hangul"),
    (0xAC00, 0xD7FF, "hangul"), (0x1200, 0x139F, "ethiopic"), (0x2D80, 0x2DDF, "ethiopic"),
    (0xAB00, 0xAB2F, "ethiopic"), (0x1780, 0x17FF, "khmer"), (0x1800, 0x18AF, "mongolian"),
    (0x3040, 0x30FF, "kana"), (0x31F0, 0x31FF, "kana"),
    (0x1AFF0, 0x1B16F, "kana"), (0x2E80, 0x2FDF, "han"), (0x3005, 0x3007, "han"), (0x3021, 0x3029, "han"),
    (0x3400, 0x4DBF, "han"), (0x4E00, 0x9FFF, "han"), (0xF900, 0xFAFF, "han"), (0x20000, 0x3FFFD, "han"),
)  # fmt: skip

# Invisible although their category says letter or mark, and accents that combine with any letter.
_INVISIBLE = ((0x0300, 0x036F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x1AB0, 0x1AFF),
              (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFE20, 0xFE2F),
              (0xFFA0, 0xFFA0), (0xE0000, 0xE0FFF))  # fmt: skip

_TWINS = dict(zip("асԁеһіјӏорԛѕᴜѵԝхуαγιουνρςϲ", "acdehijlopqsuvwxyayiouvpcc", strict=True))

# Above this every assigned code point is a Han ideograph, a tag or private: nothing to fold.
_LAST_FOLDED = 0x1FFFF
_JAMO = range(0x1100, 0x1200)  # compose with their neighbours though they are no marks


@cache
def entries() -> npt.NDArray[np.uint32]:
    """What there is to know of every code point, (0x110000,); from this Python's Unicode database, on first use."""
    size = 0x110000
    scripts = np.full(size, OTHER, np.uint64)
    for first, last, name in _BLOCKS:
        scripts[first : last + 1] = SCRIPTS.index(name)
    classes = np.zeros(size, np.uint64)
    classes[0x20000:0x3FFFE] = UNSPACED
    classes[0xE0000:0xE1000] = IGNORED
    folds = np.arange(size, dtype=np.uint64)
    composes = np.zeros(size, np.bool_)
    for code in (*range(0xD800), *range(0xE000, _LAST_FOLDED + 1), *range(0x2F800, 0x2FA20)):
        if unicodedata.category(chr(code)) in ("Cn", "Co"):
            continue
        image = unicodedata.normalize("NFKC", chr(code))
        composes[code] = len(image) != 1 or _can_combine(image)
        if len(image) == 1:
            classes[code] = class_of(image)
            folds[code] = ord(folded(image))
            scripts[code] = scripts[ord(image)]
    return (scripts << SCRIPT_SHIFT | folds << FOLD_SHIFT | composes * COMPOSES | classes).astype(np.uint32)


def class_of(character: str) -> int:
    """What a character of normalised text is to the tokeniser."""
    code = ord(character)
    category = unicodedata.category(character)
    if category == "Cf" or any(first <= code <= last for first, last in _INVISIBLE):
        return IGNORED
    if category == "Nd":
        return DIGIT
    if category[0] not in "LMN":
        return SEPARATOR
    return UNSPACED if script_of(character) in _UNSPACED_SCRIPTS else LETTER


def folded(character: str) -> str:
    """A character of normalised text in lower case, its Cyrillic and Greek twins read as Latin."""
    lower = character.lower()[0]
    return _TWINS.get(lower, lower)


def script_of(character: str) -> str:
    """Script a code point belongs to by its block."""
    code = ord(character)
    return next((name for first, last, name in _BLOCKS if first <= code <= last), "other")


def _can_combine(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or ord(character) in _JAMO
