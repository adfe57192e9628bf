"""How well accused sets match the truth: shares with intervals, purity and B-cubed.

Source: Clopper & Pearson (1934), Biometrika 26(4), 404-413 (exact intervals); Bagga & Baldwin (1998), COLING-ACL, 79-85
    (B-cubed; here an account in no campaign is a campaign of its own, and innocents in a campaign count against it).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.stats import beta

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `total` with the exact 95 % interval of the share behind it; the share is null when total is 0."""

    hits: int
    total: int

    @property
    def share(self) -> float | None:
        """Observed share."""
        return self.hits / self.total if self.total else None

    @property
    def low(self) -> float | None:
        """Lower end of the interval; 0 when nothing was hit."""
        if not self.total:
            return None
        return 0.0 if self.hits == 0 else float(beta.ppf((1 - CONFIDENCE) / 2, self.hits, self.total - self.hits + 1))

    @property
    def high(self) -> float | None:
        """Upper end of the interval; below 1 unless everything was hit."""
        if not self.total:
            return None
        missed = self.total - self.hits
        return 1.0 if missed == 0 else float(beta.ppf((1 + CONFIDENCE) / 2, self.hits + 1, missed))

    def as_json(self) -> dict[str, float | int | None]:
        """The numbers as they are published."""
        return {"hits": self.hits, "total": self.total, "share": self.share, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Accusation:
    """Accounts accused, against accounts that are hostile; victims with stolen keys are in neither."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> Share:
        """Of the accused, how many are hostile."""
        return Share(self.right, self.right + self.wrong)

    @property
    def recall(self) -> Share:
        """Of the hostile, how many are accused."""
        return Share(self.right, self.right + self.missed)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of the two; null when nobody is accused or nobody is hostile."""
        both = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / both if both else None

    def as_json(self) -> dict[str, object]:
        """The numbers as they are published."""
        return {"precision": self.precision.as_json(), "recall": self.recall.as_json(), "f1": self.f1}


def purity(found: Mapping[str, str], truth: Mapping[str, str | None]) -> float | None:
    """Share of the members of accused campaigns that belong to their campaign's commonest origin; null without members.

    `found` maps accounts to campaigns, `truth` accounts to true campaigns, None for legitimate accounts. Legitimate
    members never count as belonging together.
    """
    members: dict[str, Counter[str]] = {}
    for account, campaign in found.items():
        origin = truth[account]
        members.setdefault(campaign, Counter()).update([origin] if origin is not None else [])
    if not found:
        return None
    return sum(max(counter.values(), default=0) for counter in members.values()) / len(found)


def b_cubed(found: Mapping[str, str], truth: Mapping[str, str | None]) -> tuple[float | None, float | None]:
    """B-cubed precision and recall over the hostile accounts; null when there are none."""
    hostile = {account: origin for account, origin in truth.items() if origin is not None}
    if not hostile:
        return None, None
    origins = Counter(hostile.values())
    sizes = Counter(found.values())
    together = Counter((found[account], origin) for account, origin in hostile.items() if account in found)
    precision = recall = 0.0
    for account, origin in hostile.items():
        campaign = found.get(account)
        shared = 1 if campaign is None else together[campaign, origin]
        precision += shared / (1 if campaign is None else sizes[campaign])
        recall += shared / origins[origin]
    return precision / len(hostile), recall / len(hostile)
