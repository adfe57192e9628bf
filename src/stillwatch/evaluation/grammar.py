"""Prompt wordings of our own: choices, slots, frames for items and recipes for templates.

Why:    hostile and legitimate prompts must overlap in wording, or a simulated world is easier than the real one.
Misses: real prompts are messier; `--prompts` takes the items from a file of them.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import numpy as np

from stillwatch.evaluation.parts import NONE, PartPool
from stillwatch.evaluation.passages import listings, paragraphs

SLOT = re.compile(r"\[([a-z_]+)\]")
ITEM_PARTS = 7  # a frame has at most three slots, with text before, between and after them
BEFORE, MIDDLE, AFTER = 3, 2, 2
PROMPT_PARTS = BEFORE + ITEM_PARTS + MIDDLE + ITEM_PARTS + AFTER
MANY_TEXTS = 2_000
SHORT_TEXT = 500  # characters
LANGUAGES = ("en", "zh", "ja", "es", "de", "fr", "pt", "ko")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one kind of prompt is put together, and the shape of the answer it gets."""

    name: str
    system: tuple[str, ...] = ("",)
    before: tuple[str, ...] = ()
    item: tuple[str, ...] = ("chat",)
    middle: tuple[str, ...] = ()
    second: str | None = None
    after: tuple[str, ...] = ()
    capability: str = "general"
    output_tokens: int = 300
    reasoning_share: float = 0.0
    tools: bool = False
    images: int = 0


@dataclass(frozen=True, slots=True)
class Grammar:
    """All wordings: words per slot, frames per kind of item, wordings per name, recipes per name."""

    slots: Mapping[str, Sequence[str]]
    frames: Mapping[str, Sequence[str]]
    wordings: Mapping[str, Sequence[str]]
    recipes: Mapping[str, Recipe] = field(default_factory=dict)


@cache
def grammar() -> Grammar:
    """The built-in grammar."""
    folder = files("stillwatch.evaluation") / "text"
    read = {
        name: tomllib.loads((folder / f"{name}.toml").read_text("utf-8")) for name in ("slots", "frames", "recipes")
    }
    recipes = {name: _recipe(name, fields) for name, fields in read["recipes"]["recipes"].items()}
    return Grammar({**read["slots"], **_made()}, read["frames"], read["recipes"]["wordings"], recipes)


def _recipe(name: str, fields: Mapping[str, object]) -> Recipe:
    return Recipe(name, **{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()})  # type: ignore[arg-type]


def _made() -> dict[str, tuple[str, ...]]:
    return {
        "num": tuple(str(n) for n in range(2, 98)),
        "big": tuple(str(n) for n in range(120, 9973, 37)),
        "paragraph": paragraphs(),
        "listing": listings(),
        "ident": tuple(f"{a}-{n}" for a in ("K", "R", "T", "W") for n in range(1003, 9999, 89)),
    }


def worded(text: str, rng: np.random.Generator, words: Grammar) -> str:
    """One wording of `text`: every @name, {choice|choice} and [slot] decided by `rng`."""
    for name in re.findall(r"@([a-z]+)", text):
        text = text.replace(f"@{name}", str(rng.choice(words.wordings[name])), 1)  # type: ignore[arg-type]
    return SLOT.sub(lambda match: _word(match, rng, words), _chosen(text, rng))


def _word(match: re.Match[str], rng: np.random.Generator, words: Grammar) -> str:
    options = words.slots.get(match[1])
    return match[0] if options is None else options[int(rng.integers(len(options)))]


def _chosen(text: str, rng: np.random.Generator) -> str:
    """Decide the braces of `text`; braces without a bar at their own depth are literal."""
    out, at = [], 0
    while (start := text.find("{", at)) >= 0:
        end, bars = _matching(text, start)
        out.append(text[at:start])
        if bars:
            edges = [start, *bars, end]
            pick = int(rng.integers(len(edges) - 1))
            out.append(_chosen(text[edges[pick] + 1 : edges[pick + 1]], rng))
        else:
            out.append("{" + _chosen(text[start + 1 : end], rng) + "}")
        at = end + 1
    return "".join(out) + text[at:]


def _matching(text: str, start: int) -> tuple[int, list[int]]:
    depth, bars = 0, []
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at, bars
        if depth == 1 and text[at] == "|":
            bars.append(at)
    raise ValueError(f"unbalanced brace in a wording of text/recipes.toml: {text[:40]}")


@dataclass(slots=True)
class ItemKinds:
    """Kinds of item as mixed-radix numbers: an item number picks a frame, then a word for each slot."""

    pool: PartPool
    names: list[str] = field(default_factory=list)
    first: list[int] = field(default_factory=list)  # row of the first frame of a kind
    count: list[int] = field(default_factory=list)  # frames of a kind
    low: list[list[int]] = field(default_factory=list)  # (frames, ITEM_PARTS) first part of each place
    size: list[list[int]] = field(default_factory=list)  # (frames, ITEM_PARTS) parts to choose from, 0 is none
    runs: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, name: str, frames: Sequence[Sequence[tuple[int, int]]]) -> int:
        """Register a kind from the (first part, count) of each place of each frame; return its number."""
        self.names.append(name)
        self.first.append(len(self.low))
        self.count.append(len(frames))
        for frame in frames:
            padded = [*frame, *[(NONE, 0)] * (ITEM_PARTS - len(frame))]
            self.low.append([low for low, _ in padded])
            self.size.append([size for _, size in padded])
        return len(self.names) - 1

    def number(self, name: str, words: Grammar) -> int:
        """The number of a built-in kind, registered on first use."""
        if name not in self.names:
            self.add(name, [self._frame(text, words) for text in words.frames[name]])
        return self.names.index(name)

    def texts(self, name: str, texts: Sequence[str]) -> int:
        """A kind whose items are whole texts; pairs of texts where there are few, or strangers would share items."""
        own = self.pool.add_run(texts)
        if len(texts) >= MANY_TEXTS:
            return self.add(name, [[own]])
        short = [text for text in texts if len(text) <= SHORT_TEXT]
        return self.add(name, [[own, (self.pool.add("\n\n"), 1), self.pool.add_run(short) if short else own]])

    def _frame(self, text: str, words: Grammar) -> list[tuple[int, int]]:
        places: list[tuple[int, int]] = []
        for position, piece in enumerate(SLOT.split(text)):
            if position % 2:
                places.append(self._run(piece, words))
            elif piece:
                places.append((self.pool.add(piece), 1))
        return places

    def _run(self, slot: str, words: Grammar) -> tuple[int, int]:
        if slot not in self.runs:
            self.runs[slot] = self.pool.add_run(words.slots[slot])
        return self.runs[slot]
