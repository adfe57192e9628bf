"""Verified organisations as units of their own: what of a harvest runs through one organisation's accounts.

Why:    a verified organisation is one customer to linkage, so that a reseller that relays a harvest, or a company whose
        staff harvest, would never be seen. Its accounts are under common control by contract, which is no sign of
        anything; only what they take can speak against it, and only the accounts that take it are named.
Misses: a reseller that relays a harvest nobody else sends, that asks for no reasoning and is lost among its customers;
        staff who harvest one thing only, as a product does; ways to the reasoning that a campaign which nobody linked
        made common, or that fewer than some 600 other customers cannot show to be rare; organisations nobody verified,
        whose accounts are linked like any others.
Source: own. What decides is that wordings nobody else uses are also those of a campaign outside ("the same actors seen
        by others" corroborated the disclosures of February 2026), or ask as nobody else does. The bound on the share
        that does: Clopper & Pearson, as in `ordinary`.

    1. An organisation's own wordings: varied templates that several of its accounts send and few strangers do.
    2. Linked: some of them are also wordings of a campaign outside. What bears these is tested.
    3. Reaching: wordings that ask for the model's reasoning by several techniques, each of which hardly any customer
       uses. What is rare is learned from everybody, so no other organisations are needed to compare with.
    4. Alone: wordings that ask for what products seldom ask for. A product's keys ask for one thing each; accounts that
       ask for several are tested, and held against what the other organisations show.
    5. Relayed: prompts of a partner that ask for what products seldom ask for, each a large part of all that it sends.

A partner's customers ask for many things, so a partner is never accused for that (4). Many customers leave no prompt a
large part of the whole, and one large customer has a product, which is one prompt or two (5). Nor is it an excuse for
reaching (3): many customers bring more of what customers do, and this hardly any does. A wording counts only where
several accounts of the partner send it and fewer others, which independent customers with a rare wish each do not; and
named are the accounts that send it, which are those of the partner's customer who harvests, where it gives each
customer its own.

The innocent twin is a red team. It is a handful of accounts, tries many forms a few times each and is mostly refused,
and what it asks in them is the same: each of these keeps it out. One that is answered, with ever new questions, is not.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum, log2
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.campaigns.attempts import is_refused
from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Declared, Facts, Reached, Relayed, Usage, asked, seldom
from stillwatch.campaigns.gather import facts
from stillwatch.campaigns.harvest import RARE_SHARE, harvest
from stillwatch.campaigns.hypotheses import Finding
from stillwatch.campaigns.ordinary import Ordinary
from stillwatch.campaigns.tables import Tables
from stillwatch.campaigns.usage import intent_counts
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.records import INTENTS

MIN_ACCOUNTS = 5  # of an organisation, active, or that reach for reasoning; fewer are a household or some partners
MIN_BEARERS = 3  # accounts of an organisation that must send a wording before it is the organisation's own
MIN_SENT = 3  # exchanges with the tested wordings that make an account one of those that bear them
MIN_SHARED = 2  # wordings in common with a campaign outside; one may have been picked up on a web page
MIN_EXCHANGES = 30  # with these wordings
STRANGERS_SHARE = 0.1  # of the holders of a wording in common that may be neither the organisation's nor the campaign's
ASKING_SHARE = 0.5  # of a template's exchanges that must ask for something else, and get an answer, to count as such
MIN_ASKS = 3  # different things one account asks for
MIN_REACHES = 2  # rare techniques, each in wordings of its own; one may be a product that nobody else has
MIN_PEERS = 10  # other organisations to compare with
PEERS_SHARE = 0.1  # of them that may be as far out
SAME_HARVEST_P_VALUE = 0.05  # of the part tested here, where the same wordings are proven a harvest outside
PARTNER_SHARE = 0.6  # of accounts from which on the traffic is that of customers, broad by trade
MIN_PROMPTS = 3  # that ask, each a large part of what a partner sends; a product is one or two
PROMPT_SHARE = 0.05  # of everything the partner sends, for a prompt to be a large part
MAX_BITS = 20.0


@dataclass(frozen=True, slots=True)
class Sent:
    """Who sends which varied wording: `rows` account_id, template_id, exchanges; `principals` who answers for whom."""

    rows: pa.Table
    principals: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Wording:
    """One wording of an organisation: its bearers, holders in each campaign outside, strangers, and what it asks."""

    template_id: int
    exchanges: int
    bearers: int
    outside: Mapping[int, int]
    strangers: int
    ask: str | None = None


@dataclass(frozen=True, slots=True)
class _Unit:
    """What of an organisation is tested.

    `campaigns` are the indexes of those outside that have the same wordings; `rare` techniques with how many others use
    them, where the wordings ask for these; `asks_each` different things an account must ask for to bear it;
    `relayed` how much of all that a partner sends this is, where it is tested for that.
    """

    principal: str
    wordings: Sequence[_Wording]
    campaigns: Sequence[int] = ()
    rare: Mapping[str, int] = field(default_factory=dict)
    asks_each: int = 1
    relayed: Relayed | None = None


def organisation_units(
    tables: Tables, engine: Engine, sent: Sent, accused: Sequence[Facts], ordinary: Ordinary
) -> list[Facts]:
    """Facts of every verified organisation through whose accounts something like a harvest runs, by name.

    `accused` are the campaigns outside; their accounts bear witness only.
    """
    own: Mapping[str, Sequence[_Wording]] = _own_wordings(sent, accused)
    linked = [unit for unit in (_linked(principal, words) for principal, words in own.items()) if unit is not None]
    own = _without(own, linked)
    usages = _usages(tables, engine, sent, own)
    reaching = _reaching(sent, usages, own, ordinary.rare_techniques(RARE_SHARE))
    own = _without(own, reaching)
    alone, relayed = _asking(usages, own), _relayed(tables, engine, sent, own)
    units = sorted([*linked, *reaching, *alone, *relayed], key=lambda unit: unit.principal)
    found = _facts(tables, engine, sent, units)
    sizes = Counter(principal for account, principal in sent.principals.items() if account != principal)
    bits = {unit.principal: _bits(one, ordinary) for unit, one in found if unit.relayed is None}
    peers = [bits.get(principal, 0.0) for principal, size in sizes.items() if size >= MIN_ACCOUNTS]
    candidates = []
    for unit, one in found:
        declared = _declared(unit, one, sizes[unit.principal], accused, peers, bits.get(unit.principal, 0.0))
        reached = _reached(sent, unit, one, ordinary.everyone.size - 1)
        declared = replace(declared, reached=reached, relayed=unit.relayed)
        if declared.outside or declared.reached or declared.relayed or _asks_for_much(declared, one):
            candidates.append(replace(one, declared=declared))
    return candidates


def declared_control(declared: Declared, bearers: int) -> TestResult:
    """Common control of an organisation's accounts: declared, so it is given and weighs nothing."""
    because = (
        f"the link is declared, not found: {declared.accounts} accounts belong to one verified organisation, "
        f"and {bearers} of them bear what is tested here"
    )
    return TestResult("proven", None, 0.0, because)


