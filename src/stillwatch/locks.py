"""One at a time: a lock file that a process holds while it writes to a folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stillwatch.errors import StoreError


@contextmanager
def alone(lock: Path, *, busy: str, advice: str = "", makes_folder: bool = False) -> Iterator[None]:
    """Hold the lock file; it is free when the process ends, however that happens.

    Raises:
        StoreError: it cannot be written, with the advice; or another process holds it, in the words of `busy`.
    """
    try:
        if makes_folder:
            lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise StoreError(f"cannot write to {lock.parent}: {error.strerror}.{advice}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(busy) from error
        yield
