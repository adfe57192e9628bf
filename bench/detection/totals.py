"""Records of one method added up over worlds."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stillwatch.evaluation.measures import Share
from stillwatch.evaluation.people import COUNTRIES

from .judge import most_right
from .measure import STRICT
from .record import Pair, Record

PRECISION_WANTED = 0.99  # what the oracle aims at where stillwatch accuses nobody and so has no precision
LANGUAGES = {code: language for code, _, language, _ in COUNTRIES}


@dataclass(frozen=True, slots=True)
class Total:
    """One method over some worlds."""

    worlds: int
    recall: Share
    precision: Share
    wronged: Share  # legitimate accounts accused
    owners: Share  # independent customers accused
    oracle: Share | None  # hostile accounts at the oracle's thresholds; null for stillwatch
    cpu_s: float
    not_run: tuple[str, ...]


def total(records: Sequence[Record], strict: Sequence[Record]) -> Total:
    """Add up; `strict` are stillwatch's own records, which set the precision at which the oracle is asked."""
    hostile = sum(record.right + record.missed for record in records)
    right, wrong = sum(record.right for record in records), sum(record.wrong for record in records)
    measured = [record for record in records if record.frontier is not None]
    return Total(
        worlds=len(records),
        recall=Share(right, hostile),
        precision=Share(right, right + wrong),
        wronged=Share(wrong, sum(record.legitimate for record in records)),
        owners=_share(record.owners for record in records if record.owners is not None),
        oracle=Share(sum(oracle_right(record, strict) for record in measured), hostile) if measured else None,
        cpu_s=sum(record.cpu_s for record in records),
        not_run=tuple(sorted({record.not_run for record in records if record.not_run})),
    )


def oracle_right(record: Record, strict: Sequence[Record]) -> int:
    """Hostile accounts that the oracle finds with a baseline at stillwatch's precision on the same world."""
    own = next((each for each in strict if each.world == record.world), None)
    accused = 0 if own is None else own.right + own.wrong
    precision = PRECISION_WANTED if own is None or not accused else own.right / accused
    return most_right(record.frontier or (), precision)


def summed(maps: Iterable[Mapping[str, Pair]]) -> dict[str, Share]:
    """Hits and totals by name, added up."""
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for each in maps:
        for name, (hit, count) in each.items():
            hits[name] += hit
            totals[name] += count
    return {name: Share(hits[name], totals[name]) for name in sorted(totals)}


def by_language(records: Iterable[Record]) -> dict[str, Share]:
    """Legitimate accounts accused per main language of their sign-up country."""
    return summed(
        {LANGUAGES.get(country, "unknown"): pair} for record in records for country, pair in record.countries.items()
    )


def of(records: Iterable[Record], method: str) -> list[Record]:
    """The records of one method."""
    return [record for record in records if record.method == method]


def strict(records: Iterable[Record]) -> list[Record]:
    """Stillwatch's own, accused of distillation."""
    return of(records, STRICT)


def _share(all_pairs: Iterable[Pair]) -> Share:
    counted = list(all_pairs)
    return Share(sum(hit for hit, _ in counted), sum(count for _, count in counted))
