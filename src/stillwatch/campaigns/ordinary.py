"""Ordinary traffic that a cluster is compared with: units outside every cluster, one vote each, and pools of them.

Why:    what is unusual can only be said against somebody. A unit is an organisation or a lone account, so that one
        customer with many accounts is one voice. Units of a cluster's own segment answer a second question: is it
        unusual, or is only its segment? What grows with time is counted in runs of days as long as the cluster's.
Misses: campaigns that nobody has linked are among the units, and raise the bar for the others.
Source: conformal p-values: Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World" (2005), ch. 2. The share
        of random pools as far out, plus one: Davison & Hinkley, "Bootstrap Methods and their Application" (1997), 4.2.
        Beyond all of those drawn the bound of Chernoff, as in `volume`. The bound on a share: Clopper & Pearson,
        Biometrika 26 (1934) 404-413.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from stillwatch.campaigns.days import NO_DAYS, WHOLE, Counts, Days
from stillwatch.campaigns.facts import Usage
from stillwatch.campaigns.volume import capped_at
from stillwatch.records import CAPABILITIES, EXTRACTION_TECHNIQUES, INTENTS

MIN_REFERENCE = 200  # units; fewer say nothing about the tail
UNIT_EXCHANGES = 5  # exchanges a unit needs
TRIMMED_SHARE = 0.1  # units furthest out, left out of the means
POOLS = 10_000  # random pools a cluster is compared with
LEAST_P_VALUE = 1e-30  # of a bound, so that its bits are a number
CAP_QUANTILE = 0.99  # no account counts for more than nearly all units that elicit anything
MORE_P_VALUE = 0.05  # that a larger share of all customers extracts than is assumed
MEASURES = ("distinct items", "elicited volume", "elicitation", "narrowness", "output length")

_STEPS = 2**20  # of a bit
_EXTRACTING = np.isin(INTENTS, EXTRACTION_TECHNIQUES)
_DRAWN_AT_ONCE = 200  # accounts of each pool, so that memory stays at some ten megabytes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Segment = tuple[str | None, ...]
Segments = NDArray[np.object_]  # of tuples, each kept once


@dataclass(frozen=True, slots=True)
class Reference:
    """Units of one segment: `values` (units, measures), each column sorted; `sums` (units,) of bits, sorted.

    Each unit's bits are those of the run of days that fits itself, whatever run the values are of: whoever is compared
    over a few days is compared with what others reach over the days that speak most against them.

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

    def row(self, unit: Usage, days: Days = NO_DAYS, length: int = WHOLE) -> Floats:
        """The measures of a unit, in the order of MEASURES, in its busiest run of `length` days: (measures,).

        Without `days` of one unit it is the whole window.
        """
        row = _values(units_of([unit]), self.prevalence)
        return (_within(row, days, length, elicited_volume(days.intents, self.prevalence)) if days.size else row)[0]

    def focus_of(self, unit: Usage) -> float:
        """Divergence of the unit's capability mix from the mean [bits]."""
        return float(_divergences(units_of([unit]).mixes, self.capabilities)[0])

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

    `volumes` (units,) is the elicited volume of every unit, at most `cap`, sorted. `traffic` is what these were
    learned from; volumes and what grows with time are of each unit's busiest run of `length` days. `runs` keeps what
    `within` worked out, because every cluster asks for one of few lengths, and `pools` what pools of so many units
    elicit, because every cluster is asked about more than once. `extracting` is the share of units that use a technique
    of reasoning extraction at all, as large as it may well be; `users` how many units use each of these techniques.
    """

    references: Mapping[Segment, Reference]
    volumes: Floats
    cap: float
    traffic: "_Traffic | None" = None
    length: int = WHOLE
    extracting: float = 1.0
    users: Mapping[str, int] = field(default_factory=dict)
    runs: "dict[int, Ordinary]" = field(default_factory=dict, compare=False)
    pools: dict[int, Floats] = field(default_factory=dict, compare=False)

    @property
    def everyone(self) -> Reference:
        """All units."""
        return self.references[()]

    def within(self, length: int) -> "Ordinary":
        """The same units, each in its busiest run of `length` days: what was sent, and what was elicited."""
        if self.traffic is None or length >= self.traffic.days.longest:
            return self
        if length not in self.runs:
            self.runs[length] = _in_runs(self, self.traffic, length)
        return self.runs[length]

    def nearest(self, segment: Segment) -> tuple[Segment, Reference]:
        """The narrowest segment with enough units that `segment` lies in, and its reference."""
        keys = (segment[dropped:] for dropped in range(len(segment) + 1))
        key = next(key for key in keys if key in self.references)
        return key, self.references[key]

    def pooled_p_value(self, volumes: Sequence[float], principals: int) -> float:
        """Share of random pools of so many units that elicit as much; `volumes` is per account of the cluster.

        Where none of those drawn does, Chernoff's bound on the share: with a thousand clusters tested at once, one in
        POOLS would be no discovery, however far out.
        """
        total = sum(sorted(min(volume, self.cap) for volume in volumes))
        if principals not in self.pools:
            self.pools[principals] = _pools(self.volumes, principals)
        reaching = int((self.pools[principals] >= total - 1e-6).sum())
        drawn = (1 + reaching) / (POOLS + 1)
        if reaching:
            return drawn
        bits = capped_at(self.volumes, self.cap).rarity_bits(total / self.cap, principals)
        return min(drawn, max(2.0**-bits, LEAST_P_VALUE))

    def extracting_p_value(self, accounts: int, principals: int) -> float:
        """Chance that of so many units so many use a technique of reasoning extraction, or more."""
        return max(float(stats.binom.sf(accounts - 1, max(principals, accounts), self.extracting)), LEAST_P_VALUE)

    def unlikely_techniques(self, accounts: Mapping[str, int], principals: int, p_value: float) -> list[str]:
        """Techniques that so many of so many units would not use by chance, each as rare as all units have it."""
        most = {name: _at_most(self.users.get(name, 0), self.everyone.size) for name in accounts}
        tail = {name: stats.binom.sf(some - 1, max(principals, some), most[name]) for name, some in accounts.items()}
        return [name for name, some in accounts.items() if some and tail[name] <= p_value]

    def rare_techniques(self, share: float) -> dict[str, int]:
        """Techniques of reasoning extraction that at most so small a share of all others use, and how many of them do.

        The others are all units but one: the customer that is asked about is a unit, and uses them.
        """
        used = {name: max(self.users.get(name, 0) - 1, 0) for name in EXTRACTION_TECHNIQUES}
        return {name: some for name, some in used.items() if _at_most(some, self.everyone.size - 1) <= share}


def _at_most(some: int, of: int) -> float:
    """The largest share of all customers that may well have something, when so many of these have it."""
    return float(stats.beta.ppf(1 - MORE_P_VALUE, some + 1, of - some)) if some < of else 1.0


def _pools(volumes: Floats, principals: int) -> Floats:
    """What each of POOLS random pools of so many units elicits: (pools,)."""
    rng, sums = np.random.default_rng(principals), np.zeros(POOLS)
    for start in range(0, principals, _DRAWN_AT_ONCE):
        drawn = (POOLS, min(_DRAWN_AT_ONCE, principals - start))
        sums += volumes[rng.integers(0, len(volumes), drawn)].sum(axis=1)
    return sums


def _in_runs(whole: Ordinary, traffic: "_Traffic", length: int) -> Ordinary:
    """What `Ordinary.within` gives."""
    units, days, groups = traffic
    references = {}
    for key, reference in whole.references.items():
        values = _values(units.take(groups[key]), reference.prevalence)
        own = days.take(groups[key])
        ran = _within(values, own, length, elicited_volume(own.intents, reference.prevalence))
        references[key] = replace(reference, values=np.sort(ran, axis=0))
    amounts = elicited_volume(days.intents, whole.everyone.prevalence)
    return Ordinary(references, *_capped(days.busiest(amounts, length)), traffic, length, whole.extracting, whole.users)


class Units(NamedTuple):
    """Usage of units, a row each: `intents` (units, intents), `mixes` (units, capabilities), others (units,).

    `mixes` are shares of each capability, `segments` as in `Usage`, `narrowness` that of their embeddings or nought.
    """

    exchanges: Floats
    items: Floats
    output_tokens: Floats
    intents: Floats
    mixes: Floats
    narrowness: Floats
    segments: Segments

    def take(self, rows: Ints) -> "Units":
        """Some of the units."""
        return Units._make(column[rows] for column in self)


def units_of(usages: Sequence[Usage]) -> Units:
    """The same units as columns."""
    totals = np.array([(u.exchanges, u.items, u.output_tokens) for u in usages], dtype=np.float64).reshape(-1, 3)
    intents = np.array([u.intents for u in usages], dtype=np.float64).reshape(-1, len(INTENTS))
    counts = [[u.capabilities.get(name, 0) for name in CAPABILITIES] for u in usages]
    mixes = shares(np.array(counts, dtype=np.float64).reshape(-1, len(CAPABILITIES)))
    narrowness = np.array([u.embeddings.narrowness or 0.0 for u in usages], dtype=np.float64)
    segments = np.fromiter((u.segment for u in usages), np.object_, len(usages))
    return Units(totals[:, 0], totals[:, 1], totals[:, 2], intents, mixes, narrowness, segments)


def shares(counts: Floats) -> Floats:
    """Each row as shares of its sum; zeros stay zeros."""
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0))


NO_UNITS = units_of([])


def ordinary(units: Units, days: Days = NO_DAYS) -> Ordinary:
    """Learn what ordinary traffic looks like from units that belong to no linked cluster.

    `days` are those of the same units in the same order; without them only whole windows are compared.
    """
    usable = np.flatnonzero(units.exchanges >= UNIT_EXCHANGES)
    units, days = units.take(usable), days.take(usable)
    groups = _groups(units.segments)
    references: dict[Segment, Reference] = {}
    for key, rows in groups.items():
        same = key != () and len(rows) == len(usable)
        references[key] = references[()] if same else _reference(units.take(rows), days.take(rows))
    volumes = elicited_volume(units.intents, references[()].prevalence)
    extracting = _at_most(int(extracts(units.intents).sum()), len(usable))
    users = {name: int((units.intents[:, INTENTS.index(name)] > 0).sum()) for name in EXTRACTION_TECHNIQUES}
    return Ordinary(references, *_capped(volumes), _Traffic(units, days, groups), extracting=extracting, users=users)


def _groups(segments: Segments) -> dict[Segment, Ints]:
    """The places of all units, under (), and of those of every segment with enough of them."""
    own: dict[Segment, list[int]] = defaultdict(list)
    for place, segment in enumerate(segments.tolist()):
        own[segment].append(place)
    found: dict[Segment, list[list[int]]] = defaultdict(list)
    for segment, places in own.items():
        for dropped in range(len(segment)):
            found[segment[dropped:]].append(places)
    counts = {key: sum(map(len, parts)) for key, parts in found.items()}
    large = {key: np.sort(np.concatenate(found[key])) for key, count in counts.items() if count >= MIN_REFERENCE}
    return {(): np.arange(len(segments)), **large}


def _capped(volumes: Floats) -> tuple[Floats, float]:
    """The volumes, sorted, none over the cap; and the cap."""
    eliciting = volumes[volumes > 0]
    cap = float(np.quantile(eliciting, CAP_QUANTILE)) if len(eliciting) else float("inf")
    return np.sort(np.minimum(volumes, cap)), cap


def extracts(intents: Counts) -> NDArray[np.bool_]:
    """Which rows of exchanges with each intent (rows, intents) have any of EXTRACTION_TECHNIQUES: (rows,)."""
    return np.asarray((intents[:, _EXTRACTING] > 0).any(axis=1))


def elicited_volume(intents: Counts, prevalence: Floats) -> Floats:
    """Exchanges with each intent (rows, intents), weighed by how rare it is in ordinary traffic [bits]: (rows,).

    Column by column, as the rows are millions of days and a product of matrices would hold them once more.
    """
    volumes = np.zeros(len(intents))
    for column, weight in zip(intents.T, _weights(prevalence), strict=True):
        volumes += column * weight
    return volumes


def _weights(prevalence: Floats) -> Floats:
    """Bits of each intent, in steps so coarse that sums over any days and units are exact, in any order."""
    return np.asarray(np.round(-np.log2(np.clip(prevalence, 1e-3, 1.0)) * _STEPS) / _STEPS)


class _Traffic(NamedTuple):
    """The units' usage and days, and the places of those of each segment."""

    units: Units
    days: Days
    groups: Mapping[Segment, Ints]


