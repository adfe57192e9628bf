"""The table of contents: from log files to campaigns, the stages called in order.

logs ──ingest──▶ exchanges ──signals──▶ signals ──rollups──▶ rollups ──linkage──▶ links, clusters
                                                                                     │
    shared bundles ◀──sharing── decisions ◀──decisions── campaigns ◀──campaigns─────┘
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch import campaigns as campaign_stage
from stillwatch import decisions, ingest, linkage, rollups
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.intake import Intake
from stillwatch.records import TRAITS, arrow_schema
from stillwatch.seen import Clustered, seen
from stillwatch.settings import Settings

Progress = Callable[[str, int, int], None]  # stage, done, total; total 0 means unknown
Campaign = dict[str, Any]

# Kinds whose values are still readable here; everything an engine hands on is hashed.
READABLE_KINDS = ("client", "email_domain", "email_pattern", "signup_cohort")


@dataclass(frozen=True, slots=True)
class Linked:
    """What linkage leaves for the campaign tests and for the output."""

    templated: IbisTable
    activity: IbisTable
    accounts: pa.Table
    links: pa.Table
    members: pa.Table
    evidence: pa.Table
    cohesion: pa.Table
    exposure: Mapping[str, int]
    principals: Mapping[str, str]
    minimum_detectable: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """Campaigns with recommended decisions, the links that hold them together, and every account that was seen."""

    campaigns: list[Campaign]
    links: pa.Table
    seen: pa.Table
    account_count: int
    minimum_detectable: int | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier runs and analysts left: loops close through these tables."""

    campaigns: Sequence[Campaign]
    verdicts: pa.Table


def found(intake: Intake, engine: Engine, settings: Settings, *, earlier: Earlier, progress: Progress) -> Found:
    """Everything after intake: rollups, linkage, campaigns, decisions."""
    linked = _linked(intake, engine, settings, progress)
    progress("campaigns", 0, 0)
    judged = _campaigns(linked, engine, earlier)
    _show_skeletons(judged, linked.templated, engine, intake.exemplars)
    progress("decisions", 0, 0)
    policy = decisions.load_policy(settings.policy)
    members = [account_id for campaign in judged for account_id in campaign["account_ids"]]
    people = decisions.account_facts(members, accounts=linked.accounts, verdicts=earlier.verdicts, links=linked.links)
    on_campaigns = decisions.newest_verdicts(earlier.verdicts, "campaign")
    for campaign in judged:
        campaign["recommended_decisions"] = decisions.recommended_decisions(
            campaign, people, policy, analyst_verdict=on_campaigns.get(campaign["campaign_id"])
        )
    return Found(judged, linked.links, _seen(linked, engine, members), len(linked.exposure), linked.minimum_detectable)


def _linked(intake: Intake, engine: Engine, settings: Settings, progress: Progress) -> Linked:
    """Rollups, templates, holdings, weights and clusters."""
    progress("rollups", 0, 0)
    activity = engine.write(rollups.activity(intake.signals), intake.work / "activity.parquet")
    shown = engine.write(rollups.exchange_traits(intake.signals), intake.work / "exchange_traits.parquet")
    progress("templates", 0, 0)
    templated = _templated(intake.signals, engine, intake.work)
    progress("linkage", 0, 0)
    totals = activity.group_by("account_id").aggregate(exchanges=activity.exchanges.sum().cast("int64")).to_pyarrow()
    exposure = dict(zip(totals["account_id"].to_pylist(), totals["exchanges"].to_pylist(), strict=True))
    people = _principals(intake.accounts, list(exposure))
    traits = _of_principals(_traits(shown, templated, engine.memory(intake.accounts), intake.key), people)
    held = linkage.holdings(traits, sorted(set(people.values())))
    weighed = linkage.weights(held, fdr=settings.false_discovery_rate)
    organisations = set(people.values()) - set(exposure)
    clustered = linkage.clusters(held, weighed, seed=settings.seed, outsiders=organisations)
    return Linked(
        templated=templated,
        activity=activity,
        accounts=intake.accounts,
        links=_accounts_only(linkage.links(held, weighed), exposure),
        members=_accounts_only(linkage.members(held, clustered), exposure),
        evidence=linkage.evidence(held, weighed, clustered),
        cohesion=linkage.cohesion(held, clustered),
        exposure=exposure,
        principals=people,
        minimum_detectable=linkage.minimum_detectable(held, fdr=settings.false_discovery_rate),
    )


def _templated(signals: IbisTable, engine: Engine, work: Path) -> IbisTable:
    """Every exchange with the template it bears and the item in its slots."""
    recurring = linkage.vocabulary(signals).to_pyarrow().sort_by("fingerprint")
    columns = [*linkage.TEMPLATED_SCHEMA.names, "sketch", "text_id"]
    wanted = signals.select(*[name for name in columns if name not in ("template_id", "item_id")])
    batches = linkage.templated_batches(recurring["fingerprint"].to_numpy())
    return engine.map_batches(wanted, batches, linkage.TEMPLATED_SCHEMA, work / "templated")


def _traits(shown: IbisTable, templated: IbisTable, accounts: IbisTable, key: ingest.Key) -> pa.Table:
    """All traits of all accounts, on the driver, every value hashed."""
    schema = arrow_schema(TRAITS)
    tables = [
        linkage.template_traits(templated),
        shown,
        rollups.account_traits(accounts),
    ]
    rows = [table.select(*schema.names).to_pyarrow().cast(schema) for table in tables]
    return _hashed(pa.concat_tables(rows), key)


