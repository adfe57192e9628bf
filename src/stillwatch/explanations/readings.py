"""The innocent readings of a campaign, ranked: those that hold first, then those that came closest.

Why:    a customer on appeal asks first "did you consider that I am ...?", and an analyst which reading to check again.
Misses: a result that states no amount is ranked last among those that fell; it is listed all the same.

A reading's nearness is what was found over what it needs: 30 % of the accounts in education where 60 % are needed make
0.5. Where all it needs was found and it fell all the same (a proven harvest refutes it), nearness is 1.
"""

import sys
from collections.abc import Mapping
from typing import Any

from stillwatch.campaigns.hypotheses import hypotheses
from stillwatch.explanations.facts import Reading

WITHOUT_HARVEST = "multiple accounts without harvest"  # denies the harvest, not the common control


def readings(campaign: Mapping[str, Any]) -> list[Reading]:
    """Every innocent reading as it was tested, strongest first."""
    meanings = _meanings()
    found = [_reading(told, meanings) for told in campaign["benign_hypotheses"]]
    return sorted(found, key=_rank)


def _reading(told: Mapping[str, Any], meanings: Mapping[str, str]) -> Reading:
    return Reading(
        name=told["name"],
        meaning=_meaning(told["name"], meanings),
        survives=told["survives"],
        because=told["because"],
        nearness=1.0 if told["survives"] else told.get("nearness"),
        explains_control=told["name"] != WITHOUT_HARVEST,
    )


def _rank(reading: Reading) -> tuple[bool, bool, bool, float, str]:
    """Those that hold first, and of them those that explain why the accounts are alike; then by nearness."""
    unknown = reading.nearness is None
    explains = reading.survives and reading.explains_control
    return not reading.survives, not explains, unknown, -(reading.nearness or 0.0), reading.name


def _meanings() -> dict[str, str]:
    """What each reading says, in the first sentence of its file, by the name of the file in words."""
    files = {one.name: sys.modules[one.test.__module__].__doc__ or "" for one in hypotheses()}
    return {name: text.strip().partition("\n")[0] for name, text in files.items()}


def _meaning(name: str, meanings: Mapping[str, str]) -> str:
    """The sentence of the file whose name the reading's name begins with; the name itself when there is none."""
    return next((text for words, text in meanings.items() if text and name.startswith(words)), name)
