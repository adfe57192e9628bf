"""How far each way of hiding lowers recall: one campaign among customers, one dose turned up at a time.

Every cell (a dose and a seed) simulates a world with `stillwatch simulate --dose`, scans it with `stillwatch scan` and
judges it with `stillwatch evaluate`, in processes of its own. Cells are remembered in --cache: a run that was cut short
goes on, and one after a change of the package starts anew. docs/evasion.md says how to read the curves.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stillwatch.evaluation import made, scenarios

from .cells import Cache, Cell, Figures, key_of, measured, package_version
from .curves import Point, point
from .dimensions import BY_NAME, USUAL_ACCOUNTS, Dimension, Dose, doses_of
from .page import markdown, write_charts, write_page

ONE_SEED = (
    250  # a campaign of more accounts than this is measured on the first seed alone: it costs as much as all others
)


def main() -> None:
    """Measure what is not known yet and print the tables on standard output; progress goes to standard error."""
    wanted = _arguments()
    chosen = [BY_NAME[name] for name in wanted.only or BY_NAME]
    grid = {d.name: [(dose, _seeds(wanted, dose)) for dose in _doses(wanted, d)] for d in chosen}
    cells = [
        _cell(wanted, BY_NAME[name], dose, seed) for name, row in grid.items() for dose, seeds in row for seed in seeds
    ]
    figures = _figures(list(dict.fromkeys(cells)), Cache(wanted.cache), wanted.jobs)
    curves: dict[str, list[Point]] = {}
    for name, row in grid.items():
        measured_here = [(d, [figures[_cell(wanted, BY_NAME[name], d, seed)] for seed in seeds]) for d, seeds in row]
        curves[name] = [point(dose.label, each) for dose, each in measured_here]
    about = _about(wanted, list(figures.values()))
    print(markdown(curves, about))
    if wanted.charts:
        write_charts(curves, wanted.charts)
    if wanted.write:
        write_charts(curves, wanted.write.parent / "images")
        write_page(wanted.write, markdown(curves, about, images="images"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.evasion", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=list(BY_NAME), metavar="DIMENSION", help=f"of {', '.join(BY_NAME)} (default: all)")
    add("--scenario", default="jun2026", metavar="NAME", help="the scenario whose campaign is dosed (default: jun2026)")
    add("--days", type=int, default=14, metavar="N", help="days of each world (default: 14)")
    add("--accounts", type=int, default=USUAL_ACCOUNTS, metavar="N", help=f"of the campaign ({USUAL_ACCOUNTS})")
    add(
        "--scale",
        type=float,
        metavar="X",
        help="1 is the disclosed size; sets the customers (default: 10.5 an account)",
    )
    add("--seed", type=int, nargs="+", default=[300, 301, 302], metavar="N", help="seeds of the worlds (300 301 302)")
    add("--prompts", type=Path, metavar="FILE", help="Parquet of real prompts, as for simulate")
    add("--timing", type=Path, metavar="FILE", help="Parquet of real request traces, as for simulate")
    add("--quick", action="store_true", help="a smoke run: first and last dose, one seed, three days")
    add("--large", action="store_true", help="also campaigns of 2,000 and 5,000 accounts: minutes and gigabytes each")
    add("--jobs", type=int, default=2, metavar="N", help="cells measured at once, each on one core (default: 2)")
    add("--cache", type=Path, default=Path(".benchmarks/evasion"), metavar="DIR", help="where cells are remembered")
    add("--charts", type=Path, metavar="DIR", help="write evasion-<dimension>.svg there")
    add(
        "--write",
        type=Path,
        metavar="PAGE",
        help="put the tables into a page of the docs, and the charts into images/ beside it",
    )
    wanted = parser.parse_args()
    if wanted.write and wanted.only:
        parser.error("--write puts all curves into the page; leave --only out (what is known is not measured again)")
    if wanted.quick:
        wanted.seed, wanted.days = wanted.seed[:1], min(wanted.days, 3)
    return wanted


def _doses(wanted: argparse.Namespace, dimension: Dimension) -> Sequence[Dose]:
    return doses_of(dimension, quick=wanted.quick, large=wanted.large)


def _seeds(wanted: argparse.Namespace, dose: Dose) -> list[int]:
    return list(wanted.seed[:1] if dose.accounts > ONE_SEED else wanted.seed)


def _cell(wanted: argparse.Namespace, dimension: Dimension, dose: Dose, seed: int) -> Cell:
    sized = sum(campaign.accounts for campaign in made(scenarios()[wanted.scenario], seed).campaigns)
    scale = wanted.scale or wanted.accounts / sized
    given = {"accounts": str(wanted.accounts)}
    if dose.value is not None:
        given[dimension.name] = dose.value
    return Cell(
        scenario=wanted.scenario,
        days=wanted.days,
        scale=round(scale * dose.customers, 9),
        seed=seed,
        doses=tuple(f"{name}={value}" for name, value in sorted(given.items())),
        prompts=str(wanted.prompts) if wanted.prompts else None,
        timing=str(wanted.timing) if wanted.timing else None,
    )


def _figures(cells: Sequence[Cell], cache: Cache, jobs: int) -> dict[Cell, Figures]:
    version, began = package_version(), time.monotonic()
    keys = {cell: key_of(cell, version) for cell in cells}
    missing = [cell for cell in cells if keys[cell] not in cache.known]
    _say(f"{len(cells)} cells, {len(missing)} of them to measure")

    def measure(cell: Cell) -> None:
        found = measured(cell)
        cache.keep(keys[cell], cell, found)
        told = f"{' '.join(cell.doses)}, seed {cell.seed}: {found.right} of {found.hostile}, {found.cpu_s:.0f} CPU-s"
        _say(f"{time.monotonic() - began:6.0f} s  {told}")

    with ThreadPoolExecutor(jobs) as workers:
        list(workers.map(measure, missing))
    return {cell: cache.known[keys[cell]] for cell in cells}


def _about(wanted: argparse.Namespace, figures: Sequence[Figures]) -> str:
    """What the worlds were, in a sentence or two."""
    seeds, text = ", ".join(map(str, wanted.seed)), "real prompts" if wanted.prompts else "built-in text"
    paced = "real timing" if wanted.timing else "built-in timing"
    cost = sum(f.cpu_s for f in figures)
    return (
        f"`{wanted.scenario}` over {wanted.days} days, {wanted.accounts} accounts in each campaign, {text}, {paced}, "
        f"seeds {seeds}; {len(figures)} worlds, {cost:,.0f} CPU-seconds. In parentheses 95 % intervals."
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
