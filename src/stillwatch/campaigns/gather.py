"""Gathers what the tests need about every cluster, by joins of the stage tables with the members."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.campaigns.attempts import Attempts, attempt_days, attempts_by, reaching_rows
from stillwatch.campaigns.days import NO_DAYS, Days, as_days
from stillwatch.campaigns.embeddings import Embeddings
from stillwatch.campaigns.facts import Evidence, Facts, FamilyUse, GroupLink, Member, TemplateUse, Usage
from stillwatch.campaigns.families import family_holders, family_uses
from stillwatch.campaigns.handed_on import HandedOn, handed_on_by
from stillwatch.campaigns.hypotheses.base import OWNED_SHARE, of_one_owner
from stillwatch.campaigns.sizes import sizes_by
from stillwatch.campaigns.volume import Everybody, Volume, by_programme
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.records import EMBEDDING_SIZE, INTENTS, LEAD_KIND, TEMPLATE_KINDS

UNREAD = ("system_prompt_id", "finish_reason", "status", "place", "lead")  # of what is borne
CORE_BITS = 3.0  # a template 8 times commoner inside a cluster than outside is one of its own
CORE_ACCOUNTS = 3  # members that must hold it
CORE_KINDS = (*TEMPLATE_KINDS, "system_prompt")
SEGMENT = ("model", "access_program", "script")  # what a reference backs off from, first part first
BUSY_DAYS = 3  # a deadline shows in this many days


# Columns of the signals whose absence starves an innocent explanation; prompts are looked for in what bears a template.
PROMPTED = ("text_id", "script", "intents", "embedding")  # what is read of prompts
LOGGED = ("input_tokens", "client_ip", "client_ip_prefix", "user_agent", "session_id")


@dataclass(frozen=True, slots=True)
class Tables:
    """The stage tables the campaign tests read: Ibis for what is large, Arrow for what fits the driver.

    `columns` are those of the exchanges that hold anything; `borne`, when it was written already, is what `bearing`
    gives; `precision` how often the sender of each lead proved right; `content` the exchanges with their input tokens;
    `taken` the output tokens of every account; `work` a folder for what several questions read, which each asks for
    again where there is none.
    """

    templated: IbisTable
    activity: IbisTable
    replays: IbisTable
    accounts: pa.Table
    members: pa.Table
    evidence: pa.Table
    cohesion: pa.Table
    columns: frozenset[str] = frozenset()
    borne: IbisTable | None = None
    precision: Mapping[str, float] = field(default_factory=dict)
    content: IbisTable | None = None
    taken: Mapping[str, int] = field(default_factory=dict)
    work: Path | None = None

    @property
    def may_hold_prompts(self) -> bool:
        """Whether prompts were logged; they may have been where nobody looked."""
        return not self.columns or any(name in self.columns for name in PROMPTED)


def facts(tables: Tables, engine: Engine, *, account_count: int, pardoned: Iterable[str] = ()) -> list[Facts]:
    """The facts of every cluster, in cluster order. `pardoned` are accounts an analyst found innocent."""
    clusters = _by_cluster(tables.members)
    if not clusters:
        return []
    members = _members(tables, engine)
    borne = tables.borne
    if borne is None:
        borne = _kept(bearing(tables, engine, account_count=account_count), "bearing.parquet", tables, engine)
    own = numbered(borne.filter(~borne.is_public))
    usages = _with_segments(usage_by(own, "cluster_id"), _by_segment(own, tables, engine))
    numbers, days = days_by(own, "cluster_id")
    has_prompts = tables.may_hold_prompts and bool(tables.templated.template_id.notnull().any().to_pyarrow().as_py())
    context = _Context(
        tables=tables,
        people=_people(tables.accounts, tables.members),
        evidence=_grouped(tables.evidence),
        links=_grouped(tables.cohesion),
        templates=_templates(own.filter(~own.is_reworded)),
        families=family_uses(own),
        usages=usages,
        days={name: days.take(np.array([i])) for i, name in enumerate(numbers)},
        bearers=_bearers(own, clusters, tables.members),
        totals=_totals(tables.activity, members),
        public_shares=_public_shares(borne),
        attempts=_attempts(tables, members, engine) if tables.may_hold_prompts else {},
        handed_on=handed_on_by(tables.replays, members),
        has_prompts=has_prompts,
        columns=_columns(tables, has_prompts=has_prompts),
        pardoned=frozenset(pardoned),
    )
    found = [context.facts(cluster, ids) for cluster, ids in sorted(clusters.items())]
    return _with_sizes(_with_volume(found, tables), tables, engine)


def bearing(tables: Tables, engine: Engine, *, account_count: int) -> IbisTable:
    """The members' exchanges that bear what is far commoner in their cluster.

    With `cluster_id`, `is_public`, `is_reworded`: by its family alone, and `member`: the row among the members.
    """
    sizes = {c: len(ids) for c, ids in _by_cluster(tables.members).items()}
    members = _members(tables, engine)
    said = family_holders(tables.templated, members) if sizes and tables.may_hold_prompts else []
    core, reworded = _core(tables, sizes, account_count), _core_families(said, sizes, account_count)
    exchanges = tables.templated if core.num_rows or reworded.num_rows else tables.templated.limit(0)
    return _bearing(exchanges, members, engine.memory(core), engine.memory(reworded))


def numbered(borne: IbisTable) -> IbisTable:
    """What is borne with the number of the member for its account: numbers are told apart sooner than names."""
    return borne.drop("account_id").rename(account_id="member")


def _members(tables: Tables, engine: Engine) -> IbisTable:
    """The members: account_id, cluster_id and their rows."""
    members = tables.members.select(["account_id", "cluster_id"])
    return engine.memory(members.append_column("member", pa.array(range(members.num_rows), pa.int64())))


def _with_volume(found: Sequence[Facts], tables: Tables) -> list[Facts]:
    """The clusters with what they took compared with customers outside all of them."""
    if not tables.taken:
        return list(found)
    inside = tables.members["account_id"]
    ordinary = by_programme(tables.taken, tables.accounts, without=inside)
    return [replace(one, volume=_volume(one, tables.taken, ordinary, len(found))) for one in found]


def _volume(one: Facts, taken: Mapping[str, int], ordinary: Everybody, asked: int) -> Volume:
    tokens = [taken.get(account, 0) for account in one.account_ids]
    programmes = [member.access_program for member in one.members]
    return ordinary.volume(tokens, one.principals, programmes, asked)


def _with_sizes(found: Sequence[Facts], tables: Tables, engine: Engine) -> list[Facts]:
    """The clusters with the sizes of their requests, read only of those that openly are one owner's: few and small."""
    owned = {number: one for number, one in enumerate(found) if of_one_owner(one) >= OWNED_SHARE}
    if tables.content is None or not owned:
        return list(found)
    pairs = [(account, number) for number, one in owned.items() for account in one.account_ids]
    members = pa.table({"account_id": [a for a, _ in pairs], "cluster_id": pa.array([n for _, n in pairs], pa.int64())})
    sizes = sizes_by(tables.content, engine.memory(members))
    return [replace(one, sizes=sizes.get(number, one.sizes)) for number, one in enumerate(found)]


