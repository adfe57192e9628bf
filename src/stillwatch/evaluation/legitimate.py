"""Customers who look guilty: each population shares with campaigns some sign that a careless detector would act on.

Why:    every published sign of a campaign has an innocent twin; a world without the twins flatters any detector.
Misses: the shares of the populations are ours; no provider has published its own.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from stillwatch.evaluation.owners import (
    group_networks,
    names,
    onboarded,
    one_owner,
    only,
    per_group,
    some_short_lived,
    split,
)
from stillwatch.evaluation.people import (
    ALWAYS,
    BATCH,
    COUNTRIES,
    DAY_S,
    DEADLINE,
    EVENING,
    HARNESS_CLIENT,
    NIGHTLY,
    OFFICE,
    SDK_CLIENTS,
    Columns,
    Plan,
    ordinary,
)
from stillwatch.evaluation.templates import Dealing
from stillwatch.evaluation.works import chats, customers, group_works, harness_work, own_work, public_works, sheets

Builder = Callable[[Plan, np.random.Generator, int], Columns]


def individuals(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """People chatting: carriers' shared addresses, VPN exits, families on one device."""
    people = ordinary(plan, rng, count)
    people["work"] = chats(plan, rng, people["country"])
    family = rng.random(count) < 0.05
    people["device"][family] = np.roll(people["device"], 1)[family]
    people["card"][family] = np.roll(people["card"], 1)[family]
    return people


