"""Customers who look guilty: each population shares with campaigns some sign that a careless detector would act on.

Why:    every published sign of a campaign has an innocent twin; a world without the twins flatters any detector.
Misses: the shares of the populations are ours; no provider has published its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.grammar import LANGUAGES
from stillwatch.evaluation.parts import NONE
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
    SHORT_LIVED_DOMAINS,
    Columns,
    Plan,
    ordinary,
)
from stillwatch.evaluation.templates import Dealing

APP_RECIPES = (
    *("support", "extract", "draft", "translate", "rag", "review", "support", "extract", "draft"),
    *("reasoning", "rubric_grade", "data_analysis", "tool_use", "agentic_code", "task_generation", "rationale"),
    *("reasoning_tags", "pairwise", "vision", "safe_rewrite", "reasoning_zh", "vision", "vision", "tool_use"),
)
CHAT_WAYS = 32  # assistants and habits of pasting, per language
CHAT_KINDS = {language: "chat" if language == "en" else f"chat_{language}" for language in LANGUAGES}

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
    people["work"] = np.array([_own_work(plan, rng, 1 + int(rng.integers(6))) for _ in range(count)])
    team, teams = _groups(rng, count, 1, 9)
    named = (rng.random(teams) < 0.4)[team]
    people["work"] = np.where(named, people["work"][np.searchsorted(team, team)], people["work"])
    people["organization"] = np.where(named, _names(rng, teams, "org")[team], None)
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
    works = _public_works(plan, "public_template", recipes, Dealing.FREE)
    people["work"] = works[(len(works) * rng.random(count) ** 2).astype(int)]
    people["side"] = chats(plan, rng, people["country"])
    people["side_share"] = rng.uniform(0, 0.7, count)
    people["rate"] *= 1.4
    return people


def coders(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Agentic coders on one public harness: the same system prompt, tools and client for all of them."""
    people = _programmers(plan, rng, count, rate=5.0)
    people["work"][:] = _harness_work(plan)
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
    group, groups = _groups(rng, count, 8, 120)
    _one_owner(plan, rng, people, group, groups, name="org", block=193, addresses=6)
    people["program"][:] = "enterprise"
    people["level"] = _per_group(rng, group, groups, ("business", "contract", "contract"))
    people["plan"][:] = "enterprise"
    people["work"] = _group_works(plan, rng, group, groups, 3, 8)
    relays = (rng.random(groups) < 0.25)[group]
    people["end_users"] = np.where(relays, rng.lognormal(5, 1.2, count), people["end_users"]).astype(np.int64)
    people["client"] = np.where(relays, 15, people["client"])
    _onboarded(rng, people, group, groups)
    return people


