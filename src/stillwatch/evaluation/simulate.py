"""Write a world: accounts, exchanges by day, and the truth about them."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch.errors import SettingsError
from stillwatch.evaluation import hostile
from stillwatch.evaluation.arrivals import BUILT_IN_RHYTHM, Rhythm
from stillwatch.evaluation.days import SCHEMA, Population, World, day_batches
from stillwatch.evaluation.grammar import grammar
from stillwatch.evaluation.hostile import Campaign
from stillwatch.evaluation.languages import spoken
from stillwatch.evaluation.parts import hex_ids, mix, stream
from stillwatch.evaluation.people import DAY_S, Columns, Networks, Plan
from stillwatch.evaluation.populations import POPULATIONS
from stillwatch.evaluation.registry import accounts_table, instant_us, truth_table
from stillwatch.evaluation.samples import read_prompts, read_rhythm
from stillwatch.evaluation.scenarios import Scenario, made
from stillwatch.evaluation.scenarios import scenario as named
from stillwatch.evaluation.templates import Library

FEWEST_ACCOUNTS = 12  # of a campaign, at any scale
WRITERS = 2  # days written at once: more would only need more memory


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written."""

    scenario: str
    scale: float
    days: int
    seed: int
    accounts: int
    hostile_accounts: int
    exchanges: int
    campaigns: dict[str, int]  # accounts of each
    segments: dict[str, int]  # legitimate accounts of each
    starts_at: str
    release_at: str
    with_text: bool
    doses: dict[str, float | int | str] = field(default_factory=dict)  # what was overridden
    added: dict[str, float] = field(default_factory=dict)  # shares of customers over the scenario's own
    drawn: dict[str, object] = field(default_factory=dict)  # what the seed drew of campaigns and customers


