"""Crews: who takes work from one queue and works through one machine, drawn anew every few days.

Why:    work goes to whoever has quota left, and a machine is given up before it is known: accounts are together for
        days, never for the whole window, and with others each time.
Misses: crews that know each other and stay together.
Source: own; "coordinated timing" and rotation of addresses are disclosed, how long a crew lasts is not.
"""

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.parts import mix
from stillwatch.evaluation.people import Columns, Plan

HOSTERS = 52  # first octet of the addresses, that of the cloud where people have their own machines: no block tells
MACHINES = 30_000  # at scale 1: several times as many as crews have in a window, so that few get one used before
FEWEST_MACHINES = 512  # so in small worlds, too
TO_A_SUBNET = 4  # machines that a hoster has free in one /24


def crewed(
    plan: Plan,
    people: Columns,
    *,
    pool: npt.NDArray[np.int64],
    crew_count: npt.NDArray[np.int64],
    days: int,
    share: npt.NDArray[np.float64],
) -> None:
    """Put each account into one of the `crew_count` crews of its pool, another one every `days` days.

    `share` of an account's work goes through the crew's machine, one of those that small hosters rent to anybody.
    """
    count = len(pool)
    machines = max(FEWEST_MACHINES, int(MACHINES * plan.scale))
    first, size = plan.networks.pool("hosters", HOSTERS, machines, width=TO_A_SUBNET)
    people["crew_pool"], people["crew_count"] = pool, np.maximum(crew_count, 1)
    people["crew_days"] = np.full(count, days)
    people["machine"], people["machine_size"] = np.full(count, first), np.full(count, size)
    people["machine_share"] = share


def crews(people: Columns, account: npt.NDArray[np.int64], day: int) -> npt.NDArray[np.uint64]:
    """A number for the crew that each account is in on a day; crews that follow each other have different ones."""
    turn = day // people["crew_days"][account]
    pool = mix(people["crew_pool"][account] ^ turn, 107)
    place = mix(account * 4096 + turn, 109) % people["crew_count"][account].astype(np.uint64)
    return mix(pool ^ place, 113)