def declared_verdict(
    declared: Declared,
    harvested: TestResult,
    explanations: Sequence[Finding],
    *,
    own_p_value: float,
    is_own: bool,
    outside: Collection[str],
) -> str | None:
    """The verdict on a harvest through an organisation's accounts, or None when there is nothing to say.

    `distillation` needs a campaign outside that is called so itself, and that what runs through the organisation is a
    proven harvest by itself as well (`is_own`); if merely far out it is `coordinated` (`own_p_value`, corrected
    for the organisations asked about). `outside` are the verdicts on the campaigns with the same wordings.
    """
    if any(finding.survives and not finding.coordinated for finding in explanations):
        return "explained" if harvested.result == "proven" else None
    if declared.outside:
        if own_p_value <= SAME_HARVEST_P_VALUE and "distillation" in outside:
            return "distillation" if is_own else "coordinated"
        return "coordinated" if harvested.result == "proven" else None
    if harvested.result != "proven":
        return None
    if declared.reached or declared.relayed:
        return "coordinated"
    if declared.peers_as_far > PEERS_SHARE * declared.peers:
        return None
    return "coordinated" if declared.peers >= MIN_PEERS else "insufficient_data"


def missing_for(declared: Declared) -> str:
    """What an organisation's case lacks."""
    return f"{MIN_PEERS} other verified organisations to compare with; these logs hold {declared.peers}"


