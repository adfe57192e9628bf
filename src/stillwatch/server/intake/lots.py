"""Runs of things that together have at most so many bytes: what is taken into memory at once."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Thing = TypeVar("Thing")


def lots(things: Iterable[Thing], size_of: Callable[[Thing], int], *, most_bytes: int) -> Iterator[list[Thing]]:
    """The things in order, in lots of at most `most_bytes`, or of one that has more."""
    lot: list[Thing] = []
    held_bytes = 0
    for thing in things:
        size = size_of(thing)
        if lot and held_bytes + size > most_bytes:
            yield lot
            lot, held_bytes = [], 0
        lot.append(thing)
        held_bytes += size
    if lot:
        yield lot
