"""The note on a campaign: which innocent explanations were tested, and how sure we are, in words from closed lists."""

from typing import Any

from stillwatch.sharing.measures import estimate, hypotheses
from stillwatch.sharing.objects import Subject
from stillwatch.sharing.words import NOTHING_TESTED, TESTED, UNCALIBRATED, estimate_sentence


def campaign_note(subject: Subject) -> dict[str, Any]:
    """What else it could have been and how likely it is what we say."""
    tested = "; ".join(f"{row['name']} ({row['outcome']})" for row in hypotheses(subject.campaign))
    told = estimate(subject.campaign["probability"])
    likely = UNCALIBRATED
    if told is not None:
        likely = estimate_sentence(told["words"], told["from_percent"], told["to_percent"])
    return subject.changing(
        "note",
        subject.stamp.id("note", subject.campaign_id),
        content=f"{TESTED}{tested}. {likely}" if tested else f"{NOTHING_TESTED} {likely}",
        object_refs=[subject.id],
    )
