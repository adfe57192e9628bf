"""What became of partners' indicators here: sightings of them, and an opinion where one was wrong.

Why:    a sender learns how good its leads are from counts alone: no campaign, account or value of ours is named.
Misses: which of our campaigns it was; that is told by sharing the campaign.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from stillwatch.errors import SharingError
from stillwatch.sharing.objects import Stamp, counted, extension, hour, stix_hour, two_digits
from stillwatch.sharing.words import OUTCOMES, WRONG_EXPLANATION

_INDICATOR = re.compile(r"indicator--[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HIT, _MISS, _WRONG, _OPEN = OUTCOMES
_OUTCOMES: Final = {"distillation": _HIT, "coordinated": _HIT, "explained": _WRONG}


@dataclass(frozen=True, slots=True)
class Found:
    """What one lead met here, over all campaigns."""

    lead_id: str
    outcome: str
    accounts: int
    exchanges: int
    since: datetime
    until: datetime


def feedback_objects(matches: Iterable[Mapping[str, Any]], stamp: Stamp, *, least: int) -> Iterator[dict[str, Any]]:
    """A sighting of each lead in `matches` (rows as in `records.LEAD_MATCHES`), and an opinion where it was wrong.

    A row without exchanges is a miss: nothing bore the lead in its window. Numbers of fewer accounts than `least` stay.

    Raises:
        SharingError: a row names no indicator or bears no times.
    """
    for found in _merged(matches):
        enough = found.accounts >= least
        counts = {"count": 0} if found.outcome == _MISS else {"count": counted(found.exchanges)} if enough else {}
        yield stamp.changing(
            "sighting",
            stamp.id("sighting", found.lead_id),
            found.since,
            first_seen=stix_hour(found.since),
            last_seen=stix_hour(found.until),
            **counts,
            sighting_of_ref=found.lead_id,
            where_sighted_refs=[stamp.producer_id],
            extensions=extension(outcome=found.outcome, account_count=two_digits(found.accounts) if enough else None),
        )
        if found.outcome == _WRONG:
            yield stamp.changing(
                "opinion",
                stamp.id("opinion", found.lead_id),
                found.since,
                explanation=WRONG_EXPLANATION,
                opinion="strongly-disagree",
                object_refs=[found.lead_id],
            )


def _merged(matches: Iterable[Mapping[str, Any]]) -> list[Found]:
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in matches:
        lead_id = str(row["lead_id"])
        if not _INDICATOR.fullmatch(lead_id):
            raise SharingError("lead_matches: a lead_id is no id of an indicator. Pull again and scan.")
        rows.setdefault(lead_id, []).append(row)
    return [_found(lead_id, rows[lead_id]) for lead_id in sorted(rows)]


def _found(lead_id: str, rows: list[Mapping[str, Any]]) -> Found:
    exchanges = sum(int(row["exchanges"]) for row in rows)
    outcomes = {_OUTCOMES.get(row["verdict"], _OPEN) for row in rows if row["exchanges"]}
    return Found(
        lead_id,
        next((outcome for outcome in (_HIT, _WRONG, _OPEN) if outcome in outcomes), _MISS),
        sum(int(row["accounts"]) for row in rows),
        exchanges,
        min(_hour(row["first_seen_at"]) for row in rows),
        max(_hour(row["last_seen_at"]) for row in rows),
    )


def _hour(moment: object) -> datetime:
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        raise SharingError("lead_matches: first_seen_at or last_seen_at is no time. Scan again.")
    return hour(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
