"""The world `many-languages`: worked thoughts in eight languages and trajectories of tools, on accounts of a ring.

Made without the detector: no scan of it had been read when its numbers were chosen, and until `drawn` took its place
none was used to choose anything in the detector (docs/decisions/0034-a-world-left-out.md,
0046-a-second-world-left-out.md).

Why:    reasoning asked for in the language of the account, and agents at work, were named among what was taken; no
        other world asks in several languages, asks each item under several wordings, or borrows real people's accounts.
Misses: reasoning that a model translates afterwards, screenshots of computers at work, and a ring that serves several
        laboratories at once.
Source: providers' reports of 12 and 23 February and 10 September 2026 and the advisory AA26-251A, as below. Where they
        give no number the number is ours.

* *Size.* 6,000 accounts: disclosed ones have 273 to 25,000, and a relay 5,380. 800,000 exchanges in three weeks are
  some 15 a day for an account at work, between the 13 and the 26 of two disclosures; more than 100,000 prompts of one
  campaign asked for thoughts in the language of the user.
* *Work.* Eight desks ask for worked thoughts, one in each language; three for repairs in a repository and errands with
  tools, which is the larger part of what the largest campaigns took. The pretext is a tutor's.
* *Wordings.* Three to a desk, renewed in every third of the window: disclosed campaigns tried many forms and went on
  with those that worked. An account keeps the wordings that were in use when it began.
* *Items.* Each is asked once under every wording of a desk, by whoever is next: of several answers to one question a
  harvest keeps the right ones.
* *Timing.* Lots of work come in at any hour and are drained by the crew of the day; a lender's machine works when the
  lender is at home.
* *Bans.* The provider sweeps four times, at which a fifth of the accounts goes, and bans some singly; a place is filled
  from stock, half a day later.
* *Camouflage.* The ring resells: 10 to 55 % unrelated traffic, less than the 35 to 65 % of the relay in `feb2026`,
  whose trade that is; a third of its own accounts serve only buyers at first. A lender goes on chatting.
* *No pivot.* One disclosed campaign failed on a new model and kept to the older one, whose safeguards were weaker.
"""

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.deals import item_kind
from stillwatch.evaluation.disguises import with_stolen_keys
from stillwatch.evaluation.hostile import Campaign, Hygiene
from stillwatch.evaluation.origins import LENT, obtained
from stillwatch.evaluation.people import ALWAYS, DAY_S, EVENING, LOTS, SESSIONS, Columns, Plan
from stillwatch.evaluation.succession import Sweeps, swept
from stillwatch.evaluation.templates import Dealing
from stillwatch.evaluation.works import chats

Ints = npt.NDArray[np.int64]

STARTS_AT = datetime(2026, 10, 5, tzinfo=UTC)
DAYS = 21
TRAFFIC_PER_HOSTILE = 6.5  # exchanges: near four a day for a customer, as in `reward-model`
SENTENCE = (
    "One campaign asks for worked thoughts in eight languages and for trajectories of tools, on accounts that a ring "
    "borrows, buys prepaid and makes; tutors prepare lessons with the same words."
)
MORE_CUSTOMERS = {"tutors": 0.053}  # share, beside those of the other worlds: one customer in twenty

EDITIONS = 3  # of the wordings: one week each
WORDINGS = 3  # of a desk at a time, and so answers to each item
WARMED = 0.35  # of the ring's own accounts serve only buyers at first
WARM_DAYS = (1.0, 5.0)
LARGE_MODEL, CODE_MODEL = 0, 3  # of thoughts, and of half of the repairs and errands
CHOSEN = 0.6  # of the accounts use these; the others what they happen to have
LATE_DAYS = 3.0  # at least, until the new model is used


def disguised(campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns) -> None:
    """Let the planned accounts follow each other, come from the ring, and do its work; victims' own lives stay."""
    stolen = people["role"] == "compromised"
    kept = {name: values.copy() for name, values in people.items() if name not in ("work", "rate")}
    place = swept(campaign, plan, rng, people, Sweeps())
    origin = obtained(campaign, plan, rng, people, place)
    _provide(campaign, plan, rng, people, place, origin)
    for name, values in kept.items():
        people[name] = np.where(stolen, values, people[name])
    with_stolen_keys(campaign, plan, rng, people)


