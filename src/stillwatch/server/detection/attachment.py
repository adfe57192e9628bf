"""When a newcomer is attached to a campaign until the next detection: two independent groups, one of them durable.

Why:    a wrongly accused customer is the worst failure. A shared prompt alone can have been copied, a shared address
        alone can be a carrier's; hardly anybody has both by chance, and even then a check is asked for and no more.
Misses: a newcomer that shares prompts with the campaign and nothing else, as where every account has a card and an
        address of its own, or where nothing is known of cards and devices; the next detection decides about those.
Source: the groups of `records.KINDS` and bits of `membership`: one value speaks for each group, the most telling.
"""

from collections.abc import Collection
from dataclasses import dataclass
from math import log2

from stillwatch.membership import LOOSE, MAX_GROUP_BITS, MIN_GROUPS, times_commoner
from stillwatch.records import KINDS
from stillwatch.server.detection.recognition import COSTLY, Index, is_durable

STANDING_BITS = 3.0  # learned weight from which a trait counts at all, as for the durability of evidence


@dataclass(frozen=True, slots=True)
class Tie:
    """What ties a newcomer to a campaign in one group: members that hold it, and how much that says."""

    kind: str
    value: str
    members: int
    bits: float
    weight_bits: float

    @property
    def group(self) -> str:
        """The group it counts in."""
        return KINDS[self.kind][1]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A campaign a newcomer is attached to, and the ties, strongest first, one of each group."""

    campaign_id: str
    size: int
    ties: tuple[Tie, ...]

    @property
    def because(self) -> str:
        """The reason in words, without any account or value."""
        shared = " and ".join(f"{_WORDS[tie.kind]} of {tie.members:,}" for tie in self.ties)
        return (
            f"It is new and shares {shared} of the {self.size:,} accounts of campaign {self.campaign_id}, and hardly "
            "anybody else does. The next detection confirms or drops it."
        )

    @property
    def evidence(self) -> list[dict[str, object]]:
        """The ties as evidence is written in a campaign."""
        return [
            {
                "kind": tie.kind,
                "family": KINDS[tie.kind][0],
                "value": tie.value,
                "account_count": tie.members,
                "weight_bits": tie.weight_bits,
                "durability": KINDS[tie.kind][2],
            }
            for tie in self.ties
        ]


_WORDS = {
    "template": "a prompt template",
    "rewording": "a prompt template, in other words each time,",
    "system_prompt": "a system prompt",
    "ip": "an address",
    "ip_prefix": "a network",
    "payment": "a payment instrument",
    "device": "a device",
    "email": "an e-mail address",
    "phone": "a telephone number",
    "email_domain": "an e-mail domain",
    "email_pattern": "a shape of e-mail address",
    "signup_cohort": "an hour of sign-up",
    "artefact": "a reasoning artefact",
}


def attachment(index: Index, values: Collection[int]) -> Attachment | None:
    """The campaign that a newcomer with these values of the index is attached to; None when that is not called for.

    Of several campaigns the one with most bits.
    """
    found = []
    for home in sorted({int(index.home[value]) for value in values}):
        ties = _ties(index, [value for value in values if index.home[value] == home])
        if _suffice(ties):
            found.append(Attachment(str(index.campaign_ids[home]), int(index.sizes[home]), ties))
    return min(found, key=lambda one: (-sum(tie.bits for tie in one.ties), one.campaign_id)) if found else None


def _suffice(ties: Collection[Tie]) -> bool:
    """Whether enough groups tie the newcomer, one of them durable; a rewording counts beside something costly only."""
    durable = [tie for tie in ties if is_durable(tie.kind)]
    others = {tie.group for tie in ties}
    strict = any(tie.kind not in LOOSE for tie in durable)
    return len(others) >= MIN_GROUPS and bool(durable) and (strict or not others.isdisjoint(COSTLY))


def _ties(index: Index, values: Collection[int]) -> tuple[Tie, ...]:
    """The most telling value of each group that says enough to stand by itself, strongest first."""
    best: dict[str, Tie] = {}
    for value in sorted(values):
        tie = _tie(index, value)
        stands = min(tie.weight_bits, tie.bits) >= STANDING_BITS
        if stands and (tie.group not in best or _rank(tie) > _rank(best[tie.group])):
            best[tie.group] = tie
    return tuple(sorted(best.values(), key=lambda tie: (-tie.bits, tie.kind)))


def _rank(tie: Tie) -> tuple[bool, float]:
    """The most telling last; a rewording gives way to anything of its group."""
    return tie.kind not in LOOSE, tie.bits


def _tie(index: Index, value: int) -> Tie:
    size, inside = int(index.sizes[index.home[value]]), int(index.inside[value])
    strangers = max(index.account_count - size, 1)
    times = times_commoner(inside, size, int(index.holders[value]) - inside, strangers)
    bits = min(max(log2(times), 0.0), MAX_GROUP_BITS)
    kind, text = str(index.kinds[value]), str(index.values[value])
    return Tie(kind, text, inside, round(bits, 6), float(index.bits[value]))
