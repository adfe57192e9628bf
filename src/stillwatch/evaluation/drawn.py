"""The world `drawn`: each seed draws one to three campaigns, and the innocent crowds beside them.

Made without the detector: no scan of it had been read when its ranges were chosen, and seeds from 1000 on are for
reporting alone (docs/simulate.md#left-out-of-tuning).

Why:    a world that is written down once is one campaign, however many seeds it has; an interval over seeds that each
        draw another campaign tells how a detector does on the next one.
Misses: whatever no block of the simulator can do; the blocks are those of the other worlds, put together anew.
Source: providers' reports of 12 and 23 February and of 10 and 30 September 2026, a letter of 10 June 2026 and the
        advisory AA26-251A of 8 September 2026, as below. Where they give no number the range is ours.

* *Size.* 800 to 10,000 accounts, evenly by order of magnitude: more than 1,500, 3,500 and 5,000 at once, 5,380 and, of
  three campaigns together, 24,000 were disclosed. Smaller ones were too, and would be a handful at scale 0.05.
* *Rate.* 2 to 30 exchanges per account and day: 2.0, 5.6, 13 and 26 follow from disclosed totals. At most 1.5 million
  in all: heavier campaigns are those of `feb2026` and `jun2026`.
* *Window.* 10, 14, 17 or 20 days, each disclosed of one campaign.
* *Aims.* One to three of what was named as taken: reasoning, traces, grades, tools and code, tasks, rewritten answers,
  thoughts in the language of the user, screens.
* *Camouflage.* Up to 55 %, and 30 to 80 % for a relay: one mixed in its customers' requests, how many is not disclosed.
* *Rewording.* One campaign in eight: variations of fixed patterns were the rule.
* *Customers.* Three exchanges a day in every world, a little more than `ordinary` people make by themselves, as some
  are firms: what a campaign sends must not change what customers do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np

from stillwatch.evaluation.crews import crewed
from stillwatch.evaluation.crowds import crowds_of
from stillwatch.evaluation.deals import Deal
from stillwatch.evaluation.disguises import (
    STAFF_SHARE,
    among_colleagues,
    behind_a_contract,
    behind_a_harness,
    with_stolen_keys,
)
from stillwatch.evaluation.hostile import Campaign, Disguise, Hygiene
from stillwatch.evaluation.origins import Ring, instead, obtained
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import ALWAYS, DAY_S, EVENING, LOTS, OFFICE, ROUNDS, Columns, Plan
from stillwatch.evaluation.sellers import Stock, bought
from stillwatch.evaluation.succession import Chains, Sweeps, chained, swept
from stillwatch.evaluation.templates import Dealing

SENTENCE = (
    "Every seed draws one to three campaigns and the innocent crowds beside them; seeds from 1000 on are for reporting "
    "alone."
)
WINDOWS = (10, 14, 17, 20)  # days
ACCOUNTS, RATE, MOST_EXCHANGES = (800, 10_000), (2.0, 30.0), 1_500_000  # of a campaign; exchanges per account and day
CUSTOMERS_PER_HOSTILE, CUSTOMER_RATE = 10.5, 3.0  # accounts; exchanges a day
AIMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "reasoning": ("reasoning", "reasoning_tags", "rationale", "data_analysis"),
        "traces": ("trace_clean", "trace_recall", "trace_debug", "trace_system", "trace_translate"),
        "grades": ("rubric_grade", "pairwise", "quality_check", "preference", "step_grade"),
        "tools": ("tool_use", "tool_turns", "errand", "agentic_code", "repair"),
        "tasks": ("task_generation",),
        "rewriting": ("safe_rewrite",),
        "lessons": tuple(f"lesson_{code}" for code in ("zh", "ja", "ko", "es", "de", "fr", "pt", "en")),
        "chinese": ("reasoning_zh",),
        "screens": ("vision",),
    }
)
MOST_FORMS = 8  # of a campaign: with its wordings some 16 templates, few enough for 40 accounts at scale 0.05
AIMED = (0.2, 0.12, 0.16, 0.2, 0.08, 0.04, 0.1, 0.05, 0.05)  # tools and reasoning were named of the most campaigns
PROGRAMS, JOINED = ("free", "paid", "education", "startup", "research"), (2.0, 3.5, 1.2, 0.8, 0.6)  # weights
PATHS = (3.0, 0.6, 0.6, 0.4, 0.4)  # weights of api, web, bedrock, vertex, azure
HIDES: Mapping[str, Disguise] = MappingProxyType(
    {
        "behind a contract": behind_a_contract,
        "behind a harness": behind_a_harness,
        "among colleagues": among_colleagues,
        "with stolen keys": with_stolen_keys,
    }
)
DEALING = ("behind a harness", "among colleagues")  # disguises that deal by themselves
SETTLED = ("behind a contract", "among colleagues")  # verified customers: nobody is banned, nor stolen from
TWINS = (
    *("raters", "tutors", "demonstrated", "public_readers", "ten_wordings", "rewording_tool", "products"),
    *("anchored_resellers", "classes", "evaluators", "judges", "credit_abusers", "migrants"),
)


@dataclass(frozen=True, slots=True)
class Habits:
    """What a campaign does beyond what every one has: where accounts come from, when they work, what hides them."""

    stock: Stock | None = None  # bought from two sellers
    ring: Ring | None = None  # obtained by a ring
    lives: Chains | Sweeps | None = None  # how accounts follow each other, if not as most campaigns' do
    rhythm: str = "mixed"  # or rounds, or lots
    on_schedule: float = 1.0  # share of the accounts that keep rounds or lots
    dispatchers: int = 1  # schedules that the accounts are divided over
    machines: float = 0.0  # share of the accounts that work through a crew's rented machine
    crew: int = 8  # accounts
    crew_days: int = 3
    hides: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a seed draws, and how `world.json` tells it."""

    campaigns: tuple[Campaign, ...]
    customers: Mapping[str, float]
    days: int
    release_share: float
    turnover_share: float
    traffic_per_hostile: float
    told: Mapping[str, object]


