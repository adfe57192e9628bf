"""Exchange ids as numbers under the key: SipHash as its authors publish it, and nothing of the id in it."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.ingest.exchange_keys import _sip_hashes, exchange_keys, with_exchange_keys
from stillwatch.ingest.keys import Key

MASK = (1 << 64) - 1
# The first vectors of the reference implementation: key 00 01 ... 0f, message 00 01 ... of that length.
PUBLISHED = {
    0: 0x726FDB47DD0E0E31,
    1: 0x74F839C593DC67FD,
    7: 0xAB0200F58B01D137,
    8: 0x93F5F5799A932462,
    15: 0xA129CA6149BE45E5,
}


def reference(message: bytes, secret: bytes) -> int:
    """SipHash-2-4 on Python integers, as the paper writes it."""
    first, second = (int.from_bytes(secret[i : i + 8], "little") for i in (0, 8))
    v = [first ^ 0x736F6D6570736575, second ^ 0x646F72616E646F6D, first ^ 0x6C7967656E657261]
    v.append(second ^ 0x7465646279746573)

    def turned(value: int, bits: int) -> int:
        return (value << bits | value >> (64 - bits)) & MASK

    def rounds(count: int) -> None:
        for _ in range(count):
            for a, b, c, d, near, far in ((0, 1, 2, 3, 13, 16), (2, 1, 0, 3, 17, 21)):
                v[a], v[c] = (v[a] + v[b]) & MASK, (v[c] + v[d]) & MASK
                v[b], v[d] = turned(v[b], near) ^ v[a], turned(v[d], far) ^ v[c]
                v[a] = turned(v[a], 32)

    padded = message + b"\0" * (7 - len(message) % 8) + bytes([len(message) & 0xFF])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def hashed(message: bytes, secret: bytes) -> int:
    words = np.frombuffer(secret, np.uint64)
    text = np.frombuffer(message or b"\0", np.uint8)
    return int(_sip_hashes(text, np.array([0, len(message)], np.int32), words[0], words[1])[0])


def test_the_published_vectors_come_out() -> None:
    secret = bytes(range(16))
    assert {size: hashed(bytes(range(size)), secret) for size in PUBLISHED} == PUBLISHED


@given(message=st.binary(max_size=70), secret=st.binary(min_size=16, max_size=16))
def test_every_message_gets_what_plain_python_gives_it(message: bytes, secret: bytes) -> None:
    assert hashed(message, secret) == reference(message, secret)


def test_another_key_gives_other_numbers_and_a_slice_of_ids_the_same() -> None:
    ids = pa.array(["a", "", "b" * 40, "é中", "a"])
    numbers = exchange_keys(ids, Key(b"k" * 32)).to_pylist()
    assert numbers[0] == numbers[4]
    assert len(set(numbers)) == 4
    assert exchange_keys(ids.slice(2, 2), Key(b"k" * 32)).to_pylist() == numbers[2:4]
    assert set(exchange_keys(ids, Key(b"j" * 32)).to_pylist()).isdisjoint(numbers)
    assert exchange_keys(pa.array([], pa.string()), Key(b"k" * 32)).to_pylist() == []


def test_a_batch_gets_the_numbers_as_its_last_column() -> None:
    batch = with_exchange_keys(pa.record_batch({"exchange_id": ["a", "b"], "model": ["m", "m"]}), Key(b"k" * 32))
    assert batch.schema.names == ["exchange_id", "model", "exchange_key"]
    assert batch["exchange_key"].to_pylist() == exchange_keys(batch["exchange_id"], Key(b"k" * 32)).to_pylist()


def test_marks_of_words_are_kept_in_an_alphabet_of_the_key_and_in_its_order() -> None:
    bags = pa.array([[1, 2, 0], None, [2, 1, 0], [-5, 3, 4]], pa.list_(pa.int16(), 3))
    batch = pa.record_batch({"exchange_id": list("abcd"), "words": bags})
    one, other = (with_exchange_keys(batch, Key(secret * 32))["words"].to_pylist() for secret in (b"k", b"l"))
    assert one[0] == one[2]
    assert one[0][2] == 0
    assert one[1] is None
    assert len({*one[0][:2], *one[3]}) == 5
    assert one != other
    assert with_exchange_keys(batch.slice(3), Key(b"k" * 32))["words"].to_pylist() == one[3:]
