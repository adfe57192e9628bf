"""How wordings and items are dealt over the accounts that share them: of a campaign, or of an innocent group.

Why:    who harvests and who teaches, rates or trains a class deals out the same two things, in the same few ways.
Misses: accounts that trade their work, and wordings that depend on the item.
Source: own; that requests came in variations of a few patterns over many accounts is disclosed (23 February 2026).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.people import DAY_S, Columns, Plan
from stillwatch.evaluation.templates import Dealing

PUBLIC = 3  # wordings of each recipe that went round, for whoever takes them

Fix = Callable[[np.random.Generator, str, int], int]  # a template of a recipe over a kind of item


@dataclass(frozen=True, slots=True)
class Deal:
    """Who gets which wordings and items."""

    dealing: Dealing = Dealing.SHARD
    wordings: int = 2  # of each recipe at a time
    width: int = 2  # templates of one account, neighbours in a row of all; PARALLEL: those of one recipe
    editions: int = 1  # sets of wordings that follow each other in the window; an account keeps those it began with
    asked: int = 6  # times that each item is asked where they are a fixed set
    is_public: bool = False  # wordings that went round


def workloads(
    plan: Plan,
    rng: np.random.Generator,
    deal: Deal,
    row: Sequence[tuple[str, int]],
    *,
    fix: Fix,
    items: int,
    salt: int = 0,
) -> npt.NDArray[np.int64]:
    """Workloads (runs, editions) over the recipes of `row`, each with its kind of item; a run keeps its items.

    A `salt` other than 0 names items that everybody has.
    """
    turns = range(deal.wordings)
    if deal.dealing == Dealing.PARALLEL:
        places = [(recipe, kind, turn) for recipe, kind in row for turn in turns]
        width, step = deal.wordings, deal.wordings
    else:
        places = [(recipe, kind, turn) for turn in turns for recipe, kind in row]
        width, step = min(deal.width, len(places)), 1
    starts = range(0, len(places) - width + 1, step)
    each = items // (deal.asked if deal.dealing == Dealing.SET else 1) // len(starts) + 1
    salts = [salt + at if salt else int(rng.integers(1, 2**40)) for at in range(len(starts))]
    loads = np.zeros((len(starts), deal.editions), np.int64)
    for edition in range(deal.editions):
        numbers = [(edition * deal.wordings + turn) % PUBLIC for _, _, turn in places]
        own = [
            plan.stream("went round", p[0], n) if deal.is_public else rng for p, n in zip(places, numbers, strict=True)
        ]
        fixed = [fix(dice, recipe, kind) for dice, (recipe, kind, _) in zip(own, places, strict=True)]
        for run, start in enumerate(starts):
            asked = fixed[start : start + width]
            loads[run, edition] = plan.library.workload(asked, deal.dealing, items=each, salt=salts[run])
    return loads


def assigned(
    rng: np.random.Generator, works: npt.NDArray[np.int64], people: Columns, days: int
) -> npt.NDArray[np.int64]:
    """A run for each place, which its accounts inherit, in the wordings that are in use when each begins."""
    runs, editions = works.shape
    place = people.get("place", np.arange(len(people["rate"])))
    run = rng.choice(runs, int(place.max()) + 1, p=rng.dirichlet(np.full(runs, 4.0)))[place]
    edition = (people["from_s"] / (days * DAY_S) * editions).astype(np.int64)
    return works[run, np.clip(edition, 0, editions - 1)]


def item_kind(plan: Plan, rng: np.random.Generator, recipe: str, sources: Sequence[int]) -> int:
    """One kind of item that goes with a recipe: of the file of prompts, where there are `sources`, else built in."""
    form = plan.library.words.recipes[recipe]
    if sources:
        return int(sources[int(rng.integers(len(sources)))])
    return plan.library.kinds.number(form.item[int(rng.integers(len(form.item)))], plan.library.words)
