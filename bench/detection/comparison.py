"""The best baseline of each scenario beside stillwatch at equal precision, and whether stillwatch is better.

Why:    the table of all methods is long, and what was wanted is one word.
Misses: that half of all accounts at a precision of 70 % and a twentieth at 99 % are of different use; both stand there.
Source: own.

Where nobody who harvests is called `distillation`, as where no harvest can be tested, what is `coordinated` is
compared, counted as in `claims`: abusers of free credit, who are under one hand as well, count neither way.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from stillwatch.evaluation.measures import Share

from .claims import favoured, shares, told
from .measure import LINKED
from .record import Record
from .tables import in_scenario, markdown, percent, scenarios
from .totals import of, oracle_right, strict, total

BETTER = "Better than every baseline on every scenario at equal precision"
HEADER = (
    "scenario",
    "called",
    "precision",
    "stillwatch's recall",
    "best baseline",
    "its recall, by the oracle",
    "better",
)


class Compared(NamedTuple):
    """What stillwatch calls accounts, how right it is, and the baseline of which the oracle makes most; "" for none."""

    called: str
    precision: Share
    recall: Share
    best: str
    favour: Share

    @property
    def is_better(self) -> bool:
        """Whether stillwatch finds more than any baseline does at the same precision."""
        return self.recall.hits > self.favour.hits


def comparison(records: Sequence[Record], baselines: Sequence[str]) -> str:
    """One line for each scenario, and one for all."""
    found = {name: compared(in_scenario(records, name), baselines) for name in scenarios(records)}
    rows = [
        (
            scenario,
            one.called,
            percent(one.precision.share),
            percent(one.recall.share),
            one.best,
            percent(one.favour.share),
            "-" if not one.best else "yes" if one.is_better else "no",
        )
        for scenario, one in found.items()
    ]
    lost = [scenario for scenario, one in found.items() if one.best and not one.is_better]
    has_baselines = any(one.best for one in found.values())
    verdict = f"no, not on {', '.join(lost)}" if lost else "yes" if has_baselines else "not measured"
    return f"{markdown(HEADER, rows, left=2)}\n\n{BETTER}: {verdict}."


def compared(inside: Sequence[Record], baselines: Sequence[str]) -> Compared:
    """The records of one scenario by `distillation`, or by `coordinated` where nobody who harvests is called that."""
    own = strict(inside)
    summed = total(own, own)
    claim = told(inside, LINKED)
    recall, precision = shares(claim)
    if summed.recall.hits or not recall.hits:
        measured = {name: [record for record in of(inside, name) if record.frontier is not None] for name in baselines}
        best, favour = _best(measured, lambda record: oracle_right(record, own))
        return Compared("distillation", summed.precision, summed.recall, best, favour)
    measured = {name: told(inside, name) for name in baselines}
    best, favour = _best(measured, lambda record: favoured(record, claim))
    return Compared("coordinated", precision, recall, best, favour)


def _best(measured: dict[str, list[Record]], right: Callable[[Record], int]) -> tuple[str, Share]:
    """The baseline of which the oracle makes most, and what it makes; no name when none was measured."""
    best, found = "", Share(0, 0)
    for name, records in measured.items():
        hostile = sum(record.right + record.missed for record in records)
        hits = sum(right(record) for record in records)
        if records and (not best or hits > found.hits):
            best, found = name, Share(hits, hostile)
    return best, found
