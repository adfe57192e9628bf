"""Whether a campaign took over from one that stopped: independent marks must agree beyond chance.

Why:    a banned pool of accounts is replaced by another within hours, on other cards, addresses and devices.
Misses: successors that reword, change their list and share no card or device; that start before the others stop, or
        so long afterwards that the start says nothing; the first day after a ban, while silence may still be a pause.
Source: bits as log-likelihood ratios: Fellegi & Sunter, JASA 64 (1969) 1183-1210; correction for the pairs tried:
        Bonferroni. Containment of samples: Broder, "On the resemblance and containment of documents", 1997.
        Bits of a p-value: Sellke, Bayarri & Berger, "Calibration of p values", The American Statistician 55 (2001).
        That half of the successors start within a day is our assumption: disclosed operators moved within hours.

    1. A pair is tried when half of the earlier campaign's accounts stopped together and half of the later one's began
       then.
    2. Content: the share of the smaller campaign's own wordings that both have, worth log2 of one over the share of
       independent others who have them. Public wordings are nobody's own and weigh nothing. Recurring items count
       beside recurring wordings only: a public list of questions proves nothing.
    3. Each kind of infrastructure: how many of the earlier values the newcomers hold, against the number that chance
       would give them, from how many others hold these values; the p-value becomes bits by its upper bound.
    4. Tooling: how much better the earlier campaign's clients predict the later one's than ordinary clients do.
    5. Timing: how much likelier so early a start is for a successor than for an unrelated campaign, which starts at any
       time. The hours of the day carry no weight: they tell a time zone.
    6. Linked: at least two groups agree, not all of them cheap, and the bits exceed log2(pairs / ALPHA).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import e, log, log2

import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from stillwatch.campaigns.known import Known, Past, renewed
from stillwatch.campaigns.marks import INFRASTRUCTURE, SAMPLE_SIZE, Marks, Sample
from stillwatch.campaigns.stops import QUIET, beginning, begun_after, begun_then, stop
from stillwatch.records import KINDS

ALPHA = 0.001  # expected false links of a run, were all pairs unrelated: a case is built on a link
STOPPED_SHARE = 0.5  # of the earlier accounts that must have stopped together, and of the later that began then
STRANGERS_CONTAINMENT = 0.25  # of the smaller campaign's own wordings, which stock sentences alone may explain
FULL_CONTAINMENT = 0.5  # from which on they count in full
MIN_WORDINGS = 4  # wordings in common: fewer are a phrase
MIN_ITEMS = 5  # items in common: fewer may be public questions
FULL_ITEMS = 8  # items in common from which on they count in full
PUBLIC_SHARE = 0.01  # of independent others who have a wording or item: from here on it weighs nothing
MIN_GROUP_BITS = 2.0  # from which a group agrees
# What one kind can contribute, by what it costs to fake: values of one kind are not independent of one another.
CAP_BITS = {"low": 3.0, "low-medium": 5.0, "medium": 10.0, "high": 20.0, "very high": 20.0}
ITEM_CAP_BITS = 5.0  # items move together with wordings
CLIENT_PRIOR = 0.1  # of ordinary clients mixed into the earlier campaign's, so that a new client refutes nothing
CHEAP = ("network", "timing", "tooling", "registration")  # alone, and all together, they link nothing


@dataclass(frozen=True, slots=True)
class Agreement:
    """One kind of mark in which two campaigns agree: bits, and why in words."""

    group: str
    bits: float
    because: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everybody else: `held` accounts with values of known marks, `client_counts` of accounts outside clusters.

    `account_count` counts accounts with traffic.
    """

    account_count: int
    held: pa.Table = field(
        default_factory=lambda: pa.table({name: pa.array([], pa.string()) for name in ("account_id", "kind", "value")})
    )
    client_counts: Mapping[str, int] = field(default_factory=dict)

    def holders(self, marks: Iterable[Marks]) -> "Holders":
        """The accounts that hold each value of infrastructure in these marks, by kind and value."""
        values = {value for mark in marks for sample in mark.infrastructure.values() for value in sample}
        rows = self.held.filter(pc.is_in(self.held["value"], pa.array(sorted(values), pa.string())))
        found: dict[tuple[str, str], list[str]] = {}
        for kind, value, account_id in zip(
            *(rows[n].to_pylist() for n in ("kind", "value", "account_id")), strict=True
        ):
            found.setdefault((kind, value), []).append(account_id)
        return found


