"""Rates over windows in which every source has the same weight, with intervals bootstrapped by source."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .methods import METHODS
from .protocol import CELLS, Cell

PLACEBO_RATE = 0.02
RESAMPLES = 1000
INTERVAL = (0.025, 0.975)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One window: which kind of legitimate traffic and cell, what was mixed in, and what every method says.

    `values` (methods,) are the statistics, `limits` (methods,) the largest on the calibration part of its round.
    """

    kind: str
    cell: Cell
    is_distillation: bool
    repository: str
    values: tuple[float, ...]
    limits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """Placebo or distillation windows of one cell, sources numbered from 0."""

    values: Floats  # (windows, methods)
    source: NDArray[np.int64]  # (windows,)
    names: Sequence[str]

    def weights(self, times: NDArray[np.int64] | None = None) -> Floats:
        """Weight of each window when each source counts once, or so many times: (windows,), adding up to 1."""
        counted = np.ones(len(self.names)) if times is None else times.astype(np.float64)
        each = counted / np.bincount(self.source, minlength=len(self.names))
        return np.asarray(each[self.source] / counted.sum())


def sides(drawn: Sequence[Drawn], cell: Cell) -> tuple[Side, Side]:
    """Placebo and distillation windows of a cell."""
    return _side(drawn, cell, is_distillation=False), _side(drawn, cell, is_distillation=True)


def _side(drawn: Sequence[Drawn], cell: Cell, *, is_distillation: bool) -> Side:
    rows = [row for row in drawn if row.cell == cell and row.is_distillation == is_distillation]
    names, source = np.unique([row.repository for row in rows], return_inverse=True)
    return Side(np.array([row.values for row in rows]), source, names.tolist())


def threshold(values: Floats, weights: Floats, rate: float) -> float:
    """The lowest of the values that at most `rate` of the weight exceeds."""
    order = np.argsort(-values, kind="stable")
    ordered, above = values[order], np.concatenate([[0.0], np.cumsum(weights[order])])[:-1]
    is_first = np.concatenate([[True], ordered[1:] < ordered[:-1]])  # equal values are exceeded together
    return float(ordered[is_first & (above <= rate + 1e-12)][-1])


def caught(values: Floats, weights: Floats, limit: float) -> float:
    """Share of the weight above the limit."""
    return float(weights[values > limit].sum())


@dataclass(frozen=True, slots=True)
class Compared:
    """Rates of one cell at equal placebo: (methods,), intervals (methods, 2), lead over the better baseline."""

    cell: Cell
    rates: Floats
    intervals: Floats
    ranked: Floats  # (methods,) share of pairs in which the distillation window is above the placebo window
    lead: float
    lead_interval: tuple[float, float]
    firing: Sequence[str]  # placebo sources with a window above the threshold of the harvest test


def compared(drawn: Sequence[Drawn], cell: Cell, rng: np.random.Generator) -> Compared:
    """Every method at the threshold that lets at most PLACEBO_RATE of the placebo through; sources are resampled."""
    placebo, distillation = sides(drawn, cell)
    plain = _rates(placebo, placebo.weights(), distillation, distillation.weights())
    resampled = np.array([_rates(*_resampled(placebo, rng), *_resampled(distillation, rng)) for _ in range(RESAMPLES)])
    leads = resampled[:, 0] - resampled[:, 1:].max(axis=1)
    limit = threshold(placebo.values[:, 0], placebo.weights(), PLACEBO_RATE)
    firing = sorted({placebo.names[i] for i in placebo.source[placebo.values[:, 0] > limit]})
    low, high = np.quantile(leads, INTERVAL)
    return Compared(
        cell,
        plain,
        np.quantile(resampled, INTERVAL, axis=0).T,
        np.array([_ranked(placebo, distillation, method) for method in range(len(METHODS))]),
        float(plain[0] - plain[1:].max()),
        (float(low), float(high)),
        firing,
    )


