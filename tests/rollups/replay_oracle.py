"""The replay ledger in plain Python, one exchange after another: an oracle that shares no code with the ledger."""

from collections import defaultdict
from datetime import datetime
from typing import Any

Row = dict[str, Any]
Ledger = dict[tuple[str, str], tuple[str, bool, int, datetime, datetime, str]]


def ledger(rows: list[Row], registered: dict[str, str | None], *, published_owners: int, introductions: int) -> Ledger:
    """Per artefact and foreign account: origin, whether it was issued here, exchanges, first, last, reading."""
    issued: dict[str, dict[str, datetime]] = defaultdict(dict)
    sent: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    named: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        account, at = row["account_id"], row["started_at"]
        for name in set(row.get("reasoning_issued") or []):
            issued[name][account] = min(issued[name].get(account, at), at)
        for name in set(row.get("reasoning_replayed") or []):
            sent[name][account].append(at)
        if row.get("organization_id") and (row.get("reasoning_issued") or row.get("reasoning_replayed")):
            named[account].append(row["organization_id"])

    def owner(account: str) -> tuple[str, str]:
        said = registered.get(account) or (min(named[account]) if named[account] else None)
        return ("organisation", said) if said else ("account", account)

    found: dict[tuple[str, str], tuple[str, bool, int, datetime, datetime]] = {}
    for name, senders in sent.items():
        holders = issued.get(name) or {account: min(times) for account, times in senders.items()}
        origin = min(holders, key=lambda account: (holders[account], account))
        entitled = {owner(account) for account in issued.get(name, {})} | {owner(origin)}
        for account, times in senders.items():
            if owner(account) not in entitled:
                found[name, account] = (origin, name in issued, len(times), min(times), max(times))
    owners = defaultdict(set)
    for name, account in found:
        owners[name].add(owner(account))
    published = {name for name, who in owners.items() if len(who) >= published_owners}
    began = defaultdict(set)
    for (name, account), facts in found.items():
        if name not in published:
            began[account].add(facts[3])
    result: Ledger = {}
    for (name, account), facts in found.items():
        often = len(began[account]) >= introductions
        result[name, account] = (*facts, "published" if name in published else "carried" if often else "occasional")
    return result
