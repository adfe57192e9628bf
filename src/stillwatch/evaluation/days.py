"""One day of exchanges: numbers per population first, then text and identifiers in chunks, in order of arrival."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.evaluation.arrivals import Arrivals, Rhythm, arrivals
from stillwatch.evaluation.artefacts import artefact_lists, handed_out
from stillwatch.evaluation.crews import crews
from stillwatch.evaluation.parts import NONE, Parts, hex_ids, mix, stream
from stillwatch.evaluation.people import BATCH, CLIENTS, HARNESS, PATHS, Columns
from stillwatch.evaluation.replaying import CONTENT_FILTER, refusals
from stillwatch.evaluation.templates import Dealing, Kinds, Templates, Workloads, prompt_parts, system_parts
from stillwatch.records import EXCHANGES, TIMESTAMP

Draws = dict[str, npt.NDArray[Any]]

MODELS = ("atlas-large-2", "atlas-mid-2", "atlas-small-2", "atlas-code-1", "atlas-large-3")
NEW_MODEL = len(MODELS) - 1
STATUSES = ("200", "429", "400", "500")
FINISHES = ("stop", "length", "tool_calls", "content_filter")
METADATA = (
    '{"app":"web","trace":"a"}',
    '{"user":"u1"}',
    '{"env":"prod","app":"svc"}',
    '{"env":"dev"}',
    '{"trace_id":"t","span":"s"}',
    '{"tags":["batch"]}',
    '{"request":"r","attempt":1}',
)
MOST_TOKENS = 8192
CHUNK_ROWS = 65_536
FOLLOWUPS = 0.2  # of the later turns of a conversation are short replies
REPEATED_ITEMS = 0.04  # of a corpus asked again, after a failure or by another worker

_SMALL = pa.dictionary(pa.int8(), pa.string())
_DICTIONARIES = ("access_path", "model", "user_agent", "tls_fingerprint", "finish_reason", "status", "metadata")
SCHEMA = pa.schema(
    [
        pa.field(c.name, _SMALL if c.name in _DICTIONARIES else c.type, nullable=not c.required)
        for c in EXCHANGES.columns
    ]
)


@dataclass(frozen=True, slots=True)
class Population:
    """Accounts that were planned together, and where they stand among all accounts."""

    name: str
    people: Columns
    first: int


@dataclass(frozen=True, slots=True)
class World:
    """Everything needed to write any day of a world, independent of the days before."""

    seed: int
    starts_us: int
    days: int
    populations: tuple[Population, ...]
    account_ids: pa.Array
    organization_ids: pa.Array
    parts: Parts
    templates: Templates
    workloads: Workloads
    kinds: Kinds
    addresses: npt.NDArray[np.uint32]
    rhythm: Rhythm
    with_text: bool


def day_batches(world: World, day: int) -> Iterator[pa.RecordBatch]:
    """The exchanges of one day, in order of arrival."""
    drawn = [_draws(world, population, day) for population in world.populations]
    rows = {name: np.concatenate([draws[name] for draws in drawn]) for name in drawn[0]}
    del drawn
    order = np.argsort(rows["at_us"], kind="stable")
    for start in range(0, len(order), CHUNK_ROWS):
        chosen = order[start : start + CHUNK_ROWS]
        yield _batch(world, {name: values[chosen] for name, values in rows.items()})


def _draws(world: World, population: Population, day: int) -> Draws:
    """All that is random about a population's exchanges on a day."""
    people = population.people
    rng = stream(world.seed, "day", population.name, day)
    salt = int(stream(world.seed, "sessions", population.name).integers(2**40))
    came = arrivals(people, day, rng, world.rhythm, salt)
    account, chance = came.account, mix(came.session, 11)
    work = _work(people, came, chance)
    template, item = _items(world, work, came, chance, day, rng)
    model = _models(people, came, work, rng)
    talks = people["multi_turn"][account] & (people["timing"][account] != BATCH)
    replies = talks & (came.position > 0) & (rng.random(len(account)) < FOLLOWUPS)
    draws = {
        "at_us": (came.at_s * 1e6).astype(np.int64),
        "account": (population.first + account).astype(np.int32),
        "session": came.session,
        "has_session": talks,
        "position": np.where(talks, came.position, 0).astype(np.int32),
        "system": system_parts(world.templates, template, came.session),
        "template": np.where(replies, world.templates.followup, template).astype(np.int32),
        "item": item,
        "wording": rng.integers(2**64, size=len(account), dtype=np.uint64),
        "model": model,
        "path": _either(people, "path", account, chance, 24).astype(np.int8),
        "client": _either(people, "client", account, chance, 32).astype(np.int8),
        "address": _addresses(people, came, chance, day),
        "end_user": _end_users(people, account, chance),
        "key": (chance >> np.uint64(8)) % people["keys"][account].astype(np.uint64),
        "metadata": (people["metadata"][account] - 1).astype(np.int8),
        **_answers(world, people, account, template, model, rng),
    }
    _refuse(draws, refusals(people, account, work, _unit(mix(draws["wording"], 73), 0)))
    if "away_work" in people:
        _send_from_elsewhere(people, came, work, draws)
    if "machine" in people:
        _send_through_machines(people, came, work, day, draws)
    return {**draws, **handed_out(people, draws, work, first=population.first, seed=world.seed)}


