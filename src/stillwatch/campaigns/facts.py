"""What is known about one cluster: who is in it, what they share, what they sent. The tests read only this."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from stillwatch.campaigns.attempts import Attempts
from stillwatch.campaigns.days import NO_DAYS, Days
from stillwatch.campaigns.embeddings import Embeddings
from stillwatch.campaigns.handed_on import HandedOn
from stillwatch.campaigns.sizes import Sizes
from stillwatch.campaigns.volume import Volume
from stillwatch.records import INTENTS

VERIFIED = ("business", "contract")  # levels at which somebody checked that the organisation exists


@dataclass(frozen=True, slots=True)
class Evidence:
    """One trait that members share: `account_count` members hold it, `outside_count` other accounts do."""

    kind: str
    family: str
    group: str
    value: str
    account_count: int
    outside_count: int
    weight_bits: float
    durability: str


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """How a cluster uses one of its templates."""

    template_id: int
    exchanges: int
    accounts: int
    items: int
    capability: str | None


@dataclass(frozen=True, slots=True)
class FamilyUse:
    """How a cluster uses one family of wordings; `templates` how many templates of it recur."""

    family_id: int
    exchanges: int
    accounts: int
    items: int
    templates: int


PRODUCT_INTENTS = ("step_by_step", "expert_persona")  # what ordinary products ask for as well
ASK_SHARE = 0.1  # of the exchanges that show an intent, for the unit to ask for it


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over the exchanges that bear the unit's templates. A unit is a cluster, an organisation or an account.

    `items` distinct slot fillings; `accounts` accounts that sent any; `copies` over all exchanges, how many other
    accounts of the unit also sent the same item;
    `repeated_exchanges` exchanges whose item the same account had sent before; `intents` exchanges with each intent;
    `capabilities` exchanges of each capability; `segment` model, access programme and script of most exchanges, null
    where unknown, empty where nobody asked; `embeddings` those of all exchanges, summed.
    """

    exchanges: int = 0
    items: int = 0
    accounts: int = 0
    copies: int = 0
    repeated_exchanges: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    intents: tuple[int, ...] = ()
    capabilities: Mapping[str, int] = field(default_factory=dict)
    segment: tuple[str | None, ...] = ()
    embeddings: Embeddings = field(default_factory=Embeddings)

    def __add__(self, other: "Usage") -> "Usage":
        """Both units as one, taking their items for different ones. `Usage()` is the identity."""
        names = sorted({*self.capabilities, *other.capabilities})
        longer, shorter = sorted((self.intents, other.intents), key=len, reverse=True)
        padded = (*shorter, *(0,) * (len(longer) - len(shorter)))
        return Usage(
            exchanges=self.exchanges + other.exchanges,
            items=self.items + other.items,
            accounts=self.accounts + other.accounts,
            copies=self.copies + other.copies,
            repeated_exchanges=self.repeated_exchanges + other.repeated_exchanges,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            intents=tuple(a + b for a, b in zip(longer, padded, strict=True)),
            capabilities={n: self.capabilities.get(n, 0) + other.capabilities.get(n, 0) for n in names},
            segment=self.segment or other.segment,
            embeddings=self.embeddings + other.embeddings,
        )


@dataclass(frozen=True, slots=True)
class Member:
    """What the accounts table says about one member; null where it says nothing."""

    account_id: str
    organization_id: str | None = None
    access_program: str | None = None
    verification_level: str | None = None
    created_at: datetime | None = None

    @property
    def principal(self) -> str:
        """The verified organisation it belongs to, else the account itself: who answers for it."""
        if self.organization_id is not None and self.verification_level in VERIFIED:
            return f"organisation {self.organization_id}"
        return self.account_id


class Owner(NamedTuple):
    """Members that hang together by cards, devices, telephones or the organisation they name, for all to see.

    `accounts` how many; `named` how many of them name the organisation that most of them name.
    """

    accounts: int
    named: int


@dataclass(frozen=True, slots=True)
class Places:
    """The ranges of addresses that several members share.

    `settled` members call from one such range and from no other; `night_share` is the share of the members' time at
    work in the quietest third of the day at their place: a third where nobody sleeps, null where few are settled.
    """

    settled: int = 0
    night_share: float | None = None


@dataclass(frozen=True, slots=True)
class GroupLink:
    """How one independent group of traits ties a cluster together.

    `linked` principals that share a value of the group with another principal of the cluster; `expected` how many
    would by chance; `principals` how many there are; `p_value` of at least `linked`; `together`, of content alone, how
    many are in the largest part that hangs together by wordings, or reasoning handed on, that are mostly the cluster's.
    """

    group: str
    linked: int
    expected: float
    principals: int
    p_value: float
    together: int | None = None


class Reached(NamedTuple):
    """A technique of reasoning extraction in an organisation's own wordings, which hardly any other customer uses.

    `accounts` of the members send such wordings; `others` of so many other `customers` use the technique at all.
    """

    technique: str
    accounts: int
    others: int
    customers: int


