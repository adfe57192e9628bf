"""Accounts that a campaign buys: made in batches on emulators, paid with cards that serve several, reached by two ways.

Why:    whoever makes accounts to sell makes them in batches. What one batch shares (device images, a mail provider, the
        hour and the addresses of sign-up) comes together, and a buyer spends it over many jobs; a campaign that gives
        each trait away by itself, as the others here do, has no such batches.
Misses: honest people who buy such an account to get in at all, identity documents made to order, and cards of one lot,
        whose numbers differ and whose issuer no column names.
Source: providers' reports of 23 February and 10 September 2026 and the advisory AA26-251A of 8 September 2026: proxy
        services that sell access, residential exits, disposable mail, virtual and shared cards, alike registrations,
        premium subscriptions bought in bulk and shared by developers, metadata made uniform. Batches by day and
        address of sign-up: Xiao, Freeman & Hwa, AISec 2015, section 3. Every share below is ours.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.hostile import Campaign
from stillwatch.evaluation.owners import names, shared_by_few, split
from stillwatch.evaluation.people import (
    COUNTRIES,
    DAY_S,
    MAIL_DOMAINS,
    MAIL_SHARES,
    SDK_CLIENTS,
    SHORT_LIVED_DOMAINS,
    Columns,
    Plan,
)

Ints = npt.NDArray[np.int64]

FARM, SHOP = 0, 1  # a rack of emulated telephones; a shop that resells access and seats of small teams
BATCH = (8, 60)  # accounts: a rack of emulators in one session, a list that a shop sells at once
IMAGE = (2, 10)  # accounts on one emulator image before its identifiers are drawn anew
ONE_PROVIDER = 0.75  # of the batches sign up through one mail provider
SHORT_LIVED = 0.3  # of those providers are throw-away ones, the others are everybody's
SIGNUP_EXITS = 16  # addresses that a batch signs up through: a gateway gives another one most times
THROUGH_EXITS = 0.6  # of its accounts; the others through addresses of their own
VIRTUAL_CARD = 0.7  # of the accounts with a card have a virtual one
CARD = (1, 5)  # accounts on one virtual card: payment processors decline a card on more
TEAM = (4, 8)  # seats
STICKY = 6  # exits that one account of the farm moves over, one a day
CARRIERS = 3  # whose shared addresses the shop's modems have
SANITISED = 0.9  # of the accounts send no metadata; of everybody's it is about 0.7
_GIVEN = (
    *("created_s", "country", "mail_domain", "mail_style", "signup", "device", "card", "organization"),
    *("program", "plan", "level", "net", "net_size", "roams", "client"),
)


@dataclass(frozen=True, slots=True)
class Stock:
    """What two sellers have and how they work; the numbers of `reward-model`."""

    farmed: float = 0.6  # of the accounts: two sources, neither a fringe of the other
    batch: tuple[int, int] = BATCH
    imaged: tuple[float, float] = (0.6, 0.15)  # of farm's and shop's accounts; the others: browsers that change
    days: float = 15.0  # median from sign-up to first use: sold accounts are aged, as that is what buyers ask for
    card: tuple[int, int] = CARD
    seats: float = 0.35  # of the shop's accounts are seats of a small team that pays once
    tunnelled: tuple[float, float] = (0.75, 0.6)  # of the farm's through homes, of the shop's through a carrier


def bought(
    campaign: Campaign, plan: Plan, rng: np.random.Generator, people: Columns, stock: Stock | None = None
) -> None:
    """Give the accounts the sign-up, the cards and the connections that two sellers of accounts give them.

    `campaign.hygiene.careful` of the accounts keep everything of their own.
    """
    count, stock = len(people["rate"]), stock or Stock()
    people["organization"] = np.full(count, None, object)
    people["created_s"] = np.minimum(people["created_s"], people["from_s"] - 3600)
    own = {name: people[name].copy() for name in _GIVEN}
    batch, batches = _batches(rng, people["from_s"], stock)
    seller = np.where(rng.random(batches) < stock.farmed, FARM, SHOP)[batch]
    _register(plan, rng, people, batch, stock.days)
    imaged = rng.random(count) < np.array(stock.imaged)[seller]
    people["device"] = np.where(imaged, shared_by_few(rng, batch, IMAGE), people["device"])
    _pay(rng, people, seller, stock)
    _tunnel(plan, rng, people, seller, stock)
    careful = rng.random(count) < campaign.hygiene.careful
    for name, kept in own.items():
        people[name] = np.where(careful, kept, people[name])


def _batches(rng: np.random.Generator, from_s: npt.NDArray[np.float64], stock: Stock) -> tuple[Ints, int]:
    """The batch of each account, and how many: stock is sold in the order it was made in, give or take two days."""
    order = np.argsort(from_s + rng.normal(0, 2 * DAY_S, len(from_s)), kind="stable")
    group, groups = split(rng, len(from_s), *stock.batch)
    batch = np.empty(len(from_s), np.int64)
    batch[order] = group
    return batch, groups


def _register(plan: Plan, rng: np.random.Generator, people: Columns, batch: Ints, stock_days: float) -> None:
    """Sign the accounts of a batch up within hours, through one mail provider and a few addresses."""
    count, batches = len(batch), int(batch.max()) + 1
    first_use = np.full(batches, np.inf)
    np.minimum.at(first_use, batch, people["from_s"])
    made_s = first_use - stock_days * DAY_S * rng.lognormal(0, 0.8, batches) - 6 * 3600
    hours = rng.uniform(0.5, 6, batches)
    people["created_s"] = np.minimum(
        made_s[batch] + rng.uniform(0, 3600, count) * hours[batch], people["from_s"] - 3600
    )
    shared = MAIL_SHARES / np.sum(MAIL_SHARES)
    provider = np.where(
        rng.random(batches) < SHORT_LIVED,
        rng.choice(np.array(SHORT_LIVED_DOMAINS, object), batches),
        rng.choice(np.array(MAIL_DOMAINS, object), batches, p=shared),
    )
    at_one = (rng.random(batches) < ONE_PROVIDER)[batch]
    people["mail_domain"] = np.where(at_one, provider[batch], people["mail_domain"])
    people["mail_style"] = np.where(at_one, rng.choice(5, batches)[batch], people["mail_style"])
    people["country"] = np.where(rng.random(count) < 0.7, _somewhere(rng, batches)[batch], people["country"])
    exits, width = plan.networks.proxies()
    through = exits + rng.integers(width, size=(batches, SIGNUP_EXITS))
    one = through[batch, rng.integers(SIGNUP_EXITS, size=count)]
    people["signup"] = np.where(rng.random(count) < THROUGH_EXITS, one, people["signup"])


def _somewhere(rng: np.random.Generator, batches: int) -> Ints:
    """Country of each batch's emulators, as common as among everybody."""
    shares = np.array([row[3] for row in COUNTRIES])
    return rng.choice(len(COUNTRIES), batches, p=shares / shares.sum())


