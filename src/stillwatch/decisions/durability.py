"""How durable a body of evidence is: the highest durability at which it would still stand.

Why:    a case that rests on what is cheap to fake must not act by itself: anyone could be framed with it.
Misses: whether the durable traits cover every member; that is asked per account, from the account's own links.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stillwatch.records import DURABILITIES

# Evidence stands when it makes common control eight times as likely; less is a hint. [bits]
STANDING_BITS = 3.0


def durability(evidence: Iterable[Mapping[str, Any]]) -> str:
    """The highest durability at or above which the evidence adds up to `STANDING_BITS`, else the lowest.

    Kinds of one family move together, so only the strongest trait of a family counts.
    """
    strongest: dict[tuple[str, int], float] = {}
    for trait in evidence:
        key = (trait["family"], DURABILITIES.index(trait["durability"]))
        strongest[key] = max(strongest.get(key, 0.0), trait["weight_bits"])
    for level in range(len(DURABILITIES) - 1, 0, -1):
        by_family: dict[str, float] = {}
        for (family, at), bits in strongest.items():
            if at >= level:
                by_family[family] = max(by_family.get(family, 0.0), bits)
        if sum(by_family.values()) >= STANDING_BITS:
            return DURABILITIES[level]
    return DURABILITIES[0]


def at_least(held: str, wanted: str) -> bool:
    """Whether the durability `held` is `wanted` or higher."""
    return DURABILITIES.index(held) >= DURABILITIES.index(wanted)
