"""Which format a file is in, told from its first bytes, lines and documents."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stillwatch.ingest import formats as formats_folder
from stillwatch.ingest.documents import documents
from stillwatch.ingest.readers import Format, Head
from stillwatch.ingest.streams import BrokenStream, Position, chunks, compression

MAPPED = ("parquet", "jsonl", "csv")  # the formats whose names a field map may change
_PARQUET_MAGIC = b"PAR1"
_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 1 << 16
_HEAD_DOCUMENTS = 8
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\x1b\0"))
_MAX_CONTROL_SHARE = 0.05  # of the first bytes; text has next to none


class Unreadable(Exception):  # noqa: N818 - never leaves ingest: it becomes one row of `rejected`
    """The file is not one we can read; says why and what to do."""


@cache
def formats() -> Mapping[str, Format]:
    """Every format by name: the modules of the formats folder that define FORMAT."""
    found = {}
    for info in sorted(pkgutil.iter_modules(formats_folder.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{formats_folder.__name__}.{info.name}")
        if hasattr(module, "FORMAT"):
            found[module.FORMAT.name] = module.FORMAT
    return MappingProxyType(found)


def format_of(path: Path, *, is_mapped: bool = False) -> Format | None:
    """The format of a file; null when the file is empty. With a field map only the formats it applies to are asked.

    Raises:
        Unreadable: when it is binary, or when not exactly one format recognises it.
    """
    start = _start(path)
    if not start.strip():
        return None
    if start.startswith(_PARQUET_MAGIC):
        if compression(path):
            raise Unreadable("a Parquet file compressed as a whole; unpack it (Parquet compresses inside)")
        return formats()["parquet"]
    if _is_binary(start):
        raise Unreadable("a binary file that is no log: neither text nor Parquet")
    head = _head(path, start)
    if is_mapped:
        return formats()["jsonl" if head.documents else "csv"]
    return _only([format_ for format_ in formats().values() if format_.recognises(head)], head)


def only_format(documents: tuple[Mapping[str, Any], ...]) -> str:
    """The one format whose documents these are.

    Raises:
        Unreadable: when not exactly one format recognises them.
    """
    head = Head("{", documents, "")
    named = {name: found for name, found in formats().items() if found.rows is not None}
    return _only([found for found in named.values() if found.recognises(head)], head).name


def is_parquet(path: Path) -> bool:
    """Whether the file is Parquet, told from its first bytes; one that cannot be opened is not."""
    try:
        with path.open("rb") as file:
            return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
    except OSError:
        return False


def check_not_binary(path: Path) -> bool:
    """Whether there is anything in the file to read as text.

    Raises:
        Unreadable: when it is binary.
    """
    start = _start(path)
    if _is_binary(start):
        raise Unreadable("a binary file, not text")
    return bool(start.strip())


def _only(found: list[Format], head: Head) -> Format:
    """The one format that recognises the file; of several the one that recognises most of its documents."""
    votes = {
        format_.name: sum(format_.recognises(replace(head, documents=(d,))) for d in head.documents)
        for format_ in found
    }
    most = [format_ for format_ in found if votes[format_.name] == max(votes.values())]
    if len(most) == 1:
        return most[0]
    names = ", ".join(format_.name for format_ in (found or formats().values()))
    problem = "the format could be more than one of" if found else "no format recognises it; the formats are"
    raise Unreadable(f"{problem} {names}: name it with --input-format, or map its names with --field-map")


def _start(path: Path) -> bytes:
    """The first decompressed bytes, as many as are there before the end or a break."""
    start = b""
    try:
        for chunk in chunks(path, Position()):
            start += chunk
            if len(start) >= _HEAD_BYTES:
                break
    except BrokenStream:
        if not start:
            raise
    return start[:_HEAD_BYTES].removeprefix(_BOM)


def _is_binary(start: bytes) -> bool:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("the text is UTF-16; convert it to UTF-8")
    strange = len(start) - len(start.translate(None, _CONTROL)) + start.decode("utf-8", "replace").count("\ufffd")
    return strange > _MAX_CONTROL_SHARE * max(len(start), 1)


def _head(path: Path, start: bytes) -> Head:
    text = start.decode("utf-8", "replace")
    first_line = next((line for line in text.splitlines() if line.strip()), "")
    found = tuple(_first_objects(path)) if first_line.lstrip().startswith(("{", "[")) else ()
    return Head(first_line, found, text)


def _first_objects(path: Path) -> Iterator[Mapping[str, object]]:
    try:
        for document in islice(documents(chunks(path, Position())), _HEAD_DOCUMENTS):
            if isinstance(document.value, dict):
                yield document.value
    except BrokenStream:
        return
