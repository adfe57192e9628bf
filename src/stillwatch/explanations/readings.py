"""The innocent readings of a campaign, ranked: those that hold first, then those that came closest.

Why:    a customer on appeal asks first "did you consider that I am ...?", and an analyst which reading to check again.
Misses: a result that states no amount is ranked last among those that fell; it is listed all the same.
"""

from collections.abc import Mapping
from typing import Any

from stillwatch.explanations.facts import Reading


def readings(campaign: Mapping[str, Any]) -> list[Reading]:
    """Every innocent reading as it was tested, strongest first."""
    return sorted((_reading(told) for told in campaign["benign_hypotheses"]), key=_rank)


def _reading(told: Mapping[str, Any]) -> Reading:
    return Reading(
        name=told["name"],
        meaning=told["meaning"],
        survives=told["survives"],
        because=told["because"],
        nearness=told["nearness"],
        explains_control=told["explains_control"],
    )


def _rank(reading: Reading) -> tuple[bool, bool, bool, float, str]:
    """Those that hold first, and of them those that explain why the accounts are alike; then by nearness."""
    unknown = reading.nearness is None
    explains = reading.survives and reading.explains_control
    return not reading.survives, not explains, unknown, -(reading.nearness or 0.0), reading.name
