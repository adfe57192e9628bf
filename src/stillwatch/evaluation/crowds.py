"""Innocent crowds whose habits the seed draws: unrelated people who share what accounts of a campaign share.

Why:    every sign of a harvest has an innocent twin, and nobody knows which one a detector meets next; a population
        whose habits were written down once is learnt once. Here wordings, items, hours, cards, machines, numbers,
        exits and sign-ups are shared or not as the seed has it.
Misses: crowds that one person organises for a laboratory, whose work no log tells from a campaign's.
Source: own; each range is ours, as no provider has published how much its customers share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.crews import crewed
from stillwatch.evaluation.deals import Deal, assigned, item_kind, workloads
from stillwatch.evaluation.legitimate import Builder
from stillwatch.evaluation.owners import group_networks, names, onboarded, only, shared_by_few, split
from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.people import (
    ALWAYS,
    BATCH,
    COUNTRIES,
    DAY_S,
    DEADLINE,
    EVENING,
    LOTS,
    NIGHTLY,
    OFFICE,
    SESSIONS,
    Columns,
    Plan,
    ordinary,
)
from stillwatch.evaluation.shops import prepaid, rented
from stillwatch.evaluation.templates import Dealing
from stillwatch.evaluation.works import chats

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SUBJECTS = (  # what people do alike: learn, teach, mark, mend programs, look at figures, write
    *(
        ("lesson_en",),
        ("lesson_es", "lesson_en"),
        ("lesson_zh",),
        ("lesson_de", "lesson_fr"),
        ("lesson_ja", "lesson_ko"),
    ),
    *(("quality_check", "preference"), ("step_grade",), ("rubric_grade", "pairwise"), ("repair",), ("errand",)),
    *(
        ("tool_turns", "tool_use"),
        ("agentic_code",),
        ("reasoning", "reasoning_tags"),
        ("rationale",),
        ("reasoning_zh",),
    ),
    *(("data_analysis",), ("task_generation",), ("safe_rewrite",), ("vision",), ("translate",), ("tutor",), ("draft",)),
)
USES = {"grading": "person_judge", "agentic_coding": "person_code", "reasoning": "person_homework"}
HOURS_KEPT = {  # timing and hours of each habit
    "evenings": (SESSIONS, EVENING),
    "office": (SESSIONS, OFFICE),
    "timetable": (LOTS, EVENING),  # all begin when the hour strikes
    "shift": (LOTS, OFFICE),
    "deadline": (DEADLINE, EVENING),  # a day by which all is due
    "nightly": (BATCH, NIGHTLY),
    "script": (BATCH, ALWAYS),
}
ITEMS = (Dealing.SHARD, Dealing.PARALLEL, Dealing.SET, Dealing.FREE)  # dealt out, the same to several, a list, own


@dataclass(frozen=True, slots=True)
class Crowd:
    """The habits of one crowd, in groups that do not know each other; shares are of its people."""

    subjects: tuple[str, ...]
    words: str  # public, dealt (by the group) or own
    deal: Deal
    papers: int  # items of the list that everybody has, where the deal is a set
    group: tuple[int, int]  # people
    busy: float  # times the exchanges of ordinary people
    hours: str
    punctual: float  # share that keeps these hours
    card: float  # share for whom a card of the group pays
    per_card: int  # of them at most
    shop: float  # share on a seat that a shop sells
    image: float  # share on machines of one image
    per_image: int
    number: float  # share that signed up with a rented number
    rooms: float  # share behind the group's addresses, part of the time
    machines: float  # share that works on rented machines, which change
    together: bool  # whether a group signs up within days
    new: float  # share of the groups that come in the window
    leaves: float  # share of the groups whose time is up in the window
    declared: float  # share of the groups that name an organisation
    program: str  # a programme that half of its people are in, or ""
    aside: float  # at most, of a person's exchanges


def crowds_of(seed: int) -> tuple[Crowd, ...]:
    """One to three crowds, as the seed draws them."""
    rng = stream(seed, "crowds")
    return tuple(_crowd(rng) for _ in range(int(rng.integers(1, 4))))


def _crowd(rng: np.random.Generator) -> Crowd:
    """Each thing is shared by nobody in a good part of the crowds, else by some."""

    def some(chance: float, low: float, high: float) -> float:
        value = round(float(rng.uniform(low, high)), 2)
        return value if rng.random() < chance else 0.0

    subjects = SUBJECTS[int(rng.integers(len(SUBJECTS)))]
    words = str(rng.choice(["public", "dealt", "own"], p=(0.5, 0.35, 0.15)))
    dealing = ITEMS[int(rng.choice(len(ITEMS), p=(0.3, 0.15, 0.3, 0.25)))]
    low = int(np.exp(rng.uniform(np.log(3), np.log(20))))  # a study circle, a year at a school
    return Crowd(
        subjects=subjects,
        words=words,
        deal=Deal(
            dealing=dealing,
            wordings=int(rng.integers(2, 4)) if dealing == Dealing.PARALLEL else int(rng.integers(1, 4)),
            width=int(rng.integers(1, 4)),
            is_public=words == "public",
        ),
        papers=int(np.exp(rng.uniform(np.log(60), np.log(1500)))),  # one sheet of exercises, a public benchmark
        group=(low, low * int(rng.integers(2, 9))),
        busy=round(float(rng.uniform(1, 5)), 1),  # from a pastime to a trade
        hours=str(rng.choice(list(HOURS_KEPT))),
        punctual=round(float(rng.uniform(0.5, 0.95)), 2),
        card=some(0.5, 0.1, 0.6),
        per_card=int(rng.integers(2, 9)),
        shop=some(0.35, 0.05, 0.3),
        image=some(0.45, 0.05, 0.5),
        per_image=int(rng.integers(2, 11)),
        number=some(0.3, 0.03, 0.2),
        rooms=some(0.5, 0.2, 0.9),
        machines=some(0.3, 0.2, 0.7),
        together=bool(rng.random() < 0.6),
        new=some(0.4, 0.3, 0.9),
        leaves=some(0.3, 0.2, 0.6),
        declared=some(0.3, 0.2, 1.0),  # most do not: what distinguishes them from companies and classes
        program=str(rng.choice(["", "education", "startup", "research"], p=(0.55, 0.25, 0.1, 0.1))),
        aside=round(float(rng.uniform(0.1, 0.7)), 2),
    )


def crowds(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """The crowds of the seed, one after the other, of about the same size."""
    habits = crowds_of(plan.seed)
    parts = [len(part) for part in np.array_split(np.arange(count), len(habits))]
    planned = [_people(plan, rng, one, size) for one, size in zip(habits, parts, strict=True) if size]
    return {name: np.concatenate([people[name] for people in planned]) for name in planned[0]}


def _people(plan: Plan, rng: np.random.Generator, crowd: Crowd, count: int) -> Columns:
    people = ordinary(plan, rng, count)
    group, groups = split(rng, count, *crowd.group)
    _live(plan, rng, people, crowd, group)
    _own(plan, rng, people, crowd, group)
    _meet(plan, rng, people, crowd, group)
    people["work"] = _works(plan, rng, people, crowd, group)
    people["side"] = chats(plan, rng, people["country"])
    people["side_share"] = rng.uniform(0, crowd.aside, count)
    people["organization"] = only((rng.random(groups) < crowd.declared)[group], names(rng, groups, "org")[group])
    return people


def _live(plan: Plan, rng: np.random.Generator, people: Columns, crowd: Crowd, group: Ints) -> None:
    """One country mostly; some groups come in the window, some go, and a group signs up together."""
    count, groups, window_s = len(group), int(group.max()) + 1, plan.days * DAY_S
    somewhere = rng.integers(len(COUNTRIES), size=groups)
    people["country"] = np.where(rng.random(count) < 0.8, somewhere[group], people["country"])
    people["rate"] *= crowd.busy
    people["day_share"] = rng.beta(5, 3, count)
    new, came = (rng.random(groups) < crowd.new)[group], rng.uniform(0, 0.5 * window_s, groups)[group]
    people["created_s"] = np.where(new, came, people["created_s"])
    if crowd.together:
        onboarded(rng, people, group, groups)
    people["from_s"] = np.where(new, np.maximum(came, people["created_s"]), people["from_s"])
    left, end = (rng.random(groups) < crowd.leaves)[group], rng.uniform(0.55, 0.95, groups)[group] * window_s
    people["to_s"] = np.where(left, end - rng.exponential(0.3 * DAY_S, count), people["to_s"])


def _own(plan: Plan, rng: np.random.Generator, people: Columns, crowd: Crowd, group: Ints) -> None:
    """What pays, on which machine and with which number: a group's, a shop's or one's own."""
    count = len(group)
    if crowd.program:
        joined = rng.random(count) < 0.5
        people["program"] = np.where(joined, crowd.program, people["program"]).astype(object)
    paid = rng.random(count) < crowd.card
    people["card"] = np.where(paid, _held(rng, group, paid, crowd.per_card), people["card"])
    for name, value in (("program", "paid"), ("plan", "pro"), ("level", "payment")):
        people[name] = np.where(paid, value, people[name]).astype(object)
    prepaid(plan, rng, people, ~paid & (rng.random(count) < crowd.shop), 2.5)  # seats as tutors have them
    rented(plan, rng, people, rng.random(count) < crowd.number, 1.5)
    imaged = rng.random(count) < crowd.image
    people["device"] = np.where(imaged, _held(rng, group, imaged, crowd.per_image), people["device"])