def _hashed(traits: pa.Table, key: ingest.Key) -> pa.Table:
    """The traits with readable values replaced by their HMAC."""
    pairs = traits.select(["kind", "value"]).group_by(["kind", "value"]).aggregate([])
    pairs = pairs.filter(pc.is_in(pairs["kind"], pa.array(READABLE_KINDS)))
    names = list(zip(pairs["kind"].to_pylist(), pairs["value"].to_pylist(), strict=True))
    hashes = pa.array([key.identifier(kind, value) for kind, value in names], pa.string())
    joined = traits.join(pairs.append_column("hashed", hashes), ["kind", "value"])
    value = pc.coalesce(joined["hashed"], joined["value"])
    return joined.drop_columns("hashed").set_column(joined.column_names.index("value"), "value", value)


def _principals(accounts: pa.Table, active: Sequence[str]) -> dict[str, str]:
    """Who answers for each active account: its verified organisation, else itself."""
    names = ["account_id", "organization_id", "access_program", "verification_level"]
    rows = zip(*(accounts[name].to_pylist() for name in names), strict=True)
    known = {row[0]: campaign_stage.Member(*row).principal for row in rows}
    return {account_id: known.get(account_id, account_id) for account_id in active}


def _of_principals(traits: pa.Table, people: Mapping[str, str]) -> pa.Table:
    """The traits with each account replaced by its principal; those of accounts without traffic are left out.

    A verified organisation is one customer, however many accounts it has: what its accounts share among themselves
    links nobody.
    """
    traits = traits.filter(pc.is_in(traits["account_id"], pa.array(list(people), pa.string())))
    principals = pa.array([people[account_id] for account_id in traits["account_id"].to_pylist()], pa.string())
    return traits.set_column(traits.column_names.index("account_id"), "account_id", principals)


def _accounts_only(table: pa.Table, exposure: Mapping[str, int]) -> pa.Table:
    """Rows of single accounts: a verified organisation is never a member; people have to look at it as a whole."""
    return table.filter(pc.is_in(table["account_id"], pa.array(list(exposure), pa.string())))


def _campaigns(linked: Linked, engine: Engine, earlier: Earlier) -> list[Campaign]:
    tables = campaign_stage.Tables(
        templated=linked.templated,
        activity=linked.activity,
        accounts=linked.accounts,
        members=linked.members,
        evidence=linked.evidence,
        cohesion=linked.cohesion,
    )
    clusters = campaign_stage.facts(tables, engine, account_count=len(linked.exposure), pardoned=_pardoned(earlier))
    ordinary = campaign_stage.ordinary(campaign_stage.ordinary_usage(tables, engine))
    return campaign_stage.campaigns(clusters, ordinary, exposure=linked.exposure, prior=earlier.campaigns)


def _seen(linked: Linked, engine: Engine, members: Sequence[str]) -> pa.Table:
    """What every account did; `members` are those in campaigns, not in clusters that are none."""
    inside = linked.members.filter(pc.is_in(linked.members["account_id"], pa.array(members, pa.string())))
    clustered = Clustered(linked.templated, inside, linked.evidence)
    organisations = {account_id for account_id, principal in linked.principals.items() if principal != account_id}
    return seen(linked.activity, clustered, engine, organisations=organisations)


def _pardoned(earlier: Earlier) -> set[str]:
    """Accounts an analyst found innocent, by themselves or with their campaign."""
    on_accounts = decisions.newest_verdicts(earlier.verdicts, "account")
    on_campaigns = decisions.newest_verdicts(earlier.verdicts, "campaign")
    cleared = {campaign_id for campaign_id, verdict in on_campaigns.items() if verdict == "innocent"}
    members = {
        account_id
        for campaign in earlier.campaigns
        if campaign["campaign_id"] in cleared
        for account_id in campaign["account_ids"]
    }
    innocent = {account_id for account_id, verdict in on_accounts.items() if verdict == "innocent"}
    guilty = {account_id for account_id, verdict in on_accounts.items() if verdict == "guilty"}
    return (members | innocent) - guilty


def _show_skeletons(
    judged: Sequence[Campaign], templated: IbisTable, engine: Engine, exemplars: Mapping[str, tuple[str, str]]
) -> None:
    """Fill in what each listed template looks like, from the prompts sampled in memory."""
    listed = {template["template_id"] for campaign in judged for template in campaign["templates"]}
    if not listed or not exemplars:
        return
    ids = engine.memory(pa.table({"exchange_id": pa.array(sorted(exemplars), pa.string())}))
    sampled = templated.filter(templated.template_id.notnull()).semi_join(ids, "exchange_id")
    rows = sampled.select("exchange_id", "template_id").to_pyarrow().to_pylist()
    texts: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        name = campaign_stage.template_name(row["template_id"])
        if name in listed:
            texts.setdefault(name, []).append(exemplars[row["exchange_id"]])
    shown = {name: campaign_stage.skeleton(found) for name, found in texts.items()}
    for campaign in judged:
        for template in campaign["templates"]:
            template["skeleton"] = shown.get(template["template_id"])
