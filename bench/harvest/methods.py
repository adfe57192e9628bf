"""Three statistics of a window, each learned from the prompts of the reference part of a round.

harvest       the product's harvest test: bits of the measures of the traffic whose wording recurs
mmd           Liu, Guo & Dong, arXiv 2606.05725 (2026): maximum mean discrepancy with Gaussian kernels of five
              bandwidths. Random features (Rahimi & Recht, NIPS 2007) stand in for exact kernels, and the product's
              embedding for bge-small.
mahalanobis   the baseline of the same paper: distance of the mean embedding, by the spread of single prompts.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stillwatch.campaigns import ordinary
from stillwatch.campaigns.facts import Usage
from stillwatch.campaigns.ordinary import Reference
from stillwatch.records import CAPABILITIES, INTENTS

from .corpus import Corpus, Ints
from .protocol import Cell, Stream, Window, window

PER_STREAM = 200  # prompts of each stream in the reference of the two baselines
UNITS = 300  # ordinary customers in the reference of the product's test
CUSTOMER = Cell(queries=100, accounts=1, share=0.0)
STREAMS_PER_CUSTOMER = 2  # what a customer uses an API for
MIN_TEXTS = 5  # different texts that a wording recurs in, as in the product
MIN_MATCHED = 2  # recurring wordings of a prompt, as in the product
SPREAD = 0.5  # share of the accounts of a pool that a wording must be common to
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the median distance
FEATURES = 64  # random features of each bandwidth
RIDGE = 1e-6  # keeps directions without spread from deciding

Statistic = Callable[[Window], float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Spread:
    centre: Floats
    inverse: Floats


def statistics(corpus: Corpus, reference: Sequence[Stream], rng: np.random.Generator) -> Mapping[str, Statistic]:
    """Name and statistic of every method; larger is more suspicious."""
    drawn = [rng.choice(corpus.legitimate[stream], PER_STREAM) for stream in reference]
    prompts = corpus.embedding[np.concatenate(drawn)]
    return {
        "harvest": _harvest(corpus, reference, rng),
        "mmd": _mmd(corpus, prompts, rng),
        "mahalanobis": _mahalanobis(corpus, prompts),
    }


def recurring(corpus: Corpus, drawn: Window) -> NDArray[np.bool_]:
    """Which prompts of a window bear wording that recurs in other texts and, in a pool, over its accounts: (rows,)."""
    codes = corpus.fingerprints
    size = int(codes.max()) + 1
    _, first = np.unique(corpus.text_id[drawn.rows], return_index=True)
    known = np.bincount(codes[drawn.rows[first]].ravel(), minlength=size) >= MIN_TEXTS
    accounts = int(drawn.account.max()) + 1
    if accounts > 1:
        pairs = np.unique(codes[drawn.rows] * accounts + drawn.account[:, None])
        known &= np.bincount(pairs // accounts, minlength=size) >= SPREAD * accounts
    known[0] = False
    return np.asarray(known[codes[drawn.rows]].sum(axis=1) >= MIN_MATCHED)


def usage(corpus: Corpus, rows: Ints, accounts: int = 1) -> Usage:
    """What the product sums up of these prompts. No file of prompts knows the length of answers."""
    counts = Counter(corpus.capability[rows].tolist())
    return Usage(
        exchanges=len(rows),
        items=len(np.unique(corpus.text_id[rows])),
        accounts=accounts,
        intents=tuple(int(n) for n in corpus.intents[rows].sum(axis=0)) if len(rows) else (0,) * len(INTENTS),
        capabilities={CAPABILITIES[i]: n for i, n in sorted(counts.items())},
    )


def _harvest(corpus: Corpus, reference: Sequence[Stream], rng: np.random.Generator) -> Statistic:
    units = []
    for _ in range(UNITS):
        chosen = rng.permutation(len(reference))[:STREAMS_PER_CUSTOMER]
        units.append(usage(corpus, window(corpus, [reference[i] for i in chosen], CUSTOMER, None, rng).rows))
    everyone: Reference = ordinary(units).everyone

    def statistic(drawn: Window) -> float:
        bearing = drawn.rows[recurring(corpus, drawn)]
        if not len(bearing):
            return 0.0
        row = everyone.row(usage(corpus, bearing))
        return float(everyone.bits(row).sum() + 1e-3 * row.sum())

    return statistic


def _mmd(corpus: Corpus, prompts: NDArray[np.float32], rng: np.random.Generator) -> Statistic:
    one, other = rng.integers(0, len(prompts), (2, 5_000))
    median = max(float(np.median(np.linalg.norm(prompts[one] - prompts[other], axis=1))), 1e-6)
    widths = np.repeat(np.array(BANDWIDTHS) * median, FEATURES)
    waves = (rng.normal(size=(prompts.shape[1], len(widths))) / widths).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, len(widths)).astype(np.float32)
    scale = np.float32(np.sqrt(2.0 / FEATURES))
    features = scale * np.cos(corpus.embedding @ waves + phase)
    centre = (scale * np.cos(prompts @ waves + phase)).mean(axis=0)
    return lambda drawn: float(((features[drawn.rows].mean(axis=0) - centre) ** 2).sum())


def _mahalanobis(corpus: Corpus, prompts: NDArray[np.float32]) -> Statistic:
    centre = prompts.mean(axis=0, dtype=np.float64)
    inverse = np.linalg.inv(np.cov(prompts.T.astype(np.float64)) + RIDGE * np.eye(prompts.shape[1]))

    def statistic(drawn: Window) -> float:
        away = corpus.embedding[drawn.rows].mean(axis=0) - centre
        return float(away @ inverse @ away)

    return statistic
