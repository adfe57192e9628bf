"""Does this traffic extract the model's reasoning, and how? It describes a cluster; it never finds one.

Why:    reasoning extraction is a family of its own: pretexts, laundering through translation, forced tags, replayed
        artefacts. Campaigns try many forms, most of which are refused, and then repeat the one that worked.
Misses: wordings the lexicon does not know; an operator who sweeps from accounts outside the cluster; single customers
        who ask for reasoning in nothing but tags are as far out as a campaign that does.
Source: Anthropic (2026), "Detecting and countering misuse of AI: September 2026" (a sweep of more than 12,000 requests,
        most rejected, its winners scaled). Conformal p-values as in `harvest`: Vovk, Gammerman & Shafer (2005).

The innocent twin is a red team: it sweeps as well. One at a verified organisation is one principal and in no cluster
(`organisations` says what it takes to be accused nevertheless); the words of this test accuse nobody.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillwatch.campaigns.attempts import AttemptDay, Attempts, Techniques, TechniqueUse

MIN_REFERENCE = 200  # ordinary units; fewer say nothing about the tail
UNIT_EXCHANGES = 5  # exchanges an ordinary unit needs
MIN_REACHING = 30  # exchanges that reach for reasoning, before their share means anything
P_VALUE = 0.005  # at most one ordinary unit in 200 reaches as far
SWEEP_REFUSED_SHARE = 0.3  # of a day's tried forms; ordinary traffic has a percent or two
SWEEP_FORMS = 10  # tried forms on such days
SWEEP_TECHNIQUES = 3  # different techniques among them
NEW_SHARE = 0.05  # of the winner's exchanges that may stand before the sweep

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Winner:
    """What was repeated after a sweep: exchanges in repeated forms with these techniques from `first_on` on."""

    techniques: Techniques
    exchanges: int
    first_on: date


@dataclass(frozen=True, slots=True)
class Sweep:
    """Many forms tried, most of them once or twice, many refused; `winner` is null when nothing was scaled."""

    forms: int
    exchanges: int
    refused_share: float
    techniques: Techniques
    first_on: date
    last_on: date
    winner: Winner | None


@dataclass(frozen=True, slots=True)
class Extraction:
    """Outcome of the test, the techniques seen, most used first, and the sweep if there was one."""

    result: str
    p_value: float | None
    because: str
    share: float
    account_share: float
    techniques: dict[str, TechniqueUse]
    sweep: Sweep | None


class Reaches(NamedTuple):
    """How ordinary units reach for reasoning, one vote each.

    `ordered` (units, values), each column sorted; `sums` (units,) of bits, sorted.
    """

    ordered: Floats
    sums: Floats

    @property
    def size(self) -> int:
        """Units to compare with."""
        return len(self.sums)


def reaches(exchanges: Floats, reaching: Floats, techniques: Floats, refused: Floats) -> Reaches:
    """Learn from the counts of ordinary units, (units,) each; those with next to no traffic say nothing."""
    usable = exchanges >= UNIT_EXCHANGES
    values = _values(exchanges[usable], reaching[usable], techniques[usable], refused[usable])
    ordered = np.sort(values, axis=0)
    return Reaches(ordered, np.sort(_bits(ordered, values, own=1).sum(axis=1)))


NOBODY = Reaches(np.zeros((0, 4)), np.zeros(0))


def extraction(pooled: Attempts, members: int, ordinary: Reaches) -> Extraction:
    """Test the pooled traffic of a cluster of `members` accounts against ordinary units."""
    result, p_value, because = _tested(pooled, ordinary)
    ranked = sorted(pooled.techniques.items(), key=lambda item: (-item[1].exchanges, item[0]))
    return Extraction(
        result=result,
        p_value=p_value,
        because=because,
        share=round(pooled.reaching / max(pooled.exchanges, 1), 6),
        account_share=round(pooled.accounts / max(members, 1), 6),
        techniques=dict(ranked),
        sweep=sweep(pooled.days),
    )


def _tested(pooled: Attempts, ordinary: Reaches) -> tuple[str, float | None, str]:
    """Result, p-value and reason."""
    if pooled.reaching < MIN_REACHING:
        because = f"{pooled.reaching} exchanges reach for the model's reasoning; at least {MIN_REACHING} are needed"
        return "not_tested", None, because
    if ordinary.size < MIN_REFERENCE:
        because = f"{ordinary.size} ordinary accounts to compare with; at least {MIN_REFERENCE} are needed"
        return "not_tested", None, because
    counts = (pooled.exchanges, pooled.reaching, len(pooled.techniques), pooled.refused)
    row = _values(*(np.array([count], np.float64) for count in counts))
    mine = float(_bits(ordinary.ordered, row, own=0).sum())
    as_far = ordinary.size - int(np.searchsorted(ordinary.sums, mine - 1e-9))
    p_value = round((1 + as_far) / (ordinary.size + 1), 6)
    reach = (
        f"{pooled.reaching:,} of {pooled.exchanges:,} exchanges reach for the model's reasoning, "
        f"techniques: {len(pooled.techniques)}"
    )
    if p_value <= P_VALUE:
        return "proven", p_value, f"{reach}; further out than {1 - p_value:.2%} of {ordinary.size} ordinary units"
    return "not_proven", p_value, f"{reach}; {p_value:.1%} of {ordinary.size} ordinary units are as far out"


def _values(exchanges: Floats, reaching: Floats, techniques: Floats, refused: Floats) -> Floats:
    """Share and volume of reaching exchanges, how many techniques, and the refused ones among them: (units, 4)."""
    share = reaching / np.maximum(exchanges, 1.0)
    return np.column_stack([share, np.log2(reaching + 1), techniques, refused / (reaching + UNIT_EXCHANGES)])


def _bits(ordered: Floats, rows: Floats, *, own: int) -> Floats:
    """Bits of each value of each row: -log2 of the share of units at least as large; `own` units are the row."""
    columns = [len(ordered) - np.searchsorted(ordered[:, i], rows[:, i]) - own for i in range(rows.shape[1])]
    return np.asarray(-np.log2((1.0 + np.stack(columns, axis=1)) / (len(ordered) - own + 1.0)))


def sweep(days: Sequence[AttemptDay]) -> Sweep | None:
    """The technique sweep in these days; None when there was none."""
    tried, refused = Counter[date](), Counter[date]()
    for row in days:
        if row.is_tried:
            tried[row.on] += row.exchanges
            refused[row.on] += row.refused
    swept = {day for day, exchanges in tried.items() if refused[day] >= SWEEP_REFUSED_SHARE * exchanges}
    rows = [row for row in days if row.is_tried and row.on in swept]
    used = {name for row in rows for name in row.techniques}
    forms = sum(row.forms for row in rows)
    if forms < SWEEP_FORMS or len(used) < SWEEP_TECHNIQUES:
        return None
    exchanges, first = sum(row.exchanges for row in rows), min(swept)
    share = sum(row.refused for row in rows) / exchanges
    return Sweep(
        forms=forms,
        exchanges=exchanges,
        refused_share=round(share, 6),
        techniques=tuple(sorted(used)),
        first_on=first,
        last_on=max(swept),
        winner=_winner(days, first, share),
    )


def _winner(days: Sequence[AttemptDay], first: date, refused_share: float) -> Winner | None:
    """The techniques most repeated since the sweep began: hardly used before, and refused half as often at most."""
    after, before, refused = Counter[Techniques](), Counter[Techniques](), Counter[Techniques]()
    began: dict[Techniques, date] = {}
    for row in days:
        if row.is_tried:
            continue
        if row.on < first:
            before[row.techniques] += row.exchanges
        else:
            after[row.techniques] += row.exchanges
            refused[row.techniques] += row.refused
            began.setdefault(row.techniques, row.on)
    new = [
        (-exchanges, techniques)
        for techniques, exchanges in after.items()
        if before[techniques] <= NEW_SHARE * exchanges and refused[techniques] <= refused_share / 2 * exchanges
    ]
    if not new:
        return None
    exchanges, techniques = min(new)
    return Winner(techniques, -exchanges, began[techniques])
