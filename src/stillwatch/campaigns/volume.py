"""Do these accounts together take more than as many ordinary customers do? It needs token counts, and no text.

Why:    every account of a harvest may be ordinary in size, and all of them together are not; who opens accounts for
        their free credit stops when it is spent. So volume tells which of the controlled groups to look at first.
Misses: harvests no larger than ordinary use, and whose purpose it is: one customer's busy product takes much as well,
        so the volume proves no harvest.
Source: the bound of Chernoff, Ann. Math. Stat. 23 (1952) 493-507, on sums of draws from what ordinary customers took.

A pool is as many ordinary customers as there are principals, drawn at random. The bound says how rare a pool is that
takes as much; no drawing limits how small it can get, and it errs on the careful side. Nobody counts for more than CAP
of the customers take, so that no single busy account makes a campaign large. Both all customers and those of the
accounts' own programme are asked, and the less surprised of the two counts.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log2

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MIN_UNITS = 200  # ordinary customers; fewer say nothing about how much is much
CAP_QUANTILE = 0.99
P_VALUE = 0.005  # of one pool, times the number of groups that were asked
MIN_TIMES = 2.0  # what ordinary pools take on average; less is no reason to hurry, however sure
STEPS = 2_048  # of the scale of volumes up to the cap, rounded up, which is the careful way
_HALVINGS = 50
_MOST_TILTED = 700.0  # the exponential of more is no number

NOT_COMPARED = "what these accounts took was not compared with ordinary customers"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Volume:
    """Outcome for one group of accounts: `result` proven, not_proven or not_tested, `because` in words.

    `p_value` bounds the share of ordinary pools that take as much, corrected for the groups asked; `times` is how often
    the group takes what such a pool takes on average.
    """

    result: str = "not_tested"
    p_value: float | None = None
    bits: float | None = None
    times: float | None = None
    because: str = NOT_COMPARED


@dataclass(frozen=True, slots=True)
class Customers:
    """What ordinary customers took: `share` of them in each step up to `cap` output tokens, and their mean, in caps."""

    count: int
    cap: float
    share: Floats
    mean: float

    def capped(self, tokens: Sequence[int]) -> float:
        """Summed volume, in caps."""
        return sum(min(one / self.cap, 1.0) for one in sorted(tokens)) if self.cap else 0.0

    def rarity_bits(self, total: float, units: int) -> float:
        """-log2 of a bound on the probability that so many of these customers take `total` caps or more."""
        if total <= self.mean * units or not units:
            return 0.0
        steps = np.arange(len(self.share)) / (len(self.share) - 1)
        low, high = 0.0, _MOST_TILTED
        for _ in range(_HALVINGS):  # the tilt under which so many customers take so much on average
            tilt = (low + high) / 2
            weights = self.share * np.exp(tilt * (steps - 1.0))
            low, high = (tilt, high) if weights @ steps * units < total * weights.sum() else (low, tilt)
        exponent = np.log(self.share @ np.exp(low * (steps - 1.0))) + low
        return max(float(low * total - units * exponent) * log2(exp(1)), 0.0)


def customers(tokens: Sequence[int] | Ints) -> Customers:
    """Learn from the output tokens of ordinary customers, one number each."""
    taken = np.asarray(tokens, dtype=np.float64)
    return capped_at(taken, float(np.quantile(taken, CAP_QUANTILE)) if len(taken) else 0.0)


def capped_at(taken: Floats, cap: float) -> Customers:
    """Learn from what ordinary customers took of anything, one number each; nobody counts for more than `cap`."""
    places = np.ceil(np.minimum(taken / cap, 1.0) * STEPS).astype(np.int64) if cap else np.zeros(len(taken), np.int64)
    share = np.bincount(places, minlength=STEPS + 1) / max(len(taken), 1)
    return Customers(len(taken), cap, share, float(share @ np.arange(STEPS + 1)) / STEPS)


def by_programme(taken: Mapping[str, int], accounts: pa.Table, *, without: pa.ChunkedArray) -> "Everybody":
    """What customers took, all and by the programme most of their accounts are in, of equals the first account's.

    `taken` are output tokens by account. An organisation's are one customer; those in `without` are none.
    """
    names, tokens = pa.array(list(taken), pa.string()), np.fromiter(taken.values(), np.int64, len(taken))
    order = pc.array_sort_indices(names)
    order = order.filter(pc.invert(pc.is_in(names.take(order), without.combine_chunks())))
    names, tokens = names.take(order), tokens[order.to_numpy()]
    declared = accounts.take(pc.index_in(names, accounts["account_id"].combine_chunks()))
    owners = pc.binary_join_element_wise("organisation", declared["organization_id"], " ")
    encoded = pc.coalesce(owners, names).combine_chunks().dictionary_encode()
    unit = encoded.indices.to_numpy().astype(np.int64)
    sums = np.bincount(unit, weights=tokens, minlength=len(encoded.dictionary)).astype(np.int64)
    programmes = declared["access_program"].combine_chunks().dictionary_encode()
    commonest = _commonest(unit, pc.fill_null(programmes.indices, -1).to_numpy().astype(np.int64))
    groups = {name: sums[commonest == number] for number, name in enumerate(programmes.dictionary.to_pylist())}
    own = {name: customers(group) for name, group in groups.items() if len(group) >= MIN_UNITS}
    return Everybody(customers(sums), own)


def _commonest(unit: Ints, value: Ints) -> Ints:
    """The commonest value of each unit, of equals the one that stands first; units are numbered from nought."""
    keys, first, counts = np.unique(unit * (len(unit) + 1) + value + 1, return_index=True, return_counts=True)
    owner = keys // (len(unit) + 1)
    order = np.lexsort((first, -counts, owner))
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    return np.asarray(keys[order][starts] % (len(unit) + 1) - 1)


@dataclass(frozen=True, slots=True)
class Everybody:
    """All ordinary customers, and those of each programme with enough of them."""

    all: Customers
    own: Mapping[str, Customers]

    def volume(self, tokens: Sequence[int], principals: int, programmes: Sequence[str | None], asked: int) -> Volume:
        """The outcome for one of the `asked` groups: output `tokens` and programme of each account."""
        if self.all.count < MIN_UNITS:
            because = f"{self.all.count} ordinary customers to compare with; at least {MIN_UNITS} are needed"
            return Volume(because=because)
        if self.all.cap == 0:
            return Volume(because="the logs hold no output tokens")
        programme = Counter(programmes).most_common(1)[0][0] if programmes else None
        own = None if programme is None else self.own.get(programme)
        against = [self.all] if own is None else [self.all, own]
        found = [_compared(tokens, principals, one, asked) for one in against]
        return min(found, key=lambda one: (one.result == "proven", one.bits or 0.0))


def _compared(tokens: Sequence[int], principals: int, ordinary: Customers, asked: int) -> Volume:
    total = ordinary.capped(tokens)
    bits = max(ordinary.rarity_bits(total, principals) - log2(max(asked, 1)), 0.0)
    p_value = 2.0**-bits
    times = total / max(ordinary.mean * principals, 1e-12)
    is_more = p_value <= P_VALUE and times >= MIN_TIMES
    because = (
        f"together they take {times:.1f} times what {principals} of {ordinary.count} ordinary customers take on average"
    )
    because += "" if is_more else ", which is not far more"
    outcome = Volume("proven" if is_more else "not_proven", p_value, round(bits, 6), round(times, 6), because)
    return replace(outcome, p_value=float(f"{p_value:.6g}"))
