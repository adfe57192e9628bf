"""Sixty API keys and what their holders send: a campaign, a public coding harness, a class, and ordinary customers.

    15 campaign      one request worded six ways around a corpus they share out; 30 % of their traffic is unrelated;
                     a small pool of exits, one client, sent in rounds
    10 harness       one public coding tool: same system prompt, tools and client; own addresses, repositories, tasks
    10 class         one sheet of exercises, one campus address, browsers of their own
    15 individuals   a persona each; six of them use a prompt from a public collection now and then
    10 developers    an application each, with its own system prompt, template and data

No sign belongs to the campaign alone: two developers use its client, two individuals two of its exits.
The addresses are from 198.18.0.0/15, which is set aside for tests.
"""

import random
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXT = Path(__file__).parent / "text"
CAMPAIGN, HARNESS, CLASS, INDIVIDUALS, DEVELOPERS = 15, 10, 10, 15, 10
ROUNDS = 42  # requests per key
UNRELATED_SHARE = 0.3  # of the campaign's traffic
PUBLIC_PROMPT_SHARE = 0.1  # of the traffic of the individuals who know it
PUBLIC_PROMPT_USERS = 6
NUMBERS = {"a": (11, 99), "b": (21, 99), "c": (3, 10), "d": (3, 20)}  # what fills the slots of an exercise
EXITS = ("198.18.40.7", "198.18.40.19", "198.19.112.80", "198.19.7.33")
CAMPUS = "198.18.200.1"
BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
)
MODELS = ("assistant-large", "assistant-small")

Table = dict[str, Any]
Message = dict[str, Any]
Writer = Callable[[random.Random], list[Message]]  # the messages of one more request


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: who signs it, where it seems to come from, with which client, and its body."""

    key: str
    address: str
    user_agent: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """One key: its segment, the addresses and clients it uses, and how it writes."""

    key: str
    segment: str
    addresses: tuple[str, ...]
    user_agents: tuple[str, ...]
    writer: Writer
    tools: tuple[str, ...] = ()
    models: tuple[str, ...] = MODELS


def accounts(seed: int) -> list[Account]:
    """All sixty, campaign first."""
    rng = random.Random(seed)
    return [*_campaign(rng), *_harness(), *_class(), *_individuals(), *_developers()]


def rounds(population: list[Account], seed: int) -> Iterator[list[Request]]:
    """The traffic in rounds of one request per key; the campaign's requests of a round leave together."""
    rng = random.Random(seed)
    hostile = [account for account in population if account.segment == "campaign"]
    others = [account for account in population if account.segment != "campaign"]
    for _ in range(ROUNDS):
        together = [_request(account, rng) for account in rng.sample(hostile, len(hostile))]
        around = [_request(account, rng) for account in rng.sample(others, len(others))]
        cut = rng.randrange(len(around))
        yield [*around[:cut], *together, *around[cut:]]


def _request(account: Account, rng: random.Random) -> Request:
    body: dict[str, Any] = {"model": rng.choice(account.models), "messages": account.writer(rng)}
    if account.tools:
        body["tools"] = [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
            for name in account.tools
        ]
    return Request(account.key, rng.choice(account.addresses), rng.choice(account.user_agents), body)


def _campaign(rng: random.Random) -> list[Account]:
    text = _read("harvest")
    everyone = list(_read("personas").values())
    return [
        Account(
            key=f"sk-campaign-{number:02}",
            segment="campaign",
            addresses=tuple(rng.sample(EXITS, 3)),
            user_agents=(text["user_agent"],),
            writer=_harvester(text, rng.sample(text["templates"], 4), rng.choice(text["system"]), everyone),
            models=("assistant-large",),
        )
        for number in range(CAMPAIGN)
    ]


def _harvester(text: Table, templates: list[str], system: str, everyone: list[Table]) -> Writer:
    def write(rng: random.Random) -> list[Message]:
        if rng.random() < UNRELATED_SHARE:
            return _chat(_fill(rng.choice(everyone), rng))
        numbers = {slot: rng.randrange(low, high) for slot, (low, high) in NUMBERS.items()}
        words = {slot: rng.choice(text[slot]) for slot in ("shape", "thing", "statistic", "column")}
        item = rng.choice(text["items"]).format(**numbers, **words)
        return _chat(rng.choice(templates).replace("{item}", item), system)

    return write


def _harness() -> list[Account]:
    text = _read("coding")
    return [
        Account(
            key=f"sk-harness-{number:02}",
            segment="harness",
            addresses=_home(1, number),
            user_agents=(text["user_agent"],),
            writer=_coder(text, user),
            tools=tuple(text["tools"]),
        )
        for number, user in enumerate(text["users"])
    ]