def _by_segment(own: IbisTable, tables: Tables, engine: Engine) -> IbisTable:
    """Exchanges of each cluster by what makes its segment: cluster_id, n, and as in SEGMENT."""
    counted = own.group_by(["cluster_id", "account_id", "model", "script"]).aggregate(n=ibis._.count())
    programmes = tables.accounts["access_program"].combine_chunks()
    places = pc.index_in(tables.members["account_id"].combine_chunks(), tables.accounts["account_id"].combine_chunks())
    declared = {"account_id": pa.array(range(len(places)), pa.int64()), "access_program": programmes.take(places)}
    rows = counted.left_join(engine.memory(pa.table(declared)), "account_id").drop("account_id_right")
    return rows.group_by(["cluster_id", *SEGMENT]).aggregate(n=rows.n.sum())


def _with_segments(usages: Mapping[Any, Usage], counted: IbisTable) -> dict[Any, Usage]:
    """The usages with the segment of each: the commonest value of each part, of equals the first by name."""
    counts: dict[Any, tuple[dict[str | None, int], ...]] = {}
    for row in counted.to_pyarrow().to_pylist():
        for part, counter in zip(
            SEGMENT, counts.setdefault(row["cluster_id"], tuple({} for _ in SEGMENT)), strict=True
        ):
            counter[row[part]] = counter.get(row[part], 0) + int(row["n"])
    return {name: replace(usage, segment=tuple(map(_commonest, counts[name]))) for name, usage in usages.items()}


