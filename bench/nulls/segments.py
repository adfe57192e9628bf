"""Segments an operator knows without labels: model, access programme and script, coarser where accounts are few."""

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from stillwatch.engines.base import IbisTable

MIN_ACCOUNTS = 200  # of a segment; a smaller one is no chance, since a campaign can be most of it


def segments(signals: IbisTable, accounts: pa.Table, principals: Mapping[str, str]) -> dict[str, int]:
    """Account to number of its segment; accounts of verified organisations are in none.

    An account is in its finest segment of at least MIN_ACCOUNTS accounts, of these four: model, programme and script;
    programme and script; programme; everybody.
    """
    model, script = _commonest(signals, "model"), _commonest(signals, "script")
    programs = dict(zip(accounts["account_id"].to_pylist(), accounts["access_program"].to_pylist(), strict=True))
    alone = sorted(account for account, principal in principals.items() if account == principal)
    wanted = {
        account: (str(programs.get(account)), str(script.get(account)), str(model.get(account))) for account in alone
    }
    chosen: dict[str, tuple[str, ...]] = {}
    for depth in (3, 2, 1, 0):
        waiting = [account for account in alone if account not in chosen]
        sizes = Counter(wanted[account][:depth] for account in waiting)
        chosen |= {a: wanted[a][:depth] for a in waiting if sizes[wanted[a][:depth]] >= MIN_ACCOUNTS or depth == 0}
    numbers = {name: number for number, name in enumerate(sorted(set(chosen.values())))}
    return {account: numbers[name] for account, name in chosen.items()}


def _commonest(signals: IbisTable, column: str) -> dict[str, str]:
    """The value that most exchanges of each account have; of equals the first by name."""
    named = signals.filter(signals[column].notnull())
    counted = named.group_by(["account_id", column]).aggregate(count=named.count())
    found: dict[str, tuple[int, str]] = {}
    for row in counted.to_pyarrow().to_pylist():
        best = found.get(row["account_id"])
        if best is None or (-row["count"], row[column]) < (-best[0], best[1]):
            found[row["account_id"]] = (row["count"], row[column])
    return {account: value for account, (_, value) in found.items()}
