"""Campaigns of partners that are recognised here: who bears their wordings, what speaks for it, and what against it.

Why:    a campaign that moves is here days before what its accounts share suffices for a verdict. People can look at
        once, when they are told who, since when, how sure, and what an innocent reading would look like.
Misses: campaigns that fewer than LEAST_BEARERS accounts go on with, and whoever rewords beyond recognition.
Source: own; the hypergeometric tail for how new the accounts are (Fisher's exact test, one-sided).

To recognise is not to accuse. A recognised campaign is no campaign of ours: it has no verdict, nobody is a member of
it, no decision rests on it, and a lie is recognised like the truth.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.leads import Sent
from stillwatch.linkage.tails import hypergeometric
from stillwatch.records import ACCUSING, LEAD_KIND

LEAST_BEARERS = 5  # accounts: as many as the smallest campaign has that anything can be proven of
LONG_STANDING = timedelta(days=30)  # from signing up to the first of these wordings that anybody sent here
NEWER_P_VALUE = 0.01  # of as many new accounts by chance, to say that they are newer than customers are
VERIFIED = ("identity", "business", "contract")  # checks that cost somebody who is not what he says
SUPPORTS = ("confirmed", "supported", "unsupported", "contradicted")

Recognised = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Witness:
    """What a detection was sent, and saw of it and of everybody.

    `traits` as in `records.TRAITS`, of principals; `matches` as in `records.LEAD_MATCHES`; `shared` as in
    `linkage.bearers`; `accounts` as in `records.ACCOUNTS`; `principals` who answers for each account with traffic.
    """

    sent: Sent
    traits: pa.Table
    matches: pa.Table
    shared: pa.Table
    accounts: pa.Table
    principals: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Customers:
    """Accounts that stand for themselves, of which it is known when they signed up; how many, and how many are old."""

    known: int
    long_standing: int
    verified: int


def recognised(seen: Witness, campaigns: Sequence[Mapping[str, Any]], *, cleared: Collection[str]) -> list[Recognised]:
    """Every campaign of a partner that at least LEAST_BEARERS accounts bear, shaped as in the recognised schema.

    Most accounts first. `cleared` are accounts that analysts found innocent: they bear it and do not count.
    """
    borne = seen.traits.filter(pc.equal(seen.traits["kind"], LEAD_KIND))
    found = []
    for name in seen.sent.leads.precision:
        rows = borne.filter(pc.equal(borne["value"], name)).to_pylist()
        accounts = sorted(row["account_id"] for row in rows if _is_alone(row["account_id"], seen))
        if len(set(accounts) - set(cleared)) >= LEAST_BEARERS:
            of = _Lead(name, rows, accounts, len(set(accounts) & set(cleared)))
            found.append(_told(of, seen, campaigns))
    return sorted(found, key=lambda one: (-len(one["account_ids"]), one["campaign_ref"]))


def sentence(of: Mapping[str, Any]) -> str:
    """A recognised campaign in one sentence, for who reads nothing else."""
    return (
        f"A campaign of a partner is recognised here: {len(of['account_ids']):,} accounts bear the wordings of "
        f"{of['campaign_ref']}, {of['outside']:,} of them in no campaign of ours. That is a lead and no verdict: "
        f"{of['because']}"
    )


@dataclass(frozen=True, slots=True)
class _Lead:
    """A campaign of a partner: its rows of traits, the accounts among those, and how many of them were cleared."""

    name: str
    rows: Sequence[Mapping[str, Any]]
    accounts: Sequence[str]
    cleared: int

    @property
    def since(self) -> datetime:
        """The first exchange that bears it, of those who do so steadily."""
        first: datetime = min(row["first_seen_at"] for row in self.rows)
        return first


def _is_alone(account_id: str, seen: Witness) -> bool:
    """Whether it is an account with traffic that no verified organisation answers for."""
    return seen.principals.get(account_id) == account_id


def _told(of: _Lead, seen: Witness, campaigns: Sequence[Mapping[str, Any]]) -> Recognised:
    mine = seen.sent.rows.filter(pc.equal(seen.sent.rows["campaign_ref"], of.name))
    inside = _inside(of.accounts, campaigns)
    shared = [
        {key: row[key] for key in ("group", "linked", "expected", "p_value")}
        for row in seen.shared.filter(pc.equal(seen.shared["lead"], of.name)).to_pylist()
    ]
    told = {
        "campaign_ref": of.name,
        "sender": mine["sender"][0].as_py(),
        "sender_verdict": mine["sender_verdict"][0].as_py(),
        "precision": round(seen.sent.leads.precision[of.name], 6),
        "leads": pc.count_distinct(mine["lead_id"]).as_py(),
        "account_ids": list(of.accounts),
        "cleared": of.cleared,
        "exchanges": sum(row["exchanges"] for row in of.rows),
        "first_seen_at": of.since.isoformat(),
        "last_seen_at": max(row["last_seen_at"] for row in of.rows).isoformat(),
        "in_campaigns": inside,
        "outside": len(of.accounts) - sum(one["accounts"] for one in inside),
        "shared": sorted(shared, key=lambda row: (row["p_value"], row["group"])),
        "if_public": _if_public(of, seen, mine["lead_id"][0].as_py()),
    }
    support = _support(told)
    return {**told, "support": support, "because": _because(told, support), "innocent": _innocent(told)}


def _inside(accounts: Sequence[str], campaigns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Campaigns of ours that any of the accounts are in, those with most of them first."""
    wanted = set(accounts)
    counts = [(len(wanted.intersection(one["account_ids"])), one) for one in campaigns]
    found = [
        {"campaign_id": one["campaign_id"], "verdict": one["verdict"], "accounts": count}
        for count, one in counts
        if count
    ]
    return sorted(found, key=lambda one: (-one["accounts"], one["campaign_id"]))


