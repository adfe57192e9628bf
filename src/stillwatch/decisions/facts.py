"""What a decision must know about an account besides its campaign, read from the tables a run has.

Misses: without links, the durability of an account's own evidence is not known and the campaign's stands in for it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.decisions.durability import durability
from stillwatch.records import DURABILITIES


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """Facts of one account; null means not known.

    `durability` is that of the links that tie this very account to its campaign; `analyst_verdict` is the newest
    verdict of an analyst on it: guilty or innocent.
    """

    access_program: str | None = None
    verification_level: str | None = None
    role: str | None = None
    analyst_verdict: str | None = None
    durability: str | None = None


def account_facts(
    account_ids: Collection[str],
    *,
    accounts: pa.Table | None = None,
    verdicts: pa.Table | None = None,
    links: pa.Table | None = None,
    compromised: Collection[str] = (),
) -> dict[str, AccountFacts]:
    """Facts of every account in `account_ids`, from tables of `records` (accounts, verdicts, links)."""
    ids = pa.array(sorted(set(account_ids)), pa.string())
    known = _rows(accounts, ids, ("account_id", "access_program", "verification_level"))
    profile = {row["account_id"]: row for row in known}
    judged = newest_verdicts(verdicts, "account")
    tied = _durabilities(links, ids)
    stolen = frozenset(compromised)
    return {
        account_id: AccountFacts(
            access_program=profile.get(account_id, {}).get("access_program"),
            verification_level=profile.get(account_id, {}).get("verification_level"),
            role="compromised" if account_id in stolen else None,
            analyst_verdict=judged.get(account_id),
            durability=None if links is None else tied.get(account_id, DURABILITIES[0]),
        )
        for account_id in ids.to_pylist()
    }


def newest_verdicts(verdicts: pa.Table | None, subject_kind: str) -> dict[str, str]:
    """The newest analyst verdict of every subject of that kind (account or campaign).

    Of two verdicts of the same instant, innocent counts.
    """
    if verdicts is None:
        return {}
    rows = [row for row in verdicts.to_pylist() if row["subject_kind"] == subject_kind]
    rows.sort(key=lambda row: (row["decided_at"], row["verdict"] == "innocent"))
    return {row["subject"]: row["verdict"] for row in rows}


def _rows(table: pa.Table | None, ids: pa.Array, columns: tuple[str, ...]) -> list[Mapping[str, Any]]:
    if table is None:
        return []
    chosen = table.select(columns).filter(pc.is_in(table["account_id"].cast(pa.string()), value_set=ids))
    return list(chosen.to_pylist())


def _durabilities(links: pa.Table | None, ids: pa.Array) -> dict[str, str]:
    # Arrow keeps the strongest link per account, family and durability, so Python sees a handful of rows per account.
    if links is None:
        return {}
    chosen = links.filter(pc.is_in(links["account_id"].cast(pa.string()), value_set=ids))
    strongest = chosen.group_by(["account_id", "family", "durability"]).aggregate([("weight_bits", "max")])
    by_account: dict[str, list[dict[str, Any]]] = {}
    for row in strongest.rename_columns(["account_id", "family", "durability", "weight_bits"]).to_pylist():
        by_account.setdefault(row["account_id"], []).append(row)
    return {account_id: durability(rows) for account_id, rows in by_account.items()}
