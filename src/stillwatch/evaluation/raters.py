"""Freelancers of one agency who mark by a published scheme: many private accounts that are paid and housed together.

Why:    they have what a bought harvest has, for honest reasons: one rubric over ever new items that are dealt out among
        them, cards that pay for several, laptops set up from one image, an agency's addresses, sign-ups of one morning.
        Enterprises and classes declare an organisation or a campus; these people declare nothing.
Misses: agencies whose freelancers share logins, and agencies that do mark for a laboratory, whose work no log tells
        from a campaign's.
Source: own; the shares are ours, as no provider has published any.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.legitimate import Builder
from stillwatch.evaluation.owners import group_networks, onboarded, shared_by_few, split
from stillwatch.evaluation.people import COUNTRIES, DAY_S, DEADLINE, OFFICE, SDK_CLIENTS, Columns, Plan, ordinary
from stillwatch.evaluation.templates import Dealing
from stillwatch.evaluation.works import chats, own_work

AGENCY = (12, 80)  # freelancers at work for one client
SCHEMES = ("quality_check", "step_grade", "preference", "rubric_grade")  # published ones, one project each
HOUSE_SCHEME = 0.25  # of the agencies mark by one of their own
VIA_AGENCY = 0.75  # of the freelancers work through its rooms or its private network, part of the time
ADVANCED = 0.45  # of the freelancers are paid for with a card of the agency
CARD = (1, 6)  # freelancers on one such card
LENT = 0.2  # of the freelancers have a laptop of the agency
IMAGE = (2, 10)  # laptops with one image
DUE = 0.35  # of the agencies have one day by which all is marked
ORDERED = 0.3  # of the agencies tell everybody to use the new model


def raters(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Private people who mark essays, worked exercises and replies of service desks for an agency, in office hours."""
    people = ordinary(plan, rng, count)
    group, groups = split(rng, count, *AGENCY)
    _equip(plan, rng, people, group, groups)
    _employ(plan, rng, people, group, groups)
    people["work"] = _schemes(plan, rng, groups, count)[group]
    people["side"] = chats(plan, rng, people["country"])
    people["side_share"] = np.where(rng.random(count) < 0.6, rng.uniform(0, 0.5, count), 0.0)
    onboarded(rng, people, group, groups)
    return people


def _equip(plan: Plan, rng: np.random.Generator, people: Columns, group: npt.NDArray[np.int64], groups: int) -> None:
    """Cards, laptops and addresses of the agency, for some of its freelancers each."""
    count = len(group)
    rooms, size = group_networks(plan, rng, groups, "agency", 194, 8)
    via = rng.random(count) < VIA_AGENCY
    people["net_other"] = np.where(via, rooms[group], people["net_other"])
    people["net_other_size"] = np.where(via, size, people["net_other_size"])
    people["net_other_share"] = np.where(via, rng.uniform(0.3, 1, count), people["net_other_share"])
    people["signup"] = np.where(via & (rng.random(count) < 0.6), rooms[group], people["signup"])
    advanced = rng.random(count) < ADVANCED
    people["card"] = np.where(advanced, shared_by_few(rng, group, CARD), people["card"])
    people["device"] = np.where(rng.random(count) < LENT, shared_by_few(rng, group, IMAGE), people["device"])
    for name, value in (("program", "paid"), ("plan", "pro"), ("level", "payment")):
        people[name] = np.where(advanced, value, people[name]).astype(object)


def _employ(plan: Plan, rng: np.random.Generator, people: Columns, group: npt.NDArray[np.int64], groups: int) -> None:
    """Office hours in one country, through the agency's page of instructions or its small program; a few deadlines."""
    count = len(group)
    somewhere = rng.integers(len(COUNTRIES), size=groups)[group]
    people["country"] = np.where(rng.random(count) < 0.85, somewhere, people["country"])
    people["hours"] = np.where(rng.random(count) < 0.85, OFFICE, people["hours"])
    people["weekend"] = rng.uniform(0.05, 0.5, count)
    people["day_share"] = rng.beta(8, 3, count)
    people["rate"] *= 5
    people["session_mean"] = 4 + rng.gamma(2, 5, count)
    program = rng.choice(SDK_CLIENTS, groups)[group]
    people["client"] = np.where((people["path"] == 0) & (rng.random(count) < 0.7), program, people["client"])
    due = (rng.random(groups) < DUE)[group]
    people["timing"] = np.where(due, DEADLINE, people["timing"])
    people["deadline_s"] = np.where(due, (rng.uniform(0.3, 1, groups) * plan.days * DAY_S)[group], 0.0)
    ordered = (rng.random(groups) < ORDERED)[group]
    told = plan.release_s + (rng.uniform(1, 4, groups)[group] + rng.exponential(0.3, count)) * DAY_S
    people["adopts_s"] = np.where(ordered, told, people["adopts_s"])


def _schemes(plan: Plan, rng: np.random.Generator, groups: int, count: int) -> npt.NDArray[np.int64]:
    """The work of each agency: a published scheme, the same for whoever uses it, over items dealt out among its own."""
    if "schemes" not in plan.shared:
        public, kinds = plan.stream("schemes"), plan.files.get("person_judge", [None])
        plan.shared["schemes"] = [
            plan.library.template(recipe, public, item=kinds[one % len(kinds)]) for one, recipe in enumerate(SCHEMES)
        ]
    items = 200 + 40 * count  # of a project, more than its agency gets through
    works = []
    for _ in range(groups):
        scheme, salt = plan.shared["schemes"][int(rng.integers(len(SCHEMES)))], int(rng.integers(1, 2**40))
        if rng.random() < HOUSE_SCHEME:
            works.append(own_work(plan, rng, 1, Dealing.SHARD, items, SCHEMES))
        else:
            works.append(plan.library.workload([scheme], Dealing.SHARD, items=items, salt=salt))
    return np.array(works)


RATERS: Mapping[str, Builder] = {"raters": raters}
