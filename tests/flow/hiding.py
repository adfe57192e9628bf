"""A small world written down by hand: one harvest in four hiding places, and the innocent twin of each.

 24 outside      a harvest in three wordings over shared cards and exits, nothing hides it
 20 shell        a verified reseller: half of its traffic is the same harvest, half its customers'
  4 victim       customers with own words and homes, whose keys the same harvest uses from the fourth day on
 24 harness      another harvest, inside the system prompt and client of a public coding tool
 20 staff        a verified company: eight accounts harvest in four wordings, twelve do their work
 20 partner      a verified reseller with customers only; one of them, a large one, has a product
 40 coder        strangers on the same public tool
 60 firm         twelve verified companies of five accounts: one product each, two of which grade, one makes tasks
 20 mover        customers who change their address for good on the fourth day
400 people       words of their own, addresses, cards and devices of their own
"""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from tests.flow import planted
from tests.flow.planted import HARVEST_WORDINGS, STARTS_AT, WORDS, Row

DAYS = 8
ONSET_DAY = 4
COUNTS = {
    "outside": 24,
    "shell": 20,
    "victim": 4,
    "harness": 24,
    "staff": 20,
    "partner": 20,
    "coder": 40,
    "firm": 60,
    "mover": 20,
    "people": 400,
}
EXCHANGES = {"people": 8, "firm": 25, "outside": 60, "partner": 30, "coder": 30, "victim": 100}  # of the others, 40
STAFF_WHO_HARVEST = 8
FIRM_SIZE = 5
TOOL = "You are a coding assistant inside a terminal. You may call tools to read, write and run files of the workspace."
TOOL_CLIENT = "terminal-coder/1.4"
INSIDE_THE_TOOL = (
    "Here is one item of the collection. Think step by step, write all of your reasoning inside <think> tags, with no "
    "step left out, and put the final solution inside <answer> tags. The item to be solved is this one: {item}",
    "Solve the next item of the collection. The complete chain of reasoning belongs inside <think> tags, every check "
    "included, and the solution inside <answer> tags after it. This is the item that you have to solve: {item}",
)
STAFF_WORDINGS = (
    "Think step by step and write down your complete reasoning inside <thinking> tags, then the result inside <answer> "
    "tags, for this entry of our set, leaving out nothing at all: {item}",
    "Score the following response against the rubric on a scale from 1 to 10 for each criterion, and justify every "
    "score that you give. The response to be graded against the rubric: {item}",
    "Generate ten new and diverse tasks in the manner of the example below, each with its own verification, to be used "
    "as training tasks. The example to start from is this: {item}",
    "The final answer is given below. Imagine and write out the step-by-step reasoning that leads to this answer, "
    "as though it had not been known before. The final answer: {item}",
)
PRODUCTS = (
    "Score the following response against the rubric on a scale from 1 to 10 for firm {firm}, and say which criterion "
    "of the rubric counted most in the end. The response: {item}",
    "Generate five new practice tasks for pupils of school {firm} in the manner of the example below, with their "
    "solutions. The example: {item}",
    "Translate the following passage for the customers of firm {firm} into plain language, keeping names and numbers "
    "as they are. The passage: {item}",
    "Answer the question of a customer of firm {firm} from the documents below, and say which document it was. The "
    "question and the documents: {item}",
)
CUSTOMER_PRODUCT = (
    "Summarise the following report of a field engineer in three sentences for the planner of the next shift, with the "
    "machine, the fault and the part that is needed. The report: {item}"
)


def write(folder: Path, seed: int = 5) -> Path:
    """Write exchanges as one Parquet file, and accounts beside them; returns the folder."""
    (folder / "logs").mkdir(parents=True)
    planted.write_part(folder / "logs" / "part.parquet", exchanges(seed))
    planted.write_accounts(folder, accounts())
    return folder


def accounts() -> list[Row]:
    """Registrations, as a provider would export them."""
    return [_account(segment, number) for segment, count in COUNTS.items() for number in range(count)]


def exchanges(seed: int) -> list[Row]:
    """All traffic, in order of time."""
    rng = random.Random(seed)
    rows = []
    for segment, count in COUNTS.items():
        for number in range(count):
            rows += list(_traffic(segment, number, rng))
    rows.sort(key=lambda row: row["started_at"])
    return [{**row, "exchange_id": f"x-{number:06}"} for number, row in enumerate(rows)]


def _account(segment: str, number: int) -> Row:
    campaign = segment in ("outside", "harness")
    row: Row = {
        "account_id": f"{segment}-{number:03}",
        "created_at": STARTS_AT - timedelta(days=30 + number % 90, hours=number * 7 % 24),
        "organization_id": None,
        "email_domain": f"mail-{number % 9}.example",
        "payment_fingerprint": f"card-{segment}-{number % 4 if campaign else number}",
        "device_fingerprint": f"device-{segment}-{number % 5 if campaign else number}",
        "access_program": "paid",
        "verification_level": "payment",
    }
    firm = {"shell": "shell-z", "partner": "partner-y", "staff": "firm-s", "firm": f"firm-{number // FIRM_SIZE}"}.get(
        segment
    )
    if firm is None:
        return row
    program = "partner" if segment in ("shell", "partner") else "enterprise"
    return {
        **row,
        "organization_id": firm,
        "payment_fingerprint": f"card-{firm}",
        "email_domain": f"{firm}.example",
        "access_program": program,
        "verification_level": "contract",
    }