def simulate(
    out: Path,
    *,
    scenario: str | Scenario,
    scale: float,
    days: int | None = None,
    seed: int = 0,
    prompts: Path | None = None,
    timing: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Write OUT/accounts.parquet, OUT/exchanges/<date>.parquet, OUT/truth.parquet and OUT/world.json.

    Raises:
        SettingsError: the scenario is unknown, scale or days is out of range, or OUT holds other files.
        InputError: the file of prompts or of timing cannot be used.
    """
    chosen = made(named(scenario) if isinstance(scenario, str) else scenario, seed)
    _refuse(scale, days)
    plan = _plan(chosen, scale, days or chosen.days, seed)
    if prompts is not None:
        plan.files.update(read_prompts(prompts, plan.library))
    world, people = _world(chosen, plan, BUILT_IN_RHYTHM if timing is None else read_rhythm(timing))
    _make_room(out)
    pq.write_table(
        accounts_table(people, world.account_ids, world.addresses, world.starts_us), out / "accounts.parquet"
    )
    pq.write_table(truth_table(people, world.account_ids), out / "truth.parquet")
    exchanges = _write_days(world, out / "exchanges", on_progress or (lambda done, total: None))
    summary = _summary(chosen, plan, world, people, exchanges)
    told = {name: value for name, value in asdict(summary).items() if name not in ("doses", "added", "drawn") or value}
    (out / "world.json").write_text(json.dumps(told, indent=2) + "\n")
    return summary


def _make_room(out: Path) -> None:
    """An empty folder of exchanges at OUT; an earlier world there is replaced, anything else is left alone."""
    folder = out / "exchanges"
    folder.mkdir(parents=True, exist_ok=True)
    stale = list(folder.iterdir())
    if stale and not (out / "world.json").is_file():
        raise SettingsError(f"{folder} holds files of something else than a simulated world; choose an empty folder")
    for file in stale:
        file.unlink()


def _refuse(scale: float, days: int | None) -> None:
    if not 0 < scale <= 10:
        raise SettingsError(f"scale {scale} is outside (0, 10]; 1 is the disclosed size, 0.02 a quick look")
    if days is not None and not 1 <= days <= 366:
        raise SettingsError(f"{days} days is outside 1 to 366; leave it out for the scenario's own window")


def _plan(chosen: Scenario, scale: float, days: int, seed: int) -> Plan:
    words = grammar() if chosen.doses.language is None else spoken(chosen.doses.language)
    return Plan(
        seed=seed,
        scale=scale,
        days=days,
        networks=Networks(seed, scale),
        library=Library(words, chosen.with_text),
        release_s=chosen.release_share * days * DAY_S,
        corpora=tuple(dict.fromkeys(campaign.aim for campaign in chosen.campaigns)),
    )


def _world(chosen: Scenario, plan: Plan, rhythm: Rhythm) -> tuple[World, Columns]:
    campaigns = _hostile_populations(chosen, plan)
    customers = _legitimate_populations(chosen, plan, sum(_usual(campaign, plan) for campaign in chosen.campaigns))
    _balance(chosen, plan, campaigns, customers)
    populations, first = [], 0
    for name, people in {**campaigns, **customers}.items():
        populations.append(Population(name, people, first))
        first += len(people["rate"])
    merged = _merged(populations)
    numbers = np.concatenate([mix(np.arange(len(p.people["rate"])), _salt(plan.seed, p.name)) for p in populations])
    world = World(
        seed=plan.seed,
        starts_us=instant_us(chosen.starts_at),
        days=plan.days,
        populations=tuple(populations),
        account_ids=hex_ids("acct_", numbers),
        organization_ids=pa.array(merged["organization"].tolist(), pa.string()),
        parts=plan.library.pool.freeze(),
        templates=plan.library.freeze_templates(),
        workloads=plan.library.freeze_workloads(),
        kinds=plan.library.freeze_kinds(),
        addresses=plan.networks.table(),
        rhythm=rhythm,
        with_text=chosen.with_text,
    )
    return world, merged


def _salt(seed: int, name: str) -> int:
    return int(stream(seed, "ids", name).integers(2**62))


def _usual(campaign: Campaign, plan: Plan) -> int:
    """Accounts of a campaign at the scale of the world; customers are as many as belong to this, whatever the dose."""
    return max(FEWEST_ACCOUNTS, round(campaign.accounts * plan.scale))


def _hostile_populations(chosen: Scenario, plan: Plan) -> dict[str, Columns]:
    populations = {}
    for campaign in chosen.campaigns:
        count = chosen.doses.accounts or _usual(campaign, plan)
        sized = replace(campaign, exchanges=round(campaign.exchanges * plan.days / chosen.days))
        people = hostile.accounts(sized, plan, stream(plan.seed, "campaign", campaign.name), count)
        people.setdefault("campaign", np.full(count, campaign.name, object))
        populations[campaign.name] = people
    return populations


def _legitimate_populations(chosen: Scenario, plan: Plan, hostile_count: int) -> dict[str, Columns]:
    populations = {}
    total = hostile_count * chosen.customers_per_hostile
    for segment, share in chosen.customers.items():
        count = max(8, round(total * share / sum(chosen.customers.values())))
        people = POPULATIONS[segment](plan, stream(plan.seed, "segment", segment), count)
        _turn_over(people, chosen.turnover_share, plan, stream(plan.seed, "turnover", segment))
        people["from_s"] = np.maximum(people["from_s"], people["created_s"])
        people["to_s"] = np.maximum(people["to_s"], people["from_s"])
        people["campaign"] = np.full(count, None, object)
        people["role"] = np.full(count, None, object)
        people["segment"] = np.full(count, segment, object)
        populations[segment] = people
    return populations


def _turn_over(people: Columns, share: float, plan: Plan, rng: np.random.Generator) -> None:
    """Let some customers leave and as many join around the middle of the window: the twin of a banned pool."""
    middle_s = plan.days * DAY_S / 2
    draw, delay_s = rng.random(len(people["rate"])), rng.exponential(0.5 * DAY_S, len(people["rate"]))
    leaves, joins = draw < share, draw > 1 - share
    people["to_s"] = np.where(leaves, middle_s + delay_s - 0.5 * DAY_S, people["to_s"])
    people["from_s"] = np.where(joins, middle_s + delay_s, people["from_s"])


def _expected(people: Columns) -> float:
    return float((people["rate"] * np.maximum(people["to_s"] - people["from_s"], 0)).sum() / DAY_S)


def _balance(chosen: Scenario, plan: Plan, campaigns: dict[str, Columns], customers: dict[str, Columns]) -> None:
    """Scale the customers' rates together so that their traffic outweighs the campaigns' as the scenario says."""
    usual = [
        _expected(people) * (_usual(campaign, plan) / len(people["rate"]))
        for campaign, people in zip(chosen.campaigns, campaigns.values(), strict=True)
    ]
    wanted = chosen.traffic_per_hostile * sum(usual)
    factor = wanted / sum(_expected(people) for people in customers.values())
    for people in customers.values():
        people["rate"] = people["rate"] * factor


def _merged(populations: list[Population]) -> Columns:
    names = ("created_s", "organization", "mail_style", "mail_domain", "phone", "card", "device", "program", "level")
    more = ("plan", "country", "signup", "campaign", "role", "segment", "controller")
    return {name: np.concatenate([p.people[name] for p in populations]) for name in (*names, *more)}


def _write_days(world: World, folder: Path, on_progress: Callable[[int, int], None]) -> int:
    done, exchanges = 0, 0
    on_progress(0, world.days)
    with ThreadPoolExecutor(WRITERS) as writers:
        for written in writers.map(lambda day: _write_day(world, day, folder), range(world.days)):
            done, exchanges = done + 1, exchanges + written
            on_progress(done, world.days)
    return exchanges


def _write_day(world: World, day: int, folder: Path) -> int:
    on = datetime.fromtimestamp(world.starts_us / 1e6, UTC) + timedelta(days=day)
    path, rows = folder / f"{on:%Y-%m-%d}.parquet", 0
    partial = path.with_suffix(".partial")
    plain = ["exchange_id", "prompt"]
    repeated = [name for name in SCHEMA.names if name not in plain]
    with pq.ParquetWriter(
        partial,
        SCHEMA,
        compression="snappy",
        use_dictionary=repeated,
        store_schema=False,
        write_statistics=["started_at"],
    ) as writer:
        for batch in day_batches(world, day):
            writer.write_batch(batch)
            rows += batch.num_rows
    partial.replace(path)
    return rows


def _summary(chosen: Scenario, plan: Plan, world: World, people: Columns, exchanges: int) -> Summary:
    is_hostile = np.array([campaign is not None for campaign in people["campaign"]])
    counted = {
        name: int((people["campaign"] == name).sum()) for name in dict.fromkeys(c.name for c in chosen.campaigns)
    }
    segments = {name: int((~is_hostile & (people["segment"] == name)).sum()) for name in chosen.customers}
    at = datetime.fromtimestamp(world.starts_us / 1e6, UTC)
    return Summary(
        scenario=chosen.name,
        scale=plan.scale,
        days=plan.days,
        seed=plan.seed,
        accounts=len(is_hostile),
        hostile_accounts=int(is_hostile.sum()),
        exchanges=exchanges,
        campaigns=counted,
        segments=segments,
        starts_at=at.isoformat(),
        release_at=(at + timedelta(seconds=plan.release_s)).isoformat(),
        with_text=chosen.with_text,
        doses=chosen.doses.as_json(),
        added=dict(chosen.added),
        drawn=dict(chosen.told),
    )
