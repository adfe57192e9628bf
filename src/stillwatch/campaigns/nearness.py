"""How close an innocent explanation that fell came to holding.

Why:    a customer on appeal asks first "did you consider that I am ...?", and an analyst which reading to check again.
Misses: a result that states no amount; amounts are those of the sentence, rounded as it rounds them.

Nearness is what was found over what is needed: 30 % of the accounts in education where 60 % are needed make 0.5. Where
all it needs was found and it fell all the same (a proven harvest refutes it), nearness is 1.
"""

import re
import sys

from stillwatch.campaigns.hypotheses import (
    build_fleet,
    class_assignment,
    declared_organisation,
    hypotheses,
    public_template,
    reseller,
    same_items,
    small_team,
    verified_organisation,
)
from stillwatch.campaigns.hypotheses.base import Finding

_NEEDED = (
    (r"(\d+)% of the exchanges repeat an item", build_fleet.REPEATED_SHARE),
    (r"(\d+)% of the accounts came in through education", class_assignment.EDUCATION_SHARE),
    (r"another member sends the same item only (\d+)% of the time", class_assignment.SAME_ITEMS),
    (r"only (\d+)% of the traffic falls on the busiest three days", class_assignment.DEADLINE_SHARE),
    (r"(?:at most )?(\d+)% (?:of the accounts )?name (?:the same|one) organisation", declared_organisation.SHARE),
    (r"(\d+)% of the traffic that bears shared templates", public_template.PUBLIC_SHARE),
    (r"(\d+)% are partner accounts", reseller.PARTNER_SHARE),
    (r"another member sends the same item (\d+)% of the time", same_items.SHARED_SHARE),
    (r"(?:at most )?(\d+)% (?:of the accounts )?belong to one verified organisation", verified_organisation.SHARE),
)
_TOO_MANY = re.compile(r"(\d+) accounts are more than a team of at most (\d+)")
_PAID = re.compile(r"one payment instrument pays for (\d+) of the (\d+) accounts")
_MET = re.compile(r"a class does not explain the harvest|reselling does not explain")


def nearness(finding: Finding) -> float | None:
    """What was found over what the reading needs, from 0 to 1; null where the result states no amount."""
    if finding.survives or _MET.match(finding.because):
        return 1.0
    for pattern, needed in _NEEDED:
        stated = re.match(pattern, finding.because)
        if stated:
            return min(int(stated[1]) / 100 / needed, 1.0)
    crowd, paid = _TOO_MANY.match(finding.because), _PAID.match(finding.because)
    if crowd:
        return min(int(crowd[2]) / int(crowd[1]), 1.0)
    if paid:
        return min(int(paid[1]) / int(paid[2]) / small_team.PAID_SHARE, 1.0)
    return None


def meaning(finding: Finding) -> str:
    """The first sentence of the file whose name the finding's name begins with; the name itself when there is none."""
    for name, test in hypotheses():
        text = (sys.modules[test.__module__].__doc__ or "").strip().partition("\n")[0]
        if text and finding.name.startswith(name.replace("_", " ")):
            return text
    return finding.name
