"""The worlds on offer: which campaigns, at which disclosed size, among which customers.

Source: sizes, rates and habits follow public disclosures of February to September 2026 by model providers; windows that
    were not disclosed are ours, and say so here by being round numbers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from stillwatch.errors import SettingsError
from stillwatch.evaluation import drawn, hidden, polyglot, reward
from stillwatch.evaluation.doses import NO_DOSES, Doses, checked, overridden
from stillwatch.evaluation.hostile import HARVEST, Campaign, Hygiene
from stillwatch.evaluation.populations import POPULATIONS

CUSTOMERS: Mapping[str, float] = {
    "individuals": 0.34,
    "developers": 0.17,
    "public_template": 0.10,
    "coders": 0.11,
    "enterprises": 0.06,
    "classes": 0.05,
    "evaluators": 0.025,
    "judges": 0.025,
    "ci": 0.025,
    "resellers": 0.03,
    "credit_abusers": 0.03,
    "translation": 0.0125,
    "rag": 0.0125,
    "migrants": 0.01,
}
PROGRAMS_VARIED = (("free", 0.2), ("paid", 0.36), ("education", 0.16), ("startup", 0.16), ("research", 0.12))


@dataclass(frozen=True, slots=True)
class Scenario:
    """A world at its disclosed size; scale multiplies the accounts, days changes the window at the same rates."""

    name: str
    sentence: str
    campaigns: tuple[Campaign, ...]
    days: int
    starts_at: datetime
    customers: Mapping[str, float] = field(default_factory=lambda: CUSTOMERS)
    customers_per_hostile: float = 10.5  # accounts
    traffic_per_hostile: float = 1.7  # exchanges of customers for one of the campaigns
    release_share: float = 0.55  # part of the window after which the new model is out
    turnover_share: float = 0.0  # part of the customers that leave, and as many that join, when a trial ends half-way
    with_text: bool = True
    doses: Doses = NO_DOSES  # what was overridden
    added: Mapping[str, float] = field(default_factory=dict)  # customers over those the scenario has by itself
    draw: Callable[[int], drawn.Drawn] | None = None  # what the seed draws, if not the same for every seed
    told: Mapping[str, object] = field(default_factory=dict)  # what it drew


_FEBRUARY = (
    Campaign(
        "lab-a",
        accounts=600,
        exchanges=150_000,
        recipes=("reasoning", "rubric_grade", "safe_rewrite", "rationale", "reasoning_zh"),
        timing=(0.8, 0.05, 0.15),
        hygiene=Hygiene(card=0.75, device=0.3, mail=0.35, cohort=0.4, exits=0.4),
        camouflage=(0.0, 0.1),
    ),
    Campaign(
        "lab-b",
        accounts=3_400,
        exchanges=3_400_000,
        recipes=("agentic_code", "tool_use", "data_analysis", "vision", "reasoning", "agentic_code"),
        timing=(0.25, 0.2, 0.55),
        hygiene=Hygiene(card=0.35, device=0.25, mail=0.35, cohort=0.4, exits=0.35, careful=0.09),
        camouflage=(0.05, 0.3),
        programs=PROGRAMS_VARIED,
        paths=(0.4, 0.16, 0.18, 0.14, 0.12),
        late_recipes=("trace_recall", "rationale"),
    ),
    Campaign(
        "lab-c",
        accounts=20_000,
        exchanges=13_000_000,
        recipes=("agentic_code", "tool_use", "agentic_code", "task_generation", "reasoning_tags"),
        timing=(0.2, 0.15, 0.65),
        hygiene=Hygiene(card=0.45, device=0.3, mail=0.4, cohort=0.45, exits=0.45),
        camouflage=(0.35, 0.65),
        pivot=True,
        relays=True,
    ),
)

_JUNE = Campaign(
    "june",
    accounts=25_000,
    exchanges=28_800_000,
    recipes=("agentic_code", "reasoning", "tool_use", "reasoning_tags", "agentic_code", "task_generation"),
    timing=(0.25, 0.2, 0.55),
    camouflage=(0.05, 0.35),
    pivot=True,
)

_POOLS = tuple(
    Campaign(
        name,
        accounts=count,
        exchanges=exchanges,
        recipes=("agentic_code", "reasoning", "tool_use", "task_generation"),
        timing=(0.3, 0.2, 0.5),
        hygiene=hygiene,
        from_share=start,
        to_share=end,
        churn=0.15,
        corpus="two-pools",
    )
    for name, count, exchanges, hygiene, start, end in (
        ("pool-1", 5_000, 4_000_000, Hygiene(card=0.5, device=0.2, mail=0.55, cohort=0.5, exits=0.65), 0.0, 0.5),
        ("pool-2", 3_500, 4_000_000, Hygiene(card=0.3, device=0.45, mail=0.25, cohort=0.4, exits=0.25), 0.502, 1.0),
    )
)

_CLEANER = Campaign(
    "cleaner",
    accounts=273,
    exchanges=770_000,
    recipes=("trace_clean", "rubric_grade", "trace_clean", "pairwise"),
    timing=(0.4, 0.4, 0.2),
    churn=0.8,
    camouflage=(0.0, 0.15),
)

_QUIET = Campaign(
    "quiet",
    accounts=4_000,
    exchanges=400_000,
    recipes=HARVEST,
    timing=(0.0, 0.0, 1.0),
    hygiene=Hygiene(card=0.0, device=0.0, mail=0.1, cohort=0.1, exits=0.0, careful=0.8),
    camouflage=(0.1, 0.4),
    churn=0.1,
    reworded=True,
    bare=0.0,
)

_RARE = Campaign(
    "rare",
    accounts=2_500,
    exchanges=700_000,
    recipes=("reasoning", "agentic_code", "tool_use", "rubric_grade"),
    timing=(0.5, 0.25, 0.25),
    camouflage=(0.05, 0.4),
)


_REPLAYING = (
    Campaign(
        "decoders",
        accounts=5_380,
        exchanges=840_000,
        recipes=("reasoning", "agentic_code", "tool_use", "data_analysis"),
        timing=(0.3, 0.2, 0.5),
        camouflage=(0.05, 0.3),
        replays=0.4,
    ),
    Campaign(
        "borrowers",
        accounts=15_000,
        exchanges=840_000,
        recipes=("reasoning", "reasoning_tags", "agentic_code", "rationale"),
        timing=(0.2, 0.1, 0.7),
        camouflage=(0.0, 0.2),
        replays=0.12,
    ),
)


_REPLAY = Scenario(
    "replay",
    "Two campaigns that try many ways to obtain hidden reasoning and then send back, from other accounts, the "
    "encrypted reasoning that some accounts were issued.",
    _REPLAYING,
    28,
    datetime(2026, 7, 1, tzinfo=UTC),
)

_HIDDEN = Scenario(
    "hidden",
    hidden.SENTENCE,
    hidden.CAMPAIGNS,
    hidden.DAYS,
    hidden.STARTS_AT,
    customers={**CUSTOMERS, **hidden.MORE_CUSTOMERS},
)

_REWARD = Scenario(
    "reward-model",
    reward.SENTENCE,
    reward.CAMPAIGNS,
    reward.DAYS,
    reward.STARTS_AT,
    customers={**CUSTOMERS, **reward.MORE_CUSTOMERS},
    traffic_per_hostile=reward.TRAFFIC_PER_HOSTILE,
)

_POLYGLOT = Scenario(
    "many-languages",
    polyglot.SENTENCE,
    polyglot.CAMPAIGNS,
    polyglot.DAYS,
    polyglot.STARTS_AT,
    customers={**CUSTOMERS, **polyglot.MORE_CUSTOMERS},
    traffic_per_hostile=polyglot.TRAFFIC_PER_HOSTILE,
)

_DRAWN = Scenario(
    "drawn",
    drawn.SENTENCE,
    (),
    14,
    datetime(2026, 11, 2, tzinfo=UTC),
    customers_per_hostile=drawn.CUSTOMERS_PER_HOSTILE,
    draw=drawn.drawn,
)


def scenarios() -> Mapping[str, Scenario]:
    """Every world `simulate` can make, by name."""
    worlds = (
        Scenario(
            "feb2026",
            "Three campaigns: one synchronised over shared cards, one spread over access paths and programmes, "
            "one behind a reselling proxy that pivots to a new model.",
            _FEBRUARY,
            28,
            datetime(2026, 1, 19, tzinfo=UTC),
        ),
        Scenario(
            "jun2026",
            "One campaign of 25,000 accounts and 28.8 million exchanges in 45 days, after software engineering "
            "and agentic reasoning.",
            (_JUNE,),
            45,
            datetime(2026, 4, 22, tzinfo=UTC),
        ),
        Scenario(
            "two-pools",
            "A pool of accounts is banned half-way and its work moves within hours to a second pool on other "
            "infrastructure.",
            _POOLS,
            28,
            datetime(2026, 5, 4, tzinfo=UTC),
            turnover_share=0.12,
        ),
        Scenario(
            "cot-cleaner",
            "273 rotating accounts feed reasoning traces back to be cleaned, judged and normalised: 770,000 "
            "exchanges in ten days.",
            (_CLEANER,),
            10,
            datetime(2026, 6, 8, tzinfo=UTC),
        ),
        _REPLAY,
        Scenario(
            "low-and-slow",
            "Own cards, own home addresses, a few calls a day, and a template reworded on each call.",
            (_QUIET,),
            28,
            datetime(2026, 3, 2, tzinfo=UTC),
            traffic_per_hostile=8.0,
        ),
        Scenario(
            "base-rate",
            "At least 400 legitimate accounts for each hostile one, and no prompt text at all.",
            (_RARE,),
            14,
            datetime(2026, 3, 30, tzinfo=UTC),
            customers_per_hostile=410.0,
            traffic_per_hostile=20.0,
            with_text=False,
        ),
        _HIDDEN,
        _REWARD,
        _POLYGLOT,
        _DRAWN,
    )
    return {world.name: world for world in worlds}


def scenario(name: str, doses: Doses = NO_DOSES, customers: Mapping[str, float] | None = None) -> Scenario:
    """The scenario of that name, with the habits of its campaigns as the doses say.

    `customers` are populations and their shares that come to the scenario's own, whose shares add up to about one.

    Raises:
        SettingsError: there is none, a dose cannot be given, or a population is unknown or its share out of range.
    """
    known = scenarios()
    if name not in known:
        raise SettingsError(f"no scenario {name!r}; choose one of {', '.join(known)}")
    campaigns = tuple(overridden(campaign, checked(doses)) for campaign in known[name].campaigns)
    added = {population: _share(population, share) for population, share in (customers or {}).items()}
    own = {**known[name].customers, **added}
    return replace(known[name], campaigns=campaigns, doses=doses, customers=own, added=added)


def made(world: Scenario, seed: int) -> Scenario:
    """The world with what its seed draws; most worlds draw nothing."""
    if world.draw is None:
        return world
    found = world.draw(seed)
    return replace(
        world,
        campaigns=tuple(overridden(campaign, world.doses) for campaign in found.campaigns),
        customers={**world.customers, **found.customers, **world.added},
        days=found.days,
        release_share=found.release_share,
        turnover_share=found.turnover_share,
        traffic_per_hostile=found.traffic_per_hostile,
        told=found.told,
    )


def customer_shares(given: Iterable[str]) -> dict[str, float]:
    """Populations and shares from texts such as `raters=0.04`.

    Raises:
        SettingsError: a population is unknown, or a share is no number from 0 to 1.
    """
    shares = {}
    for text in given:
        population, _, share = text.partition("=")
        try:
            shares[population] = _share(population, float(share))
        except ValueError:
            raise SettingsError(f"customers {text}: give a share, as in raters=0.04") from None
    return shares


def _share(population: str, share: float) -> float:
    if population not in POPULATIONS:
        raise SettingsError(f"no population {population!r}; choose one of {', '.join(POPULATIONS)}")
    if not 0 < share <= 1:
        raise SettingsError(f"customers {population}={share:g}: a share is above 0 and at most 1")
    return share