def drawn(seed: int) -> Drawn:
    """The make of the world that belongs to a seed, the same at any scale."""
    rng = stream(seed, "drawn", "world")
    days = int(rng.choice(WINDOWS))
    campaigns: list[Campaign] = []
    told: dict[str, object] = {}
    for number in range(int(rng.integers(1, 4))):
        own = stream(seed, "drawn", "campaign", number)
        habits = _habits(own, f"drawn-{number + 1}")
        campaign = _campaign(own, f"drawn-{number + 1}", days, habits)
        if campaigns and campaign.deal and campaigns[-1].deal and own.random() < 0.3:
            campaign = _going_on(campaign, campaigns[-1])
        campaigns.append(campaign)
        told[campaign.name] = _told(campaign, habits, days)
    twins = sorted(str(name) for name in rng.choice(TWINS, int(rng.integers(1, 4)), replace=False))
    customers = {"crowds": _within(rng, 0.03, 0.1), **{name: _evenly(rng, 0.01, 0.06) for name in twins}}
    hostile, sent = (sum(getattr(one, name) for one in campaigns) for name in ("accounts", "exchanges"))
    crowds = [asdict(crowd) for crowd in crowds_of(seed)]
    return Drawn(
        campaigns=tuple(campaigns),
        customers=customers,
        days=days,
        release_share=_within(rng, 0.25, 0.75),
        turnover_share=_within(rng, 0.0, 0.12),  # as in `two-pools` at most
        traffic_per_hostile=max(1.5, CUSTOMERS_PER_HOSTILE * CUSTOMER_RATE * days * hostile / sent),
        told={"campaigns": told, "crowds": crowds, "customers": customers},
    )


def _within(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 3)


def _evenly(rng: np.random.Generator, low: float, high: float) -> float:
    """A number from `low` to `high`, each order of magnitude as likely."""
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))), 3)


def _shares(rng: np.random.Generator, weights: Sequence[float]) -> tuple[float, ...]:
    """Shares that add up to one, around `weights`; the larger these are, the closer."""
    rest = [round(float(share), 3) for share in rng.dirichlet(np.array(weights))[1:]]
    return (max(0.0, round(1 - sum(rest), 3)), *rest)


