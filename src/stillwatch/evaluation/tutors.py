"""Private tutors on a few marketplaces: lessons in eight languages, prepared with the same words at the same hours.

Why:    they have what a harvest of worked thoughts has, for honest reasons: one wording in many languages, the same
        exercises at several tutors, evenings at which all begin, classrooms on rented machines, discounts for teachers,
        and the cheapest seat that a shop sells. They declare no organisation and no campus.
Misses: tutors of a school that runs all of their accounts, and tutors who sell what they prepare to a laboratory, whose
        work no log tells from a campaign's.
Source: own; the shares are ours, as no provider has published any.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.crews import crewed
from stillwatch.evaluation.legitimate import Builder
from stillwatch.evaluation.owners import onboarded, shared_by_few, split
from stillwatch.evaluation.people import COUNTRIES, DAY_S, EVENING, LOTS, Columns, Plan, ordinary
from stillwatch.evaluation.shops import prepaid, rented
from stillwatch.evaluation.templates import Dealing
from stillwatch.evaluation.works import chats

Ints = npt.NDArray[np.int64]

MARKETPLACE = (15, 120)  # tutors who teach one country's pupils
NATIVE = 0.75  # of the tutors live there, the others teach from afar
PROGRAMMERS = 0.22  # of the tutors teach how to program, as that is what pupils come for after mathematics
OWN_WORDS = 0.35  # of the marketplaces; the others take the ones that went round
DEALT = 0.5  # of the marketplaces have each exercise of their list worked by several tutors; the others use old papers
PAPERS = 900  # exercises of old examinations that everybody has
TIMETABLED = 0.65  # of the tutors teach at the marketplace's hours
CLASSROOM = 0.6  # of the tutors prepare in the marketplace's classroom, a rented machine
IN_CLASSROOM = (0.4, 1.0)  # of what they prepare
ROOM = 6  # tutors to a classroom
ROOM_DAYS = 7  # a timetable holds for a week
DISCOUNT = 0.4  # of the tutors have a discount for teachers
PREPAID = 0.25  # of the tutors bought a seat from a shop, because it is cheap
PER_CARD = 2.5  # tutors on one card of the shop
RENTED = 0.07  # of the tutors gave a rented number, because pupils should not have theirs
PER_NUMBER = 1.5  # tutors on one
VOUCHER = (2, 5)  # tutors whose month the marketplace pays with one card
VOUCHERED = 0.12  # of the tutors
TABLET = 0.08  # of the tutors share a tablet at a learning centre
TABLETS = (2, 3)  # tutors on one
TOLD = 0.25  # of the marketplaces tell everybody to use the new model
EVENINGS = 0.9  # of the tutors work when pupils are out of school
BUSY = 4  # times the exchanges of ordinary people: it is their trade
PUBLIC_WORDS = 2  # sets that went round, of each subject and language


def tutors(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Private people who prepare lessons in the language of their pupils, most of them in the evening."""
    people = ordinary(plan, rng, count)
    group, groups = split(rng, count, *MARKETPLACE)
    country = rng.integers(len(COUNTRIES), size=groups)
    people["country"] = np.where(rng.random(count) < NATIVE, country[group], people["country"])
    _pay(plan, rng, people, group)
    _meet(plan, rng, people, group, country)
    programs = rng.random(count) < PROGRAMMERS
    works = _subjects(plan, rng, country, count)
    people["work"] = np.where(programs, works[group, 1], works[group, 0])
    people["multi_turn"] = rng.random(count) < np.where(programs, 0.8, 0.5)
    people["side"] = chats(plan, rng, people["country"])
    people["side_share"] = rng.uniform(0.1, 0.6, count)
    onboarded(rng, people, group, groups)
    return people


