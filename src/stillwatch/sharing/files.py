"""Files of ours that others must not read: written in one step, readable by their owner only."""

import os
import tempfile
from pathlib import Path

from stillwatch.errors import StoreError


def write_private(path: Path, held: bytes) -> None:
    """Write a file of mode 0600 in one step: readers see the old content or the new, and it survives a crash.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(held)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}.") from error