def _own_wordings(sent: Sent, accused: Sequence[Facts]) -> dict[str, list[_Wording]]:
    """The wordings that MIN_BEARERS accounts of an organisation send, and fewer strangers than that."""
    rows = sent.rows
    principals = pa.array([sent.principals.get(a, a) for a in rows["account_id"].to_pylist()], pa.string())
    held = rows.append_column("principal", principals).group_by(["template_id", "principal"])
    table = held.aggregate([("account_id", "count"), ("exchanges", "sum")])
    verified = pa.array(sorted({p for a, p in sent.principals.items() if p != a}), pa.string())
    borne = pc.and_(pc.is_in(table["principal"], verified), pc.greater_equal(table["account_id_count"], MIN_BEARERS))
    owned = table.filter(borne)
    table = table.filter(pc.is_in(table["template_id"], owned["template_id"]))
    holders, inside = _holders(table, accused)
    found: dict[str, list[_Wording]] = defaultdict(list)
    for row in owned.sort_by([("principal", "ascending"), ("template_id", "ascending")]).to_pylist():
        outside = inside.get(row["template_id"], {})
        strangers = holders[row["template_id"]] - 1 - max(outside.values(), default=0)
        if strangers < row["account_id_count"]:
            counts = (row["exchanges_sum"], row["account_id_count"], outside, strangers)
            found[row["principal"]].append(_Wording(row["template_id"], *counts))
    return dict(found)


def _holders(held: pa.Table, accused: Sequence[Facts]) -> tuple[dict[int, int], dict[int, dict[int, int]]]:
    """How many principals hold each template, and how many of each campaign outside, by its place among them.

    `held` has a row for each template and principal. No organisation is in a campaign outside.
    """
    accounts = pa.array([account for one in accused for account in one.account_ids], pa.string())
    campaigns = pa.array([number for number, one in enumerate(accused) for _ in one.account_ids], pa.int64())
    campaign = campaigns.take(pc.index_in(held["principal"].combine_chunks(), accounts))
    counted = pa.table({"template_id": held["template_id"], "campaign": campaign})
    counted = counted.group_by(["template_id", "campaign"]).aggregate([([], "count_all")])
    total: Counter[int] = Counter()
    inside: dict[int, dict[int, int]] = defaultdict(dict)
    for row in counted.to_pylist():
        total[row["template_id"]] += row["count_all"]
        if row["campaign"] is not None:
            inside[row["template_id"]][row["campaign"]] = row["count_all"]
    return dict(total), dict(inside)


def _linked(principal: str, wordings: Sequence[_Wording]) -> _Unit | None:
    """The organisation with the campaigns outside that it has enough in common with, if there are any."""
    common: dict[int, list[_Wording]] = defaultdict(list)
    for word in wordings:
        for campaign, holders in word.outside.items():
            if holders >= MIN_BEARERS and word.strangers <= STRANGERS_SHARE * (holders + word.bearers):
                common[campaign].append(word)
    campaigns = sorted(campaign for campaign, words in common.items() if len(words) >= MIN_SHARED)
    if not campaigns:
        return None
    shared = {word.template_id: word for campaign in campaigns for word in common[campaign]}
    return _Unit(principal, [shared[template_id] for template_id in sorted(shared)], campaigns)


