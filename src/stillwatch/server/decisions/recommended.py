"""What detection recommends, made into decisions: taken, renewed, replaced, or withdrawn at once.

1. Whoever is recommended nothing any more is free in the same run: its campaign is explained, an analyst said innocent,
   or the account or its campaign is no longer there.
2. What stands as recommended is renewed, at most once a day, so that thousands of rows do not change every few minutes.
3. What is recommended differently is replaced. An approved decision that is no stronger stays in force while its
   replacement waits for people; one that is stronger ends at once.
4. A person's undo ends what the campaign has to say about the account, under this id and those it descends from.
5. A check that was passed since the campaign first spoke of the account is not asked for again while the pass protects.

Misses: a campaign that comes back under an id its lineage does not tie to the old one is heard again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from stillwatch.decisions import reason_and_source
from stillwatch.decisions.limits import LEAST_APPROVALS
from stillwatch.records import ACTIONS
from stillwatch.server import audit
from stillwatch.server.alerts import tell
from stillwatch.server.decisions import ledger
from stillwatch.server.decisions.passes import passed_checks
from stillwatch.server.tables import decisions

NEWCOMER = "newcomer"
MOST_EVIDENCE = 8  # families of evidence a decision quotes, strongest first


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many decisions were made active, proposed, renewed, replaced, withdrawn and expired; adds up."""

    taken: int = 0
    proposed: int = 0
    renewed: int = 0
    replaced: int = 0
    withdrawn: int = 0
    expired: int = 0

    def __add__(self, other: "Reconciled") -> "Reconciled":
        """Both together; `Reconciled()` changes nothing."""
        return Reconciled(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is recommended for one account; equal for all accounts of one recommendation."""

    action: str
    check: str | None
    because: str
    source: str
    approvals_needed: int
    term: timedelta

    def fits(self, row: Any) -> bool:
        """Whether a decision is this one."""
        held = (row.action, row.check, row.because, row.source, row.approvals_needed)
        return held == (self.action, self.check, self.because, self.source, self.approvals_needed)


@dataclass(slots=True)
class _Changes:
    """What a run changes about one campaign."""

    new: list[dict[str, Any]] = field(default_factory=list)
    renewed: dict[timedelta, list[Any]] = field(default_factory=dict)
    replaced: list[Any] = field(default_factory=list)
    withdrawn: list[Any] = field(default_factory=list)


def reconcile(
    connection: sa.Connection, campaigns: Iterable[Mapping[str, Any]], *, now: datetime, policy_name: str
) -> Reconciled:
    """Bring the decisions in line with the campaigns of a detection; the same campaigns again change nothing.

    `campaigns` is the whole content of campaigns.json: a campaign that is not in it is gone.
    """
    audit.hold(connection)
    total = Reconciled(expired=ledger.expire(connection, now=now))
    present = set()
    for campaign in campaigns:
        present.add(campaign["campaign_id"])
        changed = _compared(connection, campaign, now=now, author=f"policy {policy_name}")
        total += _written(connection, campaign["campaign_id"], changed, now=now, author=f"policy {policy_name}")
    for campaign_id in sorted(_campaigns_with_open_decisions(connection) - present):
        changed = _Changes(withdrawn=_open(connection, campaign_id))
        total += _written(connection, campaign_id, changed, now=now, author=f"policy {policy_name}")
    return total


def undone_accounts(connection: sa.Connection, campaign_ids: Sequence[str]) -> set[str]:
    """Accounts about which a person undid a decision of one of these campaigns."""
    chosen = sa.and_(decisions.c.campaign_id.in_(campaign_ids), decisions.c.state == "undone")
    return set(connection.execute(sa.select(decisions.c.account_id).where(chosen).distinct()).scalars())


def _compared(connection: sa.Connection, campaign: Mapping[str, Any], *, now: datetime, author: str) -> _Changes:
    wanted = _wanted(campaign)
    kin = [campaign["campaign_id"], *(one["campaign_id"] for one in campaign.get("lineage", ()))]
    for account_id in undone_accounts(connection, kin):
        wanted.pop(account_id, None)
    accuses = bool(wanted)
    for account_id, checks in passed_checks(connection, decisions.c.campaign_id.in_(kin), now=now).items():
        if account_id in wanted and wanted[account_id].action == "verify" and wanted[account_id].check in checks:
            del wanted[account_id]
    changed = _Changes()
    held: dict[str, list[Any]] = {}
    for row in _open(connection, campaign["campaign_id"]):
        held.setdefault(row.account_id, []).append(row)
    evidence = _evidence(campaign)
    for account_id, one in wanted.items():
        if not _stands(held.get(account_id, []), one, now, changed):
            changed.new.append(_row(account_id, campaign["campaign_id"], one, evidence, now, author))
    members = set(campaign["account_ids"])
    for account_id in held.keys() - wanted.keys():
        # A newcomer that this detection has not seen yet keeps its own expiry, while its campaign accuses anybody.
        unseen = accuses and account_id not in members
        changed.withdrawn += [row for row in held[account_id] if not (unseen and row.source == NEWCOMER)]
    return changed


def _stands(held: Sequence[Any], wanted: _Wanted, now: datetime, changed: _Changes) -> bool:
    """Whether what is wanted is there already; notes which of the account's decisions are renewed or replaced."""
    fitting = next((row for row in held if wanted.fits(row)), None)
    waits = fitting.state == "proposed" if fitting else wanted.approvals_needed > 0
    for row in held:
        bridges = waits and row.state == "active" and ACTIONS.index(row.action) <= ACTIONS.index(wanted.action)
        if row is not fitting and not bridges:
            changed.replaced.append(row)
        elif row.expires_at - now <= wanted.term - min(timedelta(days=1), wanted.term / 2):
            changed.renewed.setdefault(wanted.term, []).append(row)
    return fitting is not None


def _written(
    connection: sa.Connection, campaign_id: str, changed: _Changes, *, now: datetime, author: str
) -> Reconciled:
    renewed = [row for rows in changed.renewed.values() for row in rows]
    active = [row for row in changed.new if row["state"] == "active"]
    done = Reconciled(
        len(active), len(changed.new) - len(active), len(renewed), len(changed.replaced), len(changed.withdrawn)
    )
    if done == Reconciled():
        return done
    change = ledger.next_change(connection)
    for term, rows in changed.renewed.items():
        ledger.update(connection, [row.decision_id for row in rows], expires_at=now + term, changed=change)
    for state, rows, because in (
        ("replaced", changed.replaced, "Detection recommends another decision."),
        ("withdrawn", changed.withdrawn, "Detection recommends it no longer."),
    ):
        ledger.end(connection, [row.decision_id for row in rows], state, because=because, by=author, now=now)
    ledger.insert(connection, [{**row, "changed": change} for row in changed.new])
    _audited(connection, campaign_id, changed, done, now=now, author=author)
    _tell(connection, campaign_id, changed, now=now, author=author)
    return done


def _audited(
    connection: sa.Connection, campaign_id: str, changed: _Changes, done: Reconciled, *, now: datetime, author: str
) -> None:
    """One line for the campaign: the counts, and a digest over every decision it touched."""
    lines = [(row["decision_id"], row["account_id"], row["action"], row["state"]) for row in changed.new]
    for state, touched in (
        ("renewed", [row for rows in changed.renewed.values() for row in rows]),
        ("replaced", changed.replaced),
        ("withdrawn", changed.withdrawn),
    ):
        lines += [(row.decision_id, row.account_id, row.action, state) for row in touched]
    actions = sorted({row["action"] for row in changed.new}, key=ACTIONS.index)
    told: dict[str, Any] = {one.name: getattr(done, one.name) for one in fields(done) if getattr(done, one.name)}
    told |= {"actions": actions, "digest": ledger.digest(lines)}
    audit.record(connection, at=now, principal=author, action="decisions.reconciled", subject=campaign_id, after=told)


def _tell(connection: sa.Connection, campaign_id: str, changed: _Changes, *, now: datetime, author: str) -> None:
    """One message for the campaign: how many of each action were taken, proposed, replaced and withdrawn."""
    counts = Counter(f"{row['action']}_{row['state']}" for row in changed.new)
    counts.update(f"{row.action}_replaced" for row in changed.replaced)
    counts.update(f"{row.action}_withdrawn" for row in changed.withdrawn)
    if counts:  # what is only renewed is no news
        tell(connection, "decision.made", campaign_id, {"author": author, **dict(sorted(counts.items()))}, now=now)


def _wanted(campaign: Mapping[str, Any]) -> dict[str, _Wanted]:
    wanted: dict[str, _Wanted] = {}
    for told in campaign["recommended_decisions"]:
        reason, source = reason_and_source(told["because"])
        one = _Wanted(
            told["action"],
            told["check"],
            reason,
            source or "policy",
            max(told["approvals"], LEAST_APPROVALS[told["action"]]),
            timedelta(days=told["expires_after_days"]),
        )
        wanted |= {account_id: one for account_id in told["account_ids"] if ledger.can_hold(account_id)}
    return wanted


def _row(
    account_id: str, campaign_id: str, wanted: _Wanted, evidence: Mapping[str, Any], now: datetime, author: str
) -> dict[str, Any]:
    return {
        "decision_id": ledger.new_id(),
        "account_id": account_id,
        "campaign_id": campaign_id,
        "action": wanted.action,
        "check": wanted.check,
        "because": wanted.because,
        "evidence": evidence,
        "source": wanted.source,
        "author": author,
        "created_at": now,
        "expires_at": now + wanted.term,
        "approvals_needed": wanted.approvals_needed,
        "state": "proposed" if wanted.approvals_needed else "active",
    }


def _evidence(campaign: Mapping[str, Any]) -> dict[str, Any]:
    """What the campaign stood on when it was decided: its verdict, and the strongest trait of each family."""
    strongest: dict[str, Mapping[str, Any]] = {}
    for trait in campaign["evidence"]:
        family = trait["family"]
        if family not in strongest or trait["weight_bits"] > strongest[family]["weight_bits"]:
            strongest[family] = trait
    families = sorted(strongest.values(), key=lambda trait: (-trait["weight_bits"], trait["family"]))[:MOST_EVIDENCE]
    return {
        "verdict": campaign["verdict"],
        "probability": campaign["probability"],
        "accounts": len(campaign["account_ids"]),
        "evidence": [
            {name: trait[name] for name in ("kind", "family", "weight_bits", "durability")} for trait in families
        ],
    }


def _open(connection: sa.Connection, campaign_id: str) -> list[Any]:
    columns = ("decision_id", "account_id", "action", "check", "because", "source", "approvals_needed", "state")
    chosen = sa.select(*(decisions.c[name] for name in columns), decisions.c.expires_at)
    mine = sa.and_(decisions.c.campaign_id == campaign_id, decisions.c.state.in_(ledger.OPEN))
    return list(connection.execute(chosen.where(mine)))


def _campaigns_with_open_decisions(connection: sa.Connection) -> set[str]:
    column = decisions.c.campaign_id
    chosen = sa.select(column).where(column.is_not(None), decisions.c.state.in_(ledger.OPEN)).distinct()
    return set(connection.execute(chosen).scalars())