def _commonest(counter: Mapping[str | None, int]) -> str | None:
    return min(counter, key=lambda value: (-counter[value], value or ""))


def _bearers(own: IbisTable, clusters: Mapping[int, Sequence[str]], members: pa.Table) -> dict[int, Days]:
    """What each account of each cluster did on its days with template-bearing exchanges, by account."""
    accounts, days = days_by(own, "account_id")
    names = members["account_id"].to_pylist()
    number = {names[row]: i for i, row in enumerate(accounts)}
    places = {cluster: [number[one] for one in ids if one in number] for cluster, ids in clusters.items()}
    return {cluster: days.take(np.array(of, np.int64)) for cluster, of in places.items()}


def _attempts(tables: Tables, members: IbisTable, engine: Engine) -> dict[int, Attempts]:
    """How all traffic of each cluster's members reaches for reasoning: what is tried bears no template yet."""
    rows = tables.templated.inner_join(members, "account_id")
    names = ("cluster_id", "account_id", "template_id", "item_id", "started_at", "code", "is_refused")
    reaching = _kept(reaching_rows(rows).select(*names), "reaching.parquet", tables, engine)
    days = attempt_days(reaching, "cluster_id")
    return {
        cluster: replace(attempts, days=days.get(cluster, []))
        for cluster, attempts in attempts_by(rows, reaching, "cluster_id").items()
    }


def _kept(rows: IbisTable, name: str, tables: Tables, engine: Engine) -> IbisTable:
    """The rows, written once where there is a folder for it."""
    return rows if tables.work is None else engine.write(rows, tables.work / name)


def usage_by(rows: IbisTable, key: str) -> dict[Any, Usage]:
    """Usage of each value of `key` over rows of templated exchanges."""
    senders = rows.group_by([*dict.fromkeys((key, "item_id", "account_id"))]).aggregate(n=ibis._.count())
    items = senders.group_by([key, "item_id"]).aggregate(exchanges=ibis._.n.sum(), accounts=ibis._.count())
    spread = items.group_by(key).aggregate(
        items=ibis._.item_id.count(),
        copies=(ibis._.exchanges * (ibis._.accounts - 1)).sum(),
        repeated=(ibis._.exchanges - ibis._.accounts).sum(),
    )
    sums = rows.group_by(key).aggregate(
        exchanges=ibis._.count(),
        accounts=ibis._.account_id.nunique(),
        output_tokens=ibis._.output_tokens.fill_null(0).sum(),
        reasoning_tokens=ibis._.reasoning_tokens.fill_null(0).sum(),
        **intent_counts(rows),
    )
    embeddings = {row[key]: row for row in _embedded(rows, key)}
    mixes: dict[Any, dict[str, int]] = {}
    shown = rows.filter(rows.capability.notnull()).group_by([key, "capability"]).aggregate(n=ibis._.count())
    for row in shown.to_pyarrow().to_pylist():
        mixes.setdefault(row[key], {})[row["capability"]] = int(row["n"])
    joined = sums.join(spread, key).to_pyarrow().to_pylist()
    return {row[key]: _usage(row, mixes.get(row[key], {}), embeddings.get(row[key])) for row in joined}


