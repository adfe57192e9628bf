"""Three statistics of a window, each learned from the legitimate prompts of a reference; larger is more suspicious.

harvest       two measures of the product's harvest test that a file of prompts allows, on the prompts that bear wording
              which recurs: how many distinct ones there are, as a share of the window, and their narrowness, from
              summed embeddings. Each counts in standard deviations of reference windows of its size, and they are
              added. Elicitation is left out: judges and evaluators elicit as harvests do.
mmd           Liu, Guo & Dong, arXiv 2606.05725 (2026): maximum mean discrepancy with Gaussian kernels of five
              bandwidths. Random features (Rahimi & Recht, NIPS 2007) stand in for exact kernels, and the product's
              embedding for bge-small.
mahalanobis   the baseline of the same paper: distance of the mean embedding, by the spread of single prompts.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from stillwatch.campaigns.embeddings import Embeddings

from .corpus import Corpus, Ints
from .protocol import CELLS, Cell, Part, Window, window

METHODS = ("harvest", "mmd", "mahalanobis")
PER_STREAM = 200  # prompts of each stream that the two baselines learn from
REFERENCE_WINDOWS = 16  # legitimate windows of each cell that the scales of the harvest statistic come from
MIN_TEXTS = 5  # different texts that a wording recurs in, as in the product
MIN_MATCHED = 2  # recurring wordings of a prompt, as in the product
SPREAD = 0.5  # share of the accounts of a pool that a wording must be common to
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the median distance
FEATURES = 64  # random features of each bandwidth
RIDGE = 1e-6  # keeps directions without spread from deciding

Statistic = Callable[[Window, Cell], float]
Floats = NDArray[np.float64]


def statistics(corpus: Corpus, reference: Part, rng: np.random.Generator) -> Mapping[str, Statistic]:
    """Name and statistic of every method."""
    drawn = [rng.choice(rows, PER_STREAM) for rows in reference.values()]
    prompts = corpus.embedding[np.concatenate(drawn)]
    return {
        "harvest": _harvest(corpus, reference, rng),
        "mmd": _mmd(corpus, prompts, rng),
        "mahalanobis": _mahalanobis(corpus, prompts),
    }


def recurring(corpus: Corpus, drawn: Window) -> NDArray[np.bool_]:
    """Which prompts of a window bear wording that recurs in other texts and, in a pool, over its accounts: (rows,)."""
    codes = corpus.fingerprints[drawn.rows]
    size = int(codes.max(initial=0)) + 1
    _, first = np.unique(corpus.text_id[drawn.rows], return_index=True)
    known = np.bincount(codes[first].ravel(), minlength=size) >= MIN_TEXTS
    accounts = int(drawn.account.max()) + 1
    if accounts > 1:
        pairs = np.unique(codes * accounts + drawn.account[:, None])
        known &= np.bincount(pairs // accounts, minlength=size) >= SPREAD * accounts
    known[0] = False
    return np.asarray(known[codes].sum(axis=1) >= MIN_MATCHED)


def embeddings(corpus: Corpus, rows: Ints) -> Embeddings:
    """The summed embeddings of these prompts, as the product sums them."""
    vectors = corpus.components[rows].astype(np.int64)
    present = int(vectors.any(axis=1).sum())
    return Embeddings(present, tuple(vectors.sum(axis=0).tolist()))


def _harvest(corpus: Corpus, reference: Part, rng: np.random.Generator) -> Statistic:
    def measures(drawn: Window) -> tuple[float, float]:
        items = np.unique(drawn.rows[recurring(corpus, drawn)])
        return len(items) / len(drawn.rows), embeddings(corpus, items).narrowness or 0.0

    scales = {}
    for cell in CELLS:
        values = np.array([measures(window(reference, cell, None, rng)) for _ in range(REFERENCE_WINDOWS)])
        scales[cell] = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-3)

    def statistic(drawn: Window, cell: Cell) -> float:
        mean, spread = scales[cell]
        return float(((np.array(measures(drawn)) - mean) / spread).sum())

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
    return lambda drawn, _: float(((features[drawn.rows].mean(axis=0) - centre) ** 2).sum())


def _mahalanobis(corpus: Corpus, prompts: NDArray[np.float32]) -> Statistic:
    centre = prompts.mean(axis=0, dtype=np.float64)
    inverse = np.linalg.inv(np.cov(prompts.T.astype(np.float64)) + RIDGE * np.eye(prompts.shape[1]))

    def statistic(drawn: Window, _: Cell) -> float:
        away = corpus.embedding[drawn.rows].mean(axis=0) - centre
        return float(away @ inverse @ away)

    return statistic
