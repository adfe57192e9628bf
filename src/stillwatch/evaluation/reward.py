"""The world `reward-model`: one campaign that has answers graded and tools used, on accounts it buys and replaces.

Made without the detector: no scan of it had been read when its numbers were chosen, and until another world took its
place none was used to choose anything in the detector (docs/decisions/0034-a-world-left-out.md,
0046-a-second-world-left-out.md).

Why:    grades and preferences that train a reward model, and dialogues with tools, were named among what was taken; no
        other world is mostly those, and none buys its accounts.
Misses: answers of the campaign's own model as items (they are built in or come from the file of prompts), probes that
        ask again and again whether answers have become worse, and a provider who bans in waves.
Source: providers' reports of 23 February and 10 September 2026 and the advisory AA26-251A, as below. Where they give no
        number the number is ours.

* *Size.* 6,000 accounts: disclosed ones have 273 to 25,000, and a relay 5,380. 1.1 million exchanges in 28 days are 18
  a day for an account at work, between the 13 and the 26 of two disclosures; 770,000 in ten days were judged and
  cleaned in another.
* *Work.* Grading by rubric as a reward, judging of traces (reports of both months); agentic reasoning and tool use.
  Half the accounts grade, as a grade is asked for each dialogue; pretexts are those of people who grade for a living.
* *Pretexts.* An account has two or three of them, neighbours in a row: identical patterns over all accounts were what
  gave campaigns away, and an operator who knows that deals them out.
* *Timing.* The graders wait on training rounds, which come at even distances ("coordinated timing"); dialogues do not.
* *Succession.* A banned account is replaced ("hydra cluster"), by automatic failover, and its successor takes over its
  queue. One chain in three is never banned, some have five successors.
* *Camouflage.* The sellers' relays mix in traffic of other buyers; less than the 35 to 65 % of the relay in `feb2026`,
  as only a part of these accounts is resold.
* *Pivot.* Within a day, and for half of the traffic, as disclosed of one campaign.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.hostile import Campaign, Hygiene
from stillwatch.evaluation.people import ALWAYS, BATCH, DAY_S, ROUNDS, SESSIONS, Columns, Plan
from stillwatch.evaluation.sellers import bought
from stillwatch.evaluation.succession import Chains, chained
from stillwatch.evaluation.templates import Dealing

STARTS_AT = datetime(2026, 8, 3, tzinfo=UTC)
DAYS = 28
TRAFFIC_PER_HOSTILE = 6.0  # exchanges: near four a day for a customer, as in the worlds whose campaigns are heavier
SENTENCE = (
    "One campaign has answers graded for a reward model and tools used in dialogues, on accounts that two sellers make "
    "in batches and replace when they are banned; freelance raters mark by the same published schemes."
)
MORE_CUSTOMERS = {"raters": 0.04}  # share, beside those of the other worlds: about half as many as its accounts

WORDINGS = 2  # of each pretext
PRETEXTS = (2, 3)  # of one account
GRADERS = 0.5  # of the places: a grade is asked for each dialogue


def disguised(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns) -> None:
    """Let the planned accounts follow each other, come from sellers, and do the work of a reward model."""
    place = chained(campaign, plan, rng, people, Chains())
    bought(campaign, plan, rng, people)
    _provide(campaign, plan, rng, people, place)


def _provide(
    campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns, place: npt.NDArray[np.int64]
) -> None:
    """Give each place its work, which its accounts inherit: grading in rounds, or dialogues at any time."""
    count, places = len(place), int(place.max()) + 1
    recipes = plan.library.words.recipes
    grading = tuple(name for name in campaign.recipes if recipes[name].capability == "grading")
    talking = tuple(name for name in campaign.recipes if name not in grading)
    works = plan.stream("work", campaign.aim)
    grades = (rng.random(places) < GRADERS)[place]
    draw = rng.random(places)[place]
    queues = [np.array(_queues(campaign, plan, works, one, count)) for one in (talking, grading)]
    talks, marks = (own[(draw * len(own)).astype(int)] for own in queues)
    people["work"] = np.where(grades, marks, talks)
    has_schedule = campaign.jitter_s < DAY_S
    people["timing"] = np.where(grades, ROUNDS if has_schedule else BATCH, SESSIONS)
    people["jitter_s"] = np.where(grades & has_schedule, campaign.jitter_s, 0.0)
    people["hours"] = np.where(grades, ALWAYS, people["hours"])
    people["weekend"] = np.where(grades, rng.uniform(0.7, 1.2, count), people["weekend"])
    people["multi_turn"] = rng.random(count) < np.where(grades, 0.15, 0.85)
    people["session_mean"] = np.where(grades, 2 + rng.gamma(2, 1.5, count), 4 + rng.gamma(2, 3, count))


def _queues(campaign: Campaign, plan: Plan, rng: np.random.Generator, recipes: Sequence[str], count: int) -> list[int]:
    """Workloads of two or three neighbours each, out of one row of pretexts, every one with a part of the corpus."""
    row = [_template(campaign, plan, rng, recipe, turn) for turn in range(WORDINGS) for recipe in recipes]
    runs = [row[at : at + width] for width in PRETEXTS for at in range(max(len(row) - width + 1, 1))]
    items = int(campaign.exchanges / campaign.accounts * count / len(runs) * 2) + 200
    return [plan.library.workload(run, Dealing.SHARD, items=items, salt=int(rng.integers(1, 2**40))) for run in runs]


def _template(campaign: Campaign, plan: Plan, rng: np.random.Generator, recipe: str, turn: int) -> int:
    kinds = plan.harvest_kinds(campaign.aim, plan.library.words.recipes[recipe].capability)
    return plan.library.template(
        recipe,
        rng,
        item=kinds[turn % len(kinds)] if kinds else None,
        reworded=campaign.reworded,
        paraphrase=campaign.paraphrase,
    )


CAMPAIGNS = (
    Campaign(
        "reward",
        accounts=6_000,
        exchanges=1_100_000,
        recipes=("quality_check", "tool_turns", "preference", "agentic_code", "step_grade", "tool_use", "rubric_grade"),
        timing=(0.0, 0.0, 1.0),  # but for the rounds of `disguised`
        hygiene=Hygiene(card=0.0, device=0.0, mail=0.0, cohort=0.0, exits=0.0, careful=0.0),  # as the sellers have it
        camouflage=(0.0, 0.4),
        programs=(("free", 0.25), ("paid", 0.6), ("education", 0.06), ("startup", 0.06), ("research", 0.03)),
        paths=(0.7, 0.08, 0.1, 0.06, 0.06),
        pivot=True,
        compromised=0.0,
        disguise=disguised,
    ),
)