class Relayed(NamedTuple):
    """Prompts that ask for what products seldom ask for and are each a large part of all that a partner sends.

    `prompts` how many different ones; `share` the part that they are together.
    """

    prompts: int
    share: float


@dataclass(frozen=True, slots=True)
class Declared:
    """A verified organisation as a unit of its own: the link among its accounts is declared by contract.

    `organisation` its id, `accounts` that were active, of which the members bear what is tested; `outside` the accounts
    of each campaign that sends some of the same templates, `shared` of them in all, and `pooled` the usage of both
    together; `asks` the intents that much of the traffic shows; `reached` the rare techniques by which it asks for the
    model's reasoning, where it is tested for these; `relayed` how much of all that a partner sends it is, where it is
    tested for that; `peers` other organisations that were tested likewise, `peers_as_far` those as far out.
    """

    organisation: str
    accounts: int
    outside: tuple[tuple[str, ...], ...] = ()
    shared: int = 0
    pooled: Usage = field(default_factory=Usage)
    asks: tuple[str, ...] = ()
    reached: tuple[Reached, ...] = ()
    relayed: Relayed | None = None
    peers: int = 0
    peers_as_far: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the tests may know about a cluster.

    `timeline` holds day, exchanges and active members; `model_days` day, model and exchanges; `public_share` the share
    of exchanges with a shared template whose template at least as many outsiders hold; `busiest_days_share` the share
    of exchanges on its three busiest days; `pardoned` that an analyst found most members innocent; `attempts` how
    all of the members' traffic reaches for reasoning; `handed_on` what they sent back of others'; `columns` those of
    the logs and of the accounts table that hold anything, as `accounts.organization_id`; `declared` is set for a
    verified organisation; `compromised` are members whose key looks stolen, with the reason; `days` the
    template-bearing exchanges day by day, the cluster as one unit, empty where unknown, and `member_days` those of each
    account that has any; `named` how often leads of the partner proved right whose lead most members bear, 0 when no
    partner names them; `volume` how their output compares with ordinary customers'; `sizes` whether requests of the
    same size come again and again, of who is openly one owner; `families` what the templates are wordings of; `owners`
    those of two accounts or more, largest first; `places` where they call from.
    """

    members: Sequence[Member]
    evidence: Sequence[Evidence]
    links: Sequence[GroupLink]
    templates: Sequence[TemplateUse]
    bearing: Usage
    first_seen_at: datetime
    last_seen_at: datetime
    exchanges: int
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    by_capability: Mapping[str, int]
    by_model: Mapping[str, int]
    timeline: Sequence[tuple[date, int, int]]
    model_days: Sequence[tuple[date, str, int]]
    has_prompts: bool
    public_share: float
    busiest_days_share: float
    pardoned: bool = False
    attempts: Attempts = field(default_factory=Attempts)
    handed_on: HandedOn = field(default_factory=HandedOn)
    columns: frozenset[str] = frozenset()
    declared: Declared | None = None
    compromised: Mapping[str, str] = field(default_factory=dict)
    days: Days = field(default=NO_DAYS, compare=False)
    member_days: Days = field(default=NO_DAYS, compare=False)
    named: float = 0.0
    volume: Volume = field(default_factory=Volume)
    sizes: Sizes = field(default_factory=Sizes)
    families: Sequence[FamilyUse] = ()
    owners: Sequence[Owner] = ()
    places: Places = field(default_factory=Places)

    @property
    def account_ids(self) -> list[str]:
        """Members, sorted."""
        return [member.account_id for member in self.members]

    @property
    def principals(self) -> int:
        """Independent principals among the members."""
        return len({member.principal for member in self.members})

    @property
    def template_share(self) -> float | None:
        """Share of the members' exchanges that bear the cluster's templates; null without prompts."""
        return self.bearing.exchanges / self.exchanges if self.has_prompts and self.exchanges else None

    @property
    def item_sharing(self) -> float | None:
        """Chance that another member with template-bearing traffic sent the same item; null with fewer than two."""
        pairs = self.bearing.exchanges * (self.bearing.accounts - 1)
        return self.bearing.copies / pairs if pairs > 0 else None


def most_named(members: Iterable[Member]) -> int:
    """How many members name the organisation that most of them name."""
    return max(Counter(one.organization_id for one in members if one.organization_id).values(), default=0)


def seldom(usage: Usage) -> dict[str, int]:
    """Exchanges with each intent that products seldom show."""
    counts = zip(INTENTS, usage.intents, strict=True) if usage.intents else ()
    return {name: n for name, n in counts if name not in PRODUCT_INTENTS}


def asked(usage: Usage) -> tuple[str, ...]:
    """The things products seldom ask for that at least ASK_SHARE of the exchanges ask for."""
    return tuple(name for name, n in seldom(usage).items() if usage.exchanges and n >= ASK_SHARE * usage.exchanges)
