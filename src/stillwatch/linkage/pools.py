"""Pools of words: how often each mark comes in the texts of one family, and what a text says for a family in bits.

A text with marks W says for a family, over the background b (frequencies in all other texts),

    sum over pool marks in W of log2(f / b)  +  sum over pool marks not in W of log2((1 - f) / (1 - b))

so a text that lacks most of the pool is not explained by it, whatever sentence it shares with it.

Source: Juan & Vidal, "On the use of Bernoulli mixture models for text classification", Pattern Recognition 35 (2002),
        section 2. Marks that are no commoner than chance (large-deviation bound of Chernoff, Ann. Math. Stat. 23 (1952)
        493-507) are left out.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Indices = NDArray[np.int32]
Marks = NDArray[np.uint16]
Floats = NDArray[np.float32]

POOL_SIZE = 128  # marks kept of one family, the most telling ones
MARKS = 1 << 16
MARK_BITS = 10.0  # surprise at a mark's frequency in a family by chance, below which it is left out
LEAST_BITS = 20.0  # that a text must say for a family
MOST_FREQUENT = 0.95  # share of its texts that any mark is taken to come in: windows cut, and people edit
LIKENESS = 0.2  # of what a family's own pool says for its texts, that the other's must say for them to be one
MAX_FAMILIES_PER_MARK = 128  # a mark in the pools of more families proposes none
PROPOSING = 48  # most telling marks of a family that propose it
MAX_PROPOSED = 8  # families that are weighed exactly for one text, or one family
COUNTED_ELSEWHERE = 40  # marks of a text that propose no family and are counted: of more, all are taken to be there
ROUNDING_BITS = 0.1  # more than sums of POOL_SIZE odds in single precision can be wrong by
_BLOCK = 64  # families


class Pools(NamedTuple):
    """One row per family.

    `marks` (families, POOL_SIZE), 0 where there are fewer, most telling first; `share` how many of the family's texts
    have each; `odds` what having it says over lacking it [bits]; `lacking` (families,) what lacking all says [bits];
    `expected` (families,) what a text of its own says on average [bits]; `texts` (families,) they were estimated from.
    """

    marks: Marks
    share: Floats
    odds: Floats
    lacking: Floats
    expected: Floats
    texts: Ints

    @property
    def families(self) -> int:
        """How many there are."""
        return len(self.texts)

    def rows(self, wanted: Ints) -> "Pools":
        """Some of the families."""
        return Pools(
            self.marks[wanted],
            self.share[wanted],
            self.odds[wanted],
            self.lacking[wanted],
            self.expected[wanted],
            self.texts[wanted],
        )


def estimated(start: Ints, members: Ints, words: Marks, frequency: Ints) -> Pools:
    """The pool of each group of texts; group g has members[start[g] : start[g + 1]], rows of `words`.

    `frequency` (MARKS,) counts the texts with each mark.
    """
    count = len(start) - 1
    pools = Pools(
        marks=np.zeros((count, POOL_SIZE), np.uint16),
        share=np.zeros((count, POOL_SIZE), np.float32),
        odds=np.zeros((count, POOL_SIZE), np.float32),
        lacking=np.zeros(count, np.float32),
        expected=np.zeros(count, np.float32),
        texts=np.diff(start),
    )
    _estimate(start, members, words, frequency, pools)
    return pools


def assigned(words: Marks, pools: Pools, proposed: "Postings") -> Indices:
    """The family each bag of words (rows, size) speaks for most, -1 where for none by LEAST_BITS."""
    home = np.full(len(words), -1, np.int32)
    if pools.families:
        _assign(words, proposed, pools, home)
    return home


def grouped(pools: Pools) -> Ints:
    """For each family the one it is part of, itself where it is part of none: (families,).

    From the most telling family down, each joins the one before it that is most like it, or stands by itself.
    """
    home = np.arange(pools.families)
    if pools.families:
        _group(np.lexsort((home, -pools.expected)), pools, home)
    return home


class Postings(NamedTuple):
    """Which families each mark proposes and by how much: those of mark m at start[m] : start[m + 1].

    `elsewhere` (MARKS,) is the most that a mark says for any family that has it and is not proposed by it. `beyond`
    (marks, families) is no less than what so many such marks can say for a family, lacking all others [bits].
    """

    start: Ints
    family: NDArray[np.uint32]
    weight: Floats
    elsewhere: Floats
    beyond: Floats


def postings(pools: Pools) -> Postings:
    """The families that each mark proposes: those that have it among their most telling ones."""
    top = pools.marks[:, :PROPOSING]
    family, place = np.nonzero(top)
    mark = top[family, place].astype(np.int64)
    common = np.bincount(mark, minlength=MARKS) > MAX_FAMILIES_PER_MARK
    keep = ~common[mark]
    family, place, mark = family[keep], place[keep], mark[keep]
    order = np.argsort(mark, kind="stable")
    start = np.searchsorted(mark[order], np.arange(MARKS + 1)).astype(np.int64)
    others = pools.odds.copy()
    others[family, place] = 0
    elsewhere = np.zeros(MARKS, np.float32)
    np.maximum.at(elsewhere, pools.marks, others)
    most = np.cumsum(-np.sort(-others, axis=1).T, axis=0, dtype=np.float64)
    counted = np.concatenate([np.zeros_like(most[:1]), most[: COUNTED_ELSEWHERE - 1], most[-1:]])
    beyond = (counted + pools.lacking + ROUNDING_BITS).astype(np.float32, order="C")
    return Postings(start, family[order].astype(np.uint32), pools.odds[family[order], place[order]], elsewhere, beyond)


@njit(nogil=True, cache=True)
def _divergence(share: float, background: float) -> float:
    """Bits that a text with `share` says on average over one with `background` (Kullback-Leibler)."""
    return share * np.log2(share / background) + (1.0 - share) * np.log2((1.0 - share) / (1.0 - background))


@njit(nogil=True, cache=True)
def _estimate(start: Ints, members: Ints, words: Marks, frequency: Ints, pools: Pools) -> None:
    """Fill the pools. Per group: 1. count marks; 2. keep those beyond chance; 3. the most telling POOL_SIZE of them."""
    counts = np.zeros(MARKS, np.int64)
    seen = np.empty(MARKS, np.int64)
    telling = np.empty(MARKS, np.float64)
    kept = np.empty(MARKS, np.int64)
    total = len(words)
    for group in range(len(start) - 1):
        size = start[group + 1] - start[group]
        touched = 0
        for member in range(start[group], start[group + 1]):
            for mark in words[members[member]]:
                if mark != 0:
                    if counts[mark] == 0:
                        seen[touched] = mark
                        touched += 1
                    counts[mark] += 1
        found = 0
        for k in range(touched):
            mark = seen[k]
            count = counts[mark]
            background = (frequency[mark] - count + 0.5) / (total - size + 1.0)
            if count >= 2 and count > background * size:
                part = min(count / (size + 1.0), MOST_FREQUENT)
                bits = _divergence(part, min(background, 0.9)) if part > background else 0.0
                if bits * size >= MARK_BITS:
                    kept[found] = mark
                    telling[found] = bits
                    found += 1
        order = np.argsort(-telling[:found], kind="mergesort")
        for place in range(min(found, POOL_SIZE)):
            mark = kept[order[place]]
            count = counts[mark]
            background = min((frequency[mark] - count + 0.5) / (total - size + 1.0), 0.9)
            part = min(count / (size + 1.0), MOST_FREQUENT)
            miss = np.log2((1.0 - part) / (1.0 - background))
            pools.marks[group, place] = mark
            pools.share[group, place] = part
            pools.odds[group, place] = np.log2(part / background) - miss
            pools.lacking[group] += miss
            pools.expected[group] += telling[order[place]]
        for k in range(touched):
            counts[seen[k]] = 0


@njit(nogil=True, cache=True)
def _propose(weights: Floats, touched: Indices, count: int, best: Indices) -> int:
    """The families with most weight among those touched, at most MAX_PROPOSED, written to `best`; how many."""
    found = 0
    for k in range(count):
        family = touched[k]
        weight = weights[family]
        place = found
        while place > 0 and (
            weights[best[place - 1]] < weight or (weights[best[place - 1]] == weight and best[place - 1] > family)
        ):
            place -= 1
        if place < MAX_PROPOSED:
            found = min(found + 1, MAX_PROPOSED)
            for j in range(found - 1, place, -1):
                best[j] = best[j - 1]
            best[place] = family
    return found


@njit(nogil=True, cache=True)
def _add(marks: Marks, proposed: Postings, weights: Floats) -> None:
    """Add up what the marks of one text propose, in their order, to weights (families,)."""
    weights[:] = 0
    for mark in marks:
        first, last = np.uint64(proposed.start[mark]), np.uint64(proposed.start[np.int64(mark) + 1])
        for k in range(first, last):  # unsigned: what may be negative is looked up with a question more
            weights[proposed.family[k]] += proposed.weight[k]


@njit(nogil=True, cache=True)
def _above(weights: Floats, beyond: Floats, lacking: Floats, others: np.float32, span: tuple[int, int]) -> int:
    """How many families of a span may be said more than LEAST_BITS for.

    It looks at all and chooses without a branch, so that many are looked at side by side.
    """
    count = 0
    for family in range(np.uint64(span[0]), np.uint64(span[1])):  # unsigned: no question whether it is negative
        most, said = beyond[family], lacking[family] + others
        most = most if most < said else said
        count += weights[family] + most > np.float32(LEAST_BITS)
    return count


@njit(nogil=True, cache=True)
def _rivals(weights: Floats, beyond: Floats, lacking: Floats, others: np.float32, found: Indices) -> int:
    """Write the families that `_above` counts, ascending; how many. They are few, so most blocks have none.

    `others` is the most that a text can say besides what proposes a family.
    """
    used = 0
    for first in range(0, len(weights), _BLOCK):
        last = min(first + _BLOCK, len(weights))
        if _above(weights, beyond, lacking, others, (first, last)):
            for family in range(first, last):
                if weights[family] + min(beyond[family], lacking[family] + others) > np.float32(LEAST_BITS):
                    found[used] = family
                    used += 1
    return used


@njit(nogil=True, cache=True)
def _is_proposed(family: int, weights: Floats) -> bool:
    """Whether a family is among the MAX_PROPOSED with most weight, of equals the first."""
    weight, heavier = weights[family], 0
    for other in range(len(weights)):
        heavier += weights[other] > weight
    for other in range(family):
        heavier += weights[other] == weight
    return weight > 0 and heavier < MAX_PROPOSED


@njit(nogil=True, cache=True)
def _assign(words: Marks, proposed: Postings, pools: Pools, home: Indices) -> None:
    """Fill `home`: propose families by their telling marks, weigh exactly those that may win, take the best."""
    weights = np.zeros(len(pools.texts), np.float32)
    found = np.empty(len(pools.texts), np.int32)
    has = np.zeros(MARKS, np.bool_)
    for row in range(len(words)):
        _add(words[row], proposed, weights)
        count, others = 0, np.float32(ROUNDING_BITS)
        for mark in words[row]:
            count += proposed.elsewhere[mark] > 0
            others += proposed.elsewhere[mark]
        beyond = proposed.beyond[min(count, len(proposed.beyond) - 1)]
        rivals = _rivals(weights, beyond, pools.lacking, others, found)
        for mark in words[row, : words.shape[1] if rivals else 0]:
            has[mark] = mark != 0
        most, heaviest = np.float32(LEAST_BITS), 0
        for k in range(rivals):
            heaviest = k if weights[found[k]] > weights[found[heaviest]] else heaviest
        for k in range(rivals):
            # The heaviest first: hardly any other can then say more.
            family = found[heaviest if k == 0 else k - (k <= heaviest)]
            if weights[family] + min(beyond[family], pools.lacking[family] + others) < most:
                continue
            bits = pools.lacking[family]
            for place in range(POOL_SIZE):
                mark = pools.marks[family, place]
                if mark == 0:
                    break
                if has[mark]:
                    bits += pools.odds[family, place]
            is_most = bits > most or (bits == most and family < home[row])
            if is_most and _is_proposed(family, weights):
                most = bits
                home[row] = family
        for mark in words[row, : words.shape[1] if rivals else 0]:
            has[mark] = False


@njit(nogil=True, cache=True)
def _spread(values: Floats, marks: Marks, over: Floats) -> None:
    """Write the values of a family's marks into an array over all marks; mark 0 stays zero."""
    for place in range(POOL_SIZE):
        over[marks[place]] = values[place]
    over[0] = 0


