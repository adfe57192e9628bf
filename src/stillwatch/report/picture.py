"""The linkage picture: which accounts hold which traits, as a node-link diagram that is the same on every run.

Misses: it shows a sample of the accounts of a large campaign, drawn evenly from their sorted ids, and few traits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stillwatch.report.wording import words

MOST_ACCOUNTS: Final = 36
MOST_TRAITS: Final = 9
WIDTH: Final = 460  # of the whole picture [px]; the page shows it at this size or smaller
_TRAIT_X: Final = 218
_ACCOUNT_X: Final = 446
_TOP: Final = 26
_ROW: Final = 10.0  # between accounts [px]
_TRAIT_ROW: Final = 38.0

# Families that have a colour of their own; the others share one.
FAMILIES: Final = (
    "content",
    "network",
    "payment",
    "device",
    "contact",
    "registration",
    "tooling",
    "artefact",
    "timing",
)


@dataclass(frozen=True, slots=True)
class Node:
    """A trait or an account as drawn: place, radius, style, and its text."""

    x: float
    y: float
    radius: float
    style: str
    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """What to draw: nodes, and links as SVG path data with the style of their trait."""

    width: int
    height: float
    traits: Sequence[Node]
    accounts: Sequence[Node]
    links: Sequence[tuple[str, str]]
    sampled: int
    total: int


def sample(account_ids: Sequence[str]) -> list[str]:
    """At most MOST_ACCOUNTS of the ids, drawn evenly from their sorted order."""
    ordered = sorted(account_ids)
    if len(ordered) <= MOST_ACCOUNTS:
        return ordered
    return [ordered[index * len(ordered) // MOST_ACCOUNTS] for index in range(MOST_ACCOUNTS)]


def picture(account_ids: Sequence[str], links: Sequence[Mapping[str, Any]], total: int) -> Picture | None:
    """The picture of these accounts and the strongest traits two of them share; None when they share none.

    `links` are rows of `records.LINKS` of these accounts, `total` the number of accounts of the whole campaign.
    """
    held = _held(links)
    traits = _chosen(held)
    if not traits:
        return None
    height = _TOP + max(len(traits) * _TRAIT_ROW, len(account_ids) * _ROW) + 10
    trait_y = {trait: _place(index, len(traits), height) for index, trait in enumerate(traits)}
    of_account: dict[str, list[tuple[str, str, str]]] = {account_id: [] for account_id in account_ids}
    for trait in traits:
        for account_id in held[trait][1]:
            of_account[account_id].append(trait)
    # Accounts stand level with their traits, so links cross little; those without any stand last.
    ordered = sorted(account_ids, key=lambda one: (_level([trait_y[t] for t in of_account[one]]), one))
    account_y = {one: _place(index, len(ordered), height) for index, one in enumerate(ordered)}
    drawn = [(_curve(trait_y[trait], account_y[one]), _style(trait[0])) for one in ordered for trait in of_account[one]]
    return Picture(
        WIDTH,
        height,
        [_trait_node(trait, held[trait][0], len(held[trait][1]), y) for trait, y in trait_y.items()],
        [Node(_ACCOUNT_X, y, 3.4, "held" if of_account[one] else "lone", one) for one, y in account_y.items()],
        drawn,
        len(account_ids),
        total,
    )


def _held(links: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, str], tuple[float, list[str]]]:
    found: dict[tuple[str, str, str], tuple[float, list[str]]] = {}
    for row in links:
        trait = (row["family"], row["kind"], row["value"])
        found.setdefault(trait, (row["weight_bits"], []))[1].append(row["account_id"])
    return {trait: (bits, sorted(set(holders))) for trait, (bits, holders) in found.items()}


def _chosen(held: Mapping[tuple[str, str, str], tuple[float, list[str]]]) -> list[tuple[str, str, str]]:
    # Traits that tie most of the sample with most bits; each family shows its best before any shows its second.
    ranked = sorted(
        (trait for trait, (bits, holders) in held.items() if len(holders) > 1 and bits > 0),
        key=lambda trait: (-held[trait][0] * len(held[trait][1]), trait),
    )
    seen: dict[str, int] = {}
    turns = []
    for trait in ranked:
        seen[trait[0]] = seen.get(trait[0], 0) + 1
        turns.append((seen[trait[0]], trait))
    chosen = {trait for _, trait in sorted(turns, key=lambda turn: turn[0])[:MOST_TRAITS]}
    order = {family: index for index, family in enumerate(dict.fromkeys(trait[0] for trait in ranked))}
    return sorted(chosen, key=lambda trait: (order[trait[0]], ranked.index(trait)))


def _place(index: int, count: int, height: float) -> float:
    return round(_TOP + (height - _TOP - 10) * (index + 0.5) / count, 1)


def _level(heights: Sequence[float]) -> float:
    return sum(heights) / len(heights) if heights else float("inf")


def _curve(trait_y: float, account_y: float) -> str:
    middle = (_TRAIT_X + _ACCOUNT_X) / 2
    return f"M{_TRAIT_X} {trait_y}C{middle:.0f} {trait_y} {middle:.0f} {account_y} {_ACCOUNT_X} {account_y}"


def _style(family: str) -> str:
    return family if family in FAMILIES else "other"


def _trait_node(trait: tuple[str, str, str], bits: float, holders: int, y: float) -> Node:
    family, kind, value = trait
    radius = round(min(4 + bits**0.5 * 1.4, 10), 1)
    return Node(_TRAIT_X, y, radius, _style(family), words(kind), f"{short(value)} · {bits:.1f} bits · {holders} here")


def short(value: str) -> str:
    """The beginning of a hashed value: enough to find it again in the tables."""
    return value if len(value) <= 10 else f"{value[:8]}…"