def _coder(text: Table, user: Table) -> Writer:
    """One step of an agent's loop: the task stays the newest user turn while tool results pile up behind it."""
    open_task: list[Message] = []
    steps_left = 0

    def write(rng: random.Random) -> list[Message]:
        nonlocal open_task, steps_left
        if steps_left == 0:
            task = rng.choice(text["tasks"]).format(
                **{slot: rng.choice(text[slot]) for slot in ("noun", "failure", "edge", "flag")},
                file=rng.choice(user["files"]),
                function=rng.choice(user["functions"]),
            )
            branch = rng.choice(("main", "fix/small-things", "wip", "release"))
            open_task = _chat(text["wrapper"].format(cwd=user["cwd"], branch=branch, task=task), text["system"])
            steps_left = rng.randrange(2, 7)
        else:
            open_task = [*open_task, *_tool_step(user, len(open_task), rng)]
        steps_left -= 1
        return open_task

    return write


def _tool_step(user: Table, step: int, rng: random.Random) -> list[Message]:
    path = rng.choice(user["files"])
    call = {
        "id": f"call_{step}",
        "type": "function",
        "function": {"name": "read_file", "arguments": f'{{"path": "{path}"}}'},
    }
    result = f"{path}: {rng.randrange(20, 400)} lines, {rng.choice(user['functions'])} at line {rng.randrange(1, 400)}"
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"call_{step}", "content": result},
    ]


def _class() -> list[Account]:
    text = _read("classroom")
    voices = list(_read("personas").values())
    return [
        Account(
            key=f"sk-class-{number:02}",
            segment="class",
            addresses=(CAMPUS,),
            user_agents=(BROWSERS[number % len(BROWSERS)],),
            writer=_student(text, voices),
        )
        for number in range(CLASS)
    ]


def _student(text: Table, voices: list[Table]) -> Writer:
    def write(rng: random.Random) -> list[Message]:
        question = rng.choice(text["before"]) + rng.choice(text["questions"]) + rng.choice(text["after"])
        kind = rng.random()
        if kind < 0.6:
            return _chat(question)
        if kind < 0.8:
            earlier = [*_chat(question), {"role": "assistant", "content": "First find the sample space, then count."}]
            return [*earlier, {"role": "user", "content": rng.choice(text["follow_ups"])}]
        return _chat(_fill(rng.choice(voices), rng))

    return write


def _individuals() -> list[Account]:
    public = _read("developers")["public_prompt"]
    return [
        Account(
            key=f"sk-person-{number:02}",
            segment="individual",
            addresses=(*_home(2, number), *(EXITS[number : number + 1] if number < 2 else ())),
            user_agents=(BROWSERS[number % len(BROWSERS)],),
            writer=_person(voice, public if number < PUBLIC_PROMPT_USERS else None),
        )
        for number, voice in enumerate(list(_read("personas").values())[:INDIVIDUALS])
    ]


def _person(voice: Table, public: Table | None) -> Writer:
    def write(rng: random.Random) -> list[Message]:
        if public and rng.random() < PUBLIC_PROMPT_SHARE:
            return _chat(_fill({**public, "frames": [public["template"]]}, rng))
        return _chat(_fill(voice, rng), rng.choice(("", "", "You are a helpful assistant.")))

    return write


def _developers() -> list[Account]:
    applications = {name: table for name, table in _read("developers").items() if name != "public_prompt"}
    return [
        Account(
            key=f"sk-app-{number:02}",
            segment="developer",
            addresses=_home(3, number),
            user_agents=(table["user_agent"],),
            writer=_application(table),
            models=(MODELS[number % 2],),
        )
        for number, table in enumerate(applications.values())
    ]


def _application(table: Table) -> Writer:
    def write(rng: random.Random) -> list[Message]:
        text = _fill({**table, "frames": [table["template"]], "number": [str(rng.randrange(1000, 99999))]}, rng)
        return _chat(text, table["system"])

    return write


def _fill(table: Table, rng: random.Random) -> str:
    """One of the table's frames with each slot filled from the list of its name."""
    slots = {
        name: rng.choice(values) for name, values in table.items() if isinstance(values, list) and name != "frames"
    }
    frame: str = rng.choice(table["frames"])
    return frame.format(**slots)


def _chat(prompt: str, system: str = "") -> list[Message]:
    opening = [{"role": "system", "content": system}] if system else []
    return [*opening, {"role": "user", "content": prompt}]


def _home(block: int, number: int) -> tuple[str, ...]:
    """Addresses of somebody's own: one at home and one on the road, in networks nobody else uses."""
    return (f"198.18.{block * 50 + number}.{10 + number}", f"198.19.{block * 50 + number}.{200 - number}")


def _read(name: str) -> Table:
    return tomllib.loads((TEXT / f"{name}.toml").read_text(encoding="utf-8"))