def _without(own: Mapping[str, Sequence[_Wording]], units: Sequence[_Unit]) -> dict[str, Sequence[_Wording]]:
    """The wordings of the other organisations."""
    taken = {unit.principal for unit in units}
    return {principal: words for principal, words in own.items() if principal not in taken}


def _reaching(
    sent: Sent,
    usages: Mapping[tuple[str, int], Usage],
    own: Mapping[str, Sequence[_Wording]],
    rare: Mapping[str, int],
) -> list[_Unit]:
    """The organisations' wordings that mostly reach for reasoning as hardly anybody does, where enough accounts do."""
    units = [_Unit(principal, _that_ask(usages, principal, words, rare), rare=rare) for principal, words in own.items()]
    several = [unit for unit in units if len({word.ask for word in unit.wordings}) >= MIN_REACHES]
    return [unit for unit in several if len(_bearers(sent, unit)) >= MIN_ACCOUNTS]


def _asking(usages: Mapping[tuple[str, int], Usage], own: Mapping[str, Sequence[_Wording]]) -> list[_Unit]:
    """The organisations' wordings that mostly ask for what products seldom ask for."""
    asking = {principal: _that_ask(usages, principal, words, INTENTS) for principal, words in own.items()}
    return [
        _Unit(principal, words, asks_each=MIN_ASKS)
        for principal, words in asking.items()
        if len({word.ask for word in words}) >= MIN_ASKS
    ]


def _relayed(tables: Tables, engine: Engine, sent: Sent, own: Mapping[str, Sequence[_Wording]]) -> list[_Unit]:
    """The partners' wordings of prompts that ask, and are so large a part of the whole, where enough accounts do.

    A prompt is a family of wordings; of it count the wordings that are the partner's own.
    """
    partners = _partners(tables, sent).intersection(own)
    if not partners:
        return []
    rows = _exchanges(tables, engine, sent, partners)
    large = _large_prompts(rows)
    if not large:
        return []
    said = rows.filter(rows.template_id.notnull() & rows.family_id.isin(sorted({family for _, family in large})))
    pairs = said.select("principal", "template_id", "family_id").distinct().order_by("family_id")
    told = pairs.to_pyarrow().to_pylist()
    prompts = {(row["principal"], row["template_id"]): (row["principal"], row["family_id"]) for row in told}
    units = []
    for principal in sorted(partners):
        kept = [word for word in own[principal] if prompts.get((principal, word.template_id)) in large]
        shares = {prompt: large[prompt] for prompt in (prompts[principal, word.template_id] for word in kept)}
        if len(shares) >= MIN_PROMPTS:
            units.append(_Unit(principal, kept, relayed=Relayed(len(shares), round(fsum(shares.values()), 6))))
    return [unit for unit in units if len(_bearers(sent, unit)) >= MIN_ACCOUNTS]


def _partners(tables: Tables, sent: Sent) -> set[str]:
    """The verified organisations of whose accounts enough are in the partners' programme."""
    verified = [(account, principal) for account, principal in sent.principals.items() if account != principal]
    places = pc.index_in(pa.array([account for account, _ in verified], pa.string()), tables.accounts["account_id"])
    programmes = tables.accounts["access_program"].take(places).to_pylist()
    sizes = Counter(principal for _, principal in verified)
    counts = Counter(of for (_, of), programme in zip(verified, programmes, strict=True) if programme == "partner")
    return {principal for principal, size in sizes.items() if counts[principal] >= PARTNER_SHARE * size}


