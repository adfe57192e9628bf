"""Innocent organisations that look most like a hidden harvest: one large product, or one large customer of a reseller.

Why:    a company's own product is many keys on one template with ever new items: half of what a harvest looks like.
Misses: companies that make training data for a model of their own, which no log tells from a harvest.
Source: own; the populations are ours, as are their shares.
"""

from collections.abc import Mapping

import numpy as np

from stillwatch.evaluation.legitimate import SEGMENTS, Builder
from stillwatch.evaluation.people import ALWAYS, BATCH, NIGHTLY, Columns, Plan
from stillwatch.evaluation.templates import Dealing
from stillwatch.evaluation.works import customers, own_work, public_works

PRODUCTS = ("translate", "rag", "extract", "task_generation", "rubric_grade", "data_analysis", "rationale")
PUBLIC_RUBRIC = "rubric_grade"  # graded with the rubric everybody can find, not with one of its own


def products(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Companies whose keys nearly all serve one large batch product; some grade their own model's answers with it."""
    people = SEGMENTS["enterprises"](plan, rng, count)
    firm, firms = _owners(people)
    forms = ("rubric_grade", "pairwise", "rubric_grade")
    rubrics = public_works(plan, "judges", forms, Dealing.FREE, item="person_judge")
    works = []
    for one in range(firms):
        recipe = PRODUCTS[one % len(PRODUCTS)]
        graded = recipe == PUBLIC_RUBRIC
        works.append(int(rng.choice(rubrics)) if graded else own_work(plan, rng, 1, recipes=(recipe,)))
    most = rng.random(count) < 0.85
    people["work"] = np.where(most, np.array(works)[firm], people["work"])
    people["side_share"] = np.where(most, 0.0, people["side_share"])
    people["timing"] = np.where(most, BATCH, people["timing"])
    people["hours"] = np.where(most, rng.choice([NIGHTLY, ALWAYS], firms)[firm], people["hours"])
    people["rate"] = np.where(most, people["rate"] * 4, people["rate"])
    return people


def anchored_resellers(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Approved partners, half of whose traffic is the product of one large customer on one or two templates."""
    people = SEGMENTS["resellers"](plan, rng, count)
    firm, firms = _owners(people)
    anchors = [own_work(plan, rng, 1 + one % 2) for one in range(firms)]
    people["side"] = np.array([customers(plan, rng, 48) for _ in range(firms)])[firm]
    people["work"] = np.array(anchors)[firm]
    people["side_share"] = rng.uniform(0.35, 0.65, count)
    return people


def _owners(people: Columns) -> tuple[np.ndarray, int]:
    """Owner of each account by its organisation, and how many owners."""
    names, owner = np.unique(people["organization"].astype(str), return_inverse=True)
    return owner, len(names)


TWINS: Mapping[str, Builder] = {"products": products, "anchored_resellers": anchored_resellers}
