"""What a person says about an account or a campaign: verdicts that the next scan reads, and erasure."""

import csv
import getpass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch import sharing, store
from stillwatch.errors import HeldError, InputError, StoreError
from stillwatch.records import HOLDS, arrow_schema
from stillwatch.report import report
from stillwatch.state import erased as rollups_erased


def record_verdict(out: Path, subject: str, verdict: str, because: str, *, author: str | None = None) -> dict[str, Any]:
    """Record that an analyst found an account or campaign guilty or innocent; the newest verdict counts.

    Raises:
        InputError: the subject is in no campaign of the last scan and bears no recognised one, or no grounds are given.
        StoreError: there was no scan.
    """
    if not because.strip():
        raise InputError("--because is empty: say what the verdict rests on; it is shown on appeal")
    kind = _kind(_campaigns(out), store.read_recognised(out), subject)
    if kind is None:
        raise InputError(
            f"{subject} is no campaign and no account in a campaign of {out}, and bears none that is recognised; see "
            "`stillwatch campaigns list` and `stillwatch share recognised`"
        )
    row = {
        "subject": subject,
        "subject_kind": kind,
        "verdict": verdict,
        "because": because.strip(),
        "author": author or getpass.getuser(),
        "decided_at": datetime.now(UTC).isoformat(),
    }
    with store.locked(out):
        store.write_verdict(out, row)
    return row


def erase(
    out: Path, account_id: str, *, holds: pa.Table | None, today: date, state: Path | None = None
) -> dict[str, int]:
    """Remove an account's data from every file of the output folder, and of a state; how much was removed from each.

    `holds` as in `records.HOLDS`; null when there are none. With a state there need not have been a scan.

    Raises:
        StoreError: the account is under legal hold, or there was neither a scan nor a state.
    """
    refuse_held(holds, account_id, today)
    kept: dict[str, int] = {}
    if state is not None:
        kept = {f"{name} of the state": count for name, count in rollups_erased(state, account_id).items()}
        if not (out / store.RUN).exists():
            return kept
    campaigns = _campaigns(out)
    with store.locked(out):
        removed = {"campaigns": _erase_from_campaigns(campaigns, account_id)}
        known, removed["known campaigns"] = _erase_from_known(store.read_known(out), account_id)
        accounts, removed["accounts"] = _without(out, store.ACCOUNTS, account_id)
        links, removed["links"] = _without(out, store.LINKS, account_id)
        seen, removed["seen"] = _without(out, store.SEEN, account_id)
        recognised, removed["recognised"] = _erase_from_recognised(store.read_recognised(out), account_id)
        removed["verdicts"] = _erase_verdicts(out, account_id)
        run = store.read_run(out)
        store.write_json(out / store.CAMPAIGNS, campaigns)
        store.write_json(out / store.KNOWN, known)
        store.write_json(out / store.RECOGNISED, recognised)
        store.write_table(out / store.ACCOUNTS, accounts)
        store.write_table(out / store.LINKS, links)
        store.write_table(out / store.SEEN, seen)
        bundle = sharing.bundle(campaigns, now=datetime.now(UTC), tlp=run["settings"]["tlp"], key_id=run.get("key_id"))
        store.write_text(out / store.BUNDLE, bundle)
        page = report(campaigns, links=links, accounts=accounts, run=run, recognised=recognised)
        store.write_text(out / store.REPORT, page)
    return {**removed, **kept}


def read_holds(path: Path) -> pa.Table:
    """The file of legal holds: CSV with the columns account_id, reason, until (a date, or empty).

    Raises:
        InputError: the file is missing, lacks a column, or holds a date that is none.
    """
    if not path.is_file():
        raise InputError(f"there is no file of holds {path}; check --holds")
    with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a byte-order mark first
        reader = csv.DictReader(file)
        columns, rows = set(reader.fieldnames or ()), list(reader)
    if not {"account_id", "reason"} <= columns:
        raise InputError(f"{path}, line 1: the columns account_id and reason are both needed")
    for number, row in enumerate(rows, start=2):
        if not row.get("account_id") or not row.get("reason"):
            raise InputError(f"{path}, line {number}: account_id and reason are both needed")
        try:
            row["until"] = date.fromisoformat(row["until"]).isoformat() if row.get("until") else None
        except ValueError as error:
            raise InputError(f"{path}, line {number}: until must be YYYY-MM-DD or empty") from error
    return pa.Table.from_pylist([{name: row[name] for name in HOLDS.names} for row in rows], arrow_schema(HOLDS))