def _habits(rng: np.random.Generator, name: str) -> Habits:
    """Accounts of its own making, bought or obtained; work in a mixed rhythm, in rounds or in lots; perhaps hidden."""
    hides = str(rng.choice(["", *HIDES], p=(0.52, 0.12, 0.12, 0.08, 0.16)))
    lives = None if hides in SETTLED else _lives(rng)
    if hides not in ("", "with stolen keys"):
        return Habits(lives=lives, hides=hides)
    origin = str(rng.choice(["own", "sellers", "ring"], p=(0.4, 0.3, 0.3)))
    crew, crew_days = int(rng.integers(4, 17)), int(rng.integers(1, 8))
    return Habits(
        stock=_stock(rng) if origin == "sellers" else None,
        ring=_ring(rng, name, crew, crew_days) if origin == "ring" else None,
        lives=lives,
        rhythm=str(rng.choice(["mixed", "rounds", "lots"], p=(0.5, 0.2, 0.3))),
        on_schedule=_within(rng, 0.4, 1.0),
        dispatchers=int(rng.choice([1, 2, 6], p=(0.5, 0.25, 0.25))),
        machines=_within(rng, 0.2, 0.8) if origin != "ring" and rng.random() < 0.3 else 0.0,
        crew=crew,
        crew_days=crew_days,
        hides=hides,
    )


def _stock(rng: np.random.Generator) -> Stock:
    """Two sellers, around those of `reward-model`."""
    return Stock(
        farmed=_within(rng, 0.2, 0.9),
        batch=(int(rng.integers(3, 10)), int(rng.integers(15, 80))),
        imaged=(_within(rng, 0.2, 0.8), _within(rng, 0.0, 0.3)),
        days=_evenly(rng, 2, 40),
        card=(1, int(rng.integers(2, 9))),
        seats=_within(rng, 0.0, 0.5),
        tunnelled=(_within(rng, 0.3, 0.9), _within(rng, 0.3, 0.9)),
    )


def _ring(rng: np.random.Generator, name: str, crew: int, crew_days: int) -> Ring:
    """A ring, around that of `many-languages`."""
    lent, prepaid, made = _shares(rng, (2.0, 1.5, 1.5))
    home, per_card = _within(rng, 0.2, 0.9), _within(rng, 2.0, 12.0)
    return Ring(name, (lent, prepaid, made), at_home=home, per_card=per_card, crew=crew, crew_days=crew_days)


def _lives(rng: np.random.Generator) -> Chains | Sweeps | None:
    """As most campaigns' accounts live, in chains, or through sweeps of the provider."""
    draw, at_once = rng.random(), _within(rng, 0.3, 1.0)
    if draw < 0.3:
        return Chains(length=(1, int(rng.integers(2, 9))), failover_h=_evenly(rng, 0.5, 24), at_once=at_once)
    if draw < 0.6:
        count, share, days = int(rng.integers(1, 6)), _within(rng, 0.05, 0.6), _evenly(rng, 8, 90)
        return Sweeps(count, share, banned_days=days, refilled_h=_evenly(rng, 1, 48), at_once=at_once)
    return None


def _campaign(rng: np.random.Generator, name: str, days: int, habits: Habits) -> Campaign:
    """One campaign, each habit drawn by itself."""
    fewest = ACCOUNTS[0] / (STAFF_SHARE if habits.hides == "among colleagues" else 1)  # who do not all harvest
    accounts, rate = round(_evenly(rng, fewest, ACCOUNTS[1])), _evenly(rng, *RATE)
    start = _within(rng, 0.0, 0.5) if rng.random() < 0.4 else 0.0
    end = _within(rng, start + 0.35, 1.0) if rng.random() < 0.35 else 1.0
    waves, shifts, mimicry = _shares(rng, (0.8, 0.6, 1.0))
    settled = habits.hides in SETTLED
    relays = habits.hides == "behind a contract" or bool(rng.random() < 0.2)
    least = _within(rng, 0.3, 0.5) if relays else _within(rng, 0.0, 0.25)
    keys = (0.1, 0.3) if habits.hides == "with stolen keys" else (0.0, 0.06)  # bought accounts are easier to have
    own = habits.stock is None and habits.ring is None  # those bought or obtained share what their origin shares
    card, device, mail, cohort, exits = (_within(rng, 0, 0.6) if own and rng.random() < 0.75 else 0.0 for _ in range(5))
    return _reworded(
        rng,
        Campaign(
            name,
            accounts=accounts,
            exchanges=round(min(accounts * rate * days * (end - start), MOST_EXCHANGES)),
            recipes=_recipes(rng),
            timing=(waves, shifts, mimicry),
            hygiene=Hygiene(card, device, mail, cohort, exits, careful=_within(rng, 0.0, 0.25)),
            camouflage=(least, round(least + _within(rng, 0.05, 0.3), 3)),
            programs=tuple(zip(PROGRAMS, _shares(rng, JOINED), strict=True)),
            paths=_shares(rng, PATHS),
            from_share=start,
            to_share=end,
            churn=0.0 if settled else _within(rng, 0.0, 0.8),
            pivot=bool(rng.random() < 0.35),
            late_recipes=_recipes(rng)[:3] if rng.random() < 0.25 else (),
            bare=_within(rng, 0.0, 0.3),
            relays=relays,
            compromised=0.0 if settled else _within(rng, *keys),
            replays=_within(rng, 0.1, 0.4) if rng.random() < 0.12 else 0.0,
            jitter_s=_evenly(rng, 30, 7_200) if rng.random() < 0.4 else 0.0,
            mixes_alone=bool(rng.random() < 0.4),
            lives=None if habits.lives is None else partial(_followed, lives=habits.lives),
            deal=None if habits.hides in DEALING else _deal(rng),
            disguise=partial(_disguised, habits=habits),
        ),
    )