def _pay(rng: np.random.Generator, people: Columns, seller: Ints, stock: Stock) -> None:
    """Virtual cards that serve a few accounts of a seller; one card for all seats of a team."""
    count = len(seller)
    virtual = (people["card"] >= 0) & (rng.random(count) < VIRTUAL_CARD)
    people["card"] = np.where(virtual, shared_by_few(rng, seller, stock.card), people["card"])
    seated = (seller == SHOP) & (rng.random(count) < stock.seats)
    team = np.cumsum(seated) - 1  # seats in order, cut into teams
    cut, teams = split(rng, count, *TEAM)
    people["organization"] = np.where(seated, names(rng, teams, "org")[cut[team]], people["organization"])
    people["card"] = np.where(seated, rng.integers(1, 2**62, teams)[cut[team]], people["card"])
    for name, value in (("program", "paid"), ("plan", "team"), ("level", "payment")):
        people[name] = np.where(seated, value, people[name]).astype(object)


def _tunnel(plan: Plan, rng: np.random.Generator, people: Columns, seller: Ints, stock: Stock) -> None:
    """Through homes whose connection is sold, or through a carrier's addresses: both have honest people on them."""
    count = len(seller)
    tunnelled = rng.random(count) < np.array(stock.tunnelled)[seller]
    exits, width = plan.networks.proxies()
    half = width // 2  # the gateway that the farm rents serves a part of the network
    home = exits + int(rng.integers(width - half)) + rng.integers(half - STICKY, size=count)
    modems = rng.choice(_carriers(plan, rng), count)
    people["net"] = np.where(tunnelled, np.where(seller == FARM, home, modems), people["net"])
    size = np.where(seller == FARM, STICKY, plan.networks.named["carrier-0"][1])
    people["net_size"] = np.where(tunnelled, size, people["net_size"])
    people["roams"] = np.where(tunnelled, seller == SHOP, people["roams"])
    people["metadata"] = np.where(rng.random(count) < SANITISED, 0, people["metadata"])
    relays = rng.choice(SDK_CLIENTS, (2, 2))  # clients that each seller's relay shows
    shown = relays[seller, rng.integers(2, size=count)]
    people["client"] = np.where(tunnelled & (people["path"] != 1), shown, people["client"])


def _carriers(plan: Plan, rng: np.random.Generator) -> Ints:
    """First addresses of the few carriers that the shop's modems are with, of those that everybody uses."""
    known = sorted(name for name in plan.networks.named if name.startswith("carrier-"))
    chosen = rng.choice(len(known), min(CARRIERS, len(known)), replace=False)
    return np.array([plan.networks.named[known[one]][0] for one in chosen])
