"""The input files that paths, folders and globs stand for."""

import glob
from collections.abc import Sequence
from pathlib import Path

from stillwatch.errors import InputError


def input_files(patterns: Sequence[str]) -> list[Path]:
    """Files sorted by path, each once. A folder stands for all files below it that are not hidden.

    Raises:
        InputError: when a pattern matches nothing, which is more often a typing error than an empty log.
    """
    matches = sorted({path for pattern in patterns for path in _matches(pattern)}, reverse=True)
    return sorted({path.resolve(): path for path in matches}.values())


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    candidates = [path] if path.exists() else [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - Path.glob refuses absolute patterns
    files = [file for candidate in candidates for file in (_below(candidate) if candidate.is_dir() else [candidate])]
    if not files:
        raise InputError(f"no input file matches {pattern}; check the path, and quote globs so that they arrive whole")
    return files


def _below(folder: Path) -> list[Path]:
    """Files in a folder tree; hidden ones and ones that writers mark as not data (_SUCCESS, .crc) are passed over."""
    return [
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    ]
