"""Readers of one page or learners of one craft: people with a few prompts in common who may meet.

Why:    who learns from one course sends its prompts, and meets the others in one room, shop or week of sign-up. A hand
        that harvests deals a corpus out, so that its accounts have dozens of wordings in common, each with its slots.
Misses: campaigns of a few short forms that take what customers take; crowds who share more than that, and those on free
        credit, who cannot be told from somebody who opens many accounts for it.
Source: own; measured in decision 70.
"""

from stillwatch.campaigns.coordination import TestResult, ties_beyond_chance
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.harvest import pools_as_far
from stillwatch.campaigns.hypotheses.base import OWNED_SHARE, Finding, nearness, of_one_owner, on_free_credit

NEEDS = ("exchanges.prompt", "accounts.access_program")
FEW = 8  # wordings; a corpus that is dealt out has more
TIES = 1.0  # kinds of other things that an account shares on average, all added up; one hand has more to hide
USUAL = 0.5  # of as many customers drawn at random who ask for as much


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives while nothing is proven but that they belong together, by few wordings and less than one thing each."""
    name, wordings, ties = "common prompt", len(facts.templates), ties_beyond_chance(facts)
    near = nearness(FEW, max(wordings, 1))
    because = f"they have {wordings} wordings in common, and on average {ties:.1f} kinds of other things"
    if wordings >= FEW or ties >= TIES:
        return Finding(name, False, because, nearness=near)
    usual = pools_as_far(harvest)
    if harvest.result != "not_proven" or facts.volume.result != "not_proven" or usual < USUAL:
        return Finding(name, False, f"{because}, which does not explain what is asked for and taken", nearness=near)
    doubt = "they openly belong to one owner" if of_one_owner(facts) >= OWNED_SHARE else on_free_credit(facts)
    if doubt:
        return Finding(name, False, f"{because}, but {doubt}", nearness=near)
    because += f"; {usual:.0%} of as many customers, drawn at random, ask for as much"
    return Finding(name, True, because, nearness=1.0)
