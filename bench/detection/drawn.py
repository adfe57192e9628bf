"""The world whose campaigns every seed draws, pooled: what was drawn, and how much of each campaign was found."""

from collections.abc import Sequence
from statistics import quantiles

from stillwatch.evaluation.measures import Share

from .record import WORLD, Record
from .tables import interval, markdown, percent
from .totals import of, strict, total

HALF = 0.5  # of a campaign's accounts, from which it counts as found
HEADER = ("seed", "campaign", "make", "accounts", "share infrastructure", "recall (95 %)", "half found")


def drawn_report(inside: Sequence[Record]) -> str:
    """A row per campaign, and below them what an interval over campaigns can tell of the next one."""
    rows, found = [], []
    for record in sorted(strict(inside), key=lambda each: each.world.seed):
        facts = next((each for each in of(inside, WORLD) if each.world == record.world), record)
        for name, pair in record.campaigns.items():
            share, sharing = Share(*pair), Share(*facts.sharing.get(name, (0, 0)))
            found.append(share.share or 0.0)
            half = "yes" if found[-1] >= HALF else "no"
            told = (str(record.world.seed), name, facts.makes.get(name, "-"), f"{share.total:,}")
            rows.append((*told, percent(sharing.share), interval(share), half))
    if not rows:
        return "Not measured."
    pooled = total(strict(inside), ())
    return "\n".join(
        [
            markdown(HEADER, rows, left=3),
            "",
            "Campaigns of which at least half of the accounts are found: "
            f"{interval(Share(sum(share >= HALF for share in found), len(found)))} of {len(found)}.",
            f"Recall of a campaign: {_spread(found)}. Of all accounts together: {interval(pooled.recall)}.",
            f"Precision: {interval(pooled.precision)}. Legitimate accounts wronged: {pooled.wronged.hits:,} of "
            f"{pooled.wronged.total:,}; customers: {pooled.owners.hits:,} of {pooled.owners.total:,}.",
        ]
    )


def _spread(found: Sequence[float]) -> str:
    """Mean and quartiles, which accounts of large campaigns do not outvote."""
    mean = f"{percent(sum(found) / len(found))} on average"
    if len(found) < 2:
        return mean
    low, middle, high = quantiles(found, n=4, method="inclusive")
    return f"{mean}, quartiles {percent(low)}, {percent(middle)} and {percent(high)}"
