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
from itertools import pairwise
from random import Random
from typing import Any

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


def worded(text: str, dice: Random, words: Grammar) -> str:
    """One wording of `text`: every @name, {choice|choice} and [slot] decided by `dice`."""
    out: list[str] = []
    _say(_parsed(text), dice, words, out)
    return "".join(out)


# A parsed wording is a row of nodes: text, ("name", n), ("slot", n), or ("choice", *rows).
Node = str | tuple[Any, ...]


def _say(nodes: tuple[Node, ...], dice: Random, words: Grammar, out: list[str]) -> None:
    for node in nodes:
        if isinstance(node, str):
            out.append(node)
        elif node[0] == "slot":
            out.append(dice.choice(words.slots[node[1]]))
        elif node[0] == "name":
            _say(_parsed(dice.choice(words.wordings[node[1]])), dice, words, out)
        else:
            _say(dice.choice(node[1:]), dice, words, out)


@cache
def _parsed(text: str) -> tuple[Node, ...]:
    """The nodes of `text`; braces without a bar at their own depth are literal, and so are unknown slots."""
    nodes: list[Node] = []
    at = 0
    while (start := text.find("{", at)) >= 0:
        end, bars = _matching(text, start)
        nodes += _flat(text[at:start])
        edges = [start, *bars, end]
        options = [_parsed(text[a + 1 : b]) for a, b in pairwise(edges)]
        nodes += [("choice", *options)] if bars else ["{", *options[0], "}"]
        at = end + 1
    return (*nodes, *_flat(text[at:]))


def _flat(text: str) -> list[Node]:
    """The nodes of a text without braces."""
    known = grammar().slots
    pieces = re.split(r"(@[a-z]+|\[[a-z_]+\])", text)
    nodes: list[Node] = []
    for piece in pieces:
        if piece.startswith("@"):
            nodes.append(("name", piece[1:]))
        elif piece.startswith("[") and piece[1:-1] in known:
            nodes.append(("slot", piece[1:-1]))
        elif piece:
            nodes.append(piece)
    return nodes


def _matching(text: str, start: int) -> tuple[int, list[int]]:
    """Where the brace at `start` closes, and the bars at its own depth."""
    depth = 0
    bars: list[int] = []
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

    def whole_texts(self, kind: int) -> list[str]:
        """The texts of a kind whose items are whole texts, or begin with one."""
        low, size = self.low[self.first[kind]][0], self.size[self.first[kind]][0]
        return [chunk.decode() for chunk in self.pool.chunks[low : low + size]]

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
