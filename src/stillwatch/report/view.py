"""What the page shows, taken from campaigns and tables: ranked, cut to what a reader can take in, ready to print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from stillwatch.records import DURABILITIES, OF_CAMPAIGNS, TEMPLATE_KINDS, VERDICTS
from stillwatch.report import charts
from stillwatch.report.picture import Picture, picture, sample
from stillwatch.report.wording import words

MOST_DETAILED: Final = 20  # campaigns with a section of their own; the others are rows of a table
MOST_TRAITS: Final = 12
MOST_TEMPLATES: Final = 6
MOST_ACCOUNTS: Final = 60
MOST_LISTED: Final = 500  # rows of the table of further campaigns


@dataclass(frozen=True, slots=True)
class Detail:
    """One campaign with everything its section shows."""

    rank: int
    campaign: Mapping[str, Any]
    timeline: Markup | None
    capabilities: Markup | None
    waterfall: Markup | None
    steps: Sequence[Mapping[str, Any]]
    picture: Picture | None
    accounts: Sequence[Mapping[str, Any]]
    kin: Sequence[Mapping[str, Any]]


def ranked(campaigns: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The campaigns as a reader needs them: what may call for a decision first, then by exposure."""
    return sorted(campaigns, key=lambda campaign: (VERDICTS.index(campaign["verdict"]), *_exposure(campaign)))


def _exposure(campaign: Mapping[str, Any]) -> tuple[int, int, str]:
    return -campaign["exposure"]["output_tokens"], -campaign["exposure"]["exchanges"], campaign["campaign_id"]


def details(order: Sequence[Mapping[str, Any]], *, links: pa.Table, accounts: pa.Table) -> list[Detail]:
    """The sections of the first campaigns of that order."""
    chosen = order[:MOST_DETAILED]
    sampled = [sample(campaign["account_ids"]) for campaign in chosen]
    rows = _links_of(links, {account_id for ids in sampled for account_id in ids})
    ranks = {campaign["campaign_id"]: index + 1 for index, campaign in enumerate(chosen)}
    return [
        _detail(campaign, ids, rows, _verdict_rows(accounts, campaign["campaign_id"]), ranks)
        for campaign, ids in zip(chosen, sampled, strict=True)
    ]


def _detail(
    campaign: Mapping[str, Any],
    ids: Sequence[str],
    rows: Mapping[str, list[Mapping[str, Any]]],
    accounts: Sequence[Mapping[str, Any]],
    ranks: Mapping[str, int],
) -> Detail:
    steps = family_steps(campaign["evidence"])
    held = [row for account_id in ids for row in rows.get(account_id, ())]
    return Detail(
        rank=ranks[campaign["campaign_id"]],
        campaign=campaign,
        timeline=charts.timeline(campaign) if campaign["timeline"] else None,
        capabilities=charts.capability_mix(campaign) if campaign["exposure"]["by_capability"] else None,
        waterfall=charts.evidence_waterfall(steps) if steps else None,
        steps=steps,
        picture=picture(ids, held, len(campaign["account_ids"])),
        accounts=accounts,
        kin=[{**kin, "rank": ranks.get(kin["campaign_id"])} for kin in campaign["lineage"]],
    )


def family_steps(evidence: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The strongest trait of every family, strongest first: kinds of a family move together and count once."""
    best: dict[str, Mapping[str, Any]] = {}
    for trait in evidence:
        key = (trait["weight_bits"], DURABILITIES.index(trait["durability"]))
        held = best.get(trait["family"])
        if held is None or key > (held["weight_bits"], DURABILITIES.index(held["durability"])):
            best[trait["family"]] = trait
    strongest = sorted(best.values(), key=lambda trait: (-trait["weight_bits"], trait["family"]))
    return [
        {"name": words(trait["family"]), "bits": trait["weight_bits"], "durability": trait["durability"]}
        for trait in strongest
        if trait["weight_bits"] > 0
    ]


def unjudged(campaigns: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> list[tuple[str, int]]:
    """What could not be judged, with the number of campaigns it touched (0: the whole run)."""
    told = (str(text) for text in run.get("not_judged") or ())
    found = {text: 0 for text in told if not text.startswith(OF_CAMPAIGNS)}  # those follow, with how many they are
    for campaign in campaigns:
        for text in campaign["missing"]:
            found[text] = found.get(text, 0) + 1
    return sorted(found.items(), key=lambda pair: (pair[1] > 0, -pair[1], pair[0]))


def _links_of(links: pa.Table, account_ids: set[str]) -> dict[str, list[Mapping[str, Any]]]:
    wanted = pa.array(sorted(account_ids), pa.string())
    rows = links.filter(pc.is_in(links["account_id"], value_set=wanted)).to_pylist()
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["account_id"], []).append({**row, "value": _as_campaigns_write(row["kind"], row["value"])})
    return found


def _as_campaigns_write(kind: str, value: str) -> str:
    # Links hold a template's fingerprint as a decimal; a reader must find it again under the campaign's templates.
    is_decimal = kind in TEMPLATE_KINDS and value.removeprefix("-").isdecimal() and len(value) <= 20
    return f"t-{int(value) & (2**64 - 1):016x}" if is_decimal else value


def _verdict_rows(accounts: pa.Table, campaign_id: str) -> list[Mapping[str, Any]]:
    rows = accounts.filter(pc.equal(accounts["campaign_id"], campaign_id))
    return list(rows.sort_by("account_id").slice(0, MOST_ACCOUNTS).to_pylist())