def _rates(placebo: Side, one: Floats, distillation: Side, other: Floats) -> Floats:
    limits = [threshold(placebo.values[:, m], one, PLACEBO_RATE) for m in range(len(METHODS))]
    return np.array([caught(distillation.values[:, m], other, limit) for m, limit in enumerate(limits)])


def _ranked(placebo: Side, distillation: Side, method: int) -> float:
    one, other = placebo.values[:, method], distillation.values[:, method]
    order = np.argsort(one, kind="stable")
    below = np.concatenate([[0.0], np.cumsum(placebo.weights()[order])])
    first, last = (np.searchsorted(one[order], other, side) for side in ("left", "right"))
    return float(distillation.weights() @ (below[first] + below[last]) / 2)


def _resampled(side: Side, rng: np.random.Generator) -> tuple[Side, Floats]:
    times = np.bincount(rng.integers(0, len(side.names), len(side.names)), minlength=len(side.names))
    return side, side.weights(times)


def markdown(drawn: Sequence[Drawn], rng: np.random.Generator) -> str:
    """Two tables: all methods at equal placebo, and each at the limit it learned from its calibration sources."""
    found = [compared(drawn, cell, rng) for cell in CELLS]
    lines = [
        f"Share of windows found when at most {PLACEBO_RATE:.0%} of the placebo windows are (95 % interval by source).",
        "",
        "| window, share | harvest test | MMD | Mahalanobis | lead over the better one | placebo sources that fire |",
        "|---|---|---|---|---|---|",
    ]
    for row in found:
        cells = [_with_interval(rate, *interval) for rate, interval in zip(row.rates, row.intervals, strict=True)]
        cells += [_with_interval(row.lead, *row.lead_interval), ", ".join(row.firing) or "none"]
        lines.append(f"| {row.cell.name} | {' | '.join(cells)} |")
    lines += ["", *_ranks(found), "", *_calibrated(drawn), "", _counted(drawn)]
    return "\n".join(lines)


def _ranks(found: Sequence[Compared]) -> list[str]:
    lines = [
        "Share of pairs in which the distillation window is above the placebo window; 0.5 is chance.",
        "",
        "| window, share | harvest test | MMD | Mahalanobis |",
        "|---|---|---|---|",
    ]
    return lines + [f"| {row.cell.name} | {' | '.join(f'{share:.2f}' for share in row.ranked)} |" for row in found]


def _calibrated(drawn: Sequence[Drawn]) -> list[str]:
    lines = [
        "Placebo and distillation windows above the largest value that a calibration source reached.",
        "",
        "| window, share | harvest test | MMD | Mahalanobis |",
        "|---|---|---|---|",
    ]
    for cell in CELLS:
        pairs = []
        for method in range(len(METHODS)):
            rates = [_above(drawn, cell, method, is_distillation=kind) for kind in (False, True)]
            pairs.append(f"{rates[0]:.2f} placebo, {rates[1]:.2f} found")
        lines.append(f"| {cell.name} | {' | '.join(pairs)} |")
    return lines


def _above(drawn: Sequence[Drawn], cell: Cell, method: int, *, is_distillation: bool) -> float:
    rows = [row for row in drawn if row.cell == cell and row.is_distillation == is_distillation]
    side = _side(drawn, cell, is_distillation=is_distillation)
    over = np.array([row.values[method] > row.limits[method] for row in rows])
    return float(side.weights()[over].sum())


def _counted(drawn: Sequence[Drawn]) -> str:
    placebo, distillation = sides(drawn, CELLS[0])
    return (
        f"{len(placebo.values)} placebo windows from {len(placebo.names)} repositories and "
        f"{len(distillation.values)} distillation windows from {len(distillation.names)} in each row. Repositories are "
        f"what is independent: no placebo rate below 1 in {len(placebo.names)} of them can be claimed."
    )


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{value:.2f} ({low:.2f} to {high:.2f})"
