"""The table of contents: from rollups to campaigns, the stages called in order.

logs ──ingest──▶ exchanges ──signals──▶ signals ──rollups──▶ rollups ──linkage──▶ links, clusters
                                                                                     │
    shared bundles ◀──sharing── decisions ◀──decisions── campaigns ◀──campaigns─────┘
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch import campaigns as campaign_stage
from stillwatch import decisions, leads, linkage, rollups
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.recognised import Recognised, Witness, recognised
from stillwatch.records import TEMPLATE_KINDS, TRAITS, arrow_schema
from stillwatch.seen import seen
from stillwatch.settings import Settings
from stillwatch.shown import NAMED, of_principals, plain, shown
from stillwatch.state import Kept

Progress = Callable[[str, int, int], None]  # stage, done, total; total 0 means unknown
Campaign = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Linked:
    """What linkage leaves for the campaign tests and for the output.

    `traits` as in `shown`; `bearers` are the rows of leads, with all columns as in `records.TRAITS`.
    """

    content: IbisTable
    columns: frozenset[str]
    templated: IbisTable
    shelves: linkage.Shelves | None
    activity: IbisTable
    replays: IbisTable
    accounts: pa.Table
    traits: pa.Table
    bearers: pa.Table
    sent: pa.Table
    links: pa.Table
    members: pa.Table
    evidence: pa.Table
    cohesion: pa.Table
    exposure: Mapping[str, int]
    taken: Mapping[str, int]
    principals: Mapping[str, str]
    known: linkage.Known
    alone: linkage.Findings
    precision: Mapping[str, float]
    minimum_detectable: linkage.Detectable | None
    shared: pa.Table


@dataclass(frozen=True, slots=True)
class Found:
    """Campaigns with recommended decisions, the links that hold them together, and every account that was seen.

    `known` are the campaigns that the next run should know, dormant ones too; by the `vocabulary` later exchanges are
    recognised. `recognised` are campaigns of partners, as in `recognised`.
    """

    campaigns: list[Campaign]
    known: list[dict[str, Any]]
    links: pa.Table
    seen: pa.Table
    vocabulary: pa.Table
    lead_matches: pa.Table
    recognised: list[Recognised]
    account_count: int
    minimum_detectable: linkage.Detectable | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier runs, analysts and partners left: known campaigns, accounts of the last run, verdicts, leads.

    Loops close here.
    """

    known: Sequence[Mapping[str, Any]]
    seen: pa.Table
    verdicts: pa.Table
    sent: leads.Sent = leads.NOTHING_SENT


def found(kept: Kept, engine: Engine, settings: Settings, *, earlier: Earlier, progress: Progress) -> Found:
    """Everything after the rollups: linkage, campaigns, decisions."""
    linked, pardoned = _linked(kept, engine, settings, earlier.sent, progress), _pardoned(earlier)
    progress("campaigns", 0, 0)
    said = _said(linked, engine, kept.work)
    if linked.bearers.num_rows:
        linked = _with_leads(linked, earlier.sent.leads, engine, said, kept.work, pardoned=pardoned)
    before = _past(linked, engine, earlier)
    tables = _tables(linked, engine, said, kept.work)
    marks = _marks(linked, tables, kept, engine)
    judged = _campaigns(linked, tables, engine, marks, before, pardoned=pardoned)
    _show_skeletons(judged, linked.templated, engine, kept.exemplars)
    progress("decisions", 0, 0)
    policy = decisions.load_policy(settings.policy)
    members = [account_id for campaign in judged for account_id in campaign["account_ids"]]
    victims = {victim["account_id"] for campaign in judged for victim in campaign["compromised"]}
    people = decisions.account_facts(
        members, accounts=linked.accounts, verdicts=earlier.verdicts, links=linked.links, compromised=victims
    )
    on_campaigns = decisions.newest_verdicts(earlier.verdicts, "campaign")
    for campaign in judged:
        campaign["recommended_decisions"] = decisions.recommended_decisions(
            campaign, people, policy, analyst_verdict=on_campaigns.get(campaign["campaign_id"])
        )
    matches = leads.matches(earlier.sent, linked.templated, judged, engine)
    return Found(
        campaigns=judged,
        known=[campaign_stage.known_json(campaign) for campaign in campaign_stage.remembered(judged, before)],
        links=linked.links,
        seen=_seen(linked, tables, members),
        vocabulary=engine.read(kept.work / linkage.VOCABULARY).order_by(["group", "value"]).to_pyarrow(),
        lead_matches=matches,
        recognised=recognised(
            Witness(earlier.sent, linked.bearers, matches, linked.shared, linked.accounts, linked.principals),
            judged,
            cleared=pardoned,
        ),
        account_count=len(linked.exposure),
        minimum_detectable=linked.minimum_detectable,
    )