def _pay(plan: Plan, rng: np.random.Generator, people: Columns, group: Ints) -> None:
    """A teacher's discount, a voucher, a seat from a shop, a rented number, a tablet: each for some, by itself."""
    count = len(group)
    discount = rng.random(count) < DISCOUNT
    people["program"] = np.where(discount, "education", people["program"]).astype(object)
    vouchered = rng.random(count) < VOUCHERED
    people["card"] = np.where(vouchered, _held(rng, group, vouchered, VOUCHER), people["card"])
    prepaid(plan, rng, people, ~vouchered & (rng.random(count) < PREPAID), PER_CARD)
    rented(plan, rng, people, rng.random(count) < RENTED, PER_NUMBER)
    tablet = rng.random(count) < TABLET
    people["device"] = np.where(tablet, _held(rng, group, tablet, TABLETS), people["device"])


def _held(rng: np.random.Generator, group: Ints, chosen: npt.NDArray[np.bool_], sizes: tuple[int, int]) -> Ints:
    """A number that `sizes` chosen tutors of one marketplace have in common."""
    return shared_by_few(rng, np.where(chosen, group, int(group.max()) + 1 + np.arange(len(group))), sizes)


def _meet(plan: Plan, rng: np.random.Generator, people: Columns, group: Ints, country: Ints) -> None:
    """Evenings by the marketplace's timetable, classrooms that change by the week, a new model when told."""
    count, groups = len(group), len(country)
    ahead_s = np.array([row[1] for row in COUNTRIES]) * 3600.0
    people["timing"] = np.where(rng.random(count) < TIMETABLED, LOTS, people["timing"])
    people["timetable_s"] = ahead_s[country][group]
    people["hours"] = np.where(rng.random(count) < EVENINGS, EVENING, people["hours"])
    people["weekend"] = rng.uniform(0.5, 1.4, count)
    people["day_share"] = rng.beta(6, 3, count)
    people["rate"] *= BUSY
    people["session_mean"] = 3 + rng.gamma(2, 3, count)
    share = np.where(rng.random(count) < CLASSROOM, rng.uniform(*IN_CLASSROOM, count), 0.0)
    rooms = np.bincount(group, minlength=groups) // ROOM
    pool = rng.integers(1, 2**40, groups)
    crewed(plan, people, pool=pool[group], crew_count=rooms[group], days=ROOM_DAYS, share=share)
    told = plan.release_s + (rng.uniform(1, 4, groups)[group] + rng.exponential(0.3, count)) * DAY_S
    people["adopts_s"] = np.where((rng.random(groups) < TOLD)[group], told, people["adopts_s"])


def _subjects(plan: Plan, rng: np.random.Generator, country: Ints, count: int) -> Ints:
    """Lessons and repairs of each marketplace (marketplaces, 2): public wordings or its own, a list or old papers."""
    works = []
    for one in country.tolist():
        language = COUNTRIES[one][2]
        own, dealt = rng.random() < OWN_WORDS, rng.random() < DEALT
        pair = []
        for recipe, use in ((f"lesson_{language}", "person_homework"), ("repair", "person_code")):
            words = int(rng.integers(1, 2**40)) if own else int(rng.integers(PUBLIC_WORDS))
            templates = _wordings(plan, recipe, use, words)
            salt = int(rng.integers(1, 2**40)) if dealt else 1
            dealing, items = (Dealing.PARALLEL, 200 + 40 * count) if dealt else (Dealing.SET, PAPERS)
            pair.append(plan.library.workload(templates, dealing, items=items, salt=salt))
        works.append(pair)
    return np.array(works)


def _wordings(plan: Plan, recipe: str, use: str, words: int) -> list[int]:
    """Two wordings in the language of the lesson and one in English, over one kind of exercise; the same for all."""
    library = plan.library
    kinds = plan.files.get(use) or [library.kinds.number(library.words.recipes[recipe].item[0], library.words)]
    rng, english = plan.stream("tutors", recipe, words), plan.stream("tutors", "english", words)
    asked = [library.template(recipe, rng, item=kinds[0]) for _ in range(2)]
    return [*asked, library.template("lesson_en" if recipe != "repair" else recipe, english, item=kinds[0])]


TUTORS: Mapping[str, Builder] = {"tutors": tutors}
