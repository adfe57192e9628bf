"""What was wanted of stillwatch, what was measured, and whether the one reaches the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from stillwatch.evaluation.measures import Share

from .comparison import BETTER, comparison
from .measure import LARGE
from .record import Record
from .tables import exposures, in_scenario, interval, markdown, percent, split_recall
from .totals import of, strict, total

MAIN = ("feb2026", "jun2026", "two-pools", "cot-cleaner", "reward-model", "many-languages")
QUIET = "low-and-slow"
LEFT_OUT = "drawn"  # of all tuning from seed 1000 on, as are its crowds
RARE = "base-rate"
LONG = ("jun2026",)  # campaigns of 40 days or more
MOST_EXPOSED = 0.05
POOLED_ACCOUNTS = 30_000
MOST_WRONGED = 1e-4


@dataclass(frozen=True, slots=True)
class Target:
    """One thing wanted; `is_met` is null where it was not measured."""

    wanted: str
    measured: str
    is_met: bool | None


def targets_table(records: Sequence[Record], baselines: Sequence[str]) -> str:
    """All targets."""
    rows = [(target.wanted, target.measured, _answer(target.is_met)) for target in targets(records, baselines)]
    return markdown(("wanted", "measured", "met"), rows, left=1)


def targets(records: Sequence[Record], baselines: Sequence[str]) -> list[Target]:
    """What the records say of each thing wanted."""
    main = [record for record in records if record.world.scenario in MAIN]
    every, quiet, rare = total(strict(records), ()), in_scenario(records, QUIET), in_scenario(records, RARE)
    new = in_scenario(records, LEFT_OUT)
    lead = f"{', '.join(MAIN)}"
    return [
        _at_least(f"{lead}: recall on campaigns with shared infrastructure", split_recall(main)[0], 0.95),
        _at_least(f"{lead}: precision", total(strict(main), ()).precision, 0.99),
        _at_least(f"{LEFT_OUT}, left out of tuning: recall on shared infrastructure", split_recall(new)[0], 0.95),
        _at_least(f"{LEFT_OUT}, left out of tuning: precision", total(strict(new), ()).precision, 0.99),
        _no_wrong_campaign(records),
        _at_least(f"{QUIET}: recall", total(strict(quiet), ()).recall, 0.70),
        _at_least(f"{RARE}: precision", total(strict(rare), ()).precision, 0.95),
        _at_least(
            f"{RARE}: precision of what is coordinated and large, too,", total(of(rare, LARGE), ()).precision, 0.95
        ),
        _few_wronged(every.wronged),
        _early(records),
        _better(records, baselines),
    ]


def _at_least(what: str, share: Share, wanted: float) -> Target:
    met = None if share.share is None else share.share >= wanted
    return Target(f"{what} at least {percent(wanted)}", interval(share), met)


def _no_wrong_campaign(records: Sequence[Record]) -> Target:
    counted = [record.wrong_campaigns for record in strict(records) if record.wrong_campaigns is not None]
    wrong, accused = sum(hits for hits, _ in counted), sum(count for _, count in counted)
    is_met = wrong == 0 if counted else None
    return Target("no legitimate cluster called distillation", f"{wrong} of {accused}", is_met)


def _few_wronged(share: Share) -> Target:
    wanted = (
        f"of at least {POOLED_ACCOUNTS:,} legitimate accounts at most {MOST_WRONGED * 1e6:,.0f} per million wronged"
    )
    if share.share is None:
        return Target(wanted, "-", None)
    measured = f"{share.hits:,} of {share.total:,}: {share.share * 1e6:,.0f} (at most {(share.high or 0) * 1e6:,.0f})"
    return Target(wanted, measured, share.share <= MOST_WRONGED if share.total >= POOLED_ACCOUNTS else None)


def _early(records: Sequence[Record]) -> Target:
    wanted = f"{', '.join(LONG)}: exposure before detection at most {percent(MOST_EXPOSED)}"
    long = [record for record in records if record.world.scenario in LONG]
    shares = [share for each in exposures(long).values() for share in each]
    if not shares:
        return Target(wanted, "one run: not measured", None)
    told = ", ".join("not found" if share is None else percent(share) for share in shares)
    return Target(wanted, told, all(share is not None and share <= MOST_EXPOSED for share in shares))


def _better(records: Sequence[Record], baselines: Sequence[str]) -> Target:
    verdict = comparison(records, baselines).rpartition(f"{BETTER}: ")[2]
    has_baselines = any(record.frontier is not None for record in records)
    return Target(BETTER, verdict, verdict.startswith("yes") if has_baselines else None)


def _answer(is_met: bool | None) -> str:
    return "not measured" if is_met is None else "yes" if is_met else "no"