def _linked(kept: Kept, engine: Engine, settings: Settings, sent: leads.Sent, progress: Progress) -> Linked:
    """Templates, holdings, weights and clusters, as if partners had sent nothing."""
    rolled, received = kept.rollups, sent.leads
    ledger = _ledger(kept, engine)
    progress("templates", 0, 0)
    found = linkage.templated(
        rolled.content, engine, kept.work, received, embedded=rolled.embedded, per_day=rolled.per_day
    )
    progress("linkage", 0, 0)
    per_account = rolled.activity.group_by("account_id")
    sums = {name: rolled.activity[name].sum().cast("int64") for name in ("exchanges", "output_tokens")}
    totals = per_account.aggregate(**sums).to_pyarrow()
    names = totals["account_id"].to_pylist()
    exposure, taken = (dict(zip(names, totals[n].to_pylist(), strict=True)) for n in sums)
    people = _principals(kept.accounts, names)
    templates = linkage.template_traits(found).select(*NAMED, "exchanges").to_pyarrow()
    named = _lead_traits(found, received, engine)
    rest = [rolled.traits, rollups.replay_traits(ledger), rollups.account_traits(engine.memory(kept.accounts))]
    read = (table.select(NAMED).to_pyarrow() for table in rest)
    traits = _of_principals(shown(chain([templates, named], read), kept.key), people)
    account_ids = sorted(set(people.values()))
    known = linkage.Known(
        account_ids,
        outsiders=set(people.values()) - set(exposure),
        starts=linkage.starts(of_principals(rolled.starts.to_pyarrow(), people), account_ids),
        fdr=settings.false_discovery_rate,
        seed=settings.seed,
        named=_named(kept.accounts, people),
    )
    with linkage.on_cores(engine.threads_here):
        tied = linkage.findings(traits, received.campaigns, known)
    return Linked(
        content=rolled.content,
        columns=rolled.columns,
        templated=found.exchanges,
        shelves=found.shelves,
        activity=rolled.activity,
        replays=ledger,
        accounts=kept.accounts,
        traits=traits,
        bearers=plain(of_principals(named, people)),
        sent=_sent(templates),
        links=_accounts_only(tied.links, exposure),
        members=_accounts_only(tied.members, exposure),
        evidence=tied.evidence,
        cohesion=tied.cohesion,
        exposure=exposure,
        taken=taken,
        principals=people,
        known=known,
        alone=tied,
        precision=sent.harvests,
        minimum_detectable=tied.minimum_detectable,
        shared=tied.shared,
    )


def _with_leads(
    linked: Linked,
    received: linkage.Leads,
    engine: Engine,
    said: IbisTable | None,
    work: Path,
    *,
    pardoned: set[str],
) -> Linked:
    """The same, with what leads bring together of the accounts that are in no campaign without them."""
    tables = _tables(linked, engine, said, work, "-alone")
    clusters = campaign_stage.facts(tables, engine, account_count=len(linked.exposure), pardoned=pardoned)
    ordinary = campaign_stage.ordinary(campaign_stage.outside(tables, engine).units)
    standing = campaign_stage.judged_accounts(clusters, ordinary)
    with linkage.on_cores(engine.threads_here):
        tied = linkage.findings_with_leads(
            linked.traits, received.precision, linked.known, alone=linked.alone, standing=standing
        )
    return replace(
        linked,
        links=_accounts_only(tied.links, linked.exposure),
        members=_accounts_only(tied.members, linked.exposure),
        evidence=tied.evidence,
        cohesion=tied.cohesion,
        shared=tied.shared,
    )


