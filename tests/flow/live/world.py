"""Four hundred keys and what their holders send, live: a harvest, a class, a company and ordinary people.

    60 harvest      one request in three wordings, dealt out, around a corpus that is shared out; 30 % of their
                    traffic is unrelated; a card for six of them each, ten devices, a few exits,
                    one client
    30 class        one sheet of exercises, one campus address, one university
    20 company      a template of its own, one card, one office, a contract
    290 people      words, addresses, cards and devices of their own

The addresses are from networks that are set aside for tests and documentation.
"""

import hashlib
import random
from collections.abc import Iterator
from typing import Any

from tests.flow.gateway.world import Request
from tests.flow.planted import COMPANY_TEMPLATE, EXERCISE, HARVEST_WORDINGS, WORDS

POPULATION = {"harvest": 60, "class": 30, "company": 20, "people": 290}
EACH_ROUND = {"harvest": 1.0, "class": 0.35, "company": 0.5, "people": 0.4}  # requests of an account, on average
UNRELATED_SHARE = 0.3  # of the harvest's traffic
ACCOUNTS_OF_A_CARD, DEVICES = 6, 10

Row = dict[str, Any]


def keys() -> list[str]:
    """The keys of all four hundred."""
    return [key(segment, number) for segment, count in POPULATION.items() for number in range(count)]


def key(segment: str, number: int) -> str:
    """The API key of an account."""
    return f"sk-{segment}-{number:03}"


def account_id(held: str) -> str:
    """The account of a key, as the proxy logs it."""
    return hashlib.sha256(held.encode()).hexdigest()


def segment_of(held: str) -> str:
    """The population a key was made for."""
    return held.split("-")[1]


def registrations() -> list[Row]:
    """What the sign-up page tells of every account."""
    return [registration(segment, number) for segment, count in POPULATION.items() for number in range(count)]


def registration(segment: str, number: int) -> Row:
    """What the sign-up page tells of one account."""
    row: Row = {
        "account_id": account_id(key(segment, number)),
        "created_at": f"2026-{1 + number % 6:02}-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:00Z",
        "payment_fingerprint": f"card-{segment}-{number}",
        "device_fingerprint": f"device-{segment}-{number}",
        "access_program": "paid",
        "verification_level": "payment",
    }
    if segment == "harvest":
        row["payment_fingerprint"] = f"card-h{number // ACCOUNTS_OF_A_CARD}"
        row["device_fingerprint"] = f"device-h{number % DEVICES}"
    if segment == "class":
        row |= {"organization_id": "university-x", "access_program": "education"}
    if segment == "company":
        firm = {"organization_id": "firm-y", "access_program": "enterprise", "verification_level": "contract"}
        row |= {**firm, "payment_fingerprint": "card-firm"}
    return row


def rounds(seed: int, count: int) -> Iterator[list[Request]]:
    """The traffic, in rounds."""
    rng = random.Random(seed)
    for _ in range(count):
        asking = [
            request(segment, number, rng)
            for segment, size in POPULATION.items()
            for number in range(size)
            if rng.random() < EACH_ROUND[segment]
        ]
        rng.shuffle(asking)
        yield asking


def request(segment: str, number: int, rng: random.Random) -> Request:
    """One more request of an account."""
    writer = {"harvest": _harvest, "class": _class, "company": _company, "people": _person}[segment]
    address, client, prompt = writer(number, rng)
    model = "assistant-large" if segment != "people" else rng.choice(("assistant-large", "assistant-small"))
    body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    return Request(key(segment, number), address, client, body)


def _harvest(number: int, rng: random.Random) -> tuple[str, str, str]:
    address = f"198.18.{rng.randrange(6)}.{number % 4 + 1}"
    if rng.random() < UNRELATED_SHARE:
        return address, "python-requests/2.32", _sentence(rng, rng.randrange(8, 40))
    return address, "python-requests/2.32", HARVEST_WORDINGS[number % 3].format(item=_sentence(rng, 25))


def _class(number: int, rng: random.Random) -> tuple[str, str, str]:
    exercise = rng.randrange(8)
    prompt = EXERCISE.format(number=exercise, topic=" ".join(WORDS[exercise * 5 : exercise * 5 + 5]))
    return f"198.19.1.{number % 4}", f"browser/{number % 7}", prompt


def _company(number: int, rng: random.Random) -> tuple[str, str, str]:
    return f"198.19.2.{number % 2}", "firm-y-backend/1.0", COMPANY_TEMPLATE.format(item=_sentence(rng, 20))


def _person(number: int, rng: random.Random) -> tuple[str, str, str]:
    own = random.Random(number).sample(WORDS, 40)
    prompt = " ".join(rng.choice(own) for _ in range(rng.randrange(8, 40)))
    address = f"203.0.{113 + number // 200}.{number % 200}" if number % 10 else f"198.51.100.{number // 10}"
    return address, f"browser/{number % 7}", prompt


def _sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))