def _recipes(rng: np.random.Generator) -> tuple[str, ...]:
    """What is asked: one to three aims, and a few ways to put each; volume in few areas is what was disclosed."""
    found: list[str] = []
    for aim in rng.choice(list(AIMS), int(rng.choice([1, 2, 3], p=(0.4, 0.4, 0.2))), replace=False, p=AIMED):
        forms = rng.permutation(AIMS[str(aim)])
        found += [str(form) for form in forms[: int(rng.integers(1, 6))]]
    return tuple(found[:MOST_FORMS])


def _deal(rng: np.random.Generator) -> Deal:
    """Items mostly shared out, each once; else once under each wording, some times each, or without a plan."""
    ways = (Dealing.SHARD, Dealing.PARALLEL, Dealing.SET, Dealing.FREE)
    dealing = ways[int(rng.choice(len(ways), p=(0.5, 0.2, 0.15, 0.15)))]
    return Deal(
        dealing=dealing,
        wordings=int(rng.integers(2 if dealing == Dealing.PARALLEL else 1, 5)),
        width=int(rng.integers(1, 7)),
        editions=int(rng.choice([1, 2, 3], p=(0.6, 0.2, 0.2))),
        asked=int(rng.integers(4, 17)),  # of several answers to one question a harvest keeps the right ones
        is_public=bool(rng.random() < 0.12),
    )


def _reworded(rng: np.random.Generator, campaign: Campaign) -> Campaign:
    """Some campaigns word each call anew: out of a pool of wordings, or with other words in place of some."""
    draw, share = rng.random(), _within(rng, 0.05, 0.3)
    if campaign.deal is None or draw >= 0.13:
        return campaign
    few = replace(campaign.deal, wordings=2, editions=1, is_public=False)  # who rewords needs no further wordings
    asks = replace(campaign, deal=few, recipes=campaign.recipes[:4], late_recipes=())
    return replace(asks, reworded=True) if draw < 0.06 else replace(asks, paraphrase=share)


def _going_on(campaign: Campaign, first: Campaign) -> Campaign:
    """Another pool for the work of the first, as when that one is banned or not enough."""
    same = ("recipes", "late_recipes", "deal", "bare", "reworded", "paraphrase")
    return replace(campaign, corpus=first.aim, **{name: getattr(first, name) for name in same})


def _followed(
    campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns, *, lives: Chains | Sweeps
) -> None:
    """Let the accounts follow each other in places, whose work they inherit."""
    if isinstance(lives, Chains):
        people["place"] = chained(campaign, plan, rng, people, lives)
    else:
        people["place"] = swept(campaign, plan, rng, people, lives)


def _disguised(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns, *, habits: Habits) -> None:
    """Let the planned accounts come from where they come, work when they work, and hide; victims' own lives stay."""
    stolen = people["role"] == "compromised"
    kept = {name: values.copy() for name, values in people.items() if name not in ("work", "rate")}
    if habits.stock is not None:
        bought(campaign, plan, rng, people, habits.stock)
    if habits.ring is not None:
        obtained(campaign, plan, rng, people, people.get("place", np.arange(len(stolen))), habits.ring)
    _settle(rng, people)
    _meet(campaign, plan, rng, people, habits)
    for name, values in kept.items():
        people[name] = np.where(stolen, values, people[name])
    people["rate"] = np.where(stolen, np.median(people["rate"]), people["rate"])  # more, and the owner would notice
    if habits.hides:
        HIDES[habits.hides](campaign, plan, rng, people)
    people["from_s"] = np.minimum(people["from_s"], kept["from_s"])
    if habits.hides in SETTLED:  # whose accounts were signed up together
        people["created_s"] -= max(0.0, float((people["created_s"] - people["from_s"]).max()))
    people["created_s"] = np.minimum(people["created_s"], people["from_s"] - 3600)


