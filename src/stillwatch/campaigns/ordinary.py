"""Ordinary traffic that a cluster is compared with: units outside every cluster, one vote each, and pools of them.

Why:    what is unusual can only be said against somebody. A unit is an organisation or a lone account, so that one
        customer with many accounts is one voice. Units of a cluster's own segment answer a second question: is it
        unusual, or is only its segment?
Misses: campaigns that nobody has linked are among the units, and raise the bar for the others.
Source: conformal p-values: Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World" (2005), ch. 2. The share
        of random pools as far out, plus one: Davison & Hinkley, "Bootstrap Methods and their Application" (1997), 4.2.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillwatch.campaigns.facts import Usage
from stillwatch.records import CAPABILITIES, INTENTS

MIN_REFERENCE = 200  # units; fewer say nothing about the tail
UNIT_EXCHANGES = 5  # exchanges a unit needs
TRIMMED_SHARE = 0.1  # units furthest out, left out of the means
POOLS = 10_000  # random pools a cluster is compared with, so the smallest p-value is 0.0001
CAP_QUANTILE = 0.99  # no account counts for more than nearly all units that elicit anything
MEASURES = ("distinct items", "elicited volume", "elicitation", "narrowness", "output length")

_DRAWN_AT_ONCE = 200  # accounts of each pool, so that memory stays at some ten megabytes

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reference:
    """Units of one segment: `values` (units, measures), each column sorted; `sums` (units,) of bits, sorted.

    `prevalence` (intents,) and `capabilities` (capabilities,) are mean shares over units, one vote each; `focus` is the
    median divergence of a unit's capability mix from that mean [bits].
    """

    values: Floats
    sums: Floats
    prevalence: Floats
    capabilities: Floats
    focus: float

    @property
    def size(self) -> int:
        """Units in the reference."""
        return len(self.sums)

    def row(self, unit: Usage) -> Floats:
        """The measures of a unit, in the order of MEASURES: (measures,)."""
        return _values(_columns([unit]), self.prevalence)[0]

    def focus_of(self, unit: Usage) -> float:
        """Divergence of the unit's capability mix from the mean [bits]."""
        return float(_divergences(_columns([unit]).mixes, self.capabilities)[0])

    def bits(self, row: Floats) -> Floats:
        """-log2 of the share of units at least as large, per measure: (measures,)."""
        return _bits(self.values, row[None, :], own=0)[0]

    def p_value(self, bits: Floats) -> float:
        """Share of units whose bits add up to as much, the newcomer counted among them."""
        as_far = self.size - int(np.searchsorted(self.sums, bits.sum()))
        return (1 + as_far) / (self.size + 1)


@dataclass(frozen=True, slots=True)
class Ordinary:
    """Everyone's reference under the key (), those of segments with enough units under theirs.

    `volumes` (units,) is the elicited volume of every unit, at most `cap`, sorted.
    """

    references: Mapping[tuple[str | None, ...], Reference]
    volumes: Floats
    cap: float

    @property
    def everyone(self) -> Reference:
        """All units."""
        return self.references[()]

    def nearest(self, segment: tuple[str | None, ...]) -> tuple[tuple[str | None, ...], Reference]:
        """The narrowest segment with enough units that `segment` lies in, and its reference."""
        keys = (segment[dropped:] for dropped in range(len(segment) + 1))
        key = next(key for key in keys if key in self.references)
        return key, self.references[key]

    def pooled_p_value(self, volumes: Sequence[float], principals: int) -> float:
        """Share of random pools of so many units that elicit as much; `volumes` is per account of the cluster."""
        total = sum(sorted(min(volume, self.cap) for volume in volumes))
        rng = np.random.default_rng(principals)
        sums = np.zeros(POOLS)
        for start in range(0, principals, _DRAWN_AT_ONCE):
            drawn = (POOLS, min(_DRAWN_AT_ONCE, principals - start))
            sums += self.volumes[rng.integers(0, len(self.volumes), drawn)].sum(axis=1)
        return (1 + int((sums >= total - 1e-6).sum())) / (POOLS + 1)


def ordinary(units: Sequence[Usage]) -> Ordinary:
    """Learn what ordinary traffic looks like from units that belong to no linked cluster."""
    usable = [unit for unit in units if unit.exchanges >= UNIT_EXCHANGES]
    groups: dict[tuple[str | None, ...], list[int]] = defaultdict(list)
    for i, unit in enumerate(usable):
        for key in {unit.segment[dropped:] for dropped in range(len(unit.segment) + 1)}:
            groups[key].append(i)
    columns = _columns(usable)
    everyone = _reference(columns)
    references = {
        key: everyone if len(group) == len(usable) else _reference(columns.take(np.array(group)))
        for key, group in groups.items()
        if len(group) >= MIN_REFERENCE
    }
    volumes = np.sort(columns.intents @ _weights(everyone.prevalence))
    eliciting = volumes[volumes > 0]
    cap = float(np.quantile(eliciting, CAP_QUANTILE)) if len(eliciting) else float("inf")
    return Ordinary({**references, (): everyone}, np.minimum(volumes, cap), cap)


