"""A small world written down by hand: one harvest shared out over accounts, a class, a company and ordinary people.

    24 harvest      one request in three wordings around a corpus that is shared out; four cards, six exits, one client
    30 class        one sheet of exercises, one campus network, declared as one university
    20 company      one template of its own, one card, one office network, a contract
    600 people      words of their own, addresses, cards and devices of their own

It needs no simulator, so a change there cannot hide a change in the pipeline.
"""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

STARTS_AT = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 4
HARVEST, CLASS, COMPANY, PEOPLE = 24, 30, 20, 600
EXCHANGES = {"harvest": 30, "class": 12, "company": 16, "people": 8}  # per account

_VOCABULARY = """
apple river stone cloud paper window garden music bridge lemon silver forest candle basket pepper harbour
ticket blanket mirror copper village engine pencil market island planet winter summer doctor farmer painter
letter kitchen bottle tunnel castle meadow rocket camera violin orange purple yellow gentle narrow bright
quiet simple clever broken hollow frozen golden wooden ancient modern distant careful sudden heavy little
carry mend paint count fold sort plant bake lift press draw write read move turn open close start finish
between under above beside beyond without against during before after while until because although whether
"""
WORDS = _VOCABULARY.split()
HARVEST_WORDINGS = (
    "You will be given one problem from the collection. Think step by step and write down all of your reasoning "
    "inside <thinking> tags before you give the final answer in <answer> tags. The problem is: {item}",
    "Work through the following problem of the collection in full. Show the complete chain of reasoning in "
    "<thinking> tags, check every step twice, then state the result in <answer> tags. Here is the problem: {item}",
    "Below stands a single problem. Reason about it at length, step by step, inside <thinking> tags, leaving nothing "
    "out, and only then put the final result into <answer> tags. Problem to be solved now: {item}",
)
EXERCISE = "For our statistics course please explain how to solve exercise {number} of the second sheet about {topic}"
COMPANY_TEMPLATE = (
    "Classify the following message of a customer into one of the categories billing, delivery, returns or praise, "
    "and answer with the category alone. The message reads: {item}"
)
COLUMNS: Mapping[str, pa.DataType] = {
    "exchange_id": pa.string(),
    "started_at": pa.timestamp("us", tz="UTC"),
    "account_id": pa.string(),
    "organization_id": pa.string(),
    "model": pa.string(),
    "client_ip": pa.string(),
    "user_agent": pa.string(),
    "system_prompt": pa.string(),
    "prompt": pa.string(),
    "completion": pa.string(),
    "turn_count": pa.int32(),
    "input_tokens": pa.int64(),
    "output_tokens": pa.int64(),
}
Row = dict[str, Any]


def accounts() -> list[Row]:
    """Registrations, as a provider would export them."""
    rows = [_account("harvest", n, card=f"card-h{n % 4}", device=f"device-h{n % 5}") for n in range(HARVEST)]
    for n in range(CLASS):
        school = {
            "organization_id": "university-x",
            "access_program": "education",
            "email_domain": "university.example",
        }
        rows.append({**_account("class", n), **school})
    for n in range(COMPANY):
        firm = {"organization_id": "firm-y", "access_program": "enterprise", "verification_level": "contract"}
        rows.append({**_account("company", n, card="card-firm"), **firm, "email_domain": "firm-y.example"})
    return rows + [_account("people", n) for n in range(PEOPLE)]


