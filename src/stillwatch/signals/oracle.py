"""Tokens of one text in plain Python: what every kernel is tested against. Slow and obvious on purpose."""

import unicodedata

from stillwatch.signals import characters as chars
from stillwatch.signals.hashing import SEED, chain_reference, finish_reference, signed, step_reference
from stillwatch.signals.text import EXCERPT_HEAD, EXCERPT_TAIL, NUMBER
from stillwatch.signals.tokeniser import NUMBER_TOKEN, UNSPACED_TOKEN, WORD_TOKEN


def words(text: str | None) -> list[tuple[str, int]]:
    """Each token's folded characters and its class."""
    found: list[tuple[str, int]] = []
    run, kind = "", WORD_TOKEN
    for character in unicodedata.normalize("NFKC", text or ""):
        what = chars.class_of(character)
        if what in (chars.LETTER, chars.DIGIT):
            run += chars.folded(character)
            kind = NUMBER_TOKEN if what == chars.DIGIT else kind
        elif what != chars.IGNORED:
            found += [(run, kind)] if run else []
            run, kind = "", WORD_TOKEN
            found += [(chars.folded(character), UNSPACED_TOKEN)] if what == chars.UNSPACED else []
    return found + ([(run, kind)] if run else [])


def tokens(text: str | None) -> list[int]:
    """Hashes of a text's tokens."""
    hashes = []
    for characters, kind in words(text):
        state = int(SEED)
        for character in characters:
            state = step_reference(state, ord(character))
        hashes.append(finish_reference(state) & ~3 | kind)
    return hashes


def without_numbers(hashes: list[int]) -> list[int]:
    """The tokens with every one that holds a digit replaced by NUMBER."""
    return [int(NUMBER) if token & NUMBER_TOKEN else token for token in hashes]


def without_number_runs(hashes: list[int]) -> list[int]:
    """The same with each run of NUMBER reduced to one."""
    plain = without_numbers(hashes)
    return [token for i, token in enumerate(plain) if token != int(NUMBER) or i == 0 or plain[i - 1] != int(NUMBER)]


def excerpt(hashes: list[int]) -> list[list[int]]:
    """The head and the tail of a text's tokens, or the whole when it is short."""
    if len(hashes) <= EXCERPT_HEAD + EXCERPT_TAIL:
        return [hashes]
    return [hashes[:EXCERPT_HEAD], hashes[-EXCERPT_TAIL:]]


def text_id(hashes: list[int]) -> int:
    """Hash of the tokens in order, as int64."""
    state = int(SEED)
    for token in hashes:
        state = chain_reference(state, token)
    return signed(finish_reference(state))


def script(text: str | None) -> str | None:
    """Script most letters belong to; None without a letter."""
    letters = (
        c for c in unicodedata.normalize("NFKC", text or "") if chars.class_of(c) in (chars.LETTER, chars.UNSPACED)
    )
    counts = dict.fromkeys(chars.SCRIPTS, 0)
    for character in letters:
        counts[chars.script_of(character)] += 1
    if counts["kana"] * 8 >= counts["kana"] + counts["han"]:
        counts["kana"], counts["han"] = counts["kana"] + counts["han"], 0
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else None
