"""Bytes of a file, decompressed as they come, with a bound on how far a few bytes may swell.

Compression is recognised by its magic bytes, never by the file's name.
"""

import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_READABLE = {GZIP: "gzip", ZSTD: "zstd"}
UNSUPPORTED = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf": "7z",
    b"\x04\x22\x4d\x18": "lz4",
}

# Deflate cannot exceed 1:1032 and zstd 1:32768, and only padding comes near. Honest logs come surprisingly far under
# zstd: rows that share one 50 KB system prompt shrink 1:330 with the usual ids beside it and 1:1300 with next to none,
# and an attacker chooses that prompt, so a tight cap would hide real traffic. Memory does not depend on the ratio; the
# cap bounds the time a bomb can waste.
MAX_RATIO = {"gzip": 1_000, "zstd": 10_000}
FREE_BYTES = 64 * 2**20  # small files may swell freely: a ratio means nothing on a few hundred bytes
READ_BYTES = 1 << 16
# What one piece of input can become is bounded by piece x 1032 (deflate) and piece x 32768 (zstd): 16 MB and 32 MB.
_GZIP_PIECE = 1 << 14
_ZSTD_PIECE = 1 << 10


class BrokenStream(Exception):  # noqa: N818 - never leaves ingest: it becomes one row of `rejected`
    """The rest of a file cannot be read; what came before it was good."""


class _Stream(Protocol):
    """What zlib and zstandard have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Member:
    """One gzip member or zstd frame being decompressed, fed so many bytes at a time."""

    stream: _Stream
    piece_bytes: int


class Unusable(BrokenStream):
    """No part of a file can be used."""


@dataclass(slots=True)
class Position:
    """How many bytes of the file on disk have been consumed, for a progress bar and the ratio check."""

    bytes_read: int = 0


def compression(path: Path) -> str | None:
    """Name of the compression a file is in, by its magic bytes; null when it is in none we know."""
    with path.open("rb") as file:
        magic = file.read(6)
    return next((name for start, name in (*_READABLE.items(), *UNSUPPORTED.items()) if magic.startswith(start)), None)


def chunks(path: Path, position: Position) -> Iterator[bytes]:
    """The decompressed content in pieces.

    Raises:
        BrokenStream: after the last good byte of a truncated, corrupt, unsupported or absurdly compressed file.
    """
    packed = compression(path)
    if packed in UNSUPPORTED.values():
        raise BrokenStream(f"{packed} archives are not read; unpack it, or use gzip or zstd")
    with path.open("rb") as file:
        if packed:
            yield from _bounded(_inflated(file, position), position, MAX_RATIO[packed])
        else:
            yield from _read(file, position, 1 << 20)


def _read(file: BinaryIO, position: Position, size: int) -> Iterator[bytes]:
    while True:
        try:
            piece = file.read(size)
        except OSError as error:
            raise BrokenStream(f"cannot be read from here on: {error.strerror}") from error
        if not piece:
            return
        position.bytes_read += len(piece)
        yield piece


def _inflated(file: BinaryIO, position: Position) -> Iterator[bytes]:
    """Members one after the other: gzip and zstd files may be concatenated."""
    member: _Member | None = None
    rest = b""
    for block in _read(file, position, READ_BYTES):
        rest += block
        while rest:
            member = member or _member(rest)
            if member is None:
                break
            rest = yield from _fed(member, rest)
            if member.stream.eof:
                member, rest = None, rest.lstrip(b"\0")  # zero padding between members is allowed
    if member is not None or rest:
        raise BrokenStream("the compressed data ends early; the rest is missing")


def _member(start: bytes) -> _Member | None:
    """A decompressor for the member that starts here; null when too few bytes are here to tell."""
    if start.startswith(GZIP):
        return _Member(zlib.decompressobj(wbits=31), _GZIP_PIECE)
    if start.startswith(ZSTD):
        return _Member(zstandard.ZstdDecompressor().decompressobj(), _ZSTD_PIECE)
    if GZIP.startswith(start[:2]) or ZSTD.startswith(start[:4]):
        return None
    raise BrokenStream("what follows the compressed data is not compressed data")


def _fed(member: _Member, data: bytes) -> Generator[bytes, None, bytes]:
    """Feed `data` in small pieces; returns what was left over when the member ended."""
    for start in range(0, len(data), member.piece_bytes):
        try:
            made = member.stream.decompress(data[start : start + member.piece_bytes])
        except (zlib.error, zstandard.ZstdError) as error:
            raise BrokenStream("the compressed data is corrupt from here on") from error
        if made:
            yield made
        if member.stream.eof:
            return member.stream.unused_data + data[start + member.piece_bytes :]
    return b""


def _bounded(pieces: Iterator[bytes], position: Position, max_ratio: int) -> Iterator[bytes]:
    made_bytes = 0
    for piece in pieces:
        made_bytes += len(piece)
        if made_bytes > FREE_BYTES and made_bytes > max_ratio * position.bytes_read:
            raise BrokenStream(
                f"it decompresses to over {max_ratio} times its size; unpack it yourself if it is honest"
            )
        yield piece
