"""Independent people who let the model grade the answers of another one.

Why:    a model as judge is common practice; a public rubric makes its users alike, and grading is a rare thing to ask.
Misses: a reward model run over accounts that share nothing but the rubric, each at hours of its own.
Source: own; the twin of "rubric-based grading at scale" in the disclosure of 23 February 2026.
"""

from stillwatch.campaigns.coordination import TestResult, tells
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import Finding, nearness, shared_beyond_prompts
from stillwatch.records import INTENTS

NEEDS = ("exchanges.prompt",)
GRADING = ("rubric_grading", "pairwise_judging")
GRADING_SHARE = 0.8
TIMING = "timing"


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when nearly all of the traffic grades, asks for little else, and nothing but prompts is shared.

    Strangers do not begin their sessions together, either.
    """
    del harvest  # grading explains elicitation and focus; that it is done by strangers explains the volume
    name, used = "judge user", facts.bearing
    counts = dict(zip(INTENTS, used.intents, strict=True)) if used.intents else {}
    grading = max((counts.get(intent, 0) for intent in GRADING), default=0) / max(used.exchanges, 1)
    near = nearness(grading, GRADING_SHARE)
    others = shared_beyond_prompts(facts)
    if _in_step(facts):
        others = [*others, "the minutes at which they begin"]
    because = f"{grading:.0%} of the exchanges grade answers"
    if others:
        because += f"; but independent people do not share {' or '.join(others)}"
    return Finding(name, grading >= GRADING_SHARE and not others, because, nearness=near)


def _in_step(facts: Facts) -> bool:
    """Whether a good part of the members begin their sessions with others, more often than chance lets them."""
    return any(link.group == TIMING and tells(link, len(facts.links)) for link in facts.links)
