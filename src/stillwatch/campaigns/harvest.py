"""Is this traffic a harvest? The cluster's pooled, template-bearing traffic against ordinary customers'.

Why:    a harvest is volume, structure and focus at once: one corpus shared out over accounts, few repeats, a narrow
        set of capabilities, prompts that ask for reasoning, grades or new tasks, long answers.
Misses: a harvest that looks like ordinary use in every measure; harvests too small to stand out from single customers.
Source: conformal p-values: Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World" (2005), ch. 2. Each
        measure is ranked among reference units and the sum of its bits is ranked again among theirs, so neither the
        scale of a measure nor the correlation between measures needs a model.

The reference is made without labels: accounts outside every linked cluster, one vote per organisation, the furthest
tenth left out of the means. Fewer than MIN_REFERENCE units and the test is not run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from stillwatch.campaigns.coordination import Measure, TestResult
from stillwatch.campaigns.facts import Facts, Usage
from stillwatch.records import CAPABILITIES, INTENTS

MIN_REFERENCE = 200  # units; fewer say nothing about the tail
MIN_EXCHANGES = 30  # template-bearing exchanges a cluster needs before shares mean anything
UNIT_EXCHANGES = 5  # exchanges a reference unit needs
TRIMMED_SHARE = 0.1  # units furthest out, left out of the means
P_VALUE = 0.005  # of the whole: one ordinary unit in 200 is as far out
MAX_ITEM_SHARING = 0.06  # in a corpus shared out, hardly another member sends the same item
MEASURES = ("distinct items", "elicited volume", "elicitation", "capability focus", "output length")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """Ordinary traffic: `values` (units, measures), each column sorted; `sums` (units,) of bits, sorted.

    `prevalence` (intents,) and `capabilities` (capabilities,) are mean shares over units, one vote each.
    """

    values: Floats
    sums: Floats
    prevalence: Floats
    capabilities: Floats

    @property
    def size(self) -> int:
        """Units in the reference."""
        return len(self.sums)


def reference(units: Sequence[Usage]) -> Reference:
    """Learn what ordinary traffic looks like from units that belong to no linked cluster.

    The units furthest out are left out of the means, so that a campaign nobody has linked yet does not pass for
    ordinary; they stay in the ranking, which is the careful choice.
    """
    usable = [unit for unit in units if unit.exchanges >= UNIT_EXCHANGES]
    if not usable:
        empty = np.zeros((0, len(MEASURES)))
        return Reference(empty, np.zeros(0), np.zeros(len(INTENTS)), np.zeros(len(CAPABILITIES)))
    everything = _ranked(usable, usable)
    unsorted = _bits(everything.values, _all_values(usable, everything), own=1).sum(axis=1)
    kept = np.argsort(unsorted, kind="stable")[: max(round(len(usable) * (1 - TRIMMED_SHARE)), 1)]
    return _ranked([usable[i] for i in kept], usable)


def _ranked(central: Sequence[Usage], units: Sequence[Usage]) -> Reference:
    """The reference over all units, with means over the central ones only."""
    intents = np.array([[n / unit.exchanges for n in unit.intents] for unit in central])
    mixes = np.array([_mix(unit) for unit in central])
    means = Reference(np.zeros((0, len(MEASURES))), np.zeros(0), intents.mean(axis=0), mixes.mean(axis=0))
    values = _all_values(units, means)
    ordered = np.sort(values, axis=0)
    sums = np.sort(_bits(ordered, values, own=1).sum(axis=1))
    return Reference(ordered, sums, means.prevalence, means.capabilities)


def _all_values(units: Sequence[Usage], means: Reference) -> Floats:
    return np.array([_values(unit, means.prevalence, means.capabilities) for unit in units])


def harvest(facts: Facts, ordinary: Reference) -> TestResult:
    """Test harvesting on the pooled traffic that bears the cluster's templates."""
    if not facts.has_prompts:
        return TestResult("not_tested", None, None, "the logs hold no prompts, so no template could be found")
    used = facts.bearing
    if used.exchanges < MIN_EXCHANGES:
        because = f"{used.exchanges} template-bearing exchanges; at least {MIN_EXCHANGES} are needed"
        return TestResult("not_tested", None, None, because)
    if ordinary.size < MIN_REFERENCE:
        because = (
            f"{ordinary.size} ordinary accounts to compare with; at least {MIN_REFERENCE} outside every linked cluster "
            "are needed"
        )
        return TestResult("not_tested", None, None, because)
    row = np.array(_values(used, ordinary.prevalence, ordinary.capabilities))
    bits = _bits(ordinary.values, row[None, :], own=0)[0]
    as_far = ordinary.size - int(np.searchsorted(ordinary.sums, bits.sum()))
    p_value = (1 + as_far) / (ordinary.size + 1)
    measures = _measures(row, bits, ordinary)
    sharing = facts.item_sharing or 0.0
    measures = (*measures, _sharing_measure(sharing))
    if sharing > MAX_ITEM_SHARING:
        because = (
            f"another member sends the same item {sharing:.0%} of the time: the same questions, not a shared-out corpus"
        )
        return TestResult("not_proven", p_value, round(float(bits.sum()), 6), because, measures)
    proven = p_value <= P_VALUE
    because = (
        f"pooled traffic is further out than {1 - p_value:.2%} of {ordinary.size} ordinary units"
        if proven
        else f"{p_value:.1%} of {ordinary.size} ordinary units are as far out"
    )
    return TestResult(
        "proven" if proven else "not_proven", round(p_value, 6), round(float(bits.sum()), 6), because, measures
    )


