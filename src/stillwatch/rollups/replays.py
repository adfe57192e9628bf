"""The replay ledger: opaque pieces of reasoning that were returned to one account and sent back by another.

Why:    an account can send back a piece of the model's reasoning only if it was handed to it, by the model or by
        somebody. Accounts of different owners that keep handing reasoning on work together, whatever else they hide;
        having replayed artefacts decoded is a disclosed way to extract reasoning.
Misses: artefacts handed on once or twice by an account, spread on purpose over many accounts, or sent back under
        another provider; accounts that claim one organisation; logs that do not keep the artefacts at all.
Source: Anthropic (2026), "Detecting and countering misuse of AI: September 2026", replay of thinking signatures;
        OpenAI (2026), "Disrupting a coordinated model-distillation campaign". The rules are our own.

    1. Partial tables of what each account was issued and sent back merge by sums, least and greatest. Issue and replay
       meet only when they are read, so they may stand in any batches, in any order.
    2. An owner is the organisation an account says it belongs to, else the account. What an owner was issued is its
       own to send back: resuming a conversation, or moving it to another of one's accounts, is ordinary.
    3. The origin of an artefact is the account it was issued to; else (issued before these logs) the one that sent it
       back first.
    4. Sent back by PUBLISHED_OWNERS foreign owners or more, an artefact has been published: a transcript that went
       round. It ties nobody to anybody.
    5. An account that brings in foreign artefacts in fewer than MIN_INTRODUCTIONS exchanges pasted a conversation that
       somebody showed to it. A long transcript comes in with one exchange, however many artefacts it holds.
"""

import ibis
import ibis.expr.datatypes as dt

from stillwatch.engines.base import IbisTable
from stillwatch.rollups.foreign import ARTEFACT_BYTES, NUMBER_CHARS
from stillwatch.rollups.sums import total

PUBLISHED_OWNERS = 8  # foreign owners; fewer strangers seldom meet over one transcript, more is what the web does
MIN_INTRODUCTIONS = 3  # exchanges in which an account sent back foreign artefacts that it had never sent before

DAY_S = 86_400
_DIGITS = 2 * ARTEFACT_BYTES
_ISSUED_AND_REPLAYED = (("reasoning_issued", True), ("reasoning_replayed", False))


def daily_artefacts(signals: IbisTable) -> IbisTable:
    """One row per artefact, account, side and `day`; other columns as in `records.ARTEFACTS`."""
    return merged_artefacts(ibis.union(*[_handled(signals, *side) for side in _ISSUED_AND_REPLAYED]), daily=True)


@ibis.udf.scalar.builtin(name="hex")
def _digits(value: dt.Binary) -> dt.String:
    """Bytes spelt in hexadecimal digits, by the engine."""


def handling(signals: IbisTable, exchanges: IbisTable) -> IbisTable:
    """What the ledger reads of the exchanges with the numbers in `exchanges`."""
    columns = ("account_id", "organization_id", "started_at", *(column for column, _ in _ISSUED_AND_REPLAYED))
    return signals.semi_join(exchanges, "exchange_key").select(*columns)


def exchanged_artefacts(
    signals: IbisTable, among: IbisTable | None = None, holding: IbisTable | None = None
) -> IbisTable:
    """Artefacts sent back by an account that was not issued them, as in `records.ARTEFACTS`: the ledger has no other.

    The organisation is the one that the account names in any exchange with artefacts. `among` has the `prefix` of all
    artefacts that may be such, `holding` the exchanges that they stand in; left out, any may be.
    """
    rows = signals if holding is None else holding
    issued, replayed = (_handled(rows, *side, among=among) for side in _ISSUED_AND_REPLAYED)
    is_handling = ibis.or_(*(_is_any(signals[column]) for column, _ in _ISSUED_AND_REPLAYED))
    return _sent_back(issued, replayed, naming=signals.filter(is_handling))


def shared_artefacts(partial: IbisTable) -> IbisTable:
    """The same of partial tables: hardly any artefact is sent back by others, so that hardly any rows are merged."""
    return _sent_back(partial.filter(partial.is_issued), partial.filter(~partial.is_issued), naming=partial)


def _sent_back(issued: IbisTable, replayed: IbisTable, *, naming: IbisTable) -> IbisTable:
    """Both sides of artefacts in `replayed` by accounts that are not in `issued` with them; as in `records.ARTEFACTS`.

    Accounts name their organisation in `naming`.
    """
    foreign = replayed.anti_join(issued, ["artefact", "account_id"]).select("artefact").distinct()
    named = naming.filter(naming.organization_id.notnull())
    said = named.group_by("account_id").aggregate(organization_id=named.organization_id.min())
    shared = issued.union(replayed).drop("organization_id").semi_join(foreign, "artefact").left_join(said, "account_id")
    return merged_artefacts(shared.drop("account_id_right"))


def merged_artefacts(partial: IbisTable, *, daily: bool = False) -> IbisTable:
    """Rows of several partial tables under one key each; as in `records.ARTEFACTS`, `daily` with their `day`.

    Counts add, times are the least and the greatest.
    """
    key = ["artefact", "account_id", "is_issued", *(["day"] if daily else [])]
    return partial.group_by(key).aggregate(
        organization_id=ibis._.organization_id.min(),
        exchanges=total(ibis._.exchanges),
        first_at=ibis._.first_at.min(),
        last_at=ibis._.last_at.max(),
    )