def _large_prompts(rows: IbisTable) -> dict[tuple[str, int], float]:
    """How large a part of what a partner sends each prompt is that mostly asks for one thing, if it is a large part.

    Keyed by principal and family, over all exchanges of the partners.
    """
    counted = rows.group_by(["principal", "family_id"]).aggregate(exchanges=ibis._.count(), **intent_counts(rows))
    told = counted.to_pyarrow().to_pylist()
    sent: Counter[str] = Counter()
    for row in told:
        sent[row["principal"]] += int(row["exchanges"])
    shares = {}
    for row in told:
        share = int(row["exchanges"]) / sent[row["principal"]]
        if row["family_id"] is not None and share >= PROMPT_SHARE and _ask(_asked(row), INTENTS) is not None:
            shares[row["principal"], row["family_id"]] = share
    return shares


def _that_ask(
    usages: Mapping[tuple[str, int], Usage], principal: str, wordings: Sequence[_Wording], names: Collection[str]
) -> list[_Wording]:
    """Those of an organisation's wordings that mostly ask for one of these, which products seldom ask for."""
    asks = [replace(word, ask=_ask(usages.get((principal, word.template_id)), names)) for word in wordings]
    return [word for word in asks if word.ask is not None]


def _usages(
    tables: Tables, engine: Engine, sent: Sent, own: Mapping[str, Sequence[_Wording]]
) -> dict[tuple[str, int], Usage]:
    """Exchanges and intents of each organisation's wordings by its accounts, keyed by both."""
    pairs = [(principal, word.template_id) for principal, words in own.items() for word in words]
    if not pairs:
        return {}
    names = {"principal": [p for p, _ in pairs], "template_id": pa.array([t for _, t in pairs], pa.int64())}
    rows = _exchanges(tables, engine, sent, own)
    rows = rows.inner_join(engine.memory(pa.table(names)), ["principal", "template_id"])
    told = rows.group_by(["principal", "template_id"]).aggregate(exchanges=ibis._.count(), **intent_counts(rows))
    return {(row["principal"], row["template_id"]): _asked(row) for row in told.to_pyarrow().to_pylist()}


def _exchanges(tables: Tables, engine: Engine, sent: Sent, organisations: Collection[str]) -> IbisTable:
    """All exchanges of some organisations, each with its `principal`.

    What is refused shows no intent: nothing was taken, and whoever tests a safeguard is mostly refused.
    """
    people = [(account, principal) for account, principal in sent.principals.items() if principal in organisations]
    accounts = {"account_id": [a for a, _ in people], "principal": [p for _, p in people]}
    rows = tables.templated.inner_join(engine.memory(pa.table(accounts)), "account_id")
    return rows.mutate(intents=ibis.ifelse(is_refused(rows), 0, rows.intents))


def _asked(row: Mapping[str, Any]) -> Usage:
    return Usage(exchanges=int(row["exchanges"]), intents=tuple(int(row[name]) for name in INTENTS))


def _ask(usage: Usage | None, names: Collection[str]) -> str | None:
    """The intent among these, and seldom shown by products, that is in most of the exchanges, if there is one."""
    counts = {} if usage is None else {name: n for name, n in seldom(usage).items() if name in names}
    most = max(counts, key=lambda name: counts[name], default=None)
    return most if usage and most and counts[most] >= ASKING_SHARE * usage.exchanges else None


def _facts(tables: Tables, engine: Engine, sent: Sent, units: Sequence[_Unit]) -> list[tuple[_Unit, Facts]]:
    """The facts of each unit's bearing accounts; units with too few accounts or exchanges are left out."""
    bearers = [_bearers(sent, unit) for unit in units]
    kept = [(u, b) for u, b in zip(units, bearers, strict=True) if len(b) >= MIN_BEARERS]
    if not kept:
        return []
    members = [(account, number) for number, (_, accounts) in enumerate(kept) for account in accounts]
    total = len(set(sent.principals.values()))
    rows = [row for n, (unit, ids) in enumerate(kept) for row in _evidence(n, unit, len(ids), total)]
    of_units = replace(
        tables,
        members=pa.table({"account_id": [a for a, _ in members], "cluster_id": pa.array([n for _, n in members])}),
        evidence=pa.Table.from_pylist(rows, schema=tables.evidence.schema),
        cohesion=tables.cohesion.slice(0, 0),
        borne=None,
        senders=None,
        owned=None,
        placed=None,
        taken={},  # one customer, however much it takes
        content=None,
        work=tables.work and tables.work / "organisations",
    )
    found = facts(of_units, engine, account_count=len(sent.principals))
    pairs = [(unit, one) for (unit, _), one in zip(kept, found, strict=True)]
    return [(unit, one) for unit, one in pairs if one.bearing.exchanges >= MIN_EXCHANGES]


