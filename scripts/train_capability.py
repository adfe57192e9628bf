"""Train the linear model of the capability signal and write its weights and its model card.

    python scripts/train_capability.py CORPUS.parquet --out src/stillwatch/signals

CORPUS has the columns text, source (repository:path), capability and licence. Rows whose licence is not on the list
below never train, they only evaluate. Figures are on whole repositories left out, beside the random split.
"""

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import precision_recall_fscore_support

from stillwatch.records import CAPABILITIES
from stillwatch.signals import capability, text

# Exact strings: an unknown licence, or one that binds the data to non-commercial use, does not train.
ALLOWED_LICENCES = frozenset(
    {
        "MIT",
        "Apache-2.0",
        "Apache-2.0 code; data ODC-By",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "CC-BY-3.0",
        "CC-BY-4.0",
        "ODC-By",
    }
)
SEED = 7  # of the optimiser and of the folds
FOLDS = 6
ALPHA = 1e-5  # strength of the L2 penalty
EPOCHS = 8
LEAST_F1 = 0.2  # on left-out repositories; below it a class is left to the lexicon
CLIPPED_SHARE = 1e-4  # of the weights, the largest, saturate in int8

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Corpus:
    """The texts as tokens and features, with what is known of each row."""

    tokens: text.Tokens
    features: sparse.csr_matrix  # (rows, 65536) counts over the root of the number of features
    labels: Ints  # (rows,) index into CAPABILITIES
    repositories: npt.NDArray[np.str_]  # (rows,)
    licences: npt.NDArray[np.str_]  # (rows,)
    digest: str

    @property
    def may_train(self) -> Bools:
        """Rows whose licence is on the list."""
        return np.isin(self.licences, sorted(ALLOWED_LICENCES))

    def rows(self, where: Bools) -> text.Tokens:
        """The tokens of some rows."""
        picked = np.flatnonzero(where)
        starts, ends = self.tokens.bounds[picked], self.tokens.bounds[picked + 1]
        hashes = [self.tokens.hashes[a:b] for a, b in zip(starts, ends, strict=True)]
        bounds = np.concatenate([[0], np.cumsum(ends - starts)])
        return text.Tokens(np.concatenate([*hashes, np.zeros(0, np.uint64)]), bounds, self.tokens.scripts[picked])


