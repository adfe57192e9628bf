"""Build machines and regression suites: the same requests over and over.

Why:    a fleet of machines runs fixed prompts on every build; its accounts repeat themselves, a sweep never does.
Misses: fleets whose prompts quote changing code at length; without prompts, fleets that pay by many cards, or take far
        more than ordinary customers do.
Source: own; the twin of "many addresses and clients on one account" in providers' indicator lists.

Where no prompts are in common, repetition shows in sizes (see `sizes`); where they are, items decide. Padding every
request to a few sizes looks the same and costs a campaign little, so sizes explain only what is openly one owner's,
where no harvest is proven and no more is taken than ordinary customers take. Whoever pads gains at most that.
"""

from collections.abc import Sequence

from stillwatch.campaigns.coordination import TestResult
from stillwatch.campaigns.facts import Facts
from stillwatch.campaigns.hypotheses.base import OWNED_SHARE, Finding, nearness, of_one_owner

NEEDS: Sequence[str] = ()  # prompts or input tokens, either
REPEATED_SHARE = 0.5
AGAIN = 1.0  # times that the average request is sent once more
BEYOND_CHANCE = 0.2  # of the coincidences of size that neighbouring sizes must leave unexplained
KEPT = ("exchanges.prompt", "exchanges.input_tokens")


def hypothesis(facts: Facts, harvest: TestResult) -> Finding:
    """Survives when most template-bearing exchanges repeat an item, or the sizes of one owner's requests do."""
    name, used = "ci fleet", facts.bearing
    if not any(column in facts.columns for column in KEPT):
        return Finding(name, False, f"starved: the data hold no {' or '.join(KEPT)}", tested=False)
    repeated = used.repeated_exchanges / used.exchanges if used.exchanges else 0.0
    near = nearness(repeated, REPEATED_SHARE)
    if used.exchanges:
        because = f"{repeated:.0%} of the exchanges repeat an item of the same account"
        return Finding(name, repeated >= REPEATED_SHARE, because, nearness=near)
    if facts.sizes.again >= AGAIN and facts.sizes.beyond_chance >= BEYOND_CHANCE:
        return _by_size(facts, harvest, near)
    if facts.sizes.exchanges:
        because = (
            f"the average request comes {facts.sizes.again:.1f} times more in the same size, and "
            f"{facts.sizes.beyond_chance:.0%} of such matches are more than similar lengths explain"
        )
        return Finding(name, False, because, nearness=nearness(facts.sizes.again, AGAIN))
    return Finding(name, False, "neither prompts nor sizes in common, so repetition cannot be measured")


def _by_size(facts: Facts, harvest: TestResult, near: float) -> Finding:
    """One owner's requests come again in the same sizes: enough, unless something says that there is more to it."""
    name, owned = "ci fleet", of_one_owner(facts)
    because = f"the average request comes {facts.sizes.again:.1f} times more in the same size"
    if owned < OWNED_SHARE:
        because += f", but at most {owned:.0%} of the accounts openly belong to one owner"
        return Finding(name, False, because, nearness=max(near, nearness(owned, OWNED_SHARE)))
    if harvest.result == "proven":
        return Finding(name, False, f"{because}, which does not explain the harvest that is proven", nearness=near)
    if facts.volume.result == "proven":
        because += f", which does not explain that {facts.volume.because}"
        return Finding(name, False, because, nearness=near)
    return Finding(name, True, f"{because}, and {owned:.0%} of the accounts openly belong to one owner", nearness=1.0)
