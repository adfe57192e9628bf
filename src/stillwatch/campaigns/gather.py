"""Gathers what the tests need about every cluster, by joins of the stage tables with the members."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.campaigns.bearing import bearing
from stillwatch.campaigns.days import NO_DAYS, Days
from stillwatch.campaigns.facts import Evidence, Facts, FamilyUse, GroupLink, Member, TemplateUse, Usage
from stillwatch.campaigns.families import family_uses
from stillwatch.campaigns.hypotheses.base import OWNED_SHARE, of_one_owner
from stillwatch.campaigns.owners import with_owners
from stillwatch.campaigns.places import with_places
from stillwatch.campaigns.sizes import sizes_by
from stillwatch.campaigns.tables import Tables, by_cluster, kept, members_of
from stillwatch.campaigns.usage import days_by, senders_by, usage_by
from stillwatch.campaigns.volume import Everybody, Volume, by_programme
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.records import INTENTS, LEAD_KIND

SEGMENT = ("model", "access_program", "script")  # what a reference backs off from, first part first
BUSY_DAYS = 3  # a deadline shows in this many days
# Columns of the signals whose absence starves an innocent explanation; prompts are looked for in what bears a template.
LOGGED = ("input_tokens", "client_ip", "client_ip_prefix", "user_agent", "session_id")


def facts(tables: Tables, engine: Engine, *, account_count: int, pardoned: Iterable[str] = ()) -> list[Facts]:
    """The facts of every cluster, in cluster order. `pardoned` are accounts an analyst found innocent."""
    clusters = by_cluster(tables.members)
    if not clusters:
        return []
    borne = tables.borne
    if borne is None:
        borne = kept(bearing(tables, engine, account_count=account_count), "bearing.parquet", tables, engine)
    own = borne.filter(~borne.is_public)
    senders = tables.senders
    if senders is None:
        senders = kept(senders_by(own, "cluster_id"), "senders.parquet", tables, engine)
    usages = _with_segments(usage_by(own, "cluster_id", senders), _by_segment(own, tables, engine))
    numbers, days = days_by(own, "cluster_id", senders)
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
        bearers=_bearers(days_by(own, "account_id", senders), clusters, tables.members),
        totals=_totals(tables.activity, members_of(tables, engine)),
        public_shares=_public_shares(borne),
        has_prompts=has_prompts,
        columns=_columns(tables, has_prompts=has_prompts),
        pardoned=frozenset(pardoned),
    )
    found = [context.facts(cluster, ids) for cluster, ids in sorted(clusters.items())]
    if tables.owned is not None:
        found = with_owners(found, tables.owned)
    if tables.placed is not None:
        found = with_places(found, tables.placed, tables.activity, engine)
    return _with_sizes(_with_volume(found, tables), tables, engine)


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


def _bearers(
    of: tuple[Sequence[int], Days], clusters: Mapping[int, Sequence[str]], members: pa.Table
) -> dict[int, Days]:
    """What each account of each cluster did on its days with template-bearing exchanges, by account."""
    accounts, days = of
    names = members["account_id"].to_pylist()
    number = {names[row]: i for i, row in enumerate(accounts)}
    places = {cluster: [number[one] for one in ids if one in number] for cluster, ids in clusters.items()}
    return {cluster: days.take(np.array(of, np.int64)) for cluster, of in places.items()}


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
