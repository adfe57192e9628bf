"""A policy tried on campaigns of the past: whom it would have touched, beside the policy in use.

Why:    a rule looks harmless until it is held against everybody it fits; the people to look at first are those who are
        known to be innocent.
Misses: what campaigns would have looked like had the policy been in use: accounts that were stopped harvest no more.
Source: own; docs/policy.md, "Try a policy on the past".

Verdicts of analysts are no part of the trial: it asks what would have become of people before anybody cleared them. Of
several decisions about an account, over several detections, the strongest counts.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from stillwatch import decisions, ingest, store
from stillwatch.decisions.limits import VERIFIED
from stillwatch.errors import InputError, SettingsError
from stillwatch.records import ACTIONS
from stillwatch.settings import key_path, key_secret

COLUMNS = ("action", "check", "accounts", "innocent", "accounts in use", "innocent in use")
Decision = tuple[str, str | None]  # action and check
Touched = Mapping[str, Decision]


@dataclass(frozen=True, slots=True)
class Backtest:
    """Whom two policies touch: the strongest decision of each account, and who of them is known to be innocent."""

    policy: str
    in_use: str
    touched: Touched
    touched_in_use: Touched
    innocents: Collection[str]
    not_known: tuple[str, ...] = ()

    def rows(self) -> list[tuple[object, ...]]:
        """A row per action and check, strongest action first, and one for all."""
        both = (self.touched, self.touched_in_use)
        counts = [Counter(one.values()) for one in both]
        wrong = [Counter(how for name, how in one.items() if name in self.innocents) for one in both]
        order = sorted({*counts[0], *counts[1]}, key=lambda how: (-ACTIONS.index(how[0]), how[1] or ""))
        made: list[tuple[object, ...]] = [
            (how[0], how[1] or "", counts[0][how], wrong[0][how], counts[1][how], wrong[1][how]) for how in order
        ]
        return [*made, ("all", "", *(number for i in (0, 1) for number in (len(both[i]), wrong[i].total())))]

    def as_json(self) -> dict[str, Any]:
        """Everything, account ids included."""
        names = tuple(name.replace(" ", "_") for name in COLUMNS)
        return {
            "policy": self.policy,
            "in_use": self.in_use,
            "rows": [dict(zip(names, row, strict=True)) for row in self.rows()],
            "accounts": _listed(self.touched),
            "accounts_in_use": _listed(self.touched_in_use),
            "innocents_touched": sorted(self.touched.keys() & self.innocents),
            "newly_touched": sorted(self.touched.keys() - self.touched_in_use.keys()),
            "no_longer_touched": sorted(self.touched_in_use.keys() - self.touched.keys()),
            "not_known": list(self.not_known),
        }


def backtest(policy: Path, out: Path, *, innocents: Path | None = None, accounts: Path | None = None) -> Backtest:
    """A policy tried on the output of a detection, or on a folder that holds the outputs of several.

    Raises:
        InputError: there is no output, or a file that was named is missing.
        SettingsError: a policy cannot be read, the one in use included.
    """
    folders = _folders(out)
    known = None if accounts is None else ingest.accounts(accounts, key=ingest.Key(key_secret(key_path())))[0]
    tried = decisions.load_policy(policy)
    in_use = _in_use(folders[-1])
    innocent = _listed_ids(innocents) | _verified(known)
    for folder in folders:
        innocent |= _cleared(folder)
    told = () if known is not None else ("Without --accounts no access programme and no verification is known.",)
    return Backtest(
        policy=f"{tried.name} {tried.version}",
        in_use=f"{in_use.name} {in_use.version}",
        touched=_touched(folders, tried, known),
        touched_in_use=_touched(folders, in_use, known),
        innocents=innocent,
        not_known=told,
    )


def _folders(out: Path) -> list[Path]:
    """The outputs to try on: the folder itself, or those in it, in order of their names."""
    if (out / store.RUN).exists():
        return [out]
    found = sorted(path.parent for path in out.glob(f"*/{store.RUN}"))
    if not found:
        raise InputError(
            f"there was no scan in {out}, nor in a folder of it; run `stillwatch scan LOGS --out {out}` first"
        )
    return found


def _in_use(out: Path) -> decisions.Policy:
    """The policy that the newest of the detections was made with, as its file reads today."""
    name = store.read_run(out).get("settings", {}).get("policy")
    try:
        return decisions.load_policy(Path(name) if name else None)
    except SettingsError as error:
        raise SettingsError(f"the policy in use, as {out / store.RUN} names it: {error}") from error


def _touched(folders: Collection[Path], policy: decisions.Policy, accounts: pa.Table | None) -> dict[str, Decision]:
    """The strongest decision about each account."""
    found: dict[str, Decision] = {}
    for account_id, decision in (pair for folder in folders for pair in _decided(folder, policy, accounts)):
        before = found.get(account_id)
        if before is None or _strength(decision) > _strength(before):
            found[account_id] = decision
    return found


def _decided(out: Path, policy: decisions.Policy, accounts: pa.Table | None) -> Iterator[tuple[str, Decision]]:
    campaigns, links = store.read_campaigns(out), store.read_table(out, store.LINKS)
    victims = {victim["account_id"] for campaign in campaigns for victim in campaign.get("compromised", [])}
    members = {account_id for campaign in campaigns for account_id in campaign["account_ids"]}
    people = decisions.account_facts(members, accounts=accounts, links=links, compromised=victims)
    for campaign in campaigns:
        for decision in decisions.recommended_decisions(campaign, people, policy):
            for account_id in decision["account_ids"]:
                yield account_id, (decision["action"], decision["check"])


def _strength(decision: Decision) -> tuple[int, str]:
    return ACTIONS.index(decision[0]), decision[1] or ""


def _cleared(out: Path) -> set[str]:
    """Accounts that an analyst found innocent, by themselves or with their campaign, and verified organisations."""
    verdicts, seen = store.read_verdicts(out), store.read_seen(out)
    on_accounts = decisions.newest_verdicts(verdicts, "account")
    on_campaigns = decisions.newest_verdicts(verdicts, "campaign")
    cleared = {name for name, verdict in on_campaigns.items() if verdict == "innocent"}
    known = {
        account["account_id"]
        for campaign in store.read_known(out)
        if campaign["campaign_id"] in cleared
        for account in campaign["accounts"]
        if account["is_member"]
    }
    guilty = {name for name, verdict in on_accounts.items() if verdict == "guilty"}
    innocent = {name for name, verdict in on_accounts.items() if verdict == "innocent"}
    return ((known - guilty) | innocent) | set(seen.filter(seen["is_verified_organisation"])["account_id"].to_pylist())


def _verified(accounts: pa.Table | None) -> set[str]:
    if accounts is None:
        return set()
    rows = zip(accounts["account_id"].to_pylist(), accounts["verification_level"].to_pylist(), strict=True)
    return {account_id for account_id, level in rows if level in VERIFIED}


def _listed_ids(path: Path | None) -> set[str]:
    if path is None:
        return set()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read as UTF-8 text; give account ids with --innocents, one a line"
        ) from error
    return {line.strip() for line in lines if line.strip()}


def _listed(touched: Touched) -> list[dict[str, str | None]]:
    return [
        {"account_id": account_id, "action": action, "check": check}
        for account_id, (action, check) in sorted(touched.items())
    ]
