"""Campaigns: ordinary-looking accounts under one control that share out a corpus over a few templates.

Why:    rates, sizes and habits follow what providers disclosed; hygiene is mixed, so no attribute is shared by all.
Misses: transcripts bought from a reseller leave no trace at the provider and are not simulated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.deals import Deal, assigned, item_kind, workloads
from stillwatch.evaluation.legitimate import SEGMENTS
from stillwatch.evaluation.owners import only
from stillwatch.evaluation.people import (
    ALWAYS,
    BATCH,
    DAY_S,
    SDK_CLIENTS,
    SESSIONS,
    SHIFTS,
    SHORT_LIVED_DOMAINS,
    WAVES,
    Columns,
    Plan,
    ordinary,
)
from stillwatch.evaluation.replaying import replays
from stillwatch.evaluation.templates import Dealing
from stillwatch.evaluation.works import customers

HARVEST = ("reasoning", "reasoning_tags", "rationale", "rubric_grade", "data_analysis", "task_generation")


@dataclass(frozen=True, slots=True)
class Hygiene:
    """Shares of a campaign's accounts that give something away; nobody gives away all, `careful` ones nothing."""

    card: float = 0.45
    device: float = 0.3
    mail: float = 0.4
    cohort: float = 0.45
    exits: float = 0.45
    careful: float = 0.07


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign at its disclosed size."""

    name: str
    accounts: int
    exchanges: int
    recipes: tuple[str, ...]
    timing: tuple[float, float, float] = (0.5, 0.2, 0.3)  # shares of waves, shifts and mimicry
    hygiene: Hygiene = field(default_factory=Hygiene)
    camouflage: tuple[float, float] = (0.0, 0.1)  # range of the share of unrelated traffic
    programs: tuple[tuple[str, float], ...] = (
        ("free", 0.35),
        ("paid", 0.5),
        ("education", 0.06),
        ("startup", 0.06),
        ("research", 0.03),
    )
    paths: tuple[float, ...] = (0.8, 0.06, 0.06, 0.04, 0.04)  # api, web, bedrock, vertex, azure
    from_share: float = 0.0  # part of the window in which it is active
    to_share: float = 1.0
    churn: float = 0.25  # accounts that are banned, and replaced by accounts of the same count
    pivot: bool = False  # moves half of its harvest to the new model within a day
    late_recipes: tuple[str, ...] = ()  # what it asks for in the last third
    reworded: bool = False
    bare: float = 0.2  # templates that send the item alone
    relays: bool = False  # its accounts resell access
    compromised: float = 0.02  # accounts with a stolen key
    replays: float = 0.0  # accounts that come to have artefacts decoded which other accounts were issued
    corpus: str = ""  # campaigns with the same corpus share templates and items; empty means its own
    paraphrase: float = 0.0  # share of the words of its instructions replaced on each call
    jitter_s: float = 0.0  # mean delay of sessions behind the schedule of waves and shifts
    mixes_alone: bool = False  # unrelated traffic is each account's own, not that of a few customers of a relay
    lives: "Disguise | None" = None  # how its accounts follow each other, if not as most campaigns' do
    deal: Deal | None = None  # how wordings and items are dealt; else two wordings of one recipe to an account
    disguise: "Disguise | None" = None  # what it hides behind; changes the planned accounts in place

    @property
    def aim(self) -> str:
        """What its templates, items and schedule belong to."""
        return self.corpus or self.name


Disguise = Callable[[Campaign, Plan, np.random.Generator, Columns], None]


def accounts(campaign: Campaign, plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """The accounts of a campaign, `count` of them."""
    people = ordinary(plan, rng, count)
    (campaign.lives or _lives)(campaign, plan, rng, people)
    _sign_up(campaign, plan, rng, people)
    _connect(campaign, plan, rng, people)
    _dispatch(campaign, plan, rng, people)
    _work(campaign, plan, people)
    if campaign.replays:
        own = plan.stream("replays", campaign.name)
        work = _harvest(campaign, plan, own, "trace_replay", count)
        replays(plan, own, people, share=campaign.replays, work=work)
    if campaign.pivot:
        pivots = rng.random(count) < 0.6
        people["adopts_s"] = np.where(pivots, plan.release_s + rng.uniform(0.5, 20, count) * 3600, people["adopts_s"])
        people["adopted_share"] = np.where(pivots, rng.uniform(0.7, 1.0, count), people["adopted_share"])
    stolen = np.flatnonzero(rng.random(count) < campaign.compromised)
    people["role"] = np.full(count, "relay" if campaign.relays else "operator", object)
    people["segment"] = np.full(count, campaign.name, object)
    _steal(plan, rng, people, stolen)
    if campaign.disguise is not None:
        campaign.disguise(campaign, plan, rng, people)
    return people


def _lives(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns) -> None:
    """From when to when each account is used: most all along, some banned, and as many in their place."""
    count, window_s = len(people["rate"]), plan.days * DAY_S
    start, end = campaign.from_share * window_s, campaign.to_share * window_s
    kind = rng.choice(3, count, p=(1 - campaign.churn, campaign.churn / 2, campaign.churn / 2))
    late = np.where(rng.random(count) < 0.4, rng.beta(0.6, 3, count), 0.0)  # most are at work when the window opens
    began = start + (end - start) * late + rng.exponential(2, count) * 3600
    banned = start + (end - start) * rng.beta(2, 2, count)
    people["from_s"] = np.where(kind == 2, banned + rng.uniform(0, 6, count) * 3600, began)
    people["to_s"] = np.where(kind == 1, banned, end)
    people["from_s"] = np.minimum(people["from_s"], people["to_s"] - 0.25 * DAY_S)
    life = people["to_s"] - people["from_s"]
    weight = rng.lognormal(0, 1.6, count) / life * window_s
    people["rate"] = campaign.exchanges / campaign.accounts * count * weight / (weight * life).sum() * DAY_S
    people["day_share"] = np.where(rng.random(count) < 0.5, rng.beta(8, 2, count), rng.beta(3, 2, count))


def _sign_up(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns) -> None:
    hygiene, count = campaign.hygiene, len(people["rate"])
    chances = (hygiene.card, hygiene.device, hygiene.mail, hygiene.cohort, hygiene.exits)
    given = rng.random((count, len(chances))) < chances
    given[np.arange(count), rng.integers(len(chances), size=count)] &= ~given.all(axis=1)
    given[rng.random(count) < hygiene.careful] = False
    card, device, mail, cohort, people["exits"] = given.T
    program = rng.choice(
        np.array([name for name, _ in campaign.programs], object), count, p=[p for _, p in campaign.programs]
    )
    people["program"] = program
    free = program == "free"
    people["plan"] = np.where(free, "free", np.where(people["plan"] == "free", "pay-as-you-go", people["plan"])).astype(
        object
    )
    people["level"] = np.where(free & (people["level"] == "payment"), "email", people["level"]).astype(object)
    people["card"] = np.where(card, _reused(rng, count, 3, 40), people["card"])
    people["device"] = np.where(device, _reused(rng, count, 2, 30), people["device"])
    people["mail_style"] = np.where(mail, rng.choice([1, 3, 3, 4]), people["mail_style"])
    short = mail & (rng.random(count) < 0.12)
    people["mail_domain"] = np.where(
        short, rng.choice(np.array(SHORT_LIVED_DOMAINS, object), count), people["mail_domain"]
    )
    aged = rng.random(count) < 0.45
    recent = people["from_s"] - rng.exponential(25, count) * DAY_S
    people["created_s"] = np.where(aged, people["created_s"], recent)
    burst = _reused(rng, count, 6, 60)
    days = (people["from_s"] // DAY_S) * DAY_S
    together = days - (burst % 17 + 1) * DAY_S + burst % 79_200 + rng.exponential(1800, count)
    people["created_s"] = np.where(cohort, together, people["created_s"])
    subnets = plan.networks.add(
        plan.networks.homes(rng, 256) & np.uint32(0xFFFFFF00) | rng.integers(1, 255, 256).astype(np.uint32)
    )
    people["signup"] = np.where(cohort & (rng.random(count) < 0.6), subnets + burst % 256, people["signup"])
    invented = rng.random(count) < 0.12
    organizations = np.array([f"org-{number % 2**32:08x}" for number in _reused(rng, count, 3, 20)], object)
    people["organization"] = only(invented, organizations)


def _reused(rng: np.random.Generator, count: int, low: int, high: int) -> npt.NDArray[np.int64]:
    """A number per account, each shared by `low` to `high` accounts that are otherwise unrelated."""
    sizes = np.exp(rng.uniform(np.log(low), np.log(high + 1), count)).astype(np.int64)
    owner = np.repeat(np.arange(count), sizes)[:count]
    numbers: npt.NDArray[np.int64] = rng.integers(1, 2**62, count)[rng.permutation(owner)]
    return numbers


def _connect(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns) -> None:
    """Some accounts leave through the campaign's part of a residential proxy network; the rest as anybody does."""
    count = len(people["rate"])
    first, size = plan.networks.proxies()
    exits = people["exits"].astype(bool)
    width = min(size, max(24, count // 2))
    start = first + int(plan.stream("exits", campaign.name).integers(max(1, size - width)))
    slice_size = max(6, width // 8)
    people["net"] = np.where(exits, start + rng.integers(0, max(1, width - slice_size), count), people["net"])
    people["net_size"] = np.where(exits, slice_size, people["net_size"])
    people["roams"] = np.where(exits, rng.random(count) < 0.7, people["roams"])
    people["path"] = rng.choice(5, count, p=campaign.paths)
    people["client"] = np.where(people["path"] == 1, people["client"], rng.choice(SDK_CLIENTS, count))
    if campaign.relays:
        people["end_users"] = np.where(rng.random(count) < 0.4, rng.lognormal(4.5, 1.5, count), 0).astype(np.int64)


def _dispatch(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns) -> None:
    count = len(people["rate"])
    timing = rng.choice([WAVES, SHIFTS, SESSIONS], count, p=campaign.timing)
    batch = (timing == SESSIONS) & (rng.random(count) < 0.3)
    people["timing"] = np.where(batch, BATCH, timing)
    people["beat"] = np.full(count, int(plan.stream("beat", campaign.aim).integers(1, 2**40)))
    people["hours"] = np.where(timing == SESSIONS, people["hours"], ALWAYS)
    people["weekend"] = np.where(timing == SESSIONS, people["weekend"], rng.uniform(0.7, 1.2, count))
    people["session_mean"] = np.where(timing == SESSIONS, people["session_mean"] * 2, 2 + rng.gamma(2, 3, count))
    people["multi_turn"] = rng.random(count) < 0.5
    people["jitter_s"] = np.where(timing == SESSIONS, 0.0, campaign.jitter_s)


def _work(campaign: Campaign, plan: Plan, people: Columns) -> None:
    """Templates and corpus belong to the campaign's aim: the same stream for every pool with the same corpus."""
    count = len(people["rate"])
    rng = plan.stream("work", campaign.aim)
    if campaign.deal is None:
        works = [_harvest(campaign, plan, rng, recipe, count) for recipe in campaign.recipes]
        late = [_harvest(campaign, plan, rng, recipe, count) for recipe in campaign.late_recipes]
        shares = rng.dirichlet(np.full(len(works), 4.0))
        people["work"] = rng.choice(works, count, p=shares)
    else:
        runs, after = (
            _dealt(campaign, campaign.deal, plan, rng, recipes, count=count)
            for recipes in (campaign.recipes, campaign.late_recipes)
        )
        people["work"], late = assigned(rng, runs, people, plan.days), after[:, -1].tolist()
    if late:
        people["late_s"] = np.full(count, 0.66 * plan.days * DAY_S)
        people["late"] = np.where(rng.random(count) < 0.6, rng.choice(late, count), people["work"])
    if campaign.mixes_alone:
        people["side"] = np.array([customers(plan, rng, 5) for _ in range(count)])
    else:
        people["side"] = rng.choice([customers(plan, rng, 5) for _ in range(24)], count)
    people["side_share"] = rng.uniform(*campaign.camouflage, count)


def _harvest(campaign: Campaign, plan: Plan, rng: np.random.Generator, recipe: str, count: int) -> int:
    kinds = plan.harvest_kinds(campaign.aim, plan.library.words.recipes[recipe].capability)
    bare = [bool(rng.random() < campaign.bare) for _ in range(2)]
    system = plan.library.system(recipe, rng, bare=any(bare))
    templates = [
        plan.library.template(
            recipe,
            rng,
            item=kinds[k % len(kinds)] if kinds else None,
            system=system,
            reworded=campaign.reworded,
            bare=bare[k],
            paraphrase=campaign.paraphrase,
        )
        for k in range(2)
    ]
    corpus = int(campaign.exchanges / campaign.accounts * count / len(campaign.recipes) * 4) + 200
    return plan.library.workload(templates, Dealing.SHARD, items=corpus, salt=int(rng.integers(1, 2**40)))


def _dealt(
    campaign: Campaign,
    deal: Deal,
    plan: Plan,
    rng: np.random.Generator,
    recipes: Sequence[str],
    *,
    count: int,
) -> npt.NDArray[np.int64]:
    """Workloads (runs, editions) over some recipes, dealt as the campaign deals; (0, editions) over none."""
    if not recipes:
        return np.zeros((0, deal.editions), np.int64)

    def fix(own: np.random.Generator, recipe: str, kind: int) -> int:
        bare = not deal.is_public and bool(own.random() < campaign.bare)
        return plan.library.template(
            recipe, own, item=kind, reworded=campaign.reworded, bare=bare, paraphrase=campaign.paraphrase
        )

    forms = plan.library.words.recipes
    sources = [plan.harvest_kinds(campaign.aim, forms[recipe].capability) for recipe in recipes]
    row = [(recipe, item_kind(plan, rng, recipe, own)) for recipe, own in zip(recipes, sources, strict=True)]
    items = int(campaign.exchanges / campaign.accounts * count * 4) + 200
    return workloads(plan, rng, deal, row, fix=fix, items=items)


def _steal(plan: Plan, rng: np.random.Generator, people: Columns, stolen: npt.NDArray[np.int64]) -> None:
    """Replace the stolen accounts' own lives by a developer's; the campaign keeps part of their traffic."""
    if not len(stolen):
        return
    victims = SEGMENTS["developers"](plan, rng, len(stolen))
    kept = ("work", "timing", "beat", "rate")
    for name, values in victims.items():
        if name not in kept and name in people:
            people[name][stolen] = values
    people["side"][stolen] = victims["work"]
    people["side_share"][stolen] = rng.uniform(0.4, 0.8, len(stolen))
    people["from_s"][stolen] = 0
    people["to_s"][stolen] = plan.days * DAY_S
    people["role"][stolen] = "compromised"
    people["segment"][stolen] = "developers"


__all__ = ["HARVEST", "Campaign", "Hygiene", "accounts"]