def corpus(path: Path) -> Corpus:
    """Read the corpus; of equal texts the first is kept."""
    table = pq.read_table(path, columns=["text", "source", "capability", "licence"])
    texts = table["text"].to_pylist()
    first = sorted({value: i for i, value in reversed(list(enumerate(texts)))}.values())
    table = table.take(pa.array(first))
    tokens = text.tokens(table["text"].combine_chunks())
    starts, features = capability.features(tokens)
    lengths = np.diff(starts)
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    matrix = sparse.csr_matrix((values, features, starts), shape=(len(table), 1 << capability.FEATURE_BITS))
    matrix.sum_duplicates()
    return Corpus(
        tokens,
        matrix,
        np.array([CAPABILITIES.index(name) for name in table["capability"].to_pylist()]),
        np.array([source.split(":")[0] for source in table["source"].to_pylist()]),
        np.array(table["licence"].to_pylist()),
        hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def train(data: Corpus, rows: Bools) -> capability.Model:
    """A quantised model of some rows. Each repository's share of a class counts by its root: none drowns the rest."""
    counts = Counter(zip(data.repositories[rows], data.labels[rows], strict=True))
    keys = zip(data.repositories[rows], data.labels[rows], strict=True)
    weights = np.array([counts[key] ** -0.5 for key in keys])
    linear = SGDClassifier(loss="log_loss", alpha=ALPHA, max_iter=EPOCHS, tol=None, random_state=SEED)
    linear.fit(data.features[rows], data.labels[rows], sample_weight=weights / weights.mean())
    scale = 127 / np.quantile(np.abs(linear.coef_), 1 - CLIPPED_SHARE)
    quantised = np.clip(np.rint(linear.coef_.T * scale), -127, 127).astype(np.int8)
    bias = np.rint(linear.intercept_ * scale).astype(np.int64)
    return capability.model(quantised, bias, [CAPABILITIES[k] for k in linear.classes_])


def left_out(data: Corpus, rows: Bools, groups: npt.NDArray[np.str_]) -> Ints:
    """What models trained without each row's group say of it; groups are dealt to folds by a seeded shuffle."""
    names = np.unique(groups[rows])
    dealt = dict(zip(names[np.random.default_rng(SEED).permutation(len(names))], range(len(names)), strict=True))
    fold = np.array([dealt.get(name, 0) % FOLDS for name in groups])
    said = np.zeros(len(data.labels), np.int64)
    for k in range(FOLDS):
        asked = data.may_train & (fold == k)
        said[asked] = capability.by_model(data.rows(asked), train(data, rows & (fold != k)))
    return said


def figures(title: str, labels: Ints, said: Ints) -> Iterator[str]:
    """A table of precision, recall and F1 per capability that occurs."""
    numbers = precision_recall_fscore_support(labels, said, labels=range(len(CAPABILITIES)), zero_division=0)
    yield f"### {title}\n"
    yield f"Rows {len(labels)}, accuracy {np.mean(labels == said):.3f}.\n"
    yield "| capability | rows | precision | recall | F1 |"
    yield "|---|---:|---:|---:|---:|"
    for name, precision, recall, f1, rows in zip(CAPABILITIES, *numbers, strict=True):
        if rows:
            yield f"| {name} | {rows} | {precision:.2f} | {recall:.2f} | {f1:.2f} |"
    yield ""


def card(path: Path, data: Corpus, kept: Bools, known: list[str]) -> Iterator[str]:
    """The model card, figures included."""
    allowed, others = data.may_train, ~data.may_train
    final = train(data, kept)
    lexicon_only = capability.by_words(data.tokens, np.zeros(len(data.labels), np.int64))
    by_repository = left_out(data, kept, data.repositories)
    by_row = left_out(data, kept, np.arange(len(data.labels)).astype(str))
    elsewhere = np.zeros(len(data.labels), np.int64)
    elsewhere[others] = capability.by_model(data.rows(others), final)
    combined = capability.by_words(data.tokens, by_repository)
    yield from _introduction(path, data, kept, known)
    yield "## Figures\n"
    yield from figures("Model and lexicon, whole repositories left out", data.labels[allowed], combined[allowed])
    yield from figures("Model alone, whole repositories left out", data.labels[allowed], by_repository[allowed])
    yield from figures("Model alone, random split (flattering)", data.labels[allowed], by_row[allowed])
    yield from figures("Lexicon alone, same rows", data.labels[allowed], lexicon_only[allowed])
    combined = capability.by_words(data.tokens, elsewhere)
    yield from figures("Model and lexicon, repositories that may only evaluate", data.labels[others], combined[others])
    yield from figures("Model alone, repositories that may only evaluate", data.labels[others], elsewhere[others])
    yield from figures("Lexicon alone, repositories that may only evaluate", data.labels[others], lexicon_only[others])


def _introduction(path: Path, data: Corpus, kept: Bools, known: list[str]) -> Iterator[str]:
    unknown = [name for name in CAPABILITIES if name not in known]
    yield "# Model card: capability\n"
    yield "Made by `scripts/train_capability.py`; do not edit by hand.\n"
    yield "A linear model (logistic regression, one against the rest) over hashed words and word pairs of a prompt,"
    yield f"2^{capability.FEATURE_BITS} features, int8 weights. It knows {', '.join(known)}."
    yield f"The others it did not recognise on left-out repositories (F1 below {LEAST_F1}); they are left to the"
    yield f"lexicon `capability.toml`: {', '.join(unknown)}."
    yield "Where a rule of the lexicon holds it overrules the model, because that helps on left-out repositories"
    yield "(compare the tables).\n"
    yield "**Use.** To say what a campaign harvests. Not to find campaigns or to judge an account: a prompt's words are"
    yield "the same whether a student or a harvester writes them.\n"
    yield "**Limits.** Nearly all training text is English. The lexicon was written by people who had seen samples of"
    yield "this corpus, so its figures lean to the good side; the repositories that may only evaluate never trained"
    yield "it, but the lexicon's authors had seen them too and settled the order of its rules on their figures. Labels"
    yield "were set per source or by keyword and are themselves rough. Hyper-parameters were chosen among some thirty"
    yield "settings by the left-out figures, which flatters these a little. A capability at zero is one neither part"
    yield "recognises: its absence means unknown, not no.\n"
    yield "## Training data\n"
    yield f"The development corpus `{path.name}` (SHA-256 `{data.digest}`), exact duplicates removed."
    yield f"{int(kept.sum())} rows train; {int((~data.may_train).sum())} rows have another licence and only evaluate;"
    yield f"{int((data.may_train & ~kept).sum())} rows of the capabilities left to the lexicon only evaluate."
    yield f"Seed {SEED}, {FOLDS} folds of whole repositories, L2 {ALPHA}, {EPOCHS} epochs. Command:\n"
    yield f"    python scripts/train_capability.py {path.name} --out src/stillwatch/signals\n"
    yield "| repository | licence | rows that train | rows that only evaluate |"
    yield "|---|---|---:|---:|"
    for repository in sorted(set(data.repositories), key=str.lower):
        own = data.repositories == repository
        for licence in sorted(set(data.licences[own])):
            same = own & (data.licences == licence)
            yield f"| {repository} | {licence} | {int((same & kept).sum())} | {int((same & ~kept).sum())} |"
    yield ""


def recognised(data: Corpus) -> list[int]:
    """The capabilities a model recognises on repositories it was not trained on."""
    said = left_out(data, data.may_train, data.repositories)
    allowed = data.may_train
    numbers = precision_recall_fscore_support(
        data.labels[allowed], said[allowed], labels=range(len(CAPABILITIES)), zero_division=0
    )
    return [k for k, f1 in enumerate(numbers[2]) if f1 >= LEAST_F1]


def main() -> None:
    """Train, evaluate, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for capability_weights.npz and MODEL_CARD.md")
    arguments = parser.parse_args()
    data = corpus(arguments.corpus)
    known = recognised(data)
    kept = data.may_train & np.isin(data.labels, known)
    final = train(data, kept)
    names = [CAPABILITIES[k] for k in final.classes]
    path = arguments.out / "capability_weights.npz"
    np.savez_compressed(path, weights=final.weights, bias=final.bias, names=np.array(names))
    lines = "\n".join(card(arguments.corpus, data, kept, names))
    (arguments.out / "MODEL_CARD.md").write_text(lines, encoding="utf-8")
    print(f"wrote {path} and its card; the model knows {', '.join(names)}")


if __name__ == "__main__":
    main()