def _if_public(of: _Lead, seen: Witness, lead_id: str) -> dict[str, Any]:
    """What a text that anybody could come upon would look like, beside what is seen.

    Its users would be as old as customers are, as often verified, and most of them would try it and leave.
    """
    everybody = seen.matches.filter(pc.equal(seen.matches["lead_id"], lead_id))
    holders = {row["account_id"] for row in of.rows}
    steadily = sum(principal in holders for principal in seen.principals.values())
    customers = [account_id for account_id in seen.principals if _is_alone(account_id, seen)]
    all_of, own = (_customers(seen.accounts, ids, of.since) for ids in (customers, of.accounts))
    share = own.known / all_of.known if all_of.known else 0.0
    return {
        "passers_by": max((pc.sum(everybody["accounts"]).as_py() or 0) - steadily, 0),
        "organisations": len(holders - set(of.accounts)),
        "known": own.known,
        "long_standing": own.long_standing,
        "long_standing_expected": round(all_of.long_standing * share, 3),
        "verified": own.verified,
        "verified_expected": round(all_of.verified * share, 3),
        "newer_p_value": _newer(own, all_of) if own.known else None,
    }


def _newer(own: Customers, all_of: Customers) -> float:
    """How likely as many new accounts are among so many of all customers."""
    new, totals = (np.array([one.known - one.long_standing]) for one in (own, all_of))
    return float(hypergeometric(new, all_of.known, totals, own.known)[0])


def _customers(accounts: pa.Table, ids: Sequence[str], since: datetime) -> Customers:
    """What the accounts table knows of some of the accounts."""
    rows = accounts.filter(pc.is_in(accounts["account_id"], pa.array(ids, pa.string())))
    rows = rows.filter(pc.is_valid(rows["created_at"]))
    old = pc.less_equal(rows["created_at"], pa.scalar(since - LONG_STANDING, rows["created_at"].type))
    verified = pc.is_in(rows["verification_level"], pa.array(VERIFIED))
    return Customers(rows.num_rows, *(int(pc.sum(column).as_py() or 0) for column in (old, verified)))


def _support(of: Mapping[str, Any]) -> str:
    """What our own logs say of it, in one of the words of SUPPORTS."""
    counts: Counter[str] = Counter()
    for one in of["in_campaigns"]:
        counts[one["verdict"]] += one["accounts"]
    if sum(counts[verdict] for verdict in ACCUSING) >= LEAST_BEARERS:
        return "confirmed"
    if 2 * (counts["explained"] + of["cleared"]) > len(of["account_ids"]):
        return "contradicted"
    return "supported" if of["shared"] or _is_newer(of) else "unsupported"


def _is_newer(of: Mapping[str, Any]) -> bool:
    p_value = of["if_public"]["newer_p_value"]
    return p_value is not None and p_value <= NEWER_P_VALUE


def _because(of: Mapping[str, Any], support: str) -> str:
    """How sure, in words, and on what it rests."""
    if support == "confirmed":
        accused = sum(one["accounts"] for one in of["in_campaigns"] if one["verdict"] in ACCUSING)
        return f"it is confirmed here, as {accused:,} of them are in campaigns that were found by what they share here."
    if support == "contradicted":
        return "it is contradicted here, as most of them are explained innocently or were found innocent."
    grounds = [
        f"{row['linked']:,} of them share a {row['group']} trait, where chance puts {row['expected']:.1f}"
        for row in of["shared"]
    ]
    if _is_newer(of):
        grounds.append("they are newer than customers are")
    if grounds:
        return f"it is supported here beside the partner's word, as {'; '.join(grounds)}."
    return "nothing but the partner's word and the wordings speaks for it so far."


def _innocent(of: Mapping[str, Any]) -> str:
    """The innocent reading beside what is seen: a text that anybody can come upon."""
    seen = of["if_public"]
    told = [f"{seen['passers_by']:,} other accounts use the wordings in passing"]
    if seen["organisations"]:
        told.append(f"{seen['organisations']:,} verified organisations bear them as well")
    if seen["known"]:
        told.append(
            f"of {seen['known']:,} bearers whose sign-up is known {seen['long_standing']:,} are old customers, where "
            f"{seen['long_standing_expected']:.1f} would be among as many of all customers, and {seen['verified']:,} "
            f"proved who they are, where {seen['verified_expected']:.1f} would have"
        )
    else:
        told.append("when these accounts signed up is not known")
    return f"Were it a text that anybody can come upon, its users would be like customers at large: {'; '.join(told)}."