def _ledger(kept: Kept, engine: Engine) -> IbisTable:
    """Who sent back reasoning that was handed to somebody else."""
    ledger = rollups.replays(kept.rollups.artefacts, engine.memory(kept.accounts))
    return engine.write(ledger, kept.work / "replays.parquet")


def _named(accounts: pa.Table, people: Mapping[str, str]) -> dict[str, str]:
    """The organisation that each principal names, verified or not, of those who name any."""
    pairs = zip(accounts["account_id"].to_pylist(), accounts["organization_id"].to_pylist(), strict=True)
    return {people[account_id]: name for account_id, name in pairs if name is not None and account_id in people}


def _principals(accounts: pa.Table, active: Sequence[str]) -> dict[str, str]:
    """Who answers for each active account: its verified organisation, else itself."""
    names = ["account_id", "organization_id", "access_program", "verification_level"]
    rows = zip(*(accounts[name].to_pylist() for name in names), strict=True)
    known = {row[0]: campaign_stage.Member(*row).principal for row in rows}
    return {account_id: known.get(account_id, account_id) for account_id in active}


def _lead_traits(found: linkage.Templated, received: linkage.Leads, engine: Engine) -> pa.Table:
    """Who bears which lead."""
    schema = arrow_schema(TRAITS)
    if not received.campaigns:
        return schema.empty_table()
    named = linkage.lead_traits(found.exchanges, received.campaigns, engine)
    return named.select(*schema.names).to_pyarrow().cast(schema)


def _sent(templates: pa.Table) -> pa.Table:
    """Which account sends which varied template, and in how many exchanges."""
    named = templates.filter(pc.is_in(templates["kind"], pa.array(TEMPLATE_KINDS)))
    numbers = named["value"].cast(pa.int64())
    return pa.table({"account_id": named["account_id"], "template_id": numbers, "exchanges": named["exchanges"]})


def _of_principals(traits: pa.Table, people: Mapping[str, str]) -> pa.Table:
    """The traits of principals, as in `shown`."""
    return of_principals(traits, people)


def _accounts_only(table: pa.Table, exposure: Mapping[str, int]) -> pa.Table:
    """Rows of single accounts: a verified organisation is never a member; people have to look at it as a whole."""
    return table.filter(pc.is_in(table["account_id"], pa.array(list(exposure), pa.string())))


def _said(linked: Linked, engine: Engine, work: Path) -> IbisTable | None:
    """Who uses which family of wordings, written once: whoever asks what is borne asks for it. None without prompts."""
    if linked.columns.isdisjoint(campaign_stage.PROMPTED):
        return None
    return engine.write(campaign_stage.family_texts(linked.templated), work / "families.parquet")


def _tables(
    linked: Linked, engine: Engine, said: IbisTable | None, work: Path, name: str = ""
) -> campaign_stage.Tables:
    """What the campaign tests read; what is borne, and who sent it, is written once, as several steps read it."""
    members = linked.members["account_id"].combine_chunks()
    tables = campaign_stage.Tables(
        templated=linked.templated,
        activity=linked.activity,
        replays=linked.replays,
        accounts=linked.accounts,
        members=linked.members,
        evidence=linked.evidence,
        cohesion=linked.cohesion,
        columns=linked.columns,
        precision=linked.precision,
        content=linked.content,
        taken=linked.taken,
        said=said,
        work=work,
        owned=plain(campaign_stage.owned(linked.traits, members)),
        placed=plain(campaign_stage.placed(linked.traits, members, linked.evidence)),
    )
    borne = campaign_stage.bearing(tables, engine, account_count=len(linked.exposure))
    tables = replace(tables, borne=engine.write(borne, work / f"bearing{name}.parquet"))
    senders = campaign_stage.senders_by(_own(tables), "cluster_id")
    return replace(tables, senders=engine.write(senders, work / f"senders{name}.parquet"))


def _past(linked: Linked, engine: Engine, earlier: Earlier) -> campaign_stage.Past:
    """What earlier runs know, with what this window saw of the same accounts."""
    known = [campaign_stage.known_campaign(told) for told in earlier.known]
    return campaign_stage.past(known, linked.activity, linked.members["account_id"].to_pylist(), earlier.seen, engine)


