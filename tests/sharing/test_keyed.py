"""Keyed values: SipHash-2-4 exactly, and nothing without the key."""

import hashlib

import numpy as np
import pytest

from stillwatch.sharing.keyed import GroupKey, _siphash, keyed, keyed_name

KEY = GroupKey("g-0123456789ab", 1, hashlib.sha256(b"a group").digest())


def test_the_kernel_gives_the_published_vector_for_eight_bytes() -> None:
    # Aumasson & Bernstein's reference code: key 00..0f, message 00..07, vectors_sip64[8].
    first, second = (int.from_bytes(bytes(range(i, i + 8)), "little") for i in (0, 8))
    message = np.array([int.from_bytes(bytes(range(8)), "little")], np.uint64)
    [value] = _siphash(message, np.uint64(first), np.uint64(second)).tolist()
    assert value.to_bytes(8, "little") == bytes([0x62, 0x24, 0x93, 0x9A, 0x79, 0xF5, 0xF5, 0x93])


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("item", KEY),
        ("wording", GroupKey(KEY.group_id, 2, hashlib.sha256(b"next epoch").digest())),
        ("wording", GroupKey("g-ba9876543210", 1, hashlib.sha256(b"another group").digest())),
    ],
)
def test_another_kind_epoch_or_group_shares_no_value(kind: str, key: GroupKey) -> None:
    numbers = np.arange(-5_000, 5_000, dtype=np.int64)
    mine, theirs = keyed(numbers, "wording", KEY), keyed(numbers, kind, key)
    assert len(np.unique(mine)) == len(numbers)
    assert not np.isin(theirs, mine).any()


def test_a_secret_is_not_shown_and_a_value_has_sixteen_digits() -> None:
    assert str(KEY.secret) not in repr(KEY)
    assert keyed_name(255) == "00000000000000ff"