def _held(rng: np.random.Generator, group: Ints, chosen: Flags, most: int) -> Ints:
    """A number that up to `most` of the chosen of one group have in common."""
    return shared_by_few(rng, np.where(chosen, group, int(group.max()) + 1 + np.arange(len(group))), (1, most))


def _meet(plan: Plan, rng: np.random.Generator, people: Columns, crowd: Crowd, group: Ints) -> None:
    """Hours, and the addresses behind which a group sits."""
    count, groups = len(group), int(group.max()) + 1
    timing, hours = HOURS_KEPT[crowd.hours]
    punctual = rng.random(count) < crowd.punctual
    people["timing"] = np.where(punctual, timing, people["timing"])
    people["hours"] = np.where(punctual, hours, people["hours"])
    people["deadline_s"] = rng.uniform(0.3, 1, groups)[group] * plan.days * DAY_S
    country = people["country"][np.searchsorted(group, group)]  # of the first of each group
    people["timetable_s"] = np.array([row[1] for row in COUNTRIES])[country] * 3600.0
    people["session_mean"] = 2 + rng.gamma(2, 3, count)
    people["multi_turn"] = rng.random(count) < rng.uniform(0.2, 0.8)
    inside = rng.random(count) < crowd.rooms
    rooms, size = group_networks(plan, rng, groups, "rooms", 194, 6)
    people["net_other"] = np.where(inside, rooms[group], people["net_other"])
    people["net_other_size"] = np.where(inside, size, people["net_other_size"])
    people["net_other_share"] = np.where(inside, rng.uniform(0.3, 1, count), people["net_other_share"])
    people["signup"] = np.where(inside & (rng.random(count) < 0.5), rooms[group], people["signup"])
    share = np.where(rng.random(count) < crowd.machines, rng.uniform(0.4, 1, count), 0.0)
    crew_count, pool = np.bincount(group, minlength=groups) // 6, rng.integers(1, 2**40, groups)
    crewed(plan, people, pool=pool[group], crew_count=crew_count[group], days=7, share=share)


