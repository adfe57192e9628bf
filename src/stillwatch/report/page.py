"""One HTML file that a person can read: campaigns, their evidence, what speaks against it, and what is recommended.

Why:    an analyst must be able to open it anywhere, offline, and show it to someone who has never seen stillwatch.
Misses: the file shows a sample of what large campaigns hold. campaigns.json and accounts.parquet hold everything.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import pyarrow as pa
from markupsafe import Markup

from stillwatch.neutral import terminal
from stillwatch.records import DURABILITIES
from stillwatch.report import charts, view, wording
from stillwatch.report.picture import short


def report(
    campaigns: Sequence[Mapping[str, Any]],
    *,
    links: pa.Table,
    accounts: pa.Table,
    run: Mapping[str, Any],
    recognised: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The campaigns as one self-contained HTML page.

    `links` and `accounts` are tables of `records` (LINKS, ACCOUNT_VERDICTS), `run` is what run.json holds; `recognised`
    are campaigns of partners as in recognised.json.
    """
    order = view.ranked(campaigns)
    shown = view.details(order, links=links, accounts=accounts)
    rest = order[len(shown) :]
    further = rest[: view.MOST_LISTED]
    return (
        _environment()
        .get_template("report.html")
        .render(
            style=_style(),
            campaigns=order,
            details=shown,
            further=further,
            unlisted=len(rest) - len(further),
            recognised=list(recognised),
            run=run,
            inputs=list(run.get("inputs") or ()),
            gaps=view.unjudged(order, run),
            detectable=sorted((run.get("minimum_detectable_campaign") or {}).items()),
            most_tokens=max((campaign["exposure"]["output_tokens"] for campaign in order), default=0),
            standfirst=_standfirst(order, run),
            totals=_totals(run),
            colophon=_colophon(run),
        )
    )


def _standfirst(campaigns: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> str:
    counts = run.get("counts") or {}
    scanned = f"{wording.counted(counts.get('accounts', 0), 'account')} made "
    scanned += f"{wording.counted(counts.get('exchanges', 0), 'exchange')}. "
    if not campaigns:
        return f"{scanned}No group of accounts stood out."
    hostile = [campaign for campaign in campaigns if campaign["verdict"] == "distillation"]
    if not hostile:
        return f"{scanned}{wording.counted(len(campaigns), 'group')} of accounts stood out; none is proven to harvest."
    members = sum(len(campaign["account_ids"]) for campaign in hostile)
    tokens = sum(campaign["exposure"]["output_tokens"] for campaign in hostile)
    taken = f"{wording.compact(tokens)} output tokens" if tokens else "an unknown number of tokens"
    return f"{scanned}{wording.counted(members, 'account')} took {taken} in campaigns that harvest the model's answers."


def _totals(run: Mapping[str, Any]) -> list[tuple[str, str, str | None]]:
    counts = run.get("counts") or {}
    names = (("exchanges", "exchanges read"), ("accounts", "accounts"), ("duplicates", "duplicates dropped"))
    numbers = [(said, counts.get(name)) for name, said in (*names, ("rejected", "rows rejected"))]
    told = [(said, wording.compact(number), wording.whole(number)) for said, number in numbers if number is not None]
    verdicts = counts.get("campaigns_by_verdict") or {}
    return [*told, ("groups of accounts judged", wording.whole(sum(verdicts.values())), None)]


def _colophon(run: Mapping[str, Any]) -> str:
    spent = sum((run.get("seconds") or {}).values())
    facts = [f"stillwatch {run.get('version', '')}".strip()]
    if spent:
        facts.append(f"{spent:.1f} seconds")
    if run.get("peak_memory_bytes"):
        facts.append(f"{wording.size(run['peak_memory_bytes'])} at peak")
    if run.get("key_id"):
        facts.append(f"identifiers hashed under key {run['key_id']}")
    return " · ".join(facts) + ". This page holds no script and asks the network for nothing."


def _style() -> Markup:
    sheet = resources.files(__package__).joinpath("templates/style.css").read_text(encoding="utf-8")
    dark = f"@media screen and (prefers-color-scheme:dark){{{charts.dark_rules()}}}"
    return Markup(sheet + dark)  # noqa: S704 - our own style sheet, nothing of a campaign in it


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stillwatch.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_neutral,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = ("words", "whole", "compact", "share", "measured", "bits", "day", "minute", "counted")
    said = (*numbers, "sentence", "headline", "plainly", "probability", "displaced")
    environment.filters |= {name: getattr(wording, name) for name in said}
    environment.filters["short"] = short
    environment.globals |= {
        "durabilities": DURABILITIES,
        "tones": {level: light for level, (light, _) in charts.TONES.items()},
        "verdict_names": wording.VERDICT_NAMES,
        "result_names": wording.RESULT_NAMES,
        "most_traits": view.MOST_TRAITS,
        "most_templates": view.MOST_TEMPLATES,
        "most_accounts": view.MOST_ACCOUNTS,
        "most_recognised": view.MOST_DETAILED,
        "support_names": wording.SUPPORT_NAMES,
        "strongest": _strongest,
        "models": _models,
        "main_pivots": charts.main_pivots,
    }
    return environment


def _neutral(value: object) -> object:
    """Whatever a template prints: markup of ours as it is, any other text without what hides or acts."""
    return terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _strongest(evidence: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    ranked = sorted(evidence, key=lambda trait: (-trait["weight_bits"], trait["kind"], trait["value"]))
    return ranked[: view.MOST_TRAITS]


def _models(by_model: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(by_model.items(), key=lambda pair: (-pair[1], pair[0]))[: charts.MOST_BARS]
