"""Are these accounts under common control? Independent groups of shared traits, each against chance.

Why:    strangers share one thing; accounts run by one hand share several unrelated things.
Misses: operators who give every account its own card, device and address and meet only in their templates.
Source: counting how many members share a value of an independent group with another member, against the chance that
        accounts holding as many values do; the tail is binomial on half the count, because sharing is mutual.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log2

from stillwatch.campaigns.facts import Facts, GroupLink
from stillwatch.membership import speaks

MIN_PRINCIPALS = 5  # fewer independent principals are a household, some partners or a small firm
MIN_GROUPS = 2  # independent groups that must each speak
CROSSING = "crossing"  # cards, devices, telephones and addresses together, where they join separate wordings
CONTENT = "content"  # cells are made of it, so that nearly everybody may hold some wording of a large cluster
REACHED_SHARE = 0.3  # ties of a member beyond chance, wordings apart, before all are charged with a harvest
TOGETHER_SHARE = 0.9  # of the members that hang together by what they say, before all are charged with one harvest
MIN_TIES = 3  # kinds of ties beside wordings; strangers who meet share one or two


@dataclass(frozen=True, slots=True)
class Measure:
    """One measured quantity: its value, the same on ordinary traffic, and the bits it contributes."""

    name: str
    value: float | None
    reference: float | None
    bits: float | None
    because: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """Outcome of a campaign test: `result` is proven, not_proven or not_tested, and `because` says why in words."""

    __test__ = False  # tells pytest that this is no test class

    result: str
    p_value: float | None
    bits: float | None
    because: str
    measures: Sequence[Measure] = field(default_factory=tuple)


def coordination(facts: Facts) -> TestResult:
    """Test common control; proven needs MIN_GROUPS independent groups and MIN_PRINCIPALS principals."""
    tried = max(len(facts.links), 1)
    measures = tuple(_measure(link, tried) for link in facts.links)
    telling = [link for link in facts.links if tells(link, tried)]
    bits = round(sum(m.bits or 0.0 for m, link in zip(measures, facts.links, strict=True) if link in telling), 6)
    p_values = sorted(min(link.p_value * tried, 1.0) for link in telling)
    p_value = p_values[MIN_GROUPS - 1] if len(p_values) >= MIN_GROUPS else 1.0
    names = ", ".join(link.group for link in telling) or "none"
    if facts.principals < MIN_PRINCIPALS:
        because = f"only {facts.principals} independent principal(s) stand behind the {len(facts.members)} accounts"
        return TestResult("not_proven", p_value, bits, because, measures)
    if len(telling) < MIN_GROUPS:
        because = f"independent groups of shared traits beyond chance: {names}; at least {MIN_GROUPS} are needed"
        return TestResult("not_proven", p_value, bits, because, measures)
    because = f"{facts.principals} principals share traits of {len(telling)} independent groups ({names}) beyond chance"
    return TestResult("proven", p_value, bits, because, measures)


def ties_beyond_chance(facts: Facts) -> float:
    """How many groups beside wordings tie a member on average, more than chance would."""
    apart = (link for link in facts.links if link.group != CONTENT)
    return sum(max(link.linked - link.expected, 0.0) for link in apart) / max(facts.principals, 1)


def ties_that_tell(facts: Facts) -> int:
    """How many groups beside wordings tie the members more than chance would."""
    return sum(tells(link, len(facts.links)) for link in facts.links if link.group != CONTENT)


def hangs_together(facts: Facts) -> float:
    """Share of the members in the largest part that hangs together by what is said, or handed on, mostly by members.

    Who was brought together by what a partner sent says that, all of them.
    """
    said = next((link for link in facts.links if link.group == CONTENT), None)
    return float(facts.named > 0) if said is None else (said.together or 0) / max(said.principals, 1)


def tied_as_no_trade(facts: Facts) -> bool:
    """Whether the members share more than people at one trade do, who share rooms and cards: all of what is asked."""
    much, together = ties_beyond_chance(facts) >= REACHED_SHARE, hangs_together(facts) >= TOGETHER_SHARE
    return much and together and ties_that_tell(facts) >= MIN_TIES


def tells(link: GroupLink, tried: int) -> bool:
    """Whether it ties more than chance would, by what no chance explains and for a good part of the members."""
    chance = 0.0 if link.group == CONTENT else link.expected
    return speaks(link.p_value, tried, more=link.linked - chance, members=link.principals)


def _measure(link: GroupLink, tried: int) -> Measure:
    bits = max(-log2(min(max(link.p_value * tried, 1e-30), 1.0)), 0.0)
    share, expected = link.linked / link.principals, link.expected / link.principals
    what = "something that joins wordings" if link.group == CROSSING else f"a {link.group} trait"
    because = f"{link.linked} of {link.principals} principals share {what} with another member"
    return Measure(f"shared {link.group}", round(share, 6), round(expected, 6), round(bits, 6), because)