def _works(plan: Plan, rng: np.random.Generator, people: Columns, crowd: Crowd, group: Ints) -> Ints:
    """Each group's work; a person's where words are own."""
    count = len(group)
    kinds = [(recipe, _public_kind(plan, recipe)) for recipe in crowd.subjects]
    listed = crowd.deal.dealing == Dealing.SET
    items = crowd.papers * crowd.deal.asked if listed else 200 + 40 * count
    sharing = np.arange(count) if crowd.words == "own" else group
    work = np.empty(count, np.int64)

    def fix(own: np.random.Generator, recipe: str, kind: int) -> int:
        return plan.library.template(recipe, own, item=kind)

    for chosen in np.split(np.arange(count), np.flatnonzero(np.diff(sharing)) + 1):
        loads = workloads(plan, rng, crowd.deal, kinds, fix=fix, items=items, salt=int(listed))
        own = {name: people[name][chosen] for name in ("rate", "from_s")}
        work[chosen] = assigned(rng, loads, own, plan.days)
    return work


def _public_kind(plan: Plan, recipe: str) -> int:
    """The kind of item of a recipe, the same for all."""
    capability = plan.library.words.recipes[recipe].capability
    sources: Sequence[int] = plan.files.get(USES.get(capability, "person_app"), ())
    return item_kind(plan, plan.stream("items", recipe), recipe, sources)


CROWDS: Mapping[str, Builder] = {"crowds": crowds}