def classes(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """University classes: one campus, one sheet of exercises, one deadline."""
    people = ordinary(plan, rng, count)
    group, groups = _groups(rng, count, 25, 140)
    campus, size = _group_networks(plan, rng, groups, "campus", 129, 16)
    people["net_other"], people["net_other_size"] = campus[group], np.full(count, size)
    people["net_other_share"] = rng.uniform(0.3, 1, count)
    people["signup"] = np.where(rng.random(count) < 0.6, campus[group], people["signup"])
    people["program"][:] = "education"
    people["level"] = np.where(rng.random(count) < 0.75, "email", people["level"]).astype(object)
    people["mail_domain"] = np.array([f"uni{k % 97}.example" for k in rng.integers(10**6, size=groups)], object)[group]
    people["organization"] = np.where((rng.random(groups) < 0.5)[group], _names(rng, groups, "uni")[group], None)
    people["work"] = _sheets(plan, rng, group, groups)
    people["side"] = chats(plan, rng, people["country"])
    people["side_share"] = rng.uniform(0.2, 0.7, count)
    people["timing"][:] = DEADLINE
    people["deadline_s"] = (rng.uniform(0.25, 1, groups) * plan.days * DAY_S)[group]
    people["country"] = rng.integers(len(COUNTRIES), size=groups)[group]
    people["rate"] *= 0.8
    _onboarded(rng, people, group, groups)
    return people


def evaluators(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Independent people who run a public evaluation suite: the same template and the same items for all."""
    people = _programmers(plan, rng, count, rate=5.0)
    works = _public_works(
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
    works = _public_works(
        plan, "judges", ("rubric_grade", "pairwise", "rubric_grade"), Dealing.FREE, item="person_judge"
    )
    people["work"] = works[rng.integers(len(works), size=count)]
    people["timing"][:] = BATCH
    return people


def ci(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Machines of one owner each: cloud addresses, a few items, over and over."""
    people = _programmers(plan, rng, count, rate=4.0)
    group, groups = _groups(rng, count, 4, 60)
    _one_owner(plan, rng, people, group, groups, name="org", block=34, addresses=24)
    people["organization"] = np.where((rng.random(groups) < 0.6)[group], people["organization"], None)
    people["level"] = _per_group(rng, group, groups, ("payment", "business", "payment", "identity"))
    works = [_own_work(plan, rng, 2, Dealing.SET, int(rng.integers(5, 40)), ("review",)) for _ in range(groups)]
    people["work"] = np.array(works)[group]
    people["hours"][:] = ALWAYS
    people["timing"][:] = BATCH
    people["roams"][:] = True
    people["side_share"][:] = 0.0
    _onboarded(rng, people, group, groups)
    return people


def resellers(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Approved partners: contracts, relays of their own, and the mixed traffic of their customers."""
    people = _programmers(plan, rng, count, rate=4.0)
    group, groups = _groups(rng, count, 20, 200)
    _one_owner(plan, rng, people, group, groups, name="org", block=35, addresses=12)
    people["program"][:] = "partner"
    people["level"] = _per_group(rng, group, groups, ("contract", "contract", "business"))
    people["plan"][:] = "enterprise"
    people["work"] = np.array([customers(plan, rng, 48) for _ in range(groups)])[group]
    people["hours"][:] = ALWAYS
    people["side_share"][:] = 0.0
    people["end_users"] = rng.lognormal(5, 1.5, count).astype(np.int64)
    people["client"] = _per_group(rng, group, groups, (15, 6, 7, 3)).astype(int)
    _onboarded(rng, people, group, groups)
    return people


def credit_abusers(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """One person with many free accounts, for ordinary chat or a small application: common control, no harvest."""
    people = ordinary(plan, rng, count)
    group, groups = _groups(rng, count, 5, 60)
    for column, chance in (("device", 0.7), ("net", 0.7), ("card", 0.45), ("signup", 0.6)):
        first = people[column][np.unique(group, return_index=True)[1]]
        same = (rng.random(groups) < chance)[group] & (rng.random(count) < 0.9)
        people[column] = np.where(same, first[group], people[column])
    people["mail_style"] = rng.choice(5, groups, p=(0.15, 0.15, 0.1, 0.35, 0.25))[group]
    people["mail_domain"] = _some_short_lived(rng, people["mail_domain"], 0.25)
    people["program"][:] = "free"
    people["plan"][:] = "free"
    people["country"] = rng.integers(len(COUNTRIES), size=groups)[group]
    apps = np.array(
        [_own_work(plan, rng, 1, recipes=("support", "extract", "draft", "translate", "rag")) for _ in range(groups)]
    )
    people["work"] = np.where((rng.random(groups) < 0.45)[group], apps[group], chats(plan, rng, people["country"]))
    people["rate"] *= 1.6
    _onboarded(rng, people, group, groups)
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


def chats(plan: Plan, rng: np.random.Generator, country: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """A way of chatting in the language of each account's country; some prefer English."""
    ways = np.array([[_chat_work(plan, language, way) for way in range(CHAT_WAYS)] for language in LANGUAGES])
    spoken = np.array([LANGUAGES.index(row[2]) for row in COUNTRIES])[country]
    spoken = np.where(rng.random(len(spoken)) < 0.2, 0, spoken)
    chosen: npt.NDArray[np.int64] = ways[spoken, (CHAT_WAYS * rng.random(len(spoken)) ** 2.5).astype(np.int64)]
    return chosen


def customers(plan: Plan, rng: np.random.Generator, templates: int) -> int:
    """The mixed traffic of unrelated customers behind one relay."""
    library = plan.library
    chosen = []
    for _ in range(templates):
        if rng.random() < 0.25:
            language = str(rng.choice(LANGUAGES, p=(0.44, 0.2, 0.08, 0.08, 0.06, 0.06, 0.05, 0.03)))
            chosen.append(library.template("chat", rng, item=_chat_kind(plan, language), bare=True))
        else:
            recipe = "paste" if rng.random() < 0.35 else str(rng.choice(APP_RECIPES))
            chosen.append(library.template(recipe, rng, item=_app_kind(plan, rng)))
    return library.workload(chosen, Dealing.FREE)


def _chat_kind(plan: Plan, language: str) -> int:
    kinds = plan.files.get(f"person_chat_{language}")
    return kinds[0] if kinds else plan.library.kinds.number(CHAT_KINDS[language], plan.library.words)


def _app_kind(plan: Plan, rng: np.random.Generator) -> int | None:
    kinds = plan.files.get("person_app")
    return int(rng.choice(kinds)) if kinds and rng.random() < 0.7 else None


def _chat_work(plan: Plan, language: str, way: int) -> int:
    """Bare questions, and among them pasted texts; every other way under an assistant's system prompt."""
    key = f"chat_work_{language}_{way}"
    if key not in plan.shared:
        rng, library = plan.stream(key), plan.library
        recipe = "assistant" if way % 2 else "chat"
        chosen = [library.template(recipe, rng, item=_chat_kind(plan, language), bare=True)]
        chosen += [library.template("paste", rng, item=_app_kind(plan, rng)) for _ in range(1 + way % 4)]
        plan.shared[key] = [library.workload(chosen, Dealing.FREE)]
    return plan.shared[key][0]


def _public_works(
    plan: Plan, name: str, recipes: Sequence[str], dealing: Dealing, *, items: int = 1, item: str = ""
) -> npt.NDArray[np.int64]:
    """Workloads everybody can find on the web: the same for every account of the world."""
    if name not in plan.shared:
        rng, kinds = plan.stream(name), plan.files.get(item, [None])
        works = []
        for k, recipe in enumerate(recipes):
            template = plan.library.template(recipe, rng, item=kinds[k % len(kinds)])
            works.append(plan.library.workload([template], dealing, items=items, salt=k + 1))
        plan.shared[name] = works
    return np.array(plan.shared[name])


def _harness_work(plan: Plan) -> int:
    """What the public harness sends: tasks, code and changes under one system prompt."""
    if "harness" not in plan.shared:
        library, kinds = plan.library, plan.files.get("person_code")
        items = kinds or [library.kinds.number(kind, library.words) for kind in ("workspace", "workspace", "workspace")]
        templates = [library.template("harness", plan.stream("harness"), item=item) for item in items]
        plan.shared["harness"] = [library.workload(templates, Dealing.FREE)]
    return plan.shared["harness"][0]


def _own_work(
    plan: Plan,
    rng: np.random.Generator,
    templates: int,
    dealing: Dealing = Dealing.FREE,
    items: int = 1,
    recipes: Sequence[str] = APP_RECIPES,
) -> int:
    own = [plan.library.template(str(rng.choice(recipes)), rng, item=_app_kind(plan, rng)) for _ in range(templates)]
    return plan.library.workload(own, dealing, items=items, salt=int(rng.integers(1, 2**40)))


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
    heavy = rng.random(count) < 0.04
    people["rate"] *= np.where(heavy, 14 * rate, rate)
    people["session_mean"] = 2 + rng.gamma(2, 4, count)
    return people


def _batch_jobs(plan: Plan, rng: np.random.Generator, count: int, recipes: Sequence[str]) -> Columns:
    people = _programmers(plan, rng, count, rate=8.0)
    group, groups = _groups(rng, count, 1, 6)
    people["work"] = np.array([_own_work(plan, rng, 1, recipes=recipes) for _ in range(groups)])[group]
    people["card"] = people["card"][np.unique(group, return_index=True)[1]][group]
    people["timing"][:] = BATCH
    people["hours"] = rng.choice([NIGHTLY, ALWAYS, OFFICE], count, p=(0.5, 0.3, 0.2))
    return people


def _groups(rng: np.random.Generator, count: int, low: int, high: int) -> tuple[npt.NDArray[np.int64], int]:
    """Split `count` accounts over owners of `low` to `high` accounts: owner of each, and how many owners."""
    sizes: list[int] = []
    while sum(sizes) < count:
        sizes.append(int(np.exp(rng.uniform(np.log(low), np.log(high + 1)))))
    return np.repeat(np.arange(len(sizes)), sizes)[:count], len(sizes)


def _group_works(
    plan: Plan, rng: np.random.Generator, group: npt.NDArray[np.int64], groups: int, low: int, high: int
) -> npt.NDArray[np.int64]:
    """Each account uses one of its company's few applications."""
    apps = [
        [_own_work(plan, rng, 1 + int(rng.integers(3))) for _ in range(int(rng.integers(low, high + 1)))]
        for _ in range(groups)
    ]
    draw = rng.random(len(group))
    return np.array([apps[g][int(u * len(apps[g]))] for g, u in zip(group, draw, strict=True)])


def _sheets(plan: Plan, rng: np.random.Generator, group: npt.NDArray[np.int64], groups: int) -> npt.NDArray[np.int64]:
    kinds = plan.files.get("person_homework", [None])
    works = []
    for _ in range(groups):
        bare = bool(rng.random() < 0.4)
        template = plan.library.template("tutor", rng, item=kinds[int(rng.integers(len(kinds)))], bare=bare)
        works.append(
            plan.library.workload(
                [template], Dealing.SET, items=int(rng.integers(6, 14)), salt=int(rng.integers(2**40))
            )
        )
    return np.array(works)[group]


def _one_owner(
    plan: Plan,
    rng: np.random.Generator,
    people: Columns,
    group: npt.NDArray[np.int64],
    groups: int,
    *,
    name: str,
    block: int,
    addresses: int,
) -> None:
    """Give each owner's accounts one card, one network, one organisation and mostly one mail domain."""
    count = len(group)
    networks, size = _group_networks(plan, rng, groups, name, block, addresses)
    people["card"] = rng.integers(1, 2**62, groups)[group]
    people["organization"] = _names(rng, groups, name)[group]
    people["net"], people["net_size"] = networks[group], np.full(count, size)
    people["net_other_share"] = np.where(rng.random(count) < 0.3, rng.uniform(0, 0.6, count), 0.0)
    people["signup"] = np.where(rng.random(count) < 0.7, networks[group], people["signup"])
    own_domain = (rng.random(groups) < 0.8)[group]
    domains = np.array([f"{word}.example" for word in _names(rng, groups, "mail")], object)[group]
    people["mail_domain"] = np.where(own_domain, domains, people["mail_domain"])
    people["mail_style"] = rng.choice(5, groups, p=(0.5, 0.1, 0.3, 0.1, 0.0))[group]
    people["country"] = rng.integers(len(COUNTRIES), size=groups)[group]
    people["device"] = np.where(rng.random(count) < 0.35, rng.integers(1, 2**62, groups)[group], people["device"])


def _group_networks(
    plan: Plan, rng: np.random.Generator, groups: int, name: str, block: int, addresses: int
) -> tuple[npt.NDArray[np.int64], int]:
    subnets = rng.integers(2**16, size=groups).astype(np.uint32)
    base = (np.uint32(block) << 24) + (subnets << 8)
    offsets = 10 + np.arange(addresses, dtype=np.uint32)
    first = plan.networks.add((base[:, None] + offsets).reshape(-1))
    return first + np.arange(groups) * addresses, addresses


def _names(rng: np.random.Generator, groups: int, kind: str) -> npt.NDArray[np.object_]:
    return np.array([f"{kind}-{number:08x}" for number in rng.integers(2**32, size=groups)], object)


def _per_group(
    rng: np.random.Generator, group: npt.NDArray[np.int64], groups: int, options: Sequence[object]
) -> npt.NDArray[np.object_]:
    return np.array(options, object)[rng.integers(len(options), size=groups)][group]


def _onboarded(rng: np.random.Generator, people: Columns, group: npt.NDArray[np.int64], groups: int) -> None:
    """Most accounts of an owner sign up within hours of one of a few days."""
    first = people["created_s"][np.unique(group, return_index=True)[1]]
    spread = np.where(rng.random(groups) < 0.6, 3_600.0, 9 * DAY_S)[group]
    together = rng.random(len(group)) < 0.8
    people["created_s"] = np.where(
        together, first[group] + rng.exponential(1, len(group)) * spread, people["created_s"]
    )


def _some_short_lived(rng: np.random.Generator, domains: npt.NDArray[Any], share: float) -> npt.NDArray[Any]:
    short = rng.choice(np.array(SHORT_LIVED_DOMAINS, object), len(domains))
    return np.where(rng.random(len(domains)) < share, short, domains)


__all__ = ["NONE", "SEGMENTS", "Builder", "chats", "customers"]
