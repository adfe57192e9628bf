"""How often a unit's exchanges reach for the model's reasoning, by which techniques, and how often they were refused.

Why:    what a campaign does to extract reasoning, and what it tried before, tells which safeguard needs a look.
Misses: techniques the lexicon does not know; refusals that a log writes as plain text or as a bare HTTP status.
Source: techniques as in `records.EXTRACTION_TECHNIQUES`; refusals by the finish reasons that providers document.

A *form* is one wording: a template, or where an exchange bears none, its whole text. A form is *tried* when the unit
sent it at most TRIED times, and *repeated* otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import ibis

from stillwatch.engines.base import IbisTable
from stillwatch.records import EXTRACTION_TECHNIQUES, INTENTS

TRIED = 5  # exchanges of one form; more is use, not trial
# Finish reasons and statuses by which a provider says that it would not answer, in lower case.
REFUSALS = (
    *("content_filter", "content_filtered", "refusal", "refused", "safety", "prohibited_content", "blocklist", "spii"),
    *("guardrail_intervened", "content_policy_violation", "moderation_blocked"),
)

Techniques = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TechniqueUse:
    """Exchanges that show one technique, those refused, and the accounts that sent any."""

    exchanges: int
    refused: int
    accounts: int


@dataclass(frozen=True, slots=True)
class AttemptDay:
    """One day's exchanges with exactly these techniques, in tried or in repeated forms."""

    on: date
    techniques: Techniques
    is_tried: bool
    forms: int
    exchanges: int
    refused: int


@dataclass(frozen=True, slots=True)
class Attempts:
    """All of a unit's `exchanges`, and those `reaching` for reasoning; `days` in order, empty for ordinary units."""

    exchanges: int = 0
    reaching: int = 0
    refused: int = 0
    accounts: int = 0
    techniques: dict[str, TechniqueUse] = field(default_factory=dict)
    days: Sequence[AttemptDay] = ()


def attempts_by(rows: IbisTable, reaching: IbisTable, key: str) -> dict[Any, Attempts]:
    """Attempts of each value of `key` over rows of templated exchanges, and those `reaching`; without days."""
    told = rows.group_by(key).aggregate(exchanges=rows.count()).to_pyarrow().to_pylist()
    found = _reaching_by(reaching, key)
    return {
        row[key]: _attempts({**row, **found[row[key]]}) if row[key] in found else Attempts(row["exchanges"])
        for row in told
    }


def _reaching_by(reaching: IbisTable, key: str) -> dict[Any, dict[str, Any]]:
    """Counts of the exchanges that reach for reasoning, of each value of `key` that has any."""
    sums = reaching.group_by(key).aggregate(
        reaching=ibis._.count(),
        refused=_count(reaching.is_refused),
        accounts=reaching.account_id.nunique(),
        **{f"{name}_exchanges": _count(_has(reaching, bit)) for bit, name in enumerate(EXTRACTION_TECHNIQUES)},
        **{
            f"{name}_refused": _count(_has(reaching, bit) & reaching.is_refused)
            for bit, name in enumerate(EXTRACTION_TECHNIQUES)
        },
        **{
            f"{name}_accounts": reaching.account_id.nunique(where=_has(reaching, bit))
            for bit, name in enumerate(EXTRACTION_TECHNIQUES)
        },
    )
    return {row[key]: row for row in sums.to_pyarrow().to_pylist()}


def attempt_days(reaching: IbisTable, key: str) -> dict[Any, list[AttemptDay]]:
    """The days of each value of `key` on which it reached for reasoning, of rows as `reaching_rows` gives them."""
    reaching = reaching.mutate(
        form=ibis.coalesce(reaching.template_id, reaching.item_id),
        day=(reaching.started_at.epoch_seconds() // 86400).cast("int64"),
    )
    sent = reaching.group_by([key, "form"]).aggregate(is_tried=reaching.count() <= TRIED)
    known = reaching.inner_join(sent, [key, "form"])
    days = known.group_by([key, "day", "code", "is_tried"]).aggregate(
        forms=known.form.nunique(), exchanges=known.count(), refused=_count(known.is_refused)
    )
    found: dict[Any, list[AttemptDay]] = {}
    for row in days.order_by([key, "day", "code", "is_tried"]).to_pyarrow().to_pylist():
        on = date(1970, 1, 1) + timedelta(days=row["day"])
        counts = (int(row[name]) for name in ("forms", "exchanges", "refused"))
        found.setdefault(row[key], []).append(AttemptDay(on, _named(row["code"]), row["is_tried"], *counts))
    return found


def reaching_rows(rows: IbisTable) -> IbisTable:
    """The rows that reach for reasoning, with `code`, as `technique_code` gives it, and `is_refused`."""
    rows = rows.filter(rows.intents.notnull())
    marked = rows.mutate(code=technique_code(rows.intents), is_refused=is_refused(rows))
    return marked.filter(marked.code > 0)


def technique_code(intents: Any) -> Any:  # noqa: ANN401 a column, or an array of numbers
    """Bits over EXTRACTION_TECHNIQUES, of bits over INTENTS.

    Arithmetic, because bit operators differ between engines.
    """
    parts = enumerate(EXTRACTION_TECHNIQUES)
    return sum(intents // (1 << INTENTS.index(name)) % 2 * (1 << bit) for bit, name in parts)


def is_refused(rows: IbisTable) -> IbisTable:
    """Whether the provider said that it would not answer."""
    reasons = [rows[name].fill_null("").lower().isin(REFUSALS) for name in ("finish_reason", "status")]
    return reasons[0] | reasons[1]


def _has(marked: IbisTable, bit: int) -> IbisTable:
    return (marked.code // (1 << bit)) % 2 == 1


def _count(condition: IbisTable) -> IbisTable:
    return condition.cast("int64").sum()


def _named(code: int) -> Techniques:
    return tuple(name for bit, name in enumerate(EXTRACTION_TECHNIQUES) if code >> bit & 1)


def _attempts(row: dict[str, Any]) -> Attempts:
    uses = {
        name: TechniqueUse(*(int(row[f"{name}_{part}"]) for part in ("exchanges", "refused", "accounts")))
        for name in EXTRACTION_TECHNIQUES
    }
    return Attempts(
        exchanges=int(row["exchanges"]),
        reaching=int(row["reaching"]),
        refused=int(row["refused"]),
        accounts=int(row["accounts"]),
        techniques={name: use for name, use in uses.items() if use.exchanges},
    )
