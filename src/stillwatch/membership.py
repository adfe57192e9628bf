"""When a shared thing ties an account to a cluster, and for how many bits: one rule to decide by and to explain by.

Why:    an explanation that used another rule than the decision would be worth nothing on appeal.
Source: bits as log-likelihood ratios: Fellegi & Sunter, JASA 64 (1969) 1183-1210.
"""

from typing import Any

WORDINGS = ("template", "rewording", "system_prompt")  # kinds that an exchange shows by itself; tools belong to nobody
SETTING = "setting"
BESIDE = ":"  # between the rewording of a setting and its own number, in its value
OWNED = (*WORDINGS, SETTING)  # kinds that a cell can share and a cluster own
LOOSE = ("rewording", SETTING)  # kinds that whoever uses a few sentences of a text may hold as well
MIN_GROUPS = 2  # that tie an account to a cluster whose templates it does not hold; one of them no cheap one
GROUP_P_VALUE = 1e-3  # of what a group of traits ties, after correction for the number of groups tried
LINKED_SHARE = 0.1  # of the members, more than chance ties: fewer are a part of the cluster, or a null slightly off
MIN_ACCOUNTS = 3  # fewer accounts cannot corroborate one another
TIE_SHARE = 0.5  # of the other holders of anything, for it to tie an account to their cluster
MAX_GROUP_BITS = 20.0  # values of one group repeat one another; more of them must not drown the rest


def speaks(p_value: float, tried: int, *, more: float, members: int, share: float = LINKED_SHARE) -> bool:
    """Whether one of `tried` groups ties `more` of the members than chance would: too many for it, and a good part.

    Among thousands of members a hair's breadth passes any test: users of one public tool live where it is known, so
    that they share more kinds of sign-up than customers at large.
    """
    return p_value * tried <= GROUP_P_VALUE and more >= share * members


def times_commoner(inside: Any, members: Any, outside: Any, strangers: Any) -> Any:  # noqa: ANN401 number or array
    """How much commoner a value is among the other members than among strangers, half an account added to both.

    `inside` of `members` (the account itself not counted) hold it, and `outside` of `strangers`; numbers, or arrays of
    one shape.
    """
    return ((inside + 0.5) / (members + 1.0)) / ((outside + 0.5) / strangers)