def _marks(linked: Linked, tables: campaign_stage.Tables, kept: Kept, engine: Engine) -> list[campaign_stage.Marks]:
    """The marks of every cluster, in the order of clusters."""
    observed = campaign_stage.Observed(
        bearing=_own(tables),
        signals=kept.rollups.content,
        templated=linked.templated,
        traits=plain(linked.traits.filter(pc.is_in(linked.traits["account_id"], linked.members["account_id"]))),
        members=linked.members,
        account_count=len(linked.exposure),
        work=kept.work,
        senders=tables.senders,
        shelves=linked.shelves,
    )
    return [mark for _, mark in sorted(campaign_stage.marks(observed, engine).items())]


def _campaigns(
    linked: Linked,
    tables: campaign_stage.Tables,
    engine: Engine,
    marks: Sequence[campaign_stage.Marks],
    past: campaign_stage.Past,
    *,
    pardoned: set[str],
) -> list[Campaign]:
    count = len(linked.exposure)
    clusters = campaign_stage.facts(tables, engine, account_count=count, pardoned=pardoned)
    others = campaign_stage.outside(tables, engine)
    ordinary = campaign_stage.ordinary(others.units, others.days)
    sent = campaign_stage.Sent(linked.sent, linked.principals)
    accused = campaign_stage.accused(clusters, ordinary)
    units = campaign_stage.organisation_units(tables, engine, sent, accused, ordinary)
    stolen = campaign_stage.stolen_keys(tables, engine, [*accused, *units])
    everything = campaign_stage.marked([*clusters, *units], stolen)
    everything = campaign_stage.with_reasoning(everything, tables, engine)
    marks = [*marks, *[campaign_stage.Marks()] * len(units)]
    every = [*marks, *(campaign.marks for campaign in past.known if campaign.marks is not None)]
    around = campaign_stage.surroundings(linked.traits, linked.members, every, count)
    return campaign_stage.campaigns(
        everything, ordinary, marks=marks, past=past, others=around, reaching=others.reaching
    )


def _own(tables: campaign_stage.Tables) -> IbisTable:
    """The exchanges that bear a prompt of their own cluster; an account is its row among the members."""
    borne: IbisTable = tables.borne
    return borne.filter(~borne.is_public)


def _seen(linked: Linked, tables: campaign_stage.Tables, members: Sequence[str]) -> pa.Table:
    """What every account did; `members` are those in campaigns, not in clusters that are none."""
    numbered = campaign_stage.with_rows(linked.members)
    inside = numbered.filter(pc.is_in(numbered["account_id"], pa.array(members, pa.string())))
    organisations = {account_id for account_id, principal in linked.principals.items() if principal != account_id}
    return seen(linked.activity, _own(tables), members=inside, organisations=organisations)


def _pardoned(earlier: Earlier) -> set[str]:
    """Accounts an analyst found innocent, by themselves or with their campaign."""
    on_accounts = decisions.newest_verdicts(earlier.verdicts, "account")
    on_campaigns = decisions.newest_verdicts(earlier.verdicts, "campaign")
    cleared = {campaign_id for campaign_id, verdict in on_campaigns.items() if verdict == "innocent"}
    members = {
        account["account_id"]
        for campaign in earlier.known
        if campaign["campaign_id"] in cleared
        for account in campaign["accounts"]
        if account["is_member"]
    }
    innocent = {account_id for account_id, verdict in on_accounts.items() if verdict == "innocent"}
    guilty = {account_id for account_id, verdict in on_accounts.items() if verdict == "guilty"}
    return (members | innocent) - guilty


def _show_skeletons(
    judged: Sequence[Campaign], templated: IbisTable, engine: Engine, exemplars: Mapping[int, tuple[str, str]]
) -> None:
    """Fill in what each listed template looks like, from the prompts sampled in memory."""
    listed = {template["template_id"] for campaign in judged for template in campaign["templates"]}
    if not listed or not exemplars:
        return
    ids = engine.memory(pa.table({"exchange_id": pa.array(sorted(exemplars), pa.int64())}))
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
