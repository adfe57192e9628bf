"""An application that moved here in one day: full rate at once, and steady from then on.

Why:    whoever changes provider opens the accounts, moves the traffic over and never ramps up, as a campaign would.
Misses: moves that take weeks, which no test mistakes for anything.
Source: own; the twin of "maximum usage immediately, no ramp" in AA26-251A (8 September 2026).
"""

from datetime import timedelta
from statistics import median

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import (
    ORDINARY_BITS,
    OWNED_SHARE,
    Finding,
    bits_of,
    nearness,
    of_one_owner,
    sent_outside,
)

NEEDS = ("accounts.created_at",)
NEW_SHARE = 0.8  # of the accounts, opened at most NEW_DAYS before the traffic came
NEW_DAYS = 7
MIN_DAYS = 4  # of traffic, to tell steady from bursting
STEADY_SHARE = 0.5  # of the median day that the first days must reach, and the least busy one of the rest
PEAK = 3.0  # times the median that no day may pass


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when one owner's new accounts came at full rate, stayed there, and ask for nothing rare.

    It explains volume only: what is asked for must be ordinary by itself.
    """
    name, owned = "migration", of_one_owner(facts)
    near = nearness(owned, OWNED_SHARE)
    if owned < OWNED_SHARE:
        because = f"at most {owned:.0%} of the accounts openly belong to one owner who could have moved"
        return Finding(name, False, because, nearness=near)
    new = _new_share(facts)
    if new < NEW_SHARE:
        because = f"{new:.0%} of the accounts were opened when the traffic came"
        return Finding(name, False, because, nearness=nearness(new, NEW_SHARE))
    if not _steady(facts):
        return Finding(name, False, "the traffic did not come at full rate and stay there", nearness=near)
    if sent_outside(facts):
        because = "moving here does not explain that these wordings are also those of a campaign outside"
        return Finding(name, False, because, nearness=near)
    if bits_of(harvest, "elicitation", "narrowness") >= ORDINARY_BITS:
        because = "moving here explains how much there is, not prompts that ask for what few others do"
        return Finding(name, False, because, nearness=near)
    because = f"one owner's accounts came at full rate in one day and kept it; {new:.0%} were opened for it"
    return Finding(name, True, because, nearness=1.0)


def _new_share(facts: Facts) -> float:
    since = facts.first_seen_at - timedelta(days=NEW_DAYS)
    opened = [m.created_at for m in facts.members if m.created_at is not None]
    return sum(at >= since for at in opened) / max(len(facts.members), 1)


def _steady(facts: Facts) -> bool:
    days = [exchanges for _, exchanges, _ in facts.timeline]
    if len(days) < MIN_DAYS:
        return False
    usual = median(days[1:])
    return max(days[:2]) >= STEADY_SHARE * usual and max(days) <= PEAK * usual
