"""Accused accounts held against the truth, counted as `stillwatch evaluate` counts them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from stillwatch.evaluation.customers import Customers, Wronged, customers, wronged
from stillwatch.evaluation.measures import Accusation, Share

from .world import Flags, Floats, Ints

Frontier = tuple[tuple[int, int], ...]  # right and wrong accusations at each threshold that no other one beats


@dataclass(frozen=True)
class Truth:
    """Who is what; victims with stolen keys are neither."""

    origin: Mapping[str, str]  # campaign of every hostile account
    segment: Mapping[str, str]  # population of every legitimate account
    folder: Path | None = None  # of the world
    several: frozenset[str] = frozenset()  # legitimate accounts that one hand runs with others, posing as several

    @cached_property
    def people(self) -> Customers:
        """What is known of the legitimate accounts."""
        return Customers(None, None, None) if self.folder is None else customers(self.folder, self.segment)


def truth(path: Path) -> Truth:
    """The truth that `stillwatch simulate` wrote."""
    rows = [row for row in pq.read_table(path).to_pylist() if row["role"] != "compromised"]
    origin = {row["account_id"]: row["campaign"] or "unnamed" for row in rows if row["is_hostile"]}
    segment = {row["account_id"]: row["segment"] for row in rows if not row["is_hostile"]}
    controller = {row["account_id"]: row.get("controller") for row in rows}
    runs = Counter(name for name in controller.values() if name is not None)
    several = frozenset(account for account in segment if runs[controller[account]] > 1)
    return Truth(origin, segment, path.parent, several)


def without_several(known: Truth) -> Truth:
    """The same, but legitimate accounts that one hand runs, posing as several customers, count neither way."""
    strangers = {account: name for account, name in known.segment.items() if account not in known.several}
    return replace(known, segment=strangers, several=frozenset())


def accusation(known: Truth, accused: Collection[str]) -> tuple[Accusation, Share]:
    """Right, wrong and missed; and the share of legitimate accounts accused."""
    named = frozenset(accused)
    right, wrong = len(named & known.origin.keys()), len(named & known.segment.keys())
    return Accusation(right, wrong, len(known.origin) - right), Share(wrong, len(known.segment))


def slices(known: Truth, accused: Collection[str]) -> Wronged:
    """The legitimate accounts among the accused, by population, owner, country and script."""
    return wronged(known.people, known.segment, frozenset(accused))


def recalls(known: Truth, accused: Collection[str]) -> dict[str, Share]:
    """Per true campaign, its accounts that are accused."""
    totals = Counter(known.origin.values())
    hits = Counter(known.origin[account] for account in frozenset(accused) if account in known.origin)
    return {name: Share(hits[name], totals[name]) for name in sorted(totals)}


def frontier(known: Truth, account_ids: Sequence[str], rankings: Sequence[Floats]) -> Frontier:
    """The best that any threshold on any ranking does: most right for how many wrong, fewest first."""
    is_hostile = np.array([account in known.origin for account in account_ids], dtype=bool)
    is_judged = is_hostile | np.array([account in known.segment for account in account_ids], dtype=bool)
    points = [_points(ranking[is_judged], is_hostile[is_judged]) for ranking in rankings]
    right = np.concatenate([point[0] for point in points] or [np.zeros(0, np.int64)])
    wrong = np.concatenate([point[1] for point in points] or [np.zeros(0, np.int64)])
    order = np.lexsort((-right, wrong))  # fewest wrong first, of equals the most right
    right, wrong = right[order], wrong[order]
    before = np.concatenate([[0], np.maximum.accumulate(right)[:-1]]) if len(right) else right
    kept = right > before
    return tuple(zip(right[kept].tolist(), wrong[kept].tolist(), strict=True))


def most_right(of: Frontier, precision: float) -> int:
    """The most right accusations at that precision or better; 0 when no threshold reaches it."""
    return max((right for right, wrong in of if right >= precision * (right + wrong)), default=0)


def _points(ranking: Floats, is_hostile: Flags) -> tuple[Ints, Ints]:
    """Right and wrong accusations at or above each threshold."""
    order = np.argsort(-ranking, kind="stable")[: np.count_nonzero(~np.isnan(ranking))]  # nan sorts last
    if not len(order):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    right = np.cumsum(is_hostile[order]).astype(np.int64)
    is_threshold = np.append(np.diff(ranking[order]) != 0, True)  # equal scores are accused together
    wrong = np.arange(1, len(order) + 1) - right
    return right[is_threshold], wrong[is_threshold]