Holders = Mapping[tuple[str, str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Handover:
    """The stop of one campaign and the start of another: `gap_hours` between them, negative when they overlap."""

    stopped_at: datetime
    started_at: datetime

    @property
    def gap_hours(self) -> float:
        """Hours from the stop to the start."""
        return (self.started_at - self.stopped_at).total_seconds() / 3600


def surroundings(traits: pa.Table, members: pa.Table, marks: Sequence[Marks], account_count: int) -> Surroundings:
    """Who holds the values in the marks, and which clients accounts outside clusters use."""
    values = {value for mark in marks for sample in mark.infrastructure.values() for value in sample}
    rows = traits.select(["account_id", "kind", "value"])
    known = pc.is_in(rows["value"], pa.array(sorted(values), pa.string()))
    held = rows.filter(pc.and_(known, pc.is_in(rows["kind"], pa.array(INFRASTRUCTURE))))
    clients = rows.filter(pc.equal(rows["kind"], "client"))
    clients = clients.filter(pc.invert(pc.is_in(clients["account_id"], members["account_id"].combine_chunks())))
    counts = pc.value_counts(clients["value"]).to_pylist()
    return Surroundings(account_count, held, {row["values"]: row["counts"] for row in counts})


def handovers(
    campaigns: Sequence[Known], later: Sequence[Known], ended_at: datetime
) -> Iterator[tuple[Known, Known, Handover]]:
    """Every earlier one of `campaigns` with each of the `later` ones that began when it stopped: by later, by name."""
    named = sorted(campaigns, key=lambda campaign: campaign.campaign_id)
    stops = [(campaign, stop(campaign.members, ended_at)) for campaign in named]
    stopped = [(old, of) for old, of in stops if of is not None and of.share >= STOPPED_SHARE]
    for new in later:
        members = new.members
        least = max(STOPPED_SHARE * len(members), 1)  # of an organisation nobody is a member
        moments = sorted(span.first_seen_at for span in members.values())
        for old, of in stopped:
            # How many began then at all is told at once, and for most pairs it is not enough.
            if old.campaign_id == new.campaign_id or begun_then(of.at, moments) < least:
                continue
            newcomers = begun_after(of.at, members, but=old.accounts)
            if len(newcomers) >= least:
                yield old, new, Handover(of.at, beginning(newcomers))


def handover(old: Known, new: Known, ended_at: datetime) -> Handover | None:
    """When the old campaign stopped and the new one began; None when that is not what happened."""
    return next((between for _, _, between in handovers([old], [new], ended_at)), None)


def agreements(
    old: Known,
    new: Known,
    between: Handover,
    others: Surroundings,
    observed_hours: float,
    holders: Holders | None = None,
) -> list[Agreement]:
    """Every kind of mark that agrees beyond chance, most bits first; `holders` of the old marks, where known."""
    if old.marks is None or new.marks is None:
        return []
    newcomers = set(new.members) - set(old.accounts)
    holding = others.holders([old.marks]) if holders is None else holders
    found = [
        *_content(old.marks, new.marks),
        *(_infrastructure(kind, old, newcomers, others, holding) for kind in old.marks.infrastructure),
        _tooling(old.marks, new.marks, others),
        _timing(between, observed_hours),
    ]
    kept = [agreement for agreement in found if agreement is not None and agreement.bits > 0]
    return sorted(kept, key=lambda agreement: (-agreement.bits, agreement.because))


def links(agreed: Sequence[Agreement], pairs: int) -> bool:
    """Whether these agreements link two campaigns, one of so many pairs that were tried."""
    groups = bits_by_group(agreed)
    telling = [group for group, bits in groups.items() if bits >= MIN_GROUP_BITS]
    enough = sum(groups.values()) >= log2(max(pairs, 1) / ALPHA)
    return enough and len(telling) >= 2 and not set(telling) <= set(CHEAP)


def bits_by_group(agreed: Sequence[Agreement]) -> dict[str, float]:
    """Bits of each independent group: the best of its kinds, but wordings and items, which are capped, together."""
    groups: dict[str, float] = {}
    for agreement in agreed:
        before = groups.get(agreement.group, 0.0)
        groups[agreement.group] = (
            before + agreement.bits if agreement.group == "content" else max(before, agreement.bits)
        )
    return groups


def _content(old: Marks, new: Marks) -> list[Agreement]:
    common, share = _common(old.wordings, new.wordings)
    if len(common) < MIN_WORDINGS:
        return []
    beyond = (share - STRANGERS_CONTAINMENT) / (FULL_CONTAINMENT - STRANGERS_CONTAINMENT)
    if beyond <= 0:
        return []
    bits = min(_rarity(common, new.wordings) * min(beyond, 1.0), CAP_BITS["high"])
    because = f"{share:.0%} of the wordings of the smaller of the two recur, which hardly anybody else uses"
    found = [Agreement("content", round(bits, 6), because)]
    items, _ = _common(old.items, new.items)
    if len(items) >= MIN_ITEMS:
        bits = min(_rarity(items, new.items) * min(len(items) / FULL_ITEMS, 1.0), ITEM_CAP_BITS)
        because = f"{len(items)} prompts of a sample recur word for word, which hardly anybody else sent"
        found.append(Agreement("content", round(bits, 6), because))
    return found


def _common(old: Sample, new: Sample) -> tuple[list[str], float]:
    """Hashes that both have and hardly anybody else, and their share of the smaller one, where samples overlap.

    A full sample ends somewhere; only hashes up to the nearer end can be in both.
    """
    ends = [sample.hashes[-1] for sample in (old, new) if len(sample.hashes) >= SAMPLE_SIZE]
    end = min(ends, default=None)
    first, second = ({h for h in sample.hashes if end is None or h <= end} for sample in (old, new))
    rare = [h for h in sorted(first & second) if new.outside.get(h, 1.0) < PUBLIC_SHARE]
    smaller = min(len(first), len(second))
    return rare, len(rare) / smaller if smaller else 0.0


def _rarity(common: Collection[str], new: Sample) -> float:
    """Mean bits of the hashes: log2 of one over the share of independent others that have them."""
    return sum(-log2(new.outside[h]) for h in common) / len(common)


def _infrastructure(
    kind: str, old: Known, newcomers: Collection[str], others: Surroundings, holders: Holders
) -> Agreement | None:
    """The earlier values of one kind that newcomers hold, against how many chance would give them."""
    if old.marks is None or kind not in KINDS:
        return None
    sample = old.marks.infrastructure[kind]
    held = [holders.get((kind, value), ()) for value in set(sample)]
    common = sum(any(account_id in newcomers for account_id in those) for those in held)
    strangers = sum(
        account_id not in newcomers and account_id not in old.accounts for those in held for account_id in those
    )
    if not common:
        return None
    expected = (strangers + 0.5) * len(newcomers) / max(others.account_count - len(newcomers), 1)
    chance = float(stats.poisson.sf(common - 1, expected))
    _, group, durability = KINDS[kind]
    bits = min(_bits_of(chance), CAP_BITS[durability])
    because = f"{common} of {len(sample)} sampled values of {kind.replace('_', ' ')} recur, {expected:.2g} by chance"
    return Agreement(group, round(bits, 6), because)


def _bits_of(p_value: float) -> float:
    """The most that a p-value can speak against chance, in bits; p-values themselves do not add."""
    p = max(p_value, 1e-12)
    return -log2(-e * p * log(p)) if p < 1 / e else 0.0


def _tooling(old: Marks, new: Marks, others: Surroundings) -> Agreement | None:
    """How much better the earlier clients predict the later ones than ordinary clients do."""
    total = sum(others.client_counts.values())
    bits = 0.0
    for client, share in new.clients.items():
        ordinary = (others.client_counts.get(client, 0) + 0.5) / (total + 1.0)
        predicted = (1 - CLIENT_PRIOR) * old.clients.get(client, 0.0) + CLIENT_PRIOR * ordinary
        bits += share * log2(predicted / ordinary)
    if not old.clients or bits <= 0:
        return None
    return Agreement("tooling", round(min(bits, CAP_BITS["low"]), 6), "its accounts use the same mix of clients")


def _timing(between: Handover, observed_hours: float) -> Agreement:
    """How much likelier a start so soon after the stop is for a successor than for an unrelated campaign.

    An unrelated one starts in any hour alike. Of successors half start within QUIET, and ever fewer later on.
    """
    quiet, gap = QUIET.total_seconds() / 3600, max(between.gap_hours, 0.0)
    bits = max(log2(observed_hours * quiet / (quiet + gap) ** 2), 0.0)
    hours = round(gap)
    when = f"{hours} hour{'s' * (hours != 1)} after the others stopped" if hours else "as the others stopped"
    return Agreement("timing", round(bits, 6), f"its accounts began {when}")


def renewed_known(of: Past) -> list[Known]:
    """Every known campaign, its accounts with what this window saw of them."""
    return [
        Known(k.campaign_id, k.verdict, renewed(k.accounts, of), k.marks, k.lineage, k.displacement) for k in of.known
    ]