def _settle(rng: np.random.Generator, people: Columns) -> None:
    """Let every account that pays have a card, a plan and proof of payment, and no other the last two."""
    paid, free = people["program"] == "paid", people["program"] == "free"
    people["card"] = np.where(paid & (people["card"] < 0), rng.integers(1, 2**62, len(paid)), people["card"])
    people["plan"] = np.where(free, "free", people["plan"]).astype(object)
    instead(people, "plan", paid, "free", "pay-as-you-go")
    instead(people, "level", paid, "email", "payment")
    instead(people, "level", free, "payment", "email")


def _meet(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns, habits: Habits) -> None:
    """Rounds or lots for those on schedule, and a crew's machine for some."""
    count, own = len(people["rate"]), plan.stream("rhythm", campaign.name)
    people["beat"] = people["beat"] + rng.integers(habits.dispatchers, size=count)
    if habits.ring is None and (habits.machines or habits.rhythm == "lots"):
        rents = (rng.random(count) < habits.machines) & (rng.random(count) >= campaign.hygiene.careful)
        share = np.where(rents, rng.uniform(0.5, 0.95, count), 0.0)
        pool, crew_count = np.full(count, int(own.integers(1, 2**40))), np.full(count, count // habits.crew)
        crewed(plan, people, pool=pool, crew_count=crew_count, days=habits.crew_days, share=share)
    keeps = (rng.random(count) < habits.on_schedule) & (habits.rhythm != "mixed") & (campaign.jitter_s < DAY_S)
    people["timing"] = np.where(keeps, ROUNDS if habits.rhythm == "rounds" else LOTS, people["timing"])
    people["jitter_s"] = np.where(keeps, campaign.jitter_s, people["jitter_s"])
    people["hours"] = np.where(keeps, int(own.choice([ALWAYS, ALWAYS, EVENING, OFFICE])), people["hours"])
    people["timetable_s"] = np.zeros(count)


def _told(campaign: Campaign, habits: Habits, days: int) -> dict[str, object]:
    """A campaign's make by the names of its parameters, and in a few words."""
    told = asdict(replace(campaign, lives=None, disguise=None))
    deal = {} if campaign.deal is None else {"deal": {**told["deal"], "dealing": campaign.deal.dealing.name.lower()}}
    del told["lives"], told["disguise"], told["name"]
    return {"in_words": _in_words(campaign, habits, days), **told, **deal, **asdict(habits)}


def _in_words(campaign: Campaign, habits: Habits, days: int) -> str:
    """What a reader of a table wants to know."""
    active = days * (campaign.to_share - campaign.from_share)
    aims = [aim for aim, forms in AIMS.items() if set(forms) & set(campaign.recipes)]
    deal = campaign.deal or Deal()
    origin = "bought" if habits.stock else "of a ring" if habits.ring else "own"
    lives = "" if habits.lives is None else f", {type(habits.lives).__name__.lower()}"
    extras = {
        "public wordings": deal.is_public,
        "wordings renewed": deal.editions > 1,
        "reworded": campaign.reworded,
        f"{campaign.paraphrase:.0%} paraphrased": campaign.paraphrase > 0,
        "replays": campaign.replays > 0,
        "pivot": campaign.pivot,
        "relay": campaign.relays,
        f"corpus of {campaign.corpus}": bool(campaign.corpus),
        habits.hides: bool(habits.hides),
    }
    parts = (
        f"{campaign.exchanges / campaign.accounts / active:.0f} a day for {active:.0f} of {days} days",
        "+".join(aims),
        f"{deal.dealing.name.lower()}, {deal.wordings} wordings",
        f"{origin}{lives}",
        habits.rhythm,
        *(name for name, holds in extras.items() if holds),
    )
    return "; ".join(parts)