def _refuse(draws: Draws, refused: npt.NDArray[np.bool_]) -> None:
    """Mark rows as refused by the provider: nothing was thought or answered."""
    draws["finish"][refused & (draws["status"] == 0)] = CONTENT_FILTER
    for name in ("output_tokens", "reasoning_tokens"):
        draws[name][refused] = 0


def _send_from_elsewhere(people: Columns, came: Arrivals, work: npt.NDArray[np.int64], drawn: Draws) -> None:
    """Let the work that somebody else does with an account's key come from that one's addresses and client."""
    account = came.account
    away = work == people["away_work"][account]
    exits = (mix(came.session, 37) % people["away_net_size"][account].astype(np.uint64)).astype(np.int64)
    drawn["address"] = np.where(away, people["away_net"][account] + exits, drawn["address"]).astype(np.int32)
    drawn["client"] = np.where(away, people["away_client"][account], drawn["client"]).astype(np.int8)
    drawn["end_user"] = np.where(away, np.uint64(0), drawn["end_user"])


def _send_through_machines(
    people: Columns, came: Arrivals, work: npt.NDArray[np.int64], day: int, drawn: Draws
) -> None:
    """Let part of an account's work, not what it does aside, come from the machine of its crew of the day."""
    account = came.account
    through = _unit(mix(came.session, 89), 0) < people["machine_share"][account]
    through &= work != people["side"][account]
    size = people["machine_size"][account].astype(np.uint64)
    machine = people["machine"][account] + (mix(crews(people, account, day), 101) % size).astype(np.int64)
    drawn["address"] = np.where(through, machine, drawn["address"]).astype(np.int32)


def _unit(numbers: npt.NDArray[np.uint64], shift: int) -> npt.NDArray[np.float64]:
    """24 bits of each number as a share in [0, 1)."""
    return (numbers >> np.uint64(shift) & np.uint64(0xFFFFFF)).astype(np.float64) / 2**24


