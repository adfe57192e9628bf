"""What an explanation holds: counts, bits and reasons, never a value that is shared nor the id of another account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Activity:
    """What the scan saw of the account; `bearing_share` is null outside campaigns and where there are no prompts."""

    exchanges: int
    first_seen_on: date
    last_seen_on: date
    bearing_share: float | None
    is_verified_organisation: bool


@dataclass(frozen=True, slots=True)
class Tie:
    """The most telling trait of one independent group that the account shares with the accounts of a campaign.

    `members` of the campaign's `others` (accounts beside this one) hold it, and `strangers` of all accounts outside
    the campaign; `bits` is log2 of how much commoner it is among the former.
    """

    group: str
    kind: str
    durability: str
    members: int
    others: int
    strangers: int
    bits: float


@dataclass(frozen=True, slots=True)
class SharedTrait:
    """The most telling trait of one group that an account outside campaigns shares with `holders` other accounts."""

    group: str
    kind: str
    holders: int
    in_campaigns: int


@dataclass(frozen=True, slots=True)
class Nearest:
    """The campaign whose accounts an outsider shares most with: its ties, and those groups that count for membership.

    A group counts when it is not content and at least half of the other holders of a trait are in the campaign;
    `needed` of them make a member.
    """

    campaign_id: str
    verdict: str
    ties: Sequence[Tie]
    counting: Sequence[str]
    needed: int


@dataclass(frozen=True, slots=True)
class Reading:
    """An innocent reading as it was tested on the campaign; `nearness` is how much of what it needs was found.

    Nearness runs from 0 to 1 and is null where the result states no amount. `explains_control` is false for a
    reading under which one hand may be behind the accounts, but does not harvest.
    """

    name: str
    meaning: str
    survives: bool
    because: str
    nearness: float | None
    explains_control: bool


@dataclass(frozen=True, slots=True)
class Test:
    """A test of the campaign as a whole."""

    __test__ = False  # tells pytest that this is no test class

    result: str
    p_value: float | None
    because: str


@dataclass(frozen=True, slots=True)
class Recommended:
    """What is recommended for the account, and why."""

    action: str
    check: str | None
    because: str
    approvals: int
    expires_after_days: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an analyst found, about the account or about its campaign, and the grounds."""

    about: str
    verdict: str
    because: str
    decided_on: date


@dataclass(frozen=True, slots=True)
class Continued:
    """An earlier campaign that the account's campaign goes on from: displaced_from, split_from or merged_into."""

    campaign_id: str
    relation: str
    because: str


@dataclass(frozen=True, slots=True)
class Membership:
    """The campaign an account is in, what ties it to the others, and what was found about all of them together.

    `bits` is the sum over independent groups; `readings` come strongest first; `continues` are the earlier campaigns
    that this one goes on from, with the reason; `part` says why the account stands apart from the others, as the holder
    of a stolen key does; `volume` is null where a scan did not look at it.
    """

    campaign_id: str
    verdict: str
    accounts: int
    first_seen_on: date
    last_seen_on: date
    ties: Sequence[Tie]
    bits: float
    coordination: Test
    harvest: Test
    readings: Sequence[Reading]
    recommended: Recommended | None
    missing: Sequence[str]
    continues: Sequence[Continued] = ()
    part: str | None = None
    volume: Test | None = None


@dataclass(frozen=True, slots=True)
class Borne:
    """A campaign of a partner that was recognised here and whose wordings the account bears, as `others` do.

    It is not named: what partners send may be for our eyes only.
    `support` is what our own logs say of it, `because` in words, and `innocent` the innocent reading.
    """

    others: int
    first_seen_on: date
    precision: float
    support: str
    because: str
    innocent: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one account is in a campaign (`membership`), or in none (`shared` and `nearest`).

    `borne` are campaigns of partners whose wordings it bears; nothing is held against it for them.
    """

    account_id: str
    activity: Activity
    membership: Membership | None
    shared: Sequence[SharedTrait]
    nearest: Nearest | None
    opinions: Sequence[Opinion]
    not_judged: Sequence[str]
    borne: Sequence[Borne] = ()