def exchanges(seed: int = 5) -> list[Row]:
    """All traffic, in order of time."""
    rng = random.Random(seed)
    counts = {"harvest": HARVEST, "class": CLASS, "company": COMPANY, "people": PEOPLE}
    rows = [
        {**row, "started_at": _moment(rng), "turn_count": 1, "input_tokens": len(row["prompt"]) // 4}
        for segment, count in counts.items()
        for number in range(count)
        for row in _traffic(segment, number, rng)
    ]
    rows.sort(key=lambda row: row["started_at"])
    return [{**row, "exchange_id": f"x-{number:06}"} for number, row in enumerate(rows)]


def write(folder: Path, rows: list[Row] | None = None, *, files: int = DAYS) -> Path:
    """Write exchanges over several Parquet files, and accounts beside them; returns the folder."""
    rows = exchanges() if rows is None else rows
    (folder / "logs").mkdir(parents=True)
    size = -(-len(rows) // files)
    for number in range(files):
        write_part(folder / "logs" / f"part-{number}.parquet", rows[number * size : (number + 1) * size])
    write_accounts(folder, accounts())
    return folder


def write_accounts(folder: Path, rows: list[Row]) -> None:
    """The accounts file of a world."""
    pq.write_table(pa.Table.from_pylist(rows), folder / "accounts.parquet")


def write_part(path: Path, rows: list[Row]) -> None:
    """One Parquet file of exchanges."""
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(list(COLUMNS.items()))), path)


def segment_of(account_id: str) -> str:
    """The population an account was written for."""
    return account_id.partition("-")[0]


def _account(segment: str, number: int, *, card: str | None = None, device: str | None = None) -> Row:
    return {
        "account_id": f"{segment}-{number:03}",
        "created_at": STARTS_AT - timedelta(days=30 + number % 90, hours=number * 7 % 24),
        "organization_id": None,
        "email_domain": f"mail-{number % 9}.example",
        "payment_fingerprint": card or f"card-{segment}-{number}",
        "device_fingerprint": device or f"device-{segment}-{number}",
        "access_program": "paid",
        "verification_level": "payment",
    }


def _moment(rng: random.Random) -> datetime:
    return STARTS_AT + timedelta(seconds=rng.randrange(DAYS * 86_400), microseconds=rng.randrange(1_000_000))


def _traffic(segment: str, number: int, rng: random.Random) -> Iterator[Row]:
    writer = {"harvest": _harvest, "class": _class, "company": _company, "people": _person}[segment]
    for _ in range(EXCHANGES[segment]):
        row = {"account_id": f"{segment}-{number:03}", "organization_id": None, "system_prompt": None}
        yield {**row, "completion": _sentence(rng, 20), "model": "large", **writer(number, rng)}


def _harvest(number: int, rng: random.Random) -> Row:
    wording = rng.choice(HARVEST_WORDINGS)
    return {
        "prompt": wording.format(item=_sentence(rng, 25)),
        "client_ip": f"198.18.{rng.randrange(6)}.{number % 2 + 1}",
        "user_agent": "python-requests/2.32",
        "output_tokens": rng.randrange(2_000, 6_000),
    }


def _class(number: int, rng: random.Random) -> Row:
    exercise = rng.randrange(8)
    prompt = EXERCISE.format(number=exercise, topic=" ".join(WORDS[exercise * 5 : exercise * 5 + 5]))
    return {
        "prompt": prompt,
        "client_ip": f"198.19.1.{number % 4}",
        "user_agent": f"browser/{number % 7}",
        "organization_id": "university-x",
        "output_tokens": rng.randrange(100, 900),
    }


def _company(number: int, rng: random.Random) -> Row:
    return {
        "prompt": COMPANY_TEMPLATE.format(item=_sentence(rng, 20)),
        "system_prompt": "You sort the mail of firm Y.",
        "client_ip": f"198.19.2.{number % 2}",
        "user_agent": "firm-y-backend/1.0",
        "organization_id": "firm-y",
        "output_tokens": rng.randrange(5, 20),
    }


def _person(number: int, rng: random.Random) -> Row:
    own = random.Random(number).sample(WORDS, 40)
    return {
        "prompt": " ".join(rng.choice(own) for _ in range(rng.randrange(8, 40))),
        "client_ip": f"203.0.{113 + number // 200}.{number % 200}" if number % 10 else f"198.51.100.{number // 10}",
        "user_agent": f"browser/{number % 7}",
        "model": rng.choice(("large", "small")),
        "output_tokens": rng.randrange(50, 1_500),
    }


def _sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))
