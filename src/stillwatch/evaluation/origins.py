"""Accounts that a ring obtains in three ways: lent by people in a programme, bought prepaid, made on kept telephones.

Why:    education, start-up and research programmes were named as the pathways most exploited; who lends an account is a
        real person with a past, an address and chats of his own, and shares nothing with the next lender.
Misses: lenders who know each other from a forum only, programmes that ask for papers, and lenders who take back what
        they lent.
Source: providers' reports of 23 February and 10 September 2026 and the advisory AA26-251A of 8 September 2026. Every
        share below is ours.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.crews import crewed
from stillwatch.evaluation.hostile import Campaign
from stillwatch.evaluation.owners import shared_by_few, split
from stillwatch.evaluation.people import COUNTRIES, DAY_S, WEB_CLIENTS, Columns, Plan
from stillwatch.evaluation.shops import prepaid, rented

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

LENT, PREPAID, MADE = range(3)
AS_BEFORE = 0.8  # of the successors are obtained as the account was that they follow
CIRCLE = (4, 25)  # lenders one broker recruits: a corridor of a hall, the firms of one incubator
COMPATRIOTS = 0.8  # of the lenders are from the country of their circle; some study or work abroad
PROGRAMMES = ("education", "startup", "research")  # of a circle, in the order of reported exploitation, falling
PROGRAMME_SHARES = (0.5, 0.3, 0.2)
JOINED = 0.5  # of the lenders joined the programme for the broker, as a circle; the others had their account before
RECRUITED_DAYS = 10.0  # within which a circle signs up
STOCK_DAYS = (30.0, 12.0, 20.0)  # scale of the time from sign-up to work by origin: buyers ask for aged accounts
AT_UNIVERSITY = 0.55  # of the circles in education have its addresses; programmes take other proof as well
CREDITED = 0.65  # of the lent accounts have no card: the programme pays
RENTED = (0.0, 0.04, 0.14)  # of the accounts by origin; a lender has a telephone, a prepaid seat needs none
PER_NUMBER = 2.5  # accounts of the ring on one number: providers take a number two or three times
KEPT = (2, 3)  # accounts made one after another on one telephone, which is wiped between them
SITTING = (4, 16)  # accounts made in one, of an evening
SITTING_H = 5.0
FREE = 0.6  # of the made accounts: they cost nothing but the sitting
UNPAID = 0.75  # of these have no card either
MOBILE = 0.4  # of the accounts of shop and makers sign up over a carrier, of everybody a quarter
WEB = 0.4  # of the prepaid accounts are used as the subscription is meant: on the web
ABROAD = 0.45  # of the ring's own accounts have a commercial VPN beside the crew's machine, the others homes
CREW_DAYS = 3  # after which a rented machine is given up, before its address is known
_GIVEN = (
    *("created_s", "country", "mail_domain", "mail_style", "signup", "device", "phone", "card", "organization"),
    *("program", "plan", "level", "net", "net_size", "roams", "client", "path", "machine_share"),
)


@dataclass(frozen=True, slots=True)
class Ring:
    """Where a ring has its accounts from and how it uses them; the numbers of `many-languages`."""

    name: str = "ring"  # whose crews they are
    shares: tuple[float, float, float] = (0.42, 0.3, 0.28)  # lent, as reported first, prepaid, made; no fringe
    at_home: float = 0.6  # of the lent accounts are used from there: the ring's program runs on the lender's machine
    per_card: float = 6.0  # accounts of the ring on a card of the shop
    crew: int = 8  # accounts at work that share a machine and a queue
    crew_days: int = CREW_DAYS


def obtained(
    campaign: Campaign,
    plan: Plan,
    rng: np.random.Generator,
    people: Columns,
    place: Ints,
    ring: Ring | None = None,
) -> Ints:
    """Give the accounts the sign-up, payment and connection that each has by its origin, and return the origins.

    `campaign.hygiene.careful` of the accounts keep everything of their own.
    """
    count, places, ring = len(place), int(place.max()) + 1, ring or Ring()
    first, other = rng.choice(3, places, p=ring.shares)[place], rng.choice(3, count, p=ring.shares)
    origin = np.where(rng.random(count) < AS_BEFORE, first, other)
    people["organization"] = np.full(count, None, object)
    people["created_s"] = np.minimum(people["created_s"], people["from_s"] - 3600)
    people["machine_share"] = np.zeros(count)
    own = {name: people[name].copy() for name in _GIVEN}
    _lend(rng, people, origin == LENT)
    _buy(plan, rng, people, origin == PREPAID, ring.per_card)
    _make(rng, people, origin == MADE, place)
    rented(plan, rng, people, rng.random(count) < np.array(RENTED)[origin], PER_NUMBER)
    _connect(plan, rng, people, origin, ring)
    careful = rng.random(count) < campaign.hygiene.careful
    for name, kept in own.items():
        people[name] = np.where(careful, kept, people[name])
    return origin


def _in_order(rng: np.random.Generator, chosen: Flags, from_s: npt.NDArray[np.float64], sizes: tuple[int, int]) -> Ints:
    """A group for each account, of `sizes` chosen ones that come into use one after another, give or take a day."""
    order = np.lexsort((from_s + rng.normal(0, DAY_S, len(from_s)), ~chosen))
    group = np.empty(len(from_s), np.int64)
    group[order] = split(rng, len(from_s), *sizes)[0]
    return group


def _first_use(group: Ints, from_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """When the first account of each one's group comes into use."""
    first = np.full(int(group.max()) + 1, np.inf)
    np.minimum.at(first, group, from_s)
    return first[group]


