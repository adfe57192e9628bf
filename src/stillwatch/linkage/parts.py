"""Work that falls apart, done on several cores at once: what each part finds depends neither on others nor on cores."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import numpy as np

from stillwatch.linkage.incidence import Ints

Found = TypeVar("Found")

LEAST_COST = 100_000  # steps of a part: fewer are done sooner than a thread begins
PARTS_PER_CORE = 4  # so that no core waits long for another one's last part
_cores: ContextVar[int] = ContextVar("cores", default=os.cpu_count() or 1)


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Work within the context takes so many cores at most; 0: all of the machine."""
    token = _cores.set(count or os.cpu_count() or 1)
    try:
        yield
    finally:
        _cores.reset(token)


def cores() -> int:
    """How many cores work may take here."""
    return _cores.get()


def in_parts(work: Callable[[int, int], Found], costs: Ints) -> list[Found]:
    """What `work` finds from one place to before another, in order; together the parts are all places.

    `costs` (places,) are about how many steps each place takes. `work` has to let go of the interpreter.
    """
    at_once, total = cores(), int(costs.sum())
    parts = min(at_once * PARTS_PER_CORE, total // LEAST_COST) if at_once > 1 else 1
    if parts < 2:
        return [work(0, len(costs))]
    shares = np.arange(1, parts) * (total / parts)
    cuts = np.unique([0, *np.searchsorted(np.cumsum(costs), shares).tolist(), len(costs)]).tolist()
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(work, cuts[:-1], cuts[1:]))
