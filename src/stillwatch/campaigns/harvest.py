"""Is this traffic a harvest? The cluster's pooled, template-bearing traffic against ordinary customers'.

Why:    a harvest is volume, structure and focus at once: one corpus shared out over accounts, few repeats, a narrow
        set of capabilities, prompts that ask for reasoning, grades or new tasks, long answers.
Misses: a harvest that looks like ordinary use in every measure; harvests too small to stand out from single customers.
Source: conformal p-values: Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World" (2005), ch. 2. Each
        measure is ranked among reference units and the sum of its bits is ranked again among theirs, so neither the
        scale of a measure nor the correlation between measures needs a model.

The reference is made without labels: accounts outside every linked cluster, one vote per organisation, the noisiest
tenth trimmed. Fewer than MIN_REFERENCE units and the test is not run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from stillwatch.campaigns.coordination import Measure, TestResult
from stillwatch.campaigns.facts import Facts, Usage
from stillwatch.records import CAPABILITIES, INTENTS

MIN_REFERENCE = 200  # units; fewer cannot support a p-value of half a percent
MIN_EXCHANGES = 30  # template-bearing exchanges a cluster needs before shares mean anything
UNIT_EXCHANGES = 5  # exchanges a reference unit needs
P_VALUE = 0.01
MAX_ITEM_SHARING = 0.5  # a corpus shared out: most items are sent by one account only
MEASURES = ("distinct items", "item novelty", "elicitation", "capability focus", "output length")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """Ordinary traffic: `values` (units, measures) sorted per column is not assumed; `sums` (units,) of bits.

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
    """Learn what ordinary traffic looks like from units that belong to no linked cluster."""
    usable = [unit for unit in units if unit.exchanges >= UNIT_EXCHANGES]
    if not usable:
        empty = np.zeros((0, len(MEASURES)))
        return Reference(empty, np.zeros(0), np.zeros(len(INTENTS)), np.zeros(len(CAPABILITIES)))
    intents = np.array([[n / unit.exchanges for n in unit.intents] for unit in usable])
    mixes = np.array([_mix(unit) for unit in usable])
    prevalence, capabilities = intents.mean(axis=0), mixes.mean(axis=0)
    values = np.array([_values(unit, prevalence, capabilities) for unit in usable])
    sums = np.array([_bits(values, row, own=1).sum() for row in values])
    return Reference(values, sums, prevalence, capabilities)


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
    bits = _bits(ordinary.values, row, own=0)
    p_value = float((1 + (ordinary.sums >= bits.sum()).sum()) / (ordinary.size + 1))
    measures = _measures(row, bits, ordinary)
    sharing = facts.item_sharing or 0.0
    measures = (*measures, _sharing_measure(sharing))
    if sharing > MAX_ITEM_SHARING:
        because = (
            f"{sharing:.0%} of the items were sent by several accounts: the same questions, not a corpus shared out"
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
    surprise = -np.log2(np.clip(prevalence, 1e-3, 1.0))
    mix = _mix(unit)
    focus = float(np.sum(np.where(mix > 0, mix * np.log2(np.maximum(mix, 1e-12) / np.maximum(capabilities, 1e-3)), 0)))
    return [
        log2(unit.items + 1),
        unit.items / unit.exchanges,
        float(shares @ surprise),
        max(focus, 0.0),
        log2(unit.output_tokens / unit.exchanges + 1),
    ]


def _mix(unit: Usage) -> Floats:
    counts = np.array([unit.capabilities.get(name, 0) for name in CAPABILITIES], dtype=np.float64)
    return counts / max(counts.sum(), 1.0)


def _bits(values: Floats, row: Floats, *, own: int) -> Floats:
    """Bits of each measure: -log2 of the share of units at least as large. `own` units are the row itself."""
    at_least = (values >= row[None, :]).sum(axis=0) - own
    return -np.log2((1.0 + at_least) / (len(values) - own + 1.0))


def _measures(row: Floats, bits: Floats, ordinary: Reference) -> tuple[Measure, ...]:
    median = np.median(ordinary.values, axis=0)
    words = {
        "distinct items": "log2 of how many different slot fillings were sent",
        "item novelty": "share of exchanges with a new item; a sweep never repeats",
        "elicitation": "intents weighed by how rare they are in ordinary traffic",
        "capability focus": "divergence of the capability mix from ordinary traffic [bits]",
        "output length": "log2 of mean output tokens",
    }
    return tuple(
        Measure(name, round(float(row[i]), 6), round(float(median[i]), 6), round(float(bits[i]), 6), words[name])
        for i, name in enumerate(MEASURES)
    )


def _sharing_measure(sharing: float) -> Measure:
    because = "share of template-bearing exchanges whose item another member also sent; a shared-out corpus has few"
    return Measure("item sharing", round(sharing, 6), MAX_ITEM_SHARING, None, because)
