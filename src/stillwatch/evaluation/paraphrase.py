"""Rewordings of an instruction: a share of its words replaced by others, each time anew.

Why:    wordings that nobody repeats are the cheapest evasion; how much of it a detector stands is a dose to turn.
Misses: word for word and in English only. A model that paraphrases also moves clauses, splits sentences and changes
    tone; other languages, marks in angle brackets, numbers and words in capitals stay as they are.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random

_TOKEN = re.compile(r"</?[A-Za-z]+>|[A-Za-z][A-Za-z'-]*")


def variants(text: str, share: float, count: int) -> list[str]:
    """`count` rewordings of `text`, each with about `share` of its words replaced; the same ones for the same text.

    Every word of which stand-ins are known is as likely to go as any other. Where too few are known to reach the
    share, all of those go.
    """
    known = stand_ins()
    pieces, words = _cut(text)
    open_places = [(place, word) for place, word in words if word.lower() in known and not _is_capitals(word)]
    chance = min(1.0, share * len(words) / max(len(open_places), 1))
    dice = Random(f"{share} {text}")
    return [_reworded(pieces, open_places, chance, dice) for _ in range(count)]


def words_of(text: str) -> list[str]:
    """The words that `variants` counts, in order."""
    return [word for _, word in _cut(text)[1]]


@cache
def stand_ins() -> Mapping[str, Sequence[str]]:
    """What may be written in place of a word, by the word in small letters."""
    source = files("stillwatch.evaluation") / "text" / "synonyms.toml"
    return {word: others.split(", ") for word, others in tomllib.loads(source.read_text("utf-8")).items()}


def _cut(text: str) -> tuple[list[str], list[tuple[int, str]]]:
    """The text in pieces, and the places of those that are words."""
    pieces: list[str] = []
    words: list[tuple[int, str]] = []
    at = 0
    for match in _TOKEN.finditer(text):
        pieces += [text[at : match.start()], match.group()]
        if not match.group().startswith("<"):
            words.append((len(pieces) - 1, match.group()))
        at = match.end()
    return [*pieces, text[at:]], words


def _is_capitals(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def _reworded(pieces: Sequence[str], open_places: Sequence[tuple[int, str]], chance: float, dice: Random) -> str:
    out = list(pieces)
    for place, word in open_places:
        if dice.random() < chance:
            other = dice.choice(stand_ins()[word.lower()])
            out[place] = other[0].upper() + other[1:] if word[0].isupper() else other
    return "".join(out)
