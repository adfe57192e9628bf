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
MANY_FAMILIES = 1 / 16  # of all: a mark that proposes more is added to all of them at once
PROPOSING = 48  # most telling marks of a family that propose it
MAX_PROPOSED = 8  # families that are weighed exactly for one text, or one family


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

    Of a mark that proposes many, `whole[row[m]]` (families,) says the same, 0 for the others; `row` (MARKS,) is -1 of
    the rest. To add a whole row is faster than to look for its families.
    """

    start: Ints
    family: Indices
    weight: Floats
    row: Indices
    whole: Floats


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
    weight = pools.odds[family[order], place[order]]
    counts = np.diff(start)
    many = np.flatnonzero(counts > pools.families * MANY_FAMILIES)
    row, whole = np.full(MARKS, -1, np.int32), np.zeros((len(many), pools.families), np.float32)
    row[many] = np.arange(len(many))
    is_many = row[mark[order]] >= 0
    whole[row[mark[order]][is_many], family[order][is_many]] = weight[is_many]
    return Postings(start, family[order].astype(np.int32), weight, row, whole)


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
def _propose(weights: Floats, among: Indices, count: int, best: Indices) -> int:
    """The families with most weight among some, if any; at most MAX_PROPOSED, written to `best`; how many."""
    found, least = 0, np.float32(0)
    for k in range(count):
        family = among[k]
        weight = weights[family]
        if weight < least or weight == 0:
            continue  # as nearly all do
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
            if found == MAX_PROPOSED:
                least = weights[best[MAX_PROPOSED - 1]]
    return found


@njit(nogil=True, cache=True)
def _assign(words: Marks, proposed: Postings, pools: Pools, home: Indices) -> None:
    """Fill `home`: propose families by their telling marks, weigh the likeliest exactly, take the best."""
    weights = np.empty(len(pools.texts), np.float32)
    all_families = np.arange(len(pools.texts)).astype(np.int32)
    best = np.empty(MAX_PROPOSED, np.int32)
    has = np.zeros(MARKS, np.bool_)
    for row in range(len(words)):
        weights[:] = 0
        for mark in words[row]:
            has[mark] = mark != 0
            if proposed.row[mark] >= 0:
                whole = proposed.whole[proposed.row[mark]]
                for family in range(len(whole)):
                    weights[family] += whole[family]
            else:
                for k in range(proposed.start[mark], proposed.start[np.int64(mark) + 1]):
                    weights[proposed.family[k]] += proposed.weight[k]
        most = np.float32(LEAST_BITS)
        for k in range(_propose(weights, all_families, len(weights), best)):
            bits = pools.lacking[best[k]]
            for place in range(POOL_SIZE):
                mark = pools.marks[best[k], place]
                if mark == 0:
                    break
                if has[mark]:
                    bits += pools.odds[best[k], place]
            if bits > most or (bits == most and home[row] > best[k]):
                most = bits
                home[row] = best[k]
        for mark in words[row]:
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
