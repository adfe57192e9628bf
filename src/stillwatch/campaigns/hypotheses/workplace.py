"""Colleagues at their place of work: accounts of their own, one address, office hours, and one job.

Why:    a firm that nobody verified lets its people open accounts, pays for some of them and lends some a laptop. Who
        works in one place shares its address, its hours and what is asked; who hides a harvest changes exits all day.
Misses: a harvest from one place with a closing time that takes no more than people at work may; firms whose people
        work from home, or on free credit.
Source: own. Grading by rubric at scale was disclosed on 23 February 2026; people mark for a living as well, and no log
        tells for whom.

Whoever has a server and a schedule can fake a place and its hours, but not cheaply take much from there. So they
explain common control. Of a proven harvest they deny the purpose, and only where all that is rare about it is verdicts
in short answers, or most of the accounts call from such a place and are several people's: who it is can be asked.
"""

from math import log2

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts, seldom
from stillwatch.campaigns.hypotheses.base import Finding, linked_beyond_content, nearness, on_free_credit
from stillwatch.campaigns.hypotheses.judge_user import GRADING
from stillwatch.campaigns.places import SETTLED_SHARE

NEEDS = ("exchanges.client_ip_prefix", "accounts.access_program")
ELSEWHERE = 0.1  # of the settled members: how many more may share addresses, as the accounts behind changing exits do
SHARED_AT_WORK = ("network", "payment", "device", "contact", "registration", "timing")  # groups that colleagues share
ONE_HAND = 2 / 3  # of the members on one chain of cards and devices; more are one person's, or one customer's
NIGHT_SHARE = 0.25  # of the time at work, in the quietest third of the day; where nobody sleeps it is a third
LONGER = 1.25  # times the ordinary answer; verdicts and their grounds stay below, reasoning and whole works do not
MOSTLY = 2 / 3  # of the members that call from such a place, before it speaks against whatever harvest is proven
AT_WORK_TIMES = 3.0  # what as many customers take; people at work take more than customers at large
AT_WORK_P_VALUE = 1e-6  # of pools of customers that take as much; of few people it is hardly ever so sure
VERDICTS = 0.5  # of what is asked for and products seldom ask for


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives for settled people with nights and hands of their own who take no more than people at work may.

    Of a proven harvest it denies the purpose, and not that one hand may be behind it.
    """
    name, settled = "workplace", facts.places.settled / max(len(facts.members), 1)
    near = nearness(settled, SETTLED_SHARE)
    because = f"{settled:.0%} of the accounts call from one place, and no second, that several of them share"
    if settled < SETTLED_SHARE:
        return Finding(name, False, because, nearness=near)
    doubt = _doubt(facts) or _doubt_of_amount(facts)
    if doubt:
        return Finding(name, False, f"{because}, but {doubt}", nearness=near)
    because += "; the place has nights, and no more is taken than people at work may take"
    if harvest.result != "proven":
        doubt = _doubt_of_people(facts)
        return Finding(name, not doubt, f"{because}, but {doubt}" if doubt else because, nearness=near)
    more = _more_than_verdicts(facts, harvest)
    doubt = more and (_doubt_of_people(facts) or ("" if settled >= MOSTLY else "fewer than two in three call from it"))
    if doubt:
        return Finding(name, False, f"{because}, but {doubt}, and a job does not explain {more}", nearness=near)
    if more:
        because += "; most work there by day, as nobody does who hides a harvest: the place can say who it is"
    else:
        because += "; what is rare about it is verdicts in short answers, as of an agency, which can say who it is"
    return Finding(name, True, because, coordinated=True, nearness=near)


def _doubt(facts: Facts) -> str:
    """What a place of work does not explain; empty when there is nothing."""
    linked = max((link.linked for link in facts.links if link.group == "network"), default=0)
    elsewhere, night = linked - facts.places.settled, facts.places.night_share
    others = [group for group in linked_beyond_content(facts) if group not in SHARED_AT_WORK]
    if elsewhere > ELSEWHERE * facts.places.settled:
        return f"{elsewhere} more share addresses elsewhere"
    if others:
        return f"colleagues do not share {' and '.join(others)}"
    if night is None:
        return "when they work is not known"
    return f"{night:.0%} of the time at work is in the quietest third of the day" if night > NIGHT_SHARE else ""


def _doubt_of_people(facts: Facts) -> str:
    """Why the accounts may be no several people's; empty when nothing says so."""
    hand = max((owner.accounts for owner in facts.owners), default=0)
    if hand > ONE_HAND * len(facts.members):
        return f"cards and devices put {hand} of them into one hand"
    return on_free_credit(facts)


def _doubt_of_amount(facts: Facts) -> str:
    """Why they may take far more than people at work do; empty when they do not."""
    volume = facts.volume
    if volume.times is None or volume.p_value is None:
        return volume.because
    is_much = volume.times >= AT_WORK_TIMES and volume.p_value <= AT_WORK_P_VALUE
    return volume.because if is_much else ""


def _more_than_verdicts(facts: Facts, harvest: TestResult) -> str:
    """What is taken besides short verdicts; empty when there is nothing."""
    lengths = ((one.value, one.reference) for one in harvest.measures if one.name == "output length")
    length, ordinary = next(lengths, (None, None))
    if length is None or ordinary is None or length > ordinary + log2(LONGER):
        return "answers so much longer than those of ordinary customers"
    rare = seldom(facts.bearing)
    if sum(rare.get(intent, 0) for intent in GRADING) < VERDICTS * sum(rare.values()):
        return "that most of what they ask for, and others seldom do, is no verdict"
    return ""
