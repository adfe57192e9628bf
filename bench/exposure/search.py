"""The first hour at which something is so, from a handful of the hours.

1. Ask one by one, as many hours as the caller wants: early runs are the cheap ones, and what a run reports comes and
   goes.
2. Gallop: 1, 2, 4, 8 ... hours later, until it is so.
3. Bisect between the last hour of the gallop at which it was not and the first at which it was.
4. Look back: hours shortly before the one found may be so again. Each of LOOK_BACK_H is asked; if one is, 3 and 4 are
   repeated from there.

Misses: what comes and goes within hours that were not asked. If it is so from some hour on for good and not before, or
    at one of those asked one by one, the answer is exact. In any case it is so at the hour returned, not so an hour
    earlier, and not so at any earlier hour that was asked.
"""

from collections.abc import Callable

LOOK_BACK_H = (2, 3, 4, 6, 9, 13, 20, 30)
LOOK_AHEAD_H = (1, 2, 3, 6)


def first_hour(is_so: Callable[[int], bool], start: int, end: int, *, one_by_one: int = 0) -> int | None:
    """The first hour in (start, end] at which it is so; None when no hour that was asked is, the last among them.

    The first `one_by_one` hours are asked each. At `start` it is taken not to be. `is_so` should remember its answers.
    """
    tried, start = start, min(start + one_by_one, end)
    for hour in range(tried + 1, start + 1):
        if is_so(hour):
            return hour
    below, found = start, None
    for hour in _gallop(start, end):
        if is_so(hour):
            found = hour
            break
        below = hour
    if found is None:
        return None
    while True:
        found = _bisected(is_so, below, found)
        earlier = sorted(hour for back in LOOK_BACK_H if (hour := found - back) > start and is_so(hour))
        if not earlier:
            return found
        found = earlier[0]
        known = [hour for back in LOOK_BACK_H if start < (hour := found - back) and not is_so(hour)]
        below = max(known, default=start)


def is_steady(is_so: Callable[[int], bool], found: int, end: int) -> bool:
    """Whether it stays so in the hours after the one found."""
    return all(is_so(min(found + ahead, end)) for ahead in LOOK_AHEAD_H)


def _gallop(start: int, end: int) -> list[int]:
    hours, reach = [], 1
    while start + reach < end:
        hours.append(start + reach)
        reach *= 2
    return [*hours, end] if end > start else []


def _bisected(is_so: Callable[[int], bool], below: int, found: int) -> int:
    """An hour at which it is so, one after an hour at which it is not; not at `below`, at `found` it is."""
    while found - below > 1:
        middle = (below + found) // 2
        if is_so(middle):
            found = middle
        else:
            below = middle
    return found
