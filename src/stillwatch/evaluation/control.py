"""Is `coordinated` right about what it claims: that accounts posing as strangers are run by one hand?

Why:    it accuses nobody of harvesting, so counting everybody but a harvester as wronged says nothing about its claim;
        and counting everybody with a common owner as rightly found would flatter it.
Misses: how bad common control is; an abuser of free credit counts as much here as a campaign.
Source: own.

An account is rightly called when its controller, as the truth names it, runs another account of the same reported
campaign too. Who poses as nobody else has no controller: the machines of one customer, colleagues, a class, users of
one public template. All of these are wrong here.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from stillwatch.evaluation.measures import Share

HOSTILE = "hostile"  # what the accounts of campaigns are called among those wrongly called
MOST = 0.5  # of a reported campaign's accounts that one controller must run for the campaign to be right


@dataclass(frozen=True, slots=True)
class Control:
    """How right a claim of common control is; `wrong` counts the accounts that have no such controller, by population.

    `accounts` are those rightly called, `campaigns` the reported ones of which one controller runs half or more, and
    `harvesting` the called accounts that take part in a harvest: what the same claim is worth to whoever looks for one.
    """

    accounts: Share
    campaigns: Share
    harvesting: Share
    wrong: Mapping[str, int]

    def as_json(self) -> dict[str, object]:
        """The numbers as they are published."""
        return {
            "accounts": self.accounts.as_json(),
            "campaigns": self.campaigns.as_json(),
            "harvesting": self.harvesting.as_json(),
            "wrong": dict(self.wrong),
        }


def control(called: Mapping[str, str], controller: Mapping[str, str | None], segment: Mapping[str, str]) -> Control:
    """The claim on `called` accounts, to their campaign; `segment` is the population of every legitimate account.

    `controller` names who runs each account that the truth knows, null where nobody does; others are left out.
    """
    known = {account: campaign for account, campaign in called.items() if account in controller}
    runs = Counter((campaign, controller[account]) for account, campaign in known.items())
    right = [a for a, campaign in known.items() if controller[a] is not None and runs[campaign, controller[a]] > 1]
    sizes = Counter(known.values())
    one_hand = {c for (c, name), n in runs.items() if name is not None and n > 1 and n >= MOST * sizes[c]}
    wrong = Counter(segment.get(account, HOSTILE) for account in set(known) - set(right))
    return Control(
        accounts=Share(len(right), len(known)),
        campaigns=Share(len(one_hand), len(sizes)),
        harvesting=Share(sum(account not in segment for account in known), len(known)),
        wrong=dict(sorted(wrong.items())),
    )
