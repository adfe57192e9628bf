import gzip
import random
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from stillwatch.ingest import streams
from stillwatch.ingest.streams import BrokenStream, Position, chunks, compression

TEXT = b"".join(b"line %d of a log that repeats itself\n" % i for i in range(20_000))


def until_break(path: Path) -> tuple[bytes, str | None]:
    found = []
    try:
        for chunk in chunks(path, Position()):
            found.append(chunk)
    except BrokenStream as broken:
        return b"".join(found), str(broken)
    return b"".join(found), None


@pytest.mark.parametrize(
    "packed",
    [TEXT, gzip.compress(TEXT), zstandard.compress(TEXT), gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:]),
     zstandard.compress(TEXT[:500]) + zstandard.compress(TEXT[500:]), gzip.compress(TEXT) + b"\0" * 512,
     gzip.compress(TEXT[:500]) + zstandard.compress(TEXT[500:])],
    ids=["plain", "gzip", "zstd", "gzip members", "zstd frames", "gzip padded", "gzip then zstd"],
)  # fmt: skip
def test_content_is_recognised_by_its_magic_and_read_to_its_end(tmp_path: Path, packed: bytes) -> None:
    path = tmp_path / "log.anything"
    path.write_bytes(packed)
    position = Position()
    assert b"".join(chunks(path, position)) == TEXT
    assert position.bytes_read == len(packed)


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.01, 0.99), is_gzip=st.booleans())
def test_a_truncated_file_gives_everything_before_the_break(
    tmp_path_factory: pytest.TempPathFactory, share: float, is_gzip: bool
) -> None:
    packed = gzip.compress(TEXT) if is_gzip else zstandard.compress(TEXT)
    path = tmp_path_factory.mktemp("cut") / "log"
    path.write_bytes(packed[: max(20, int(len(packed) * share))])
    found, problem = until_break(path)
    assert TEXT.startswith(found)
    assert problem is not None
    assert "ends early" in problem
    if is_gzip:
        assert found == zlib.decompressobj(wbits=31).decompress(path.read_bytes())


def test_a_corrupt_middle_gives_what_came_before(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(random.Random(1).randbytes(500_000)))
    packed[len(packed) // 2 : len(packed) // 2 + 50] = b"\xff" * 50
    path = tmp_path / "log"
    path.write_bytes(packed)
    found, problem = until_break(path)
    assert len(found) > 100_000
    assert problem is not None
    assert "corrupt" in problem


def test_what_follows_the_data_must_be_data(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(TEXT) + b"trailing words")
    assert until_break(path) == (TEXT, "what follows the compressed data is not compressed data")


@pytest.mark.parametrize("magic", list(streams.UNSUPPORTED))
def test_other_archives_are_named_and_refused(tmp_path: Path, magic: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(magic + b"rest")
    name = compression(path)
    assert name == streams.UNSUPPORTED[magic]
    assert until_break(path) == (b"", f"{name} archives are not read; unpack it, or use gzip or zstd")


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_bomb_is_refused_before_it_has_gone_off(tmp_path: Path, name: str) -> None:
    size = 256 << 20
    packer = zlib.compressobj(9, wbits=31) if name == "gzip" else zstandard.ZstdCompressor(level=1).compressobj()
    path = tmp_path / "bomb"
    path.write_bytes(b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush())
    found, problem = until_break(path)
    assert problem is not None
    assert f"over {streams.MAX_RATIO[name]} times its size" in problem
    assert len(found) < size


def test_no_piece_of_a_bomb_is_large(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(zstandard.ZstdCompressor(level=1).compress(bytes(60 << 20)))
    assert max(len(chunk) for chunk in chunks(path, Position())) <= 34 << 20


def test_an_honest_log_of_one_long_system_prompt_is_not_taken_for_a_bomb(tmp_path: Path) -> None:
    """Rows that share a 50 KB system prompt shrink more than a thousandfold under zstd."""
    rng = random.Random(3)
    system = "".join(rng.choices("abcdefghij ", k=50_000))
    rows = b"".join(f'{{"system_prompt":"{system}","prompt":"{rng.random()}"}}\n'.encode() for _ in range(1_500))
    path = tmp_path / "log"
    path.write_bytes(zstandard.compress(rows))
    assert len(rows) > streams.FREE_BYTES
    assert len(rows) > 1_000 * path.stat().st_size
    assert until_break(path) == (rows, None)
