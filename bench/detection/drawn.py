"""The world whose campaigns every seed draws, pooled: what was drawn, and how much of each campaign was found."""

from collections.abc import Sequence
from statistics import quantiles

from stillwatch.evaluation.measures import Share

from .measure import LARGE, LINKED, STRICT
from .record import WORLD, Record
from .tables import interval, markdown, percent
from .totals import of, strict, total

HALF = 0.5  # of a campaign's accounts, from which it counts as found
HEADER = ("seed", "campaign", "make", "accounts", "share infrastructure", "recall (95 %)", "or coordinated")
POOLED = (
    "called",
    "half of them found",
    "recall of a campaign",
    "of all accounts",
    "precision",
    "wronged",
    "customers",
)


def drawn_report(inside: Sequence[Record]) -> str:
    """A row per campaign, and what intervals over campaigns and accounts can tell of the next one."""
    rows = []
    for record in sorted(strict(inside), key=lambda each: each.world.seed):
        facts, linked = (
            next((each for each in of(inside, method) if each.world == record.world), record)
            for method in (WORLD, LINKED)
        )
        for name, pair in record.campaigns.items():
            sharing, either = Share(*facts.sharing.get(name, (0, 0))), Share(*linked.campaigns.get(name, pair))
            told = (str(record.world.seed), name, facts.makes.get(name, "-"), f"{pair[1]:,}", percent(sharing.share))
            rows.append((*told, interval(Share(*pair)), percent(either.share)))
    if not rows:
        return "Not measured."
    pooled = [_pooled(method, of(inside, method)) for method in (STRICT, LARGE, LINKED) if of(inside, method)]
    return f"{markdown(HEADER, rows, left=3)}\n\n{markdown(POOLED, pooled, left=1)}"


def _pooled(method: str, records: Sequence[Record]) -> tuple[str, ...]:
    """The campaigns of all seeds, each once, and all accounts together."""
    found = [Share(*pair).share or 0.0 for record in records for pair in record.campaigns.values()]
    half = interval(Share(sum(share >= HALF for share in found), len(found))) if found else "-"
    pooled = total(records, ())
    wronged, owners = pooled.wronged, pooled.owners
    told = (method.removeprefix("stillwatch: "), half, _spread(found), interval(pooled.recall))
    wrong = (f"{wronged.hits:,} of {wronged.total:,}", f"{owners.hits:,} of {owners.total:,}")
    return (*told, interval(pooled.precision), *wrong)


def _spread(found: Sequence[float]) -> str:
    """Mean and quartiles, which accounts of large campaigns do not outvote."""
    if len(found) < 2:
        return percent(found[0]) if found else "-"
    low, middle, high = quantiles(found, n=4, method="inclusive")
    return f"{percent(sum(found) / len(found))} on average; {percent(low)}, {percent(middle)}, {percent(high)}"