@njit(nogil=True, cache=True)
def _explained(shares: Floats, pools: Pools, family: int) -> float:
    """Bits that texts with these shares of marks, (MARKS,), say on average for a family."""
    bits = pools.lacking[family]
    for place in range(POOL_SIZE):
        mark = pools.marks[family, place]
        if mark == 0:
            break
        bits += shares[mark] * pools.odds[family, place]
    return float(bits)


@njit(nogil=True, cache=True)
def _list(family: int, marks: Marks, listed: Ints, lists: NDArray[np.int32]) -> None:
    """Enter a family under its most telling marks, as far as there is room."""
    for place in range(PROPOSING):
        mark = marks[place]
        if mark == 0:
            break
        if listed[mark] < MAX_FAMILIES_PER_MARK:
            lists[mark, listed[mark]] = family
            listed[mark] += 1


@njit(nogil=True, cache=True)
def _group(order: Ints, pools: Pools, home: Ints) -> None:
    """Fill `home`. Only leaders that share telling marks with a family are compared with it."""
    listed = np.zeros(MARKS, np.int64)
    lists = np.empty((MARKS, MAX_FAMILIES_PER_MARK), np.int32)
    weights = np.zeros(len(pools.texts), np.float32)
    touched = np.empty(len(pools.texts), np.int32)
    best = np.empty(MAX_PROPOSED, np.int32)
    shares, theirs = np.zeros(MARKS, np.float32), np.zeros(MARKS, np.float32)
    none = np.zeros(POOL_SIZE, np.float32)
    for one in order:
        _spread(pools.share[one], pools.marks[one], shares)
        count = 0
        for place in range(POOL_SIZE):
            mark = pools.marks[one, place]
            for k in range(listed[mark]):
                leader = lists[mark, k]
                if weights[leader] == 0:
                    touched[count] = leader
                    count += 1
                weights[leader] += pools.share[one, place] * pools.odds[one, place]
        most = LIKENESS
        for k in range(_propose(weights, touched, count, best)):
            leader = best[k]
            _spread(pools.share[leader], pools.marks[leader], theirs)
            here = _explained(shares, pools, leader) / pools.expected[one]
            there = _explained(theirs, pools, one) / pools.expected[leader]
            _spread(none, pools.marks[leader], theirs)
            if min(here, there) > most:
                most = min(here, there)
                home[one] = leader
        for k in range(count):
            weights[touched[k]] = 0
        _spread(none, pools.marks[one], shares)
        if home[one] == one:
            _list(one, pools.marks[one], listed, lists)
