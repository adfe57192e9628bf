"""How well each sign tells the accounts of `low-and-slow` from each population of innocents.

    python -m bench.wordings [--seed 650 651] [--scale 0.03] [--prompts FILE] [--timing FILE]

The world is `low-and-slow` with a tenth of its customers replaced by innocents whose prompts are put together anew on
each call (`evaluation/recombined.py`). A figure is the chance that an account of the campaign shows more of the sign
than an innocent: 1 tells them apart, 0.5 says nothing, below the innocents show more of it.

The last two columns are of all signs together, weighed by labels that no operator has (logistic regression, on half of
the campaign and all other populations): the same chance, and the share of the population that is accused where RECALL
of the other half is found. They say what a detector would do to innocents that its makers did not think of. The line
below the table is of a detector that knows them all: how much of the campaign it finds before it accuses anybody else.

The mean of the seeds is printed.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from bench.wordings.signs import Flags, Floats, Prompts, likelihood, of_prompts, of_traffic, prompts
from stillwatch.evaluation import simulate
from stillwatch.evaluation.recombined import RECOMBINED
from stillwatch.evaluation.scenarios import scenario

SHARE = 0.11  # of the customers that recombine, all kinds together
CAMPAIGN = "quiet"
RECALL = 0.7  # of the campaign, as is wanted of `low-and-slow`
FEWEST = 5  # accounts of a population in a seed, before it is compared

Table = Mapping[str, Mapping[str, float]]  # sign, population


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, signs down and populations across."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, nargs="+", default=[650])
    parser.add_argument("--scale", type=float, default=0.03)
    parser.add_argument("--prompts", type=Path, help="Parquet of real prompts to use as items")
    parser.add_argument("--timing", type=Path, help="Parquet of real request traces to take timing from")
    chosen = parser.parse_args(arguments)
    tables, before_first = [], []
    for seed in chosen.seed:
        with tempfile.TemporaryDirectory() as folder:
            made(Path(folder), seed=seed, scale=chosen.scale, prompts=chosen.prompts, timing=chosen.timing)
            read = prompts(Path(folder))
            signs = {**of_prompts(read), **of_traffic(Path(folder), read.names)}
            tables.append(compared(read, signs))
            before_first.append(found_before_first(read, signs))
    sys.stdout.write(printed(mean(tables)))
    sys.stdout.write(f"\nFound before the first innocent, all populations known: {np.mean(before_first):.0%}\n")


def made(folder: Path, *, seed: int, scale: float, prompts: Path | None, timing: Path | None) -> None:
    """Write the world."""
    world = scenario("low-and-slow")
    usual = {name: share * (1 - SHARE) for name, share in world.customers.items()}
    among = replace(world, customers={**usual, **dict.fromkeys(RECOMBINED, SHARE / len(RECOMBINED))})
    simulate(folder, scenario=among, scale=scale, seed=seed, prompts=prompts, timing=timing)


def compared(read: Prompts, signs: Mapping[str, Floats]) -> Table:
    """For each sign and population the chance that the campaign shows more of it; then all signs together."""
    names = populations(read)
    hostile = read.segments == CAMPAIGN
    single = {
        sign: {name: likelihood(values[hostile], values[read.segments == name]) for name in names}
        for sign, values in signs.items()
    }
    together = {name: left_out(read, signs, name) for name in names}
    return {
        **single,
        "all together": {name: told for name, (told, _) in together.items()},
        f"accused at recall {RECALL}": {name: wronged for name, (_, wronged) in together.items()},
    }


def left_out(read: Prompts, signs: Mapping[str, Floats], name: str) -> tuple[float, float]:
    """All signs weighed without a population: the chance for it, and the share of it accused at RECALL."""
    hostile = read.segments == CAMPAIGN
    known = np.where(hostile, alternate(hostile), read.segments != name)
    odds = weighed(signs, hostile, known)
    found, innocent = odds[hostile & ~known], odds[read.segments == name]
    return likelihood(found, innocent), float((innocent >= np.quantile(found, 1 - RECALL)).mean())


def found_before_first(read: Prompts, signs: Mapping[str, Floats]) -> float:
    """Share of the campaign above every innocent, all signs weighed on half of everybody and read on the other half."""
    hostile = read.segments == CAMPAIGN
    known = np.where(hostile, alternate(hostile), alternate(~hostile))
    odds = weighed(signs, hostile, known)
    return float((odds[hostile & ~known] > odds[~hostile & ~known].max()).mean())


def alternate(those: Flags) -> Flags:
    """Every other one of those, and what lies between."""
    return np.asarray(np.cumsum(those) % 2 == 0)


def weighed(signs: Mapping[str, Floats], hostile: Flags, known: Flags) -> Floats:
    """Log odds of every account by a logistic regression on the ranks of the signs of the known ones: (accounts,)."""
    ranks = np.stack([rankdata(values) / len(values) for values in signs.values()], axis=1)  # (accounts, signs)
    fitted = LogisticRegression(class_weight="balanced").fit(ranks[known], hostile[known])
    return np.asarray(fitted.decision_function(ranks))


def populations(read: Prompts) -> list[str]:
    """The innocent ones that are large enough to be compared."""
    return sorted(name for name, n in Counter(read.segments).items() if name != CAMPAIGN and n >= FEWEST)


def mean(tables: Sequence[Table]) -> Table:
    """The mean of some tables over those that have a population."""
    names = sorted({name for table in tables for row in table.values() for name in row})
    return {
        sign: {name: float(np.mean([t[sign][name] for t in tables if name in t[sign]])) for name in names}
        for sign in tables[0]
    }


def printed(table: Table) -> str:
    """The table in Markdown, one line per population and one column per sign."""
    signs = list(table)
    names = sorted({name for row in table.values() for name in row})
    rows = [[name, *(f"{table[sign][name]:.2f}" for sign in signs)] for name in names]
    lines = [["innocents", *signs], ["---", *["---:"] * len(signs)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