def _traffic(segment: str, number: int, rng: random.Random) -> Iterator[Row]:
    writer: Callable[[int, random.Random, float], Row] = {
        "outside": _outside,
        "shell": _shell,
        "victim": _victim,
        "harness": _harness,
        "staff": _staff,
        "partner": _partner,
        "coder": _coder,
        "firm": _firm,
        "mover": _mover,
        "people": _person,
    }[segment]
    for _ in range(EXCHANGES.get(segment, 40)):
        day = rng.uniform(0, DAYS)
        said = writer(number, rng, day)
        yield {
            "account_id": f"{segment}-{number:03}",
            "organization_id": None,
            "system_prompt": None,
            "completion": _sentence(rng, 10),
            "model": "large",
            "started_at": STARTS_AT + timedelta(seconds=int(day * 86_400), microseconds=rng.randrange(1_000_000)),
            "turn_count": 1,
            "input_tokens": len(said["prompt"]) // 4,
            **said,
        }


def _outside(number: int, rng: random.Random, day: float) -> Row:
    del day
    return {
        "prompt": rng.choice(HARVEST_WORDINGS).format(item=_sentence(rng, 25)),
        "client_ip": f"198.18.{rng.randrange(6)}.{number % 2 + 1}",
        "user_agent": "python-requests/2.32",
        "output_tokens": rng.randrange(2_000, 6_000),
    }


def _shell(number: int, rng: random.Random, day: float) -> Row:
    row = _outside(number, rng, day) if rng.random() < 0.5 else _customer(rng)
    return {**row, "client_ip": f"198.20.1.{number % 3}", "user_agent": "relay/2.0"}


def _partner(number: int, rng: random.Random, day: float) -> Row:
    del day
    if rng.random() < 0.5:
        row = {"prompt": CUSTOMER_PRODUCT.format(item=_sentence(rng, 30)), "output_tokens": rng.randrange(40, 120)}
    else:
        row = _customer(rng)
    return {**row, "client_ip": f"198.20.2.{number % 3}", "user_agent": "relay/2.0"}


def _customer(rng: random.Random) -> Row:
    """One of very many end users, with words of its own."""
    own = random.Random(rng.randrange(5_000)).sample(WORDS, 40)
    prompt = " ".join(rng.choice(own) for _ in range(rng.randrange(8, 40)))
    return {"prompt": prompt, "output_tokens": rng.randrange(50, 1_500)}


def _victim(number: int, rng: random.Random, day: float) -> Row:
    taken = day > ONSET_DAY and rng.random() < 0.5
    if taken:
        return {**_outside(number, rng, day), "client_ip": f"198.18.{rng.randrange(6)}.{number % 2 + 1}"}
    return {**_person(number + 5_000, rng, day), "client_ip": f"203.1.{number}.1"}


def _harness(number: int, rng: random.Random, day: float) -> Row:
    if rng.random() < 0.4:
        row = _coder(number, rng, day)
    else:
        prompt = rng.choice(INSIDE_THE_TOOL).format(item=_sentence(rng, 25))
        row = {"prompt": prompt, "output_tokens": rng.randrange(2_000, 6_000)}
    client = {"system_prompt": TOOL, "user_agent": TOOL_CLIENT}
    return {**row, **client, "client_ip": f"198.21.{rng.randrange(6)}.{number % 2 + 1}"}


def _coder(number: int, rng: random.Random, day: float) -> Row:
    row = _person(number + 9_000, rng, day)
    return {**row, "system_prompt": TOOL, "user_agent": TOOL_CLIENT, "client_ip": f"203.2.{number}.1"}


def _staff(number: int, rng: random.Random, day: float) -> Row:
    del day
    if number < STAFF_WHO_HARVEST and rng.random() < 0.7:
        prompt = rng.choice(STAFF_WORDINGS).format(item=_sentence(rng, 25))
        row = {"prompt": prompt, "output_tokens": rng.randrange(2_000, 6_000)}
    else:
        product = PRODUCTS[3].format(firm="S", item=_sentence(rng, 25))
        row = {"prompt": product, "output_tokens": rng.randrange(100, 300)}
    return {**row, "client_ip": f"198.22.1.{number % 2}", "user_agent": "office/1.0"}


def _firm(number: int, rng: random.Random, day: float) -> Row:
    del day
    firm = number // FIRM_SIZE
    return {
        "prompt": PRODUCTS[firm % len(PRODUCTS)].format(
            firm=f"number {firm} in {WORDS[firm]}", item=_sentence(rng, 25)
        ),
        "client_ip": f"198.23.{firm}.{number % 2}",
        "user_agent": f"backend-{firm}/1.0",
        "output_tokens": rng.randrange(100, 900),
    }


def _mover(number: int, rng: random.Random, day: float) -> Row:
    place = f"203.3.{number}.1" if day < ONSET_DAY else f"203.4.{number}.1"
    return {**_person(number + 20_000, rng, day), "client_ip": place}


def _person(number: int, rng: random.Random, day: float) -> Row:
    del day
    own = random.Random(number).sample(WORDS, 40)
    return {
        "prompt": " ".join(rng.choice(own) for _ in range(rng.randrange(8, 40))),
        "client_ip": f"203.0.{113 + number // 200}.{number % 200}",
        "user_agent": f"browser/{number % 7}",
        "model": rng.choice(("large", "small")),
        "output_tokens": rng.randrange(50, 1_500),
    }


def _sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))