def _handled(signals: IbisTable, column: str, is_issued: bool, among: IbisTable | None = None) -> IbisTable:
    """One row per artefact of each exchange; with `among`, of those that begin with one of its prefixes."""
    rows = signals.filter(signals[column].notnull())
    named = _spelt(
        rows.select(
            "account_id",
            "organization_id",
            day=(rows.started_at.epoch_seconds() // DAY_S).cast("int64"),
            artefact=rows[column],
            first_at=rows.started_at,
            last_at=rows.started_at,
        )
    )
    if among is not None:
        named = named.mutate(prefix=named.artefact.substr(0, NUMBER_CHARS)).semi_join(among, "prefix").drop("prefix")
    return named.mutate(is_issued=ibis.literal(is_issued), exchanges=ibis.literal(1, type="int64"))


def _is_any(artefacts: IbisTable) -> IbisTable:
    return artefacts.notnull() if artefacts.type().is_binary() else artefacts.length() > 0


def _spelt(rows: IbisTable) -> IbisTable:
    """A row for each different artefact of lists in `artefact`, or of bytes as in `foreign.artefact_bytes`."""
    if not rows.artefact.type().is_binary():  # most lists have one artefact; then they need no look for repeats
        once = ibis.ifelse(rows.artefact.length() > 1, rows.artefact.unique(), rows.artefact)
        return rows.mutate(artefact=once.unnest())
    spelt = rows.mutate(artefact=_digits(rows.artefact).lower())
    placed = spelt.mutate(place=ibis.range(spelt.artefact.length() // _DIGITS).unnest())
    return placed.mutate(artefact=placed.artefact.substr(placed.place * _DIGITS, _DIGITS)).drop("place")


def replays(handled: IbisTable, accounts: IbisTable) -> IbisTable:
    """One row per artefact and account of a foreign owner that sent it back; columns as in `records.REPLAYS`."""
    shared = _of_several_owners(_owned(handled, accounts))
    order = [ibis.desc("is_issued"), "first_at", "account_id"]
    ranked = shared.mutate(rank=ibis.row_number().over(group_by="artefact", order_by=order))
    first = ranked.filter(ranked.rank == 0)
    origins = first.select(
        "artefact", origin_account_id="account_id", origin_owner="owner", was_issued="is_issued", issued_at="first_at"
    )
    entitled = shared.filter(shared.is_issued).select("artefact", "owner").distinct()
    sent = shared.filter(~shared.is_issued).anti_join(entitled, ["artefact", "owner"])
    foreign = sent.inner_join(origins, "artefact")
    read = _read(foreign.filter(foreign.owner != foreign.origin_owner))
    names = ("artefact", "origin_account_id", "was_issued", "account_id", "exchanges", "first_at", "last_at", "reading")
    return read.mutate(exchanges=read.exchanges.cast("int64")).select(*names)


def _owned(handled: IbisTable, accounts: IbisTable) -> IbisTable:
    """The rows with their owner: the organisation the account names in the accounts table or in any exchange."""
    said = handled.group_by("account_id").aggregate(in_traffic=handled.organization_id.min())
    known = accounts.select("account_id", registered=accounts.organization_id)
    named = said.left_join(known, "account_id").select("account_id", "in_traffic", "registered")
    organisation = "organisation " + ibis.coalesce(named.registered, named.in_traffic)
    owners = named.select("account_id", owner=ibis.coalesce(organisation, "account " + named.account_id))
    return handled.drop("organization_id").inner_join(owners, "account_id")


def _of_several_owners(owned: IbisTable) -> IbisTable:
    """Rows of artefacts that more than one owner handled: hardly any, so what follows is cheap."""
    counted = owned.group_by("artefact").aggregate(owners=owned.owner.nunique())
    return owned.semi_join(counted.filter(counted.owners > 1), "artefact")


def _read(foreign: IbisTable) -> IbisTable:
    """The rows with `reading`: published, occasional or carried; steps 4 and 5 of the module summary."""
    spread = foreign.group_by("artefact").aggregate(foreign_owners=foreign.owner.nunique())
    rows = foreign.inner_join(spread, "artefact")
    rows = rows.mutate(is_published=rows.foreign_owners >= PUBLISHED_OWNERS)
    brought = rows.filter(~rows.is_published).group_by("account_id").aggregate(introductions=ibis._.first_at.nunique())
    rows = rows.left_join(brought, "account_id")
    often = rows.introductions.fill_null(0) >= MIN_INTRODUCTIONS
    reading = ibis.cases((rows.is_published, "published"), (often, "carried"), else_="occasional")
    return rows.mutate(reading=reading)


def replay_traits(ledger: IbisTable) -> IbisTable:
    """Whose reasoning each account carried on or gave away; columns as in `records.TRAITS`, `value` an account id.

    One value per origin and not per artefact: two accounts that share a thousand artefacts share one source.
    """
    carried = ledger.filter(ledger.reading == "carried")
    # Sums come back from Parquet as doubles (see `activity`); a union wants equal types.
    holders = [("account_id", carried.exchanges.cast("int64")), ("origin_account_id", ibis.literal(0, type="int64"))]
    rows = ibis.union(
        *[
            carried.select(
                account_id=carried[holder],
                value=carried.origin_account_id,
                exchanges=exchanges,
                first_seen_at=carried.first_at,
                last_seen_at=carried.last_at,
            )
            for holder, exchanges in holders
        ]
    )
    held = rows.group_by(["account_id", "value"]).aggregate(
        exchanges=total(rows.exchanges),
        first_seen_at=rows.first_seen_at.min(),
        last_seen_at=rows.last_seen_at.max(),
    )
    return held.mutate(kind=ibis.literal("artefact")).select(
        "account_id", "kind", "value", "exchanges", "first_seen_at", "last_seen_at"
    )