def refuse_held(holds: pa.Table | None, account_id: str, today: date) -> None:
    """Stop at an account that a hold in force today names; its last day counts.

    Raises:
        HeldError: the account is under legal hold.
    """
    rows = [] if holds is None else holds.filter(pc.equal(holds["account_id"], account_id)).to_pylist()
    held = next((row for row in rows if row["until"] is None or date.fromisoformat(row["until"]) >= today), None)
    if held is not None:
        until = held["until"] or "further notice"
        raise HeldError(f"{account_id} is under legal hold until {until} ({held['reason']}): nothing was erased")


def _campaigns(out: Path) -> list[dict[str, Any]]:
    if not (out / store.RUN).exists():
        raise StoreError(f"there was no scan in {out}. Run `stillwatch scan … --out {out}` first.")
    return store.read_campaigns(out)


def _kind(campaigns: list[dict[str, Any]], recognised: list[dict[str, Any]], subject: str) -> str | None:
    """What the subject is. A partner's campaign is none of ours; the accounts that bear it can be judged one by one."""
    if any(campaign["campaign_id"] == subject for campaign in campaigns):
        return "campaign"
    return "account" if any(subject in one["account_ids"] for one in (*campaigns, *recognised)) else None


def _erase_from_campaigns(campaigns: list[dict[str, Any]], account_id: str) -> int:
    """Take the account out of member and decision lists; a campaign left with one member goes as a whole."""
    touched = [campaign for campaign in campaigns if account_id in campaign["account_ids"]]
    for campaign in touched:
        campaign["account_ids"].remove(account_id)
        victims = campaign.get("compromised", [])
        campaign["compromised"] = [victim for victim in victims if victim["account_id"] != account_id]
        for decision in campaign["recommended_decisions"]:
            decision["account_ids"] = [other for other in decision["account_ids"] if other != account_id]
        campaign["recommended_decisions"] = [d for d in campaign["recommended_decisions"] if d["account_ids"]]
    campaigns[:] = [campaign for campaign in campaigns if len(campaign["account_ids"]) > 1]
    return len(touched)


def _erase_from_recognised(recognised: list[dict[str, Any]], account_id: str) -> tuple[list[dict[str, Any]], int]:
    """What is recognised, without the account; the counts stay those of the scan."""
    kept = [
        {**one, "account_ids": [other for other in one["account_ids"] if other != account_id]} for one in recognised
    ]
    return [one for one in kept if one["account_ids"]], sum(account_id in one["account_ids"] for one in recognised)


def _erase_from_known(known: list[dict[str, Any]], account_id: str) -> tuple[list[dict[str, Any]], int]:
    """The known campaigns without the account; one that is left with one account goes as a whole."""
    kept = [
        {**campaign, "accounts": [row for row in campaign["accounts"] if row["account_id"] != account_id]}
        for campaign in known
    ]
    held = sum(len(old["accounts"]) - len(new["accounts"]) for old, new in zip(known, kept, strict=True))
    return [campaign for campaign in kept if len(campaign["accounts"]) > 1], held


def _without(out: Path, name: str, account_id: str) -> tuple[pa.Table, int]:
    table = store.read_table(out, name)
    kept = table.filter(pc.not_equal(table["account_id"], account_id))
    return kept, table.num_rows - kept.num_rows


def _erase_verdicts(out: Path, account_id: str) -> int:
    rows = store.read_verdicts(out).to_pylist()
    kept = [{**row, "decided_at": row["decided_at"].isoformat()} for row in rows if row["subject"] != account_id]
    store.write_verdicts(out, kept)
    return len(rows) - len(kept)