def _provide(
    campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns, place: Ints, origin: Ints
) -> None:
    """Give each place its desk, which its accounts inherit, and each account the wordings of the time it begins."""
    count, places = len(place), int(place.max()) + 1
    desk = (rng.random(places) * len(campaign.recipes)).astype(np.int64)[place]
    own = origin != LENT
    warm = own & (rng.random(count) < WARMED) & (people["role"] != "compromised") & (not campaign.mixes_alone)
    lasts = people["to_s"] - people["from_s"]
    begins = people["from_s"] + np.where(warm, np.minimum(rng.uniform(*WARM_DAYS, count) * DAY_S, 0.4 * lasts), 0.0)
    edition = np.minimum((begins / (plan.days * DAY_S) * EDITIONS).astype(np.int64), EDITIONS - 1)
    harvest = np.array(_desks(campaign, plan, count))[desk, edition]
    people["work"] = np.where(warm, people["side"], harvest)
    people["late"], people["late_s"] = harvest, np.where(warm, begins, np.inf)
    if not campaign.mixes_alone:
        people["side"] = np.where(own, people["side"], chats(plan, rng, people["country"]))
    _time(campaign, rng, people, own)
    capability = np.array([plan.library.words.recipes[recipe].capability for recipe in campaign.recipes])[desk]
    acts = np.isin(capability, ("agentic_coding", "tool_use"))
    people["multi_turn"] = rng.random(count) < np.where(acts, 0.85, 0.35)
    fit = np.where(acts & (rng.random(count) < 0.5), CODE_MODEL, LARGE_MODEL)
    people["model"] = np.where(rng.random(count) < CHOSEN, fit, people["model"])
    late = plan.release_s + (LATE_DAYS + rng.exponential(5, count)) * DAY_S
    people["adopts_s"] = np.maximum(people["adopts_s"], late)


def _time(campaign: Campaign, rng: np.random.Generator, people: Columns, own: npt.NDArray[np.bool_]) -> None:
    """Lots for whoever works through a crew, a lender's evenings at a lender's home."""
    count = len(own)
    lots = (people["machine_share"] > 0) & (campaign.jitter_s < DAY_S)
    people["timing"] = np.where(lots, LOTS, SESSIONS)
    people["jitter_s"] = np.where(lots, campaign.jitter_s, 0.0)
    people["hours"] = np.where(people["machine_share"] > 0, ALWAYS, np.where(own, people["hours"], EVENING))
    people["timetable_s"] = np.zeros(count)
    people["weekend"] = np.where(own, rng.uniform(0.6, 1.1, count), people["weekend"])
    people["session_mean"] = np.where(lots, 3 + rng.gamma(2, 2, count), 2 + rng.gamma(2, 1.6, count))


def _desks(campaign: Campaign, plan: Plan, count: int) -> list[list[int]]:
    """The workload of each desk in each edition: a desk keeps its corpus, and one wording of a lesson is English."""
    items = int(campaign.exchanges / campaign.accounts * count / len(campaign.recipes) * 2) + 200
    desks = []
    for number, recipe in enumerate(campaign.recipes):
        rng = plan.stream("desk", campaign.aim, number)
        salt = int(rng.integers(1, 2**40))
        sources = plan.harvest_kinds(campaign.aim, plan.library.words.recipes[recipe].capability)
        kind = item_kind(plan, rng, recipe, sources)
        editions = []
        for edition in range(EDITIONS):
            english = ("lesson_en", plan.stream("english", campaign.aim, edition))
            last = english if recipe.startswith("lesson_") else (recipe, rng)
            drawn = [*[(recipe, rng)] * (WORDINGS - 1), last]
            asked = [_template(campaign, plan, own, name, kind) for name, own in drawn]
            editions.append(plan.library.workload(asked, Dealing.PARALLEL, items=items, salt=salt))
        desks.append(editions)
    return desks


def _template(campaign: Campaign, plan: Plan, rng: np.random.Generator, recipe: str, kind: int) -> int:
    return plan.library.template(recipe, rng, item=kind, reworded=campaign.reworded, paraphrase=campaign.paraphrase)


CAMPAIGNS = (
    Campaign(
        "polyglot",
        accounts=6_000,
        exchanges=800_000,
        recipes=(
            *("lesson_zh", "lesson_ja", "lesson_ko", "lesson_es", "lesson_de", "lesson_fr", "lesson_pt", "lesson_en"),
            *("repair", "errand", "repair"),
        ),
        timing=(0.0, 0.0, 1.0),  # but for the lots of `disguised`
        hygiene=Hygiene(card=0.0, device=0.0, mail=0.0, cohort=0.0, exits=0.0, careful=0.0),  # as the origins have it
        camouflage=(0.1, 0.55),
        paths=(0.6, 0.04, 0.14, 0.12, 0.1),  # several pathways, as reported
        compromised=0.06,  # stolen keys were named; bought and lent ones are easier to have
        disguise=disguised,
    ),
)
