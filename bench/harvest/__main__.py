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
from .methods import Statistic, statistics
from .protocol import CELLS, Cell, Round, Window, rounds, window
from .rates import METHODS, Drawn, markdown

PLACEBO_WINDOWS = 12  # of each cell and round, spread over the families of the placebo repository


def main() -> None:
    """Run all rounds and print the tables on standard output; progress goes to standard error."""
    wanted = _arguments()
    try:
        prompts = corpus(wanted.prompts)
        drawn: list[Drawn] = []
        rng = np.random.default_rng(wanted.seed)
        for number, dealt in enumerate(rounds(prompts, wanted.rounds, rng), 1):
            drawn += _windows(prompts, dealt, rng)
            print(f"round {number} of {wanted.rounds}", file=sys.stderr, flush=True)
    except (OSError, ValueError) as error:
        sys.exit(f"bench.harvest: {error}")
    print(markdown(drawn, np.random.default_rng(wanted.seed)))


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
        "--rounds", type=int, default=48, metavar="N", help="times the sources are dealt out; each takes seconds (48)"
    )
    return parser.parse_args()


def _windows(prompts: Corpus, dealt: Round, rng: np.random.Generator) -> Iterator[Drawn]:
    """Every cell of one round: placebo windows, then one of each distillation stream."""
    learned = statistics(prompts, dealt.reference, rng)
    each = max(PLACEBO_WINDOWS // len(dealt.placebo), 1)
    sources = [(False, stream, prompts.legitimate[stream]) for stream in dealt.placebo for _ in range(each)]
    sources += [(True, stream, prompts.distillation[stream]) for stream in dealt.distillation]
    for cell in CELLS:
        limits = _limits(prompts, dealt, cell, learned, rng)
        for is_distillation, stream, rows in sources:
            values = _values(learned, window(prompts, dealt.test, cell, rows, rng))
            yield Drawn(cell, is_distillation, *stream, values, limits)


def _limits(
    prompts: Corpus, dealt: Round, cell: Cell, learned: Mapping[str, Statistic], rng: np.random.Generator
) -> tuple[float, ...]:
    """The largest value of every method when each calibration repository in turn is the one that is mixed in."""
    values = []
    for stream in dealt.calibration:
        base = [other for other in dealt.calibration if other[0] != stream[0]] or dealt.calibration
        values.append(_values(learned, window(prompts, base, cell, prompts.legitimate[stream], rng)))
    return tuple(np.max(values, axis=0).tolist())


def _values(learned: Mapping[str, Statistic], drawn: Window) -> tuple[float, ...]:
    return tuple(learned[method](drawn) for method in METHODS)


if __name__ == "__main__":
    main()