def _values(unit: Usage, prevalence: Floats, capabilities: Floats) -> list[float]:
    """The measures of one unit, in the order of MEASURES."""
    shares = np.array([n / unit.exchanges for n in unit.intents])
    elicitation = float(shares @ -np.log2(np.clip(prevalence, 1e-3, 1.0)))
    mix = _mix(unit)
    focus = float(np.sum(np.where(mix > 0, mix * np.log2(np.maximum(mix, 1e-12) / np.maximum(capabilities, 1e-3)), 0)))
    return [
        log2(unit.items + 1),
        log2(unit.exchanges * elicitation + 1),
        elicitation,
        max(focus, 0.0),
        log2(unit.output_tokens / unit.exchanges + 1),
    ]


def _mix(unit: Usage) -> Floats:
    counts = np.array([unit.capabilities.get(name, 0) for name in CAPABILITIES], dtype=np.float64)
    return counts / max(counts.sum(), 1.0)


def _bits(ordered: Floats, rows: Floats, *, own: int) -> Floats:
    """Bits of each measure of each row: -log2 of the share of units at least as large; `own` units are the row."""
    columns = [len(ordered) - np.searchsorted(ordered[:, i], rows[:, i]) - own for i in range(rows.shape[1])]
    return np.asarray(-np.log2((1.0 + np.stack(columns, axis=1)) / (len(ordered) - own + 1.0)))


def _measures(row: Floats, bits: Floats, ordinary: Reference) -> tuple[Measure, ...]:
    median = np.median(ordinary.values, axis=0)
    words = {
        "distinct items": "log2 of how many different slot fillings were sent",
        "elicited volume": "log2 of exchanges times elicitation: how much was drawn out in all",
        "elicitation": "intents weighed by how rare they are in ordinary traffic",
        "capability focus": "divergence of the capability mix from ordinary traffic [bits]",
        "output length": "log2 of mean output tokens",
    }
    return tuple(
        Measure(name, round(float(row[i]), 6), round(float(median[i]), 6), round(float(bits[i]), 6), words[name])
        for i, name in enumerate(MEASURES)
    )


def _sharing_measure(sharing: float) -> Measure:
    because = "chance that another member sent the same item; near nothing in a corpus shared out"
    return Measure("item sharing", round(sharing, 6), MAX_ITEM_SHARING, None, because)