def _lend(rng: np.random.Generator, people: Columns, lent: Flags) -> None:
    """Programme, country and fortnight of sign-up belong to the broker's circle; all else is the lender's own."""
    count, from_s = len(lent), people["from_s"]
    circle = _in_order(rng, lent, from_s, CIRCLE)
    circles = int(circle.max()) + 1
    program = rng.choice(np.array(PROGRAMMES, object), circles, p=PROGRAMME_SHARES)[circle]
    shares = np.array([row[3] for row in COUNTRIES])
    country = rng.choice(len(COUNTRIES), circles, p=shares / shares.sum())[circle]
    schools = np.array([f"uni{k % 97}.example" for k in rng.integers(10**6, size=circles)], object)[circle]
    recruited = _first_use(circle, from_s) - (rng.gamma(1.5, STOCK_DAYS[LENT], circles)[circle] + 1) * DAY_S
    made = np.minimum(recruited + rng.uniform(0, RECRUITED_DAYS * DAY_S, count), from_s - 3600)
    at_school = (program == "education") & (rng.random(circles) < AT_UNIVERSITY)[circle]
    credited = rng.random(count) < CREDITED
    people["program"] = np.where(lent, program, people["program"]).astype(object)
    people["country"] = np.where(lent & (rng.random(count) < COMPATRIOTS), country, people["country"])
    people["mail_domain"] = np.where(lent & at_school, schools, people["mail_domain"])
    joined = lent & (rng.random(count) < JOINED)
    people["created_s"] = np.where(joined, made, people["created_s"])
    people["card"] = np.where(lent & credited, -1, people["card"])
    people["plan"] = np.where(lent & credited, "pay-as-you-go", people["plan"]).astype(object)
    instead(people, "level", lent & credited, "payment", "email")


def _buy(plan: Plan, rng: np.random.Generator, people: Columns, bought: Flags, per_card: float) -> None:
    """Subscriptions on a card of the shop, made within days of their sale."""
    count = len(bought)
    prepaid(plan, rng, people, bought, per_card)
    made = people["from_s"] - STOCK_DAYS[PREPAID] * DAY_S * rng.lognormal(0, 1.2, count) - 3600
    people["created_s"] = np.where(bought, made, people["created_s"])
    web = bought & (rng.random(count) < WEB)
    people["path"] = np.where(web, 1, people["path"])
    people["client"] = np.where(web, rng.choice(WEB_CLIENTS, count), people["client"])


def _make(rng: np.random.Generator, people: Columns, made: Flags, place: Ints) -> None:
    """Accounts made in one sitting, on telephones that are kept for the accounts that follow in a place."""
    count = len(made)
    sitting = _in_order(rng, made, people["from_s"], SITTING)
    evening = _first_use(sitting, people["from_s"]) - (1 + rng.gamma(1.2, STOCK_DAYS[MADE], count)[sitting]) * DAY_S
    at = np.minimum(evening + rng.uniform(0, SITTING_H * 3600, count), people["from_s"] - 3600)
    people["created_s"] = np.where(made, at, people["created_s"])
    alone = np.where(made, place, int(place.max()) + 1 + np.arange(count))
    people["device"] = np.where(made, shared_by_few(rng, alone, KEPT), people["device"])
    free = made & (rng.random(count) < FREE)
    paid = made & ~free
    people["card"] = np.where(free & (rng.random(count) < UNPAID), -1, people["card"])
    people["card"] = np.where(paid & (people["card"] < 0), rng.integers(1, 2**62, count), people["card"])
    people["program"] = np.where(free, "free", np.where(paid, "paid", people["program"])).astype(object)
    people["plan"] = np.where(free, "free", people["plan"]).astype(object)
    instead(people, "plan", paid, "free", "pay-as-you-go")
    instead(people, "level", paid, "email", "payment")
    instead(people, "level", free, "payment", "email")


def instead(people: Columns, name: str, chosen: Flags, old: str, new: str) -> None:
    """Let the chosen accounts whose `name` is `old` have `new`: what is paid for and how it was proved go together."""
    people[name] = np.where(chosen & (people[name] == old), new, people[name]).astype(object)


def _connect(plan: Plan, rng: np.random.Generator, people: Columns, origin: Ints, ring: Ring) -> None:
    """Sign-up over carriers as many do; work through the crew's machine, a lender's home or a commercial VPN."""
    count = len(origin)
    own = origin != LENT
    carriers, size = _operators(plan, "carrier")
    mobile = own & (rng.random(count) < MOBILE)
    people["signup"] = np.where(mobile, rng.choice(carriers, count) + rng.integers(size, size=count), people["signup"])
    exits, size = _operators(plan, "vpn")
    abroad = own & (rng.random(count) < ABROAD)
    people["net"] = np.where(abroad, rng.choice(exits, count), people["net"])
    people["net_size"] = np.where(abroad, size, people["net_size"])
    share = np.where(own | (rng.random(count) > ring.at_home), rng.uniform(0.55, 0.95, count), 0.0)
    pool = np.full(count, int(plan.stream("crews", ring.name).integers(1, 2**40)))
    at_work = (people["to_s"] - people["from_s"])[share > 0].sum() / (plan.days * DAY_S)  # on average
    crewed(
        plan, people, pool=pool, crew_count=np.full(count, round(at_work / ring.crew)), days=ring.crew_days, share=share
    )


def _operators(plan: Plan, kind: str) -> tuple[Ints, int]:
    """First addresses of the carriers or VPN operators that everybody uses, and how many addresses each has."""
    known = [run for name, run in sorted(plan.networks.named.items()) if name.startswith(f"{kind}-")]
    return np.array([first for first, _ in known]), known[0][1]