def developers(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Small applications, each with its own one to three templates."""
    people = _programmers(plan, rng, count, rate=3.0)
    people["work"] = np.array([own_work(plan, rng, 1 + int(rng.integers(6))) for _ in range(count)])
    team, teams = split(rng, count, 1, 9)
    named = (rng.random(teams) < 0.4)[team]
    people["work"] = np.where(named, people["work"][np.searchsorted(team, team)], people["work"])
    people["organization"] = only(named, names(rng, teams, "org")[team])
    people["card"] = np.where(
        named & (rng.random(count) < 0.7), people["card"][np.searchsorted(team, team)], people["card"]
    )
    serves = rng.random(count) < 0.25
    people["end_users"] = np.where(serves, rng.lognormal(4.5, 1.5, count), people["end_users"]).astype(np.int64)
    return people


def public_template(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Thousands of strangers on a handful of templates that went round."""
    people = ordinary(plan, rng, count)
    recipes = ("draft", "reasoning", "data_analysis", "task_generation", "support", "tutor")
    works = public_works(plan, "public_template", recipes, Dealing.FREE)
    people["work"] = works[(len(works) * rng.random(count) ** 2).astype(int)]
    people["side"] = chats(plan, rng, people["country"])
    people["side_share"] = rng.uniform(0, 0.7, count)
    people["rate"] *= 1.4
    return people


def coders(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Agentic coders on one public harness: the same system prompt, tools and client for all of them."""
    people = _programmers(plan, rng, count, rate=5.0)
    people["work"][:] = harness_work(plan)
    people["client"] = np.full(count, HARNESS_CLIENT)
    people["client_other_share"] = rng.uniform(0, 0.3, count)
    people["session_mean"] = 4 + rng.gamma(2, 4, count)
    people["gap_s"] = rng.lognormal(3.3, 0.4, count)
    people["multi_turn"] = np.ones(count, bool)
    people["adopted_share"] = rng.uniform(0.6, 1, count)
    return people


def enterprises(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Companies: one card, one NAT, one organisation, many accounts on the company's own templates."""
    people = _programmers(plan, rng, count, rate=3.0)
    group, groups = split(rng, count, 8, 120)
    one_owner(plan, rng, people, group, groups, name="org", block=193, addresses=6)
    people["program"][:] = "enterprise"
    people["level"] = per_group(rng, group, groups, ("business", "contract", "contract"))
    people["plan"][:] = "enterprise"
    people["work"] = group_works(plan, rng, group, groups, 3, 8)
    relays = (rng.random(groups) < 0.25)[group]
    people["end_users"] = np.where(relays, rng.lognormal(5, 1.2, count), people["end_users"]).astype(np.int64)
    people["client"] = np.where(relays, 15, people["client"])
    onboarded(rng, people, group, groups)
    return people


def classes(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """University classes: one campus, one sheet of exercises, one deadline."""
    people = ordinary(plan, rng, count)
    group, groups = split(rng, count, 25, 140)
    campus, size = group_networks(plan, rng, groups, "campus", 129, 16)
    people["net_other"], people["net_other_size"] = campus[group], np.full(count, size)
    people["net_other_share"] = rng.uniform(0.3, 1, count)
    people["signup"] = np.where(rng.random(count) < 0.6, campus[group], people["signup"])
    people["program"][:] = "education"
    people["level"] = np.where(rng.random(count) < 0.75, "email", people["level"]).astype(object)
    people["mail_domain"] = np.array([f"uni{k % 97}.example" for k in rng.integers(10**6, size=groups)], object)[group]
    people["organization"] = only((rng.random(groups) < 0.5)[group], names(rng, groups, "uni")[group])
    people["work"] = sheets(plan, rng, group, groups)
    people["side"] = chats(plan, rng, people["country"])
    people["side_share"] = rng.uniform(0.2, 0.7, count)
    people["timing"][:] = DEADLINE
    people["deadline_s"] = (rng.uniform(0.25, 1, groups) * plan.days * DAY_S)[group]
    people["country"] = rng.integers(len(COUNTRIES), size=groups)[group]
    people["rate"] *= 0.8
    onboarded(rng, people, group, groups)
    return people


def evaluators(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Independent people who run a public evaluation suite: the same template and the same items for all."""
    people = _programmers(plan, rng, count, rate=5.0)
    works = public_works(
        plan, "evaluators", ("reasoning", "reasoning_tags", "reasoning"), Dealing.SET, items=1300, item="person_eval"
    )
    people["work"] = works[rng.integers(len(works), size=count)]
    people["timing"][:] = BATCH
    people["adopts_s"] = plan.release_s + rng.exponential(0.8, count) * DAY_S
    people["program"] = np.where(rng.random(count) < 0.25, "research", people["program"]).astype(object)
    return people


def judges(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """People who grade their own model's answers with a public rubric."""
    people = _programmers(plan, rng, count, rate=5.0)
    works = public_works(
        plan, "judges", ("rubric_grade", "pairwise", "rubric_grade"), Dealing.FREE, item="person_judge"
    )
    people["work"] = works[rng.integers(len(works), size=count)]
    people["timing"][:] = BATCH
    return people


def ci(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Machines of one owner each: cloud addresses, a few items, over and over."""
    people = _programmers(plan, rng, count, rate=4.0)
    group, groups = split(rng, count, 4, 60)
    one_owner(plan, rng, people, group, groups, name="org", block=34, addresses=24)
    people["organization"] = only((rng.random(groups) < 0.6)[group], people["organization"])
    people["level"] = per_group(rng, group, groups, ("payment", "business", "payment", "identity"))
    works = [own_work(plan, rng, 2, Dealing.SET, int(rng.integers(5, 40)), ("review",)) for _ in range(groups)]
    people["work"] = np.array(works)[group]
    people["hours"][:] = ALWAYS
    people["timing"][:] = BATCH
    people["roams"][:] = True
    people["side_share"][:] = 0.0
    onboarded(rng, people, group, groups)
    return people


def resellers(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Approved partners: contracts, relays of their own, and the mixed traffic of their customers."""
    people = _programmers(plan, rng, count, rate=4.0)
    group, groups = split(rng, count, 20, 200)
    one_owner(plan, rng, people, group, groups, name="org", block=35, addresses=12)
    people["program"][:] = "partner"
    people["level"] = per_group(rng, group, groups, ("contract", "contract", "business"))
    people["plan"][:] = "enterprise"
    people["work"] = np.array([customers(plan, rng, 48) for _ in range(groups)])[group]
    people["hours"][:] = ALWAYS
    people["side_share"][:] = 0.0
    people["end_users"] = rng.lognormal(5, 1.5, count).astype(np.int64)
    people["client"] = per_group(rng, group, groups, (15, 6, 7, 3)).astype(int)
    onboarded(rng, people, group, groups)
    return people


def credit_abusers(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """One person with many free accounts, for ordinary chat or a small application: common control, no harvest."""
    people = ordinary(plan, rng, count)
    group, groups = split(rng, count, 5, 60)
    for column, chance in (("device", 0.7), ("net", 0.7), ("card", 0.45), ("signup", 0.6)):
        first = people[column][np.unique(group, return_index=True)[1]]
        same = (rng.random(groups) < chance)[group] & (rng.random(count) < 0.9)
        people[column] = np.where(same, first[group], people[column])
    people["mail_style"] = rng.choice(5, groups, p=(0.15, 0.15, 0.1, 0.35, 0.25))[group]
    people["mail_domain"] = some_short_lived(rng, people["mail_domain"], 0.25)
    people["controller"] = np.array([f"abuser-{number}" for number in range(groups)], object)[group]
    people["program"][:] = "free"
    people["plan"][:] = "free"
    people["country"] = rng.integers(len(COUNTRIES), size=groups)[group]
    apps = np.array(
        [own_work(plan, rng, 1, recipes=("support", "extract", "draft", "translate", "rag")) for _ in range(groups)]
    )
    people["work"] = np.where((rng.random(groups) < 0.45)[group], apps[group], chats(plan, rng, people["country"]))
    people["rate"] *= 1.6
    onboarded(rng, people, group, groups)
    return people


def translation(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Nightly translation jobs: one template, new passages, no human rhythm."""
    return _batch_jobs(plan, rng, count, ("translate",))


def rag(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Document assistants: one template around passages and questions, all day."""
    return _batch_jobs(plan, rng, count, ("rag", "extract"))


def migrants(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Applications that move here in one day: new account, full rate at once."""
    people = developers(plan, rng, count)
    people["created_s"] = rng.uniform(0, 0.8, count) * plan.days * DAY_S
    people["to_s"][:] = plan.days * DAY_S
    people["rate"] *= 2.5
    people["day_share"][:] = 0.98
    people["hours"] = rng.choice([OFFICE, ALWAYS], count)
    return people


SEGMENTS: Mapping[str, Builder] = {
    "individuals": individuals,
    "developers": developers,
    "public_template": public_template,
    "coders": coders,
    "enterprises": enterprises,
    "classes": classes,
    "evaluators": evaluators,
    "judges": judges,
    "ci": ci,
    "resellers": resellers,
    "credit_abusers": credit_abusers,
    "translation": translation,
    "rag": rag,
    "migrants": migrants,
}


def _programmers(plan: Plan, rng: np.random.Generator, count: int, *, rate: float) -> Columns:
    """Ordinary accounts that call the API from code."""
    people = ordinary(plan, rng, count)
    people["path"] = rng.choice(5, count, p=(0.7, 0.04, 0.12, 0.07, 0.07))
    people["client"] = rng.choice(SDK_CLIENTS, count)
    people["hours"] = rng.choice([OFFICE, EVENING, ALWAYS, NIGHTLY], count, p=(0.42, 0.2, 0.26, 0.12))
    people["multi_turn"] = rng.random(count) < 0.45
    people["day_share"] = rng.beta(4, 2, count)
    people["side"] = chats(plan, rng, people["country"])
    people["side_share"] = np.where(rng.random(count) < 0.55, rng.uniform(0, 0.4, count), 0.0)
    heavy = rng.random(count) < 0.06
    people["rate"] *= np.where(heavy, 14 * rate, rate)
    people["session_mean"] = 2 + rng.gamma(2, 4, count)
    return people


def _batch_jobs(plan: Plan, rng: np.random.Generator, count: int, recipes: Sequence[str]) -> Columns:
    people = _programmers(plan, rng, count, rate=8.0)
    group, groups = split(rng, count, 1, 6)
    people["work"] = np.array([own_work(plan, rng, 1, recipes=recipes) for _ in range(groups)])[group]
    people["card"] = people["card"][np.unique(group, return_index=True)[1]][group]
    people["timing"][:] = BATCH
    people["hours"] = rng.choice([NIGHTLY, ALWAYS, OFFICE], count, p=(0.5, 0.3, 0.2))
    return people