def _work(people: Columns, came: Arrivals, chance: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    account = came.account
    late = came.at_s > people["late_s"][account]
    main = np.where(late, people["late"][account], people["work"][account])
    aside = (_unit(chance, 40) < people["side_share"][account]) & (people["side"][account] != NONE)
    return np.where(aside, people["side"][account], main).astype(np.int64)


def _items(
    world: World,
    work: npt.NDArray[np.int64],
    came: Arrivals,
    chance: npt.NDArray[np.uint64],
    day: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
    loads = world.workloads
    pick = (_unit(mix(chance, 2), 0) * loads.templates[work]).astype(np.int32)
    template = (loads.template[work] + pick).astype(np.int32)
    size, dealing = loads.items[work], loads.dealing[work]
    number = rng.integers(2**62, size=len(work))
    again = rng.random(len(work)) < REPEATED_ITEMS
    rank, parallel = _rank(work), dealing == Dealing.PARALLEL
    dealt = parallel | (dealing == Dealing.SHARD)
    if parallel.any():
        rank = np.where(parallel, _turned(template.astype(np.int64), pick, loads.templates[work]), rank)
    serial = day * (size // max(world.days, 1)) + rank
    number = np.where(dealing == Dealing.SET, number % size, number)
    number = np.where(dealt & ~again, serial * 7919 % size, number)
    number = np.where(dealt & again, number % size, number)
    salted = number.astype(np.uint64) + mix(loads.salt[work], 23)
    return template, np.where(dealing == Dealing.FREE, number.astype(np.uint64), mix(salted, 29))


def _rank(work: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many rows before each one belong to the same workload."""
    order = np.argsort(work, kind="stable")
    ordered = work[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.empty(len(work), np.int64)
    rank[order] = np.arange(len(work)) - first
    return rank


def _turned(
    template: npt.NDArray[np.int64], pick: npt.NDArray[np.int32], templates: npt.NDArray[np.int32]
) -> npt.NDArray[np.int64]:
    """The rank of each row among those of its template, turned by a part of them for each further template.

    Rows are ordered by account: unturned, one account would ask the same items under every template.
    """
    _, place, rows = np.unique(template, return_inverse=True, return_counts=True)
    own = rows[place]
    turned: npt.NDArray[np.int64] = (_rank(template) + pick * own // templates) % own
    return turned


def _models(
    people: Columns, came: Arrivals, work: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int8]:
    account = came.account
    adopted = came.at_s > people["adopts_s"][account]
    aside = work == people["side"][account]
    takes = adopted & ~aside & (rng.random(len(account)) < people["adopted_share"][account])
    return np.where(takes, NEW_MODEL, people["model"][account]).astype(np.int8)


def _either(
    people: Columns, name: str, account: npt.NDArray[np.int64], chance: npt.NDArray[np.uint64], shift: int
) -> npt.NDArray[Any]:
    other = _unit(chance, shift) < people[f"{name}_other_share"][account]
    return np.where(other, people[f"{name}_other"][account], people[name][account])


def _addresses(people: Columns, came: Arrivals, chance: npt.NDArray[np.uint64], day: int) -> npt.NDArray[np.int32]:
    account = came.account
    first = _either(people, "net", account, chance, 16)
    size = np.where(first == people["net"][account], people["net_size"][account], people["net_other_size"][account])
    visit = np.where(people["roams"][account], mix(chance, 7), mix(account * 4096 + day, 7))
    return (first + (visit % size.astype(np.uint64)).astype(np.int64)).astype(np.int32)


def _end_users(
    people: Columns, account: npt.NDArray[np.int64], chance: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """A number per end user of an account's own service, 0 where it has none."""
    users = people["end_users"][account]
    number = mix(account * 4096 + (_unit(mix(chance, 13), 8) ** 2 * users).astype(np.int64), 31) | np.uint64(1)
    return np.where(users > 0, number, np.uint64(0))


def _answers(
    world: World,
    people: Columns,
    account: npt.NDArray[np.int64],
    template: npt.NDArray[np.int32],
    model: npt.NDArray[np.int8],
    rng: np.random.Generator,
) -> Draws:
    count, templates = len(account), world.templates
    lengths = world.rhythm.lengths
    spread = lengths[rng.integers(len(lengths), size=count)] if len(lengths) else rng.lognormal(0.0, 0.65, count)
    wanted = templates.output_tokens[template] * people["output_scale"][account] * spread
    tokens = np.clip(wanted, 1, MOST_TOKENS).astype(np.int64)
    status = np.searchsorted([0.972, 0.989, 0.995], rng.random(count)).astype(np.int8)
    tokens[status > 0] = 0
    draw = rng.random(count)
    finish = np.where(wanted > MOST_TOKENS, 1, np.where(draw < 0.006, 3, 0))
    tools = templates.tools[template] + people["tools"][account]
    tools = np.where(rng.random(count) < 0.75, tools, templates.tools[template])
    calls = (tools > 0) & (draw > 0.7)
    finish = np.where(calls & (finish == 0), 2, finish)
    eager = people["thinks"][account] * np.where(model == 2, 0.3, 1.0)
    thinks = rng.random(count) < eager + (1 - eager) * eager * templates.reasoning_share[template]
    reasoning = np.where(thinks, tokens * rng.uniform(0.2, 0.75, count), 0).astype(np.int64)
    shows = rng.random(count) < np.where(templates.images[template] > 0, 0.7, people["images"][account])
    return {
        "output_tokens": tokens,
        "reasoning_tokens": reasoning,
        "status": status,
        "finish": np.where(status > 0, -1, finish).astype(np.int8),
        "tools": tools.astype(np.int32),
        "images": np.where(shows, rng.integers(1, 4, count), 0).astype(np.int32),
    }


def _batch(world: World, rows: Draws) -> pa.RecordBatch:
    """A chunk of exchanges as Arrow, in the published columns."""
    template, accounts = rows["template"], pa.array(rows["account"])
    text, system = _texts(world, rows)
    input_tokens = 9 + (_bytes(text) + _bytes(system)) // 4 + rows["position"] * 180 + rows["images"] * 900
    columns = {
        "exchange_id": hex_ids("req_", mix(rows["at_us"].view(np.uint64) ^ rows["session"], 41) ^ rows["wording"]),
        "started_at": pa.array(rows["at_us"] + world.starts_us).cast(TIMESTAMP),
        "account_id": world.account_ids.take(accounts),
        "organization_id": world.organization_ids.take(accounts),
        "api_key_id": hex_ids(
            "key_", mix(rows["account"] * np.int64(16) + rows["key"].astype(np.int64), 43), rows["path"] == 1
        ),
        "end_user_id": hex_ids("user_", rows["end_user"], rows["end_user"] == 0),
        "session_id": hex_ids("sess_", rows["session"], ~rows["has_session"]),
        "access_path": _named(PATHS, rows["path"]),
        "model": _named(MODELS, rows["model"]),
        "client_ip": dotted(world.addresses[rows["address"]]),
        "user_agent": _named([client[0] for client in (*CLIENTS, HARNESS)], rows["client"]),
        "tls_fingerprint": _named([client[1] for client in (*CLIENTS, HARNESS)], rows["client"]),
        "system_prompt": system if world.with_text else None,
        "prompt": text if world.with_text else None,
        "turn_count": pa.array(1 + 2 * rows["position"]),
        "tool_count": pa.array(rows["tools"]),
        "image_count": pa.array(rows["images"]),
        "input_tokens": pa.array(input_tokens),
        "output_tokens": pa.array(rows["output_tokens"]),
        "reasoning_tokens": pa.array(rows["reasoning_tokens"]),
        "finish_reason": _named(FINISHES, rows["finish"]),
        "status": _named(STATUSES, rows["status"]),
        "metadata": _named(METADATA, rows["metadata"]),
        "reasoning_issued": artefact_lists(rows["issued"][:, None]),
        "reasoning_replayed": artefact_lists(rows["replayed"]),
    }
    empty = [pa.nulls(len(template), field.type) if columns.get(field.name) is None else None for field in SCHEMA]
    filled = [columns[field.name] if blank is None else blank for field, blank in zip(SCHEMA, empty, strict=True)]
    return pa.RecordBatch.from_arrays(filled, schema=SCHEMA)


def _texts(world: World, rows: Draws) -> tuple[pa.Array, pa.Array]:
    parts = prompt_parts(world.templates, world.kinds, rows["template"], rows["item"], rows["wording"])
    return world.parts.texts(parts), world.parts.texts(rows["system"][:, None])


def _bytes(text: pa.Array) -> npt.NDArray[np.int64]:
    return np.diff(np.frombuffer(text.buffers()[1], np.int32)[: len(text) + 1]).astype(np.int64)


def _named(names: tuple[str, ...] | list[str], index: npt.NDArray[Any]) -> pa.Array:
    """A dictionary column; negative numbers are null."""
    values, inverse = np.unique(np.array(names), return_inverse=True)
    index = index.astype(np.int8)
    positions = pa.array(np.where(index < 0, 0, inverse.astype(np.int8)[index]), mask=index < 0)
    return pa.DictionaryArray.from_arrays(positions, pa.array(values.tolist(), pa.string()))


_OCTETS = pa.array([str(octet) for octet in range(256)])


def dotted(addresses: npt.NDArray[np.uint32]) -> pa.Array:
    """IPv4 addresses in dotted form."""
    octets = [
        _OCTETS.take(pa.array((addresses >> np.uint32(shift) & np.uint32(255)).astype(np.int32)))
        for shift in (24, 16, 8, 0)
    ]
    return pc.binary_join_element_wise(*octets, ".")