def _bearers(sent: Sent, unit: _Unit) -> list[str]:
    """Accounts of the organisation with MIN_SENT exchanges of the wordings that ask for enough different things."""
    told = _asked_by(sent, unit).items()
    return sorted(a for a, asks in told if asks.total() >= MIN_SENT and len(asks) >= unit.asks_each)


def _asked_by(sent: Sent, unit: _Unit) -> dict[str, Counter[str | None]]:
    """What each account of the organisation asks for with the unit's wordings, in how many exchanges."""
    asks = {word.template_id: word.ask for word in unit.wordings}
    rows = sent.rows.filter(pc.is_in(sent.rows["template_id"], pa.array(sorted(asks), pa.int64())))
    asked: dict[str, Counter[str | None]] = defaultdict(Counter)
    for row in rows.to_pylist():
        if sent.principals.get(row["account_id"]) == unit.principal:
            asked[row["account_id"]][asks[row["template_id"]]] += row["exchanges"]
    return dict(asked)


def _reached(sent: Sent, unit: _Unit, one: Facts, customers: int) -> tuple[Reached, ...]:
    """By which rare techniques how many of the members ask for reasoning, most used first; empty without any."""
    if not unit.rare:
        return ()
    asked_by = _asked_by(sent, unit)
    used = Counter(ask for account in one.account_ids for ask in asked_by[account] if ask is not None)
    ranked = sorted(used.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Reached(ask, accounts, unit.rare[ask], customers) for ask, accounts in ranked)


def _evidence(number: int, unit: _Unit, members: int, total: int) -> list[dict[str, object]]:
    """The wordings as evidence; they weigh something only where a campaign outside has them too."""
    return [
        {
            "cluster_id": number,
            "kind": "template",
            "family": "content",
            "group": "content",
            "value": str(word.template_id),
            "account_count": min(word.bearers, members),
            "outside_count": word.strangers,
            "weight_bits": _commoner(word, members, total) if unit.campaigns else 0.0,
            "durability": "high",
        }
        for word in unit.wordings
    ]


def _commoner(word: _Wording, members: int, total: int) -> float:
    inside = (word.bearers + 0.5) / (members + 1.0)
    return round(min(max(log2(inside * (total + 1.0) / (word.strangers + 0.5)), 0.0), MAX_BITS), 6)


def _bits(one: Facts, ordinary: Ordinary) -> float:
    return harvest(one, ordinary).bits or 0.0


def _declared(
    unit: _Unit, one: Facts, accounts: int, accused: Sequence[Facts], peers: Sequence[float], bits: float
) -> Declared:
    campaigns = [accused[number] for number in unit.campaigns]
    return Declared(
        organisation=unit.principal.removeprefix("organisation "),
        accounts=accounts,
        outside=tuple(tuple(campaign.account_ids) for campaign in campaigns),
        shared=len(unit.wordings) if campaigns else 0,
        pooled=sum((campaign.bearing for campaign in campaigns), one.bearing),
        asks=asked(one.bearing),
        peers=len(peers) - 1,
        peers_as_far=sum(other >= bits for other in peers) - 1,
    )


def _asks_for_much(declared: Declared, one: Facts) -> bool:
    """Whether an organisation asks for many things, and not as a partner, whose customers are broad by trade."""
    partners = sum(member.access_program == "partner" for member in one.members)
    return len(declared.asks) >= MIN_ASKS and partners < PARTNER_SHARE * len(one.members)
