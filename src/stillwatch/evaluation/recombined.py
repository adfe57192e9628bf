"""Innocents whose prompts are put together anew on each call: what a campaign that rewords its instruction looks like.

Why:    a pool of rewordings shows as prompts that share many short runs of words, each time in another combination,
        with nothing that stays. Benchmarks with demonstrations drawn at random, assistants over public texts and public
        tools that vary their wording show the same among strangers.
Misses: rewordings by a model, which hardly share a run of words; tools that a single company writes for its customers.
Source: own; few-shot prompts with demonstrations at random as in Brown et al., NeurIPS 33 (2020), section 2.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random

import numpy as np

from stillwatch.evaluation.grammar import Grammar, worded
from stillwatch.evaluation.legitimate import SEGMENTS, Builder
from stillwatch.evaluation.people import BATCH, Columns, Plan
from stillwatch.evaluation.templates import Dealing

DEMONSTRATIONS = 128  # of a public benchmark
BENCHMARK_ITEMS = 1_300
PASSAGES = 400  # of a public collection
WAYS = 10  # wordings that a public collection of prompts has of one task
ANSWERS = ("It is the second one.", "Yes.", "No, the text does not say so.", "positive", "negative", "About forty.")
INSTRUCTION = "Answer the question from the passages below, and say so where they do not tell.\n\n"

Work = Callable[[Plan, np.random.Generator], int]


def _demonstrated(plan: Plan, _: np.random.Generator) -> int:
    """A public benchmark: three demonstrations at random before an item that everybody else sends as well."""

    def made() -> int:
        questions = _public_texts(plan, "person_app", "math", (40, 160), DEMONSTRATIONS)
        shown = [f"Q: {text}\nA: {ANSWERS[i % len(ANSWERS)]}\n\n" for i, text in enumerate(questions)]
        item = _kind(plan, "person_eval", "math")
        template = plan.library.assembled("reasoning", [shown] * 3, item=item, after="\nA:")
        return plan.library.workload([template], Dealing.SET, items=BENCHMARK_ITEMS, salt=1)

    return _once(plan, "demonstrated", made)


def _read(plan: Plan, _: np.random.Generator) -> int:
    """A public assistant: two passages of a public collection under one instruction, and a question of one's own."""

    def made() -> int:
        passages = [f"{text}\n\n" for text in _public_texts(plan, "person_app", "passage", (200, 3_000), PASSAGES)]
        item = _kind(plan, "person_chat_en", "chat")
        return plan.library.workload(
            [plan.library.assembled("rag", [[INSTRUCTION], passages, passages], item=item)], Dealing.FREE
        )

    return _once(plan, "read", made)


def _chosen(plan: Plan, rng: np.random.Generator) -> int:
    """A public collection of prompts that words one task in ten ways, over items of one's own field."""
    field, words = _field(plan, rng), plan.library.words

    def made() -> int:
        dice = Random(WAYS)
        ways = [worded("@persona@steps@depth", dice, words) for _ in range(WAYS)]
        templates = [
            plan.library.assembled("reasoning", [[way]], item=field, after=worded("\n@boxed@closing", dice, words))
            for way in ways
        ]
        return plan.library.workload(templates, Dealing.FREE)

    return _once(plan, f"chosen {field}", made)


def _varied(plan: Plan, rng: np.random.Generator) -> int:
    """A public tool that words its instruction anew on every call, over items of one's own field."""
    field = _field(plan, rng)

    def made() -> int:
        same = plan.stream("varied")
        template = plan.library.template("rubric_grade", same, item=field, system="", reworded=True)
        return plan.library.workload([template], Dealing.FREE)

    return _once(plan, f"varied {field}", made)


def _population(work: Work) -> Builder:
    """Independent people who call the API from code and have this to do."""

    def people(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
        found = SEGMENTS["judges"](plan, rng, count)
        found["work"] = np.array([work(plan, rng) for _ in range(count)])
        found["timing"][:] = BATCH
        found["side_share"] = np.minimum(found["side_share"], 0.3)
        return found

    return people


def _once(plan: Plan, name: str, made: Callable[[], int]) -> int:
    if name not in plan.shared:
        plan.shared[name] = [made()]
    return plan.shared[name][0]


def _kind(plan: Plan, use: str, built_in: str) -> int:
    return plan.files[use][0] if plan.files.get(use) else plan.library.kinds.number(built_in, plan.library.words)


def _field(plan: Plan, rng: np.random.Generator) -> int:
    """The kind of item that one user has."""
    kinds = plan.files.get("person_app")
    names = ("math", "data", "code", "chat")
    return int(rng.choice(kinds)) if kinds else plan.library.kinds.number(str(rng.choice(names)), plan.library.words)


def _public_texts(plan: Plan, use: str, built_in: str, length: tuple[int, int], count: int) -> Sequence[str]:
    """Texts of some length [characters] that everybody can find: of the file of prompts, or else built in."""
    library, low, high = plan.library, *length
    own = [text for kind in plan.files.get(use, ()) for text in library.kinds.whole_texts(kind)]
    fit = sorted({text for text in own if low <= len(text) <= high}) or _built_in(library.words, built_in)
    order = plan.stream("public texts", use, built_in).permutation(len(fit))
    return [fit[i] for i in order[:count]]


def _built_in(words: Grammar, frames: str) -> Sequence[str]:
    dice = Random(frames)
    return sorted({worded(dice.choice(words.frames[frames]), dice, words) for _ in range(2 * PASSAGES)})


RECOMBINED: Mapping[str, Builder] = {
    "demonstrated": _population(_demonstrated),
    "public_readers": _population(_read),
    "ten_wordings": _population(_chosen),
    "rewording_tool": _population(_varied),
}
