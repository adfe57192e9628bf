"""The harvest test on windows of real prompts, beside MMD and Mahalanobis, with sources kept apart.

One source of distillation prompts is mixed into legitimate traffic. Reference, calibration and test are different
repositories; the placebo is a legitimate repository that none of them has seen, mixed in the same way. A method is
good when it finds the distillation and leaves the placebo alone. docs/harvest-benchmark.md explains every choice.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from .corpus import Corpus, corpus
from .methods import METHODS, Statistic, statistics
from .protocol import CELLS, KINDS, Cell, Round, Window, rounds, window
from .rates import Drawn, markdown

TITLES = {
    "foreign": "Legitimate traffic from sources that the reference has not seen",
    "own": "Legitimate traffic from sources that the reference knows by other prompts",
}
PLACEBO_WINDOWS = 12  # of each cell and round, spread over the families of the placebo repository


def main() -> None:
    """Run all rounds and print the tables on standard output; progress goes to standard error."""
    wanted = _arguments()
    try:
        prompts = corpus(wanted.prompts)
        drawn: list[Drawn] = []
        rng = np.random.default_rng(wanted.seed)
        for number, dealt in enumerate(rounds(prompts, wanted.rounds, rng), 1):
            for kind in KINDS:
                drawn += _windows(prompts, dealt, kind, rng)
            print(f"round {number} of {wanted.rounds}", file=sys.stderr, flush=True)
    except (OSError, ValueError) as error:
        sys.exit(f"bench.harvest: {error}")
    for kind in KINDS:
        print(f"\n## {TITLES[kind]}\n")
        print(markdown([row for row in drawn if row.kind == kind], np.random.default_rng(wanted.seed)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.harvest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--prompts",
        type=Path,
        required=True,
        metavar="FILE",
        help="Parquet with columns text, source (repository:path), family and label (distillation or legitimate)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="how sources are dealt out and drawn (0)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=30,
        metavar="N",
        help="times the sources are dealt out (30)",
    )
    return parser.parse_args()


def _windows(prompts: Corpus, dealt: Round, kind: str, rng: np.random.Generator) -> Iterator[Drawn]:
    """Every cell of one round and kind of traffic: placebo windows, then one of each distillation stream."""
    learned_from, base = dealt.kind(kind)
    learned = statistics(prompts, learned_from, rng)
    each = max(PLACEBO_WINDOWS // len(dealt.placebo), 1)
    sources = [(False, stream, rows) for stream, rows in dealt.placebo.items() for _ in range(each)]
    sources += [(True, stream, rows) for stream, rows in dealt.distillation.items()]
    for cell in CELLS:
        limits = _limits(dealt, kind, cell, learned, rng)
        for is_distillation, stream, rows in sources:
            values = _values(learned, cell, window(base, cell, rows, rng))
            yield Drawn(kind, cell, is_distillation, stream[0], values, limits)


def _limits(
    dealt: Round, kind: str, cell: Cell, learned: Mapping[str, Statistic], rng: np.random.Generator
) -> tuple[float, ...]:
    """The largest value of every method when each calibration stream in turn is the one that is mixed in."""
    _, base = dealt.kind(kind)
    values = []
    for stream, rows in dealt.calibration.items():
        others = {other: kept for other, kept in dealt.calibration.items() if other[0] != stream[0]}
        traffic = base if kind == "own" else others or base
        values.append(_values(learned, cell, window(traffic, cell, rows, rng)))
    return tuple(np.max(values, axis=0).tolist())


def _values(learned: Mapping[str, Statistic], cell: Cell, drawn: Window) -> tuple[float, ...]:
    return tuple(learned[method](drawn, cell) for method in METHODS)


if __name__ == "__main__":
    main()
