"""What owners send: chat, public templates, applications of their own, and the mixed traffic of many customers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.grammar import LANGUAGES
from stillwatch.evaluation.people import COUNTRIES, Plan
from stillwatch.evaluation.templates import Dealing

APP_RECIPES = (
    *("support", "extract", "draft", "translate", "rag", "review", "support", "extract", "draft"),
    *("reasoning", "rubric_grade", "data_analysis", "tool_use", "agentic_code", "task_generation", "rationale"),
    *("reasoning_tags", "pairwise", "vision", "safe_rewrite", "reasoning_zh", "vision", "vision", "tool_use"),
)
CHAT_WAYS = 32  # assistants and habits of pasting, per language
CHAT_KINDS = {language: "chat" if language == "en" else f"chat_{language}" for language in LANGUAGES}


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
    system = "" if rng.random() < 0.5 else None  # some relays fold the system prompt into the turn they forward
    for _ in range(templates):
        if rng.random() < 0.25:
            language = str(rng.choice(LANGUAGES, p=(0.44, 0.2, 0.08, 0.08, 0.06, 0.06, 0.05, 0.03)))
            chosen.append(library.template("chat", rng, item=_chat_kind(plan, language), bare=True))
        else:
            recipe = "paste" if rng.random() < 0.35 else str(rng.choice(APP_RECIPES))
            chosen.append(library.template(recipe, rng, item=_app_kind(plan, rng), system=system))
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


def public_works(
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


def harness_work(plan: Plan) -> int:
    """What the public harness sends: tasks, code and changes under one system prompt."""
    if "harness" not in plan.shared:
        library, kinds = plan.library, plan.files.get("person_code")
        items = kinds or [library.kinds.number(kind, library.words) for kind in ("workspace", "workspace", "workspace")]
        templates = [library.template("harness", plan.stream("harness"), item=item) for item in items]
        plan.shared["harness"] = [library.workload(templates, Dealing.FREE)]
    return plan.shared["harness"][0]


def own_work(
    plan: Plan,
    rng: np.random.Generator,
    templates: int,
    dealing: Dealing = Dealing.FREE,
    items: int = 1,
    recipes: Sequence[str] = APP_RECIPES,
) -> int:
    """A workload of its owner alone."""
    own = [plan.library.template(str(rng.choice(recipes)), rng, item=_app_kind(plan, rng)) for _ in range(templates)]
    return plan.library.workload(own, dealing, items=items, salt=int(rng.integers(1, 2**40)))


def group_works(
    plan: Plan, rng: np.random.Generator, group: npt.NDArray[np.int64], groups: int, low: int, high: int
) -> npt.NDArray[np.int64]:
    """Each account uses one of its company's few applications."""
    apps = [
        [own_work(plan, rng, 1 + int(rng.integers(3))) for _ in range(int(rng.integers(low, high + 1)))]
        for _ in range(groups)
    ]
    draw = rng.random(len(group))
    return np.array([apps[g][int(u * len(apps[g]))] for g, u in zip(group, draw, strict=True)])


def sheets(plan: Plan, rng: np.random.Generator, group: npt.NDArray[np.int64], groups: int) -> npt.NDArray[np.int64]:
    """The exercises of each class."""
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