def days_by(rows: IbisTable, key: str) -> tuple[list[Any], Days]:
    """Each value of `key` in order, and what it did day by day over rows as for `usage_by`."""
    rows = rows.mutate(day=(rows.started_at.epoch_seconds() // 86400).cast("int64").fill_null(0))
    sent = rows.filter(rows.item_id.notnull()).group_by([key, "item_id"]).aggregate(day=ibis._.day.min())
    new = sent.group_by([key, "day"]).aggregate(items=ibis._.count())
    counts = intent_counts(rows)
    sums = rows.group_by([key, "day"]).aggregate(exchanges=ibis._.count(), **counts)
    joined = sums.left_join(new, [key, "day"]).select(key, "day", "exchanges", "items", *counts)
    return as_days(joined.to_pyarrow(), key)


def _embedded(rows: IbisTable, key: str) -> list[dict[str, Any]]:
    """Exchanges with an embedding, and the sum of each component."""
    told = rows.filter(rows.embedding.notnull()).group_by(key)
    sums = told.aggregate(**component_sums(), embedded=ibis._.embedding.count())
    return list(sums.to_pyarrow().to_pylist())


def component_sums() -> dict[str, IbisTable]:
    """The sum of each component of embeddings; integers, so any order agrees."""
    parts = {f"embedding_{i}": ibis._.embedding[i] for i in range(EMBEDDING_SIZE)}
    return {name: part.cast("int32").sum().cast("int64") for name, part in parts.items()}


def intent_counts(rows: IbisTable) -> dict[str, IbisTable]:
    """Exchanges with each intent; arithmetic, because bit operators differ between engines."""
    return {name: ((rows.intents.fill_null(0) // (1 << bit)) % 2).sum() for bit, name in enumerate(INTENTS)}


def _usage(row: Mapping[str, Any], mix: Mapping[str, int], embedded: Mapping[str, Any] | None) -> Usage:
    names = [f"embedding_{i}" for i in range(EMBEDDING_SIZE)]
    sums = [int(embedded[name]) for name in names] if embedded else [0] * EMBEDDING_SIZE
    return Usage(
        exchanges=int(row["exchanges"]),
        items=int(row["items"]),
        accounts=int(row["accounts"]),
        copies=int(row["copies"]),
        repeated_exchanges=int(row["repeated"]),
        output_tokens=int(row["output_tokens"]),
        reasoning_tokens=int(row["reasoning_tokens"]),
        intents=tuple(int(row.get(name, 0)) for name in INTENTS),
        capabilities=dict(mix),
        embeddings=Embeddings(exchanges=int(embedded["embedded"]) if embedded else 0, sums=tuple(sums)),
    )


def _core(tables: Tables, sizes: Mapping[int, int], account_count: int) -> pa.Table:
    """Templates and system prompts far commoner inside each cluster: cluster_id, kind, value, is_public.

    A public one is held by at least as many outsiders as members; only the others are the cluster's own.
    """
    rows = [row for row in tables.evidence.to_pylist() if row["kind"] in CORE_KINDS]
    kept = [row for row in rows if _is_core(row, sizes[row["cluster_id"]], account_count)]
    schema = [("cluster_id", pa.int64()), ("kind", pa.string()), ("value", pa.int64()), ("is_public", pa.bool_())]
    columns = {
        "cluster_id": [row["cluster_id"] for row in kept],
        "kind": [row["kind"] for row in kept],
        "value": [int(row["value"]) for row in kept],
        "is_public": [row["outside_count"] >= row["account_count"] for row in kept],
    }
    return pa.table(columns, schema=pa.schema(schema))


def _core_families(said: Sequence[Mapping[str, Any]], sizes: Mapping[int, int], account_count: int) -> pa.Table:
    """Families far commoner inside each cluster, and hardly used outside: cluster_id, family_id."""
    kept = [row for row in said if _is_core(row, sizes[row["cluster_id"]], account_count)]
    kept = [row for row in kept if row["outside_count"] < row["account_count"]]
    names = ("cluster_id", "family_id")
    return pa.table({name: pa.array([row[name] for row in kept], pa.int64()) for name in names})


def _is_core(row: Mapping[str, Any], size: int, account_count: int) -> bool:
    if row["account_count"] < CORE_ACCOUNTS:
        return False
    inside = (row["account_count"] + 0.5) / (size + 1.0)
    outside = (row["outside_count"] + 0.5) / (account_count - size + 1.0)
    return bool(inside >= outside * 2.0**CORE_BITS)


def _bearing(templated: IbisTable, members: IbisTable, core: IbisTable, reworded: IbisTable) -> IbisTable:
    """The members' exchanges that bear a core template or system prompt of their cluster, or else a core family.

    An exchange is public only when nothing it bears is the cluster's own; a family counts only where it bears neither.
    """
    rows = templated.inner_join(members, "account_id")
    templates = core.filter(core.kind.isin(TEMPLATE_KINDS))
    templates = templates.select("cluster_id", template_id=core.value, public_template=core.is_public)
    prompts = core.filter(core.kind == "system_prompt")
    prompts = prompts.select("cluster_id", system_prompt_id=core.value, public_prompt=core.is_public)
    rows = rows.left_join(templates, ["cluster_id", "template_id"]).select(*rows.columns, "public_template")
    rows = rows.left_join(prompts, ["cluster_id", "system_prompt_id"]).select(*rows.columns, "public_prompt")
    families = reworded.mutate(is_family=ibis.literal(True))
    rows = rows.left_join(families, ["cluster_id", "family_id"]).select(*rows.columns, "is_family")
    is_reworded = rows.public_template.isnull() & rows.public_prompt.isnull()
    borne = rows.mutate(is_reworded=is_reworded).filter(~is_reworded | rows.is_family.notnull())
    is_public = borne.public_template.fill_null(True) & borne.public_prompt.fill_null(True) & ~borne.is_reworded
    return borne.mutate(is_public=is_public).drop("is_family", *UNREAD)


def _public_shares(borne: IbisTable) -> dict[int, float]:
    """Share of each cluster's borne exchanges that bear public templates only."""
    rows = borne.group_by("cluster_id").aggregate(share=borne.is_public.mean()).to_pyarrow().to_pylist()
    return {row["cluster_id"]: row["share"] for row in rows}


def _templates(bearing: IbisTable) -> dict[int, list[TemplateUse]]:
    bearing = bearing.filter(bearing.template_id.notnull())
    capability = _template_capabilities(bearing)
    rows = bearing.group_by(["cluster_id", "template_id"]).aggregate(
        exchanges=ibis._.count(),
        accounts=ibis._.account_id.nunique(),
        items=ibis._.item_id.nunique(),
    )
    found: dict[int, list[TemplateUse]] = {}
    for row in rows.order_by([ibis.desc("exchanges"), "template_id"]).to_pyarrow().to_pylist():
        most = capability.get((row["cluster_id"], row["template_id"]))
        use = TemplateUse(row["template_id"], row["exchanges"], row["accounts"], row["items"], most)
        found.setdefault(row["cluster_id"], []).append(use)
    return found


def _template_capabilities(bearing: IbisTable) -> dict[tuple[int, int], str]:
    """Most frequent capability of each template in a cluster; of equals the first by name, in any row order."""
    known = bearing.filter(bearing.capability.notnull())
    counted = known.group_by(["cluster_id", "template_id", "capability"]).aggregate(n=ibis._.count())
    found: dict[tuple[int, int], str] = {}
    for row in counted.order_by([ibis.desc("n"), "capability"]).to_pyarrow().to_pylist():
        found.setdefault((row["cluster_id"], row["template_id"]), row["capability"])
    return found


def _totals(activity: IbisTable, members: IbisTable) -> dict[int, list[Mapping[str, Any]]]:
    """Activity of the members per cluster, day, model and capability."""
    rows = activity.inner_join(members, "account_id")
    rows = rows.mutate(day=(rows.hour_at.epoch_seconds() // 86400).cast("int64"))
    sums = rows.group_by(["cluster_id", "day", "model", "capability"]).aggregate(
        **{name: rows[name].sum().cast("int64") for name in _SUMMED},
        first=rows.hour_at.min(),
        last=rows.hour_at.max(),
    )
    accounts = rows.group_by(["cluster_id", "day"]).aggregate(accounts=rows.account_id.nunique())
    joined = sums.join(accounts, ["cluster_id", "day"])
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in joined.to_pyarrow().to_pylist():
        found.setdefault(row["cluster_id"], []).append(row)
    return found


_SUMMED = ("exchanges", "input_tokens", "output_tokens", "reasoning_tokens")


def _by_cluster(members: pa.Table) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for account_id, cluster in zip(members["account_id"].to_pylist(), members["cluster_id"].to_pylist(), strict=True):
        found.setdefault(cluster, []).append(account_id)
    return {cluster: sorted(ids) for cluster, ids in found.items()}


def _people(accounts: pa.Table, members: pa.Table) -> dict[str, Member]:
    """What the accounts table says about members."""
    accounts = accounts.filter(pc.is_in(accounts["account_id"], members["account_id"].combine_chunks()))
    names = ["account_id", "organization_id", "access_program", "verification_level", "created_at"]
    columns = [accounts[name].to_pylist() for name in names]
    return {row[0]: Member(*row) for row in zip(*columns, strict=True)}


def _columns(tables: Tables, *, has_prompts: bool) -> frozenset[str]:
    """Names of the columns that hold anything: of the accounts table, and of the exchanges."""
    found = {f"accounts.{name}" for name in tables.accounts.column_names if _holds_anything(tables.accounts[name])}
    found |= {"exchanges.prompt"} if has_prompts else set()
    return frozenset(found | {f"exchanges.{name}" for name in LOGGED if name in tables.columns})


def _holds_anything(column: pa.ChunkedArray) -> bool:
    return bool(column.null_count < len(column))


def _grouped(table: pa.Table) -> dict[int, list[Mapping[str, Any]]]:
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in table.to_pylist():
        found.setdefault(row["cluster_id"], []).append(row)
    return found


@dataclass(frozen=True, slots=True)
class _Context:
    """Lookups shared by all clusters while their facts are put together."""

    tables: Tables
    people: Mapping[str, Member]
    evidence: Mapping[int, list[Mapping[str, Any]]]
    links: Mapping[int, list[Mapping[str, Any]]]
    templates: Mapping[int, list[TemplateUse]]
    families: Mapping[int, list[FamilyUse]]
    usages: Mapping[int, Usage]
    days: Mapping[int, Days]
    bearers: Mapping[int, Days]
    totals: Mapping[int, list[Mapping[str, Any]]]
    public_shares: Mapping[int, float]
    attempts: Mapping[int, Attempts]
    handed_on: Mapping[int, HandedOn]
    has_prompts: bool
    columns: frozenset[str]
    pardoned: frozenset[str]

    def facts(self, cluster: int, ids: Sequence[str]) -> Facts:
        """The facts of one cluster."""
        totals = self.totals.get(cluster, [])
        timeline = _timeline(totals)
        summed = {name: sum(row[name] for row in totals) for name in _SUMMED}
        busiest = sorted((n for _, n, _ in timeline), reverse=True)[:BUSY_DAYS]
        return Facts(
            members=[self.people.get(account_id, Member(account_id)) for account_id in ids],
            evidence=[Evidence(**_without_cluster(row)) for row in self.evidence.get(cluster, [])],
            links=[GroupLink(**_without_cluster(row)) for row in self.links.get(cluster, [])],
            templates=self.templates.get(cluster, []),
            families=self.families.get(cluster, []),
            bearing=self.usages.get(cluster, Usage(intents=(0,) * len(INTENTS))),
            first_seen_at=_moment(min((row["first"] for row in totals), default=None)),
            last_seen_at=_moment(max((row["last"] for row in totals), default=None)),
            **summed,
            by_capability=_summed_by(totals, "capability"),
            by_model=_summed_by(totals, "model"),
            timeline=timeline,
            model_days=[(_day(row["day"]), row["model"], row["exchanges"]) for row in totals],
            has_prompts=self.has_prompts,
            public_share=self.public_shares.get(cluster, 0.0),
            busiest_days_share=sum(busiest) / max(summed["exchanges"], 1),
            columns=self.columns,
            days=self.days.get(cluster, NO_DAYS),
            member_days=self.bearers[cluster],
            pardoned=bool(ids) and sum(i in self.pardoned for i in ids) * 2 > len(ids),
            attempts=self.attempts.get(cluster, Attempts()),
            handed_on=self.handed_on.get(cluster, HandedOn()),
            named=self._named(cluster, len(ids)),
        )

    def _named(self, cluster: int, members: int) -> float:
        """The precision of the best lead that most members bear."""
        borne = [
            e for e in self.evidence.get(cluster, []) if e["kind"] == LEAD_KIND and 2 * e["account_count"] > members
        ]
        return max((self.tables.precision.get(e["value"], 0.0) for e in borne), default=0.0)


def _without_cluster(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "cluster_id"}


def _timeline(totals: Sequence[Mapping[str, Any]]) -> list[tuple[date, int, int]]:
    days: dict[int, tuple[int, int]] = {}
    for row in totals:
        exchanges, _ = days.get(row["day"], (0, 0))
        days[row["day"]] = (exchanges + row["exchanges"], row["accounts"])
    return [(_day(day), *counts) for day, counts in sorted(days.items())]


def _day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)


def _summed_by(totals: Sequence[Mapping[str, Any]], key: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in totals:
        if row[key] is not None:
            sums[row[key]] = sums.get(row[key], 0) + row["exchanges"]
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def _moment(value: datetime | None) -> datetime:
    if value is None:
        return datetime(1970, 1, 1, tzinfo=UTC)
    return value if value.tzinfo else value.replace(tzinfo=UTC)
