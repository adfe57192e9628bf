"""Stillwatch's claim of common control beside the baselines: the same claim, counted alike for everybody.

Why:    where no harvest can be tested, as among fewer than 200 customers, stillwatch says `coordinated` and never
        `distillation`; a comparison of the latter alone says nothing about such worlds.
Misses: how bad it is to be called; an abuser of free credit is neither a find nor a wrong here.
Source: own.

Accounts that pose as several customers and are run by one hand count neither way, unless they harvest: to call them is
right for `coordinated` and no find. Everybody else who is legitimate and called is wronged. Baselines report no groups,
so they are spared whoever is run along with anybody; stillwatch only whoever is run along with another one it names.
"""

from collections.abc import Sequence

from stillwatch.evaluation.measures import Share

from .judge import most_right
from .measure import LINKED
from .record import Record
from .tables import ALL, in_scenario, interval, markdown, percent, scenarios
from .totals import PRECISION_WANTED, of

HEADER = ("scenario", "method", "called", "recall (95 %)", "precision", "oracle's recall at stillwatch's precision")


def claims_table(records: Sequence[Record], baselines: Sequence[str]) -> str:
    """Every scenario and method, harvesting accounts found and others wronged; abusers of one hand aside."""
    rows = []
    for scenario in (*scenarios(records), ALL):
        inside = in_scenario(records, scenario)
        measured = {name: told(inside, name) for name in (LINKED, *baselines)}
        rows += [_row(scenario, name, those, measured[LINKED]) for name, those in measured.items() if those]
    return markdown(HEADER, rows, left=2)


def told(inside: Sequence[Record], method: str) -> list[Record]:
    """The records of one method that tell strangers from accounts which one hand runs as several."""
    return [record for record in of(inside, method) if record.strangers is not None]


def _row(scenario: str, method: str, those: Sequence[Record], own: Sequence[Record]) -> tuple[str, ...]:
    recall, precision = shares(those)
    favour = "-"
    if method != LINKED:
        favour = percent(Share(sum(favoured(record, own) for record in those), recall.total).share)
    return scenario, method, f"{precision.total:,}", interval(recall), percent(precision.share), favour


def shares(those: Sequence[Record]) -> tuple[Share, Share]:
    """Recall and precision of what one method says: harvesting accounts of all, and of those called."""
    right, wrong = sum(record.right for record in those), sum(record.strangers or 0 for record in those)
    return Share(right, sum(record.right + record.missed for record in those)), Share(right, right + wrong)


def favoured(record: Record, own: Sequence[Record]) -> int:
    """Harvesting accounts a baseline finds at the precision of stillwatch's claim on the same world, by the oracle."""
    claim = next((each for each in own if each.world == record.world), None)
    called = 0 if claim is None else claim.right + (claim.strangers or 0)
    precision = PRECISION_WANTED if claim is None or not called else claim.right / called
    return most_right(record.strangers_frontier or (), precision)
