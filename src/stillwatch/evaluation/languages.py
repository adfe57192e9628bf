"""The grammar with two of its recipes, asking for reasoning and for a grade, in a language of choice.

Why:    a translated instruction is still one template; words without spaces between them take another kernel.
Misses: the wordings are ours and one translation each. Items stay what they are when they come from a file of prompts.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from stillwatch.evaluation.grammar import Grammar, Recipe, grammar

SPOKEN = ("reasoning", "rubric_grade")  # recipes that exist in every language


@cache
def spoken(language: str) -> Grammar:
    """The built-in grammar with the recipes of SPOKEN in `language`, one of `languages()`, for everybody who uses them.

    Customers write these two kinds of prompt as well: the world stays one in which no sentence has an owner.
    """
    words, own = grammar(), _read()[language]
    frames = {f"{kind}_{language}": frames for kind, frames in own["frames"].items()}
    recipes = {name: _said(words.recipes[name], own[name], language) for name in SPOKEN}
    return replace(words, frames={**words.frames, **frames}, recipes={**words.recipes, **recipes})


def languages() -> tuple[str, ...]:
    """The languages on offer."""
    return tuple(_read())


def _said(recipe: Recipe, own: Mapping[str, list[str]], language: str) -> Recipe:
    said = {name: tuple(own.get(name, ())) for name in ("system", "before", "middle", "after")}
    second = f"answer_{language}" if recipe.second else None
    return replace(recipe, **said, item=(f"math_{language}",), second=second)  # type: ignore[arg-type]


@cache
def _read() -> Mapping[str, Any]:
    source = files("stillwatch.evaluation") / "text" / "languages.toml"
    return tomllib.loads(source.read_text("utf-8"))
