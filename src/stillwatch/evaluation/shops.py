"""Shops that anybody buys from: subscriptions prepaid with the shop's card, and telephone numbers rented for a code.

Why:    a card or a number that serves several accounts need not belong to one hand: resold seats go to whoever pays,
        and a campaign that buys them sits beside people who wanted them cheap.
Misses: cards that the shop changes every month, and numbers that a provider knows to be rented.
Source: providers' reports of 23 February and 10 September 2026 and the advisory AA26-251A of 8 September 2026: premium
        subscriptions bought in bulk and shared, virtual cards, similar payment. That honest people buy the same is our
        reading of "mixed with unrelated customers"; how many accounts a card serves is ours.
"""

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.parts import mix
from stillwatch.evaluation.people import DAY_S, Columns, Plan

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

STOCKED = 0.6  # of the cards had sold all when the window opens; the others sell in its course
LOOSELY = 0.03  # of all cards: how far from its turn a card still sells


def prepaid(plan: Plan, rng: np.random.Generator, people: Columns, buyers: Flags, each: float) -> None:
    """Let `buyers` have a subscription that the shop paid for, `each` of them to a card; cards sell in a row."""
    count, cards = len(buyers), max(2, round(buyers.sum() / each))
    begun = np.clip(people["from_s"] / (plan.days * DAY_S), 0, 1)
    turn = np.where(people["from_s"] < DAY_S, rng.uniform(0, STOCKED, count), STOCKED + (1 - STOCKED) * begun)
    sold = np.abs(turn + rng.normal(0, LOOSELY, count))
    card = np.minimum(np.where(sold > 1, 2 - sold, sold) * cards, cards - 1).astype(np.int64)
    people["card"] = np.where(buyers, _numbers(plan, "cards", card), people["card"])
    for name, value in (("program", "paid"), ("plan", "pro"), ("level", "payment")):
        people[name] = np.where(buyers, value, people[name]).astype(object)


def rented(plan: Plan, rng: np.random.Generator, people: Columns, renters: Flags, each: float) -> None:
    """Let `renters` have signed up with a rented number, which `each` of them had in turn."""
    number = rng.integers(max(2, round(renters.sum() / each)), size=len(renters))
    dialled = 10**9 + _numbers(plan, "telephones", number) % (9 * 10**9)
    people["phone"] = np.where(renters, dialled, people["phone"])


def _numbers(plan: Plan, kind: str, place: Ints) -> Ints:
    """What a shop sells at each place of its list, the same for whoever buys there."""
    salt = int(plan.stream("shop", kind).integers(1, 2**40))
    return (mix(place, salt) >> np.uint64(2)).astype(np.int64)