def _reference(units: Units, days: Days) -> Reference:
    """The reference of these units.

    The units furthest out are left out of the means, so that a campaign nobody has linked yet does not pass for
    ordinary; they stay in the ranking, which is the careful choice.
    """
    everything, sums = _ranked(units, units)
    if not len(sums):
        return everything
    kept = np.argsort(sums, kind="stable")[: max(round(len(sums) * (1 - TRIMMED_SHARE)), 1)]
    learned, sums = _ranked(units.take(kept), units)
    return replace(learned, sums=np.sort(_fitting(units, days, learned.prevalence, sums)))


def _fitting(units: Units, days: Days, prevalence: Floats, sums: Floats) -> Floats:
    """The bits of each unit over the run of days that fits itself, `sums` over the whole window: (units,)."""
    values, lengths = _values(units, prevalence), days.lengths()
    volumes = elicited_volume(days.intents, prevalence)
    for length in np.unique(lengths[lengths < days.longest]).tolist():
        ran, rows = _within(values, days, length, volumes), lengths == length
        sums[rows] = _bits(np.sort(ran, axis=0), ran[rows], own=1).sum(axis=1)
    return sums


def _within(values: Floats, days: Days, length: int, volumes: Floats) -> Floats:
    """The measures with what grows with time taken from each unit's busiest run of `length` days.

    `volumes` (rows of days,) are elicited.
    """
    amounts = (days.items, volumes)
    return np.column_stack([*(np.log2(days.busiest(each, length) + 1) for each in amounts), values[:, len(amounts) :]])


def _ranked(central: Units, units: Units) -> tuple[Reference, Floats]:
    """The reference over all units, with means over the central ones only, and the bits of each unit in their order."""
    rates = central.intents / central.exchanges[:, None]
    prevalence = rates.mean(axis=0) if len(rates) else np.zeros(len(INTENTS))
    capabilities = central.mixes.mean(axis=0) if len(rates) else np.zeros(len(CAPABILITIES))
    values = _values(units, prevalence)
    ordered = np.sort(values, axis=0)
    sums = _bits(ordered, values, own=1).sum(axis=1)
    focus = float(np.median(_divergences(units.mixes, capabilities))) if len(values) else 0.0
    return Reference(ordered, np.sort(sums), prevalence, capabilities, focus), sums


def _values(units: Units, prevalence: Floats) -> Floats:
    """The measures of each unit, in the order of MEASURES: (units, measures)."""
    volume = elicited_volume(units.intents, prevalence)
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