def elicited_volume(intents: Sequence[int], prevalence: Floats) -> float:
    """Exchanges with each intent, weighed by how rare the intent is in ordinary traffic [bits]."""
    return float(np.array(intents, dtype=np.float64) @ _weights(prevalence)) if intents else 0.0


def _weights(prevalence: Floats) -> Floats:
    return np.asarray(-np.log2(np.clip(prevalence, 1e-3, 1.0)))


class _Columns(NamedTuple):
    """The usage of units, a row each: `intents` (units, intents), `mixes` (units, capabilities), others (units,)."""

    exchanges: Floats
    items: Floats
    output_tokens: Floats
    intents: Floats
    mixes: Floats
    narrowness: Floats

    def take(self, rows: NDArray[np.int64]) -> "_Columns":
        """Some of the units."""
        return _Columns._make(column[rows] for column in self)


def _columns(units: Sequence[Usage]) -> _Columns:
    totals = np.array([(u.exchanges, u.items, u.output_tokens) for u in units], dtype=np.float64).reshape(-1, 3)
    intents = np.array([u.intents for u in units], dtype=np.float64).reshape(-1, len(INTENTS))
    counts = [[u.capabilities.get(name, 0) for name in CAPABILITIES] for u in units]
    mixes = np.array(counts, dtype=np.float64).reshape(-1, len(CAPABILITIES))
    shares = mixes / np.maximum(mixes.sum(axis=1, keepdims=True), 1.0)
    narrowness = np.array([u.embeddings.narrowness or 0.0 for u in units], dtype=np.float64)
    return _Columns(totals[:, 0], totals[:, 1], totals[:, 2], intents, shares, narrowness)


def _reference(columns: _Columns) -> Reference:
    """The reference of these units.

    The units furthest out are left out of the means, so that a campaign nobody has linked yet does not pass for
    ordinary; they stay in the ranking, which is the careful choice.
    """
    everything, sums = _ranked(columns, columns)
    kept = np.argsort(sums, kind="stable")[: max(round(len(sums) * (1 - TRIMMED_SHARE)), 1)]
    return _ranked(columns.take(kept), columns)[0] if len(sums) else everything


def _ranked(central: _Columns, units: _Columns) -> tuple[Reference, Floats]:
    """The reference over all units, with means over the central ones only, and the bits of each unit in their order."""
    shares = central.intents / central.exchanges[:, None]
    prevalence = shares.mean(axis=0) if len(shares) else np.zeros(len(INTENTS))
    capabilities = central.mixes.mean(axis=0) if len(shares) else np.zeros(len(CAPABILITIES))
    values = _values(units, prevalence)
    ordered = np.sort(values, axis=0)
    sums = _bits(ordered, values, own=1).sum(axis=1)
    focus = float(np.median(_divergences(units.mixes, capabilities))) if len(values) else 0.0
    return Reference(ordered, np.sort(sums), prevalence, capabilities, focus), sums


def _values(units: _Columns, prevalence: Floats) -> Floats:
    """The measures of each unit, in the order of MEASURES: (units, measures)."""
    volume = units.intents @ _weights(prevalence)
    return np.stack(
        [
            np.log2(units.items + 1),
            np.log2(volume + 1),
            volume / units.exchanges,
            units.narrowness,
            np.log2(units.output_tokens / units.exchanges + 1),
        ],
        axis=1,
    )


def _divergences(mixes: Floats, capabilities: Floats) -> Floats:
    """Kullback-Leibler divergence of each mix from the mean [bits], 0 at least: (units,)."""
    ratios = np.log2(np.maximum(mixes, 1e-12) / np.maximum(capabilities, 1e-3))
    return np.asarray(np.maximum(np.where(mixes > 0, mixes * ratios, 0.0).sum(axis=1), 0.0))


def _bits(ordered: Floats, rows: Floats, *, own: int) -> Floats:
    """Bits of each measure of each row: -log2 of the share of units at least as large; `own` units are the row."""
    columns = [len(ordered) - np.searchsorted(ordered[:, i], rows[:, i]) - own for i in range(rows.shape[1])]
    return np.asarray(-np.log2((1.0 + np.stack(columns, axis=1)) / (len(ordered) - own + 1.0)))
