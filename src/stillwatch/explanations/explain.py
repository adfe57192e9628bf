"""Puts the explanation of one account together, from the output folder or from its tables."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stillwatch import store
from stillwatch.errors import InputError
from stillwatch.explanations.facts import (
    Activity,
    Borne,
    Continued,
    Explanation,
    Membership,
    Opinion,
    Recommended,
    Test,
)
from stillwatch.explanations.readings import readings
from stillwatch.explanations.ties import Held, held, nearest, shared, ties
from stillwatch.explanations.words import day_words
from stillwatch.records import OF_CAMPAIGNS

Campaign = Mapping[str, Any]
_NAME = re.compile(r"[\w.@+:-]+")  # what may be an account id inside a sentence
_ANOTHER = "(another account)"


@dataclass(frozen=True, slots=True)
class Output:
    """What a scan wrote, as tables; columns as in `records`, `run` as in run.json.

    Campaigns, and those of partners that were recognised, as in their schemas.
    """

    campaigns: Sequence[Campaign]
    links: pa.Table
    seen: pa.Table
    verdicts: pa.Table
    run: Mapping[str, Any]
    recognised: Sequence[Mapping[str, Any]] = ()


def explain(out: Path, account_id: str) -> Explanation:
    """Why the account is, or is not, in a campaign of the last scan of the folder.

    Raises:
        InputError: there was no scan, or it saw no such account.
        StoreError: a file is missing or damaged.
    """
    run = store.read_run(out)
    if not run:
        raise InputError(f"there was no scan in {out}; run `stillwatch scan LOGS --out {out}` first")
    tables = (store.read_table(out, store.LINKS), store.read_table(out, store.SEEN), store.read_verdicts(out))
    explained = explanation(account_id, Output(store.read_campaigns(out), *tables, run, store.read_recognised(out)))
    if explained is None:
        raise InputError(
            f"the last scan in {out} saw no account {account_id}. {_earlier(account_id, store.read_known(out))}"
        )
    return explained


def _earlier(account_id: str, known: Sequence[Mapping[str, Any]]) -> str:
    """What earlier scans knew of an account that the last one did not see."""
    for campaign in known:
        for account in campaign["accounts"]:
            if account["account_id"] == account_id:
                was = f"It was in campaign {campaign['campaign_id']} ({campaign['verdict'].replace('_', ' ')})"
                until = day_words(_day(account["last_seen_at"]))
                return f"{was} and was last active on {until}; scan logs of that time to have it explained"
    return (
        "Check the id (it is written as in the logs), or scan logs that hold it; an account that was erased is unknown "
        "too"
    )


def explanation(account_id: str, of: Output) -> Explanation | None:
    """The explanation of an account; None when the scan did not see it."""
    rows = of.seen.filter(pc.equal(of.seen["account_id"], account_id)).to_pylist()
    if not rows:
        return None
    campaign = next((found for found in of.campaigns if account_id in found["account_ids"]), None)
    account_count = of.run["counts"]["accounts"]
    traits = held(account_id, of.links, of.campaigns)
    return Explanation(
        account_id=account_id,
        activity=_activity(rows[0]),
        membership=None if campaign is None else _membership(account_id, campaign, traits, account_count),
        shared=[] if campaign else shared(traits),
        nearest=None if campaign else nearest(traits, of.campaigns, account_count=account_count),
        opinions=_opinions(account_id, campaign, of),
        not_judged=[told for told in of.run["not_judged"] if not told.startswith(OF_CAMPAIGNS)],
        borne=[_borne(one) for one in of.recognised if account_id in one["account_ids"]],
    )


def _borne(one: Mapping[str, Any]) -> Borne:
    told = {name: one[name] for name in ("precision", "support", "because", "innocent")}
    return Borne(others=len(one["account_ids"]) - 1, first_seen_on=_day(one["first_seen_at"]), **told)


def _activity(row: Mapping[str, Any]) -> Activity:
    bearing = row["bearing_exchanges"]
    return Activity(
        exchanges=row["exchanges"],
        first_seen_on=row["first_seen_at"].date(),
        last_seen_on=row["last_seen_at"].date(),
        bearing_share=None if bearing is None else round(bearing / row["exchanges"], 6),
        is_verified_organisation=row["is_verified_organisation"],
    )


def _membership(account_id: str, campaign: Campaign, traits: Iterable[Held], account_count: int) -> Membership:
    tied = ties(traits, campaign, is_member=True, account_count=account_count)
    decided = (d for d in campaign["recommended_decisions"] if account_id in d["account_ids"])
    recommended = next(
        (Recommended(**{name: d[name] for name in Recommended.__dataclass_fields__}) for d in decided), None
    )
    return Membership(
        campaign_id=campaign["campaign_id"],
        verdict=campaign["verdict"],
        accounts=len(campaign["account_ids"]),
        first_seen_on=_day(campaign["first_seen_at"]),
        last_seen_on=_day(campaign["last_seen_at"]),
        ties=tied,
        bits=round(sum(tie.bits for tie in tied), 6),
        coordination=_test(campaign["coordination"]),
        harvest=_test(campaign["harvest"]),
        readings=readings(campaign),
        recommended=recommended,
        missing=campaign["missing"],
        continues=[Continued(k["campaign_id"], k["relation"], k["because"]) for k in campaign["lineage"]],
        part=_part(account_id, campaign),
        volume=_test(campaign["volume"]) if "volume" in campaign else None,
    )


def _part(account_id: str, campaign: Campaign) -> str | None:
    """Why it stands apart from the others: its key looks stolen, or its organisation is what was tested."""
    for victim in campaign.get("compromised", []):
        if victim["account_id"] == account_id:
            return f"Its key looks stolen, and its holder a victim: {victim['because']}."
    declared = campaign.get("declared")
    return declared["because"] if declared else None


def _test(told: Mapping[str, Any]) -> Test:
    return Test(told["result"], told["p_value"], told["because"])


def _day(time: str) -> date:
    return datetime.fromisoformat(time).date()


def _opinions(account_id: str, campaign: Campaign | None, of: Output) -> list[Opinion]:
    """The newest verdict of an analyst on the account, then on its campaign, without the ids of other accounts."""
    subjects = {account_id: "account"} | ({campaign["campaign_id"]: "campaign"} if campaign else {})
    newest: dict[str, Mapping[str, Any]] = {}
    for row in of.verdicts.sort_by("decided_at").to_pylist():
        newest[row["subject"]] = row
    others = set(of.seen["account_id"].to_pylist()) - {account_id} if newest else set()
    return [
        Opinion(about, row["verdict"], _without(row["because"], others), row["decided_at"].date())
        for subject, about in subjects.items()
        if (row := newest.get(subject)) is not None
    ]


def _without(text: str, names: set[str]) -> str:
    """The text with every one of the names replaced; a full stop behind a name is no part of it."""

    def plain(found: re.Match[str]) -> str:
        name = found[0].rstrip(".:-")
        return _ANOTHER + found[0][len(name) :] if name in names or found[0] in names else found[0]

    return _NAME.sub(plain, text)
