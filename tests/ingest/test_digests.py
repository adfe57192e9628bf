"""Many identifiers at once equal one at a time."""

import hashlib
import hmac
import ipaddress

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillwatch.ingest.digests import LANES, digests
from stillwatch.ingest.keys import Key, hashed, hashed_addresses, hashed_lists
from stillwatch.ingest.networks import networks

KEY = Key(b"0" * 32)


def one(secret: bytes, kind: str, value: str) -> str:
    return hmac.new(secret, kind.encode() + b"\0" + value.encode(), hashlib.sha256).hexdigest()[:32]


@settings(deadline=None)
@given(
    secret=st.binary(min_size=1, max_size=100),
    kind=st.sampled_from(["ip", "reasoning", "k" * 60]),
    values=st.lists(st.one_of(st.none(), st.text(max_size=70)), max_size=8),
)
def test_the_kernel_is_hmac_sha256_of_every_value(secret: bytes, kind: str, values: list[str | None]) -> None:
    found = digests(secret, kind, pa.array(values, pa.string()))
    found.validate(full=True)
    assert found.to_pylist() == [None if value is None else one(secret, kind, value) for value in values]


def test_every_length_and_every_lane_is_right() -> None:
    values = ["x" * (i % 70) + str(i) for i in range(3 * LANES + 5)]
    assert digests(b"s" * 32, "ip", pa.array(values)).to_pylist() == [one(b"s" * 32, "ip", value) for value in values]


def test_a_slice_is_hashed_as_it_stands() -> None:
    values = pa.array(["a", None, "b", "c", "d"]).slice(1, 3)
    assert digests(b"s", "ip", values).to_pylist() == [None, one(b"s", "ip", "b"), one(b"s", "ip", "c")]


@settings(deadline=None)
@given(st.lists(st.ip_addresses(v=4).map(str), min_size=1))
def test_plain_addresses_have_their_network(values: list[str]) -> None:
    expected = [str(ipaddress.ip_network(f"{value}/24", strict=False)) for value in values]
    assert networks(pa.array(values)).to_pylist() == expected


@pytest.mark.parametrize(
    "odd",
    ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1..2.3", ".1.2.3", "1.2.3.", "1.2.3.4:5",
     "a.b.c.d", "::1", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4, 5.6.7.8", "1.2.3.-4", "1.2.3.1000"],
)  # fmt: skip
def test_what_is_no_plain_address_has_none(odd: str) -> None:
    assert networks(pa.array(["9.9.9.9", odd, None])).to_pylist() == ["9.9.9.0/24", None, None]


ADDRESSES = ["203.0.113.9", "203.0.113.77", "2001:db8::1", "1.2.3.4:443", "not an address", None, "203.0.113.9"]


def test_a_dictionary_is_hashed_to_a_dictionary_of_the_same_values() -> None:
    plain = pa.array(ADDRESSES)
    for part in (plain, plain.slice(1, 4)):
        expected = hashed_addresses(KEY, part)
        found = hashed_addresses(KEY, part.dictionary_encode())
        assert [column.to_pylist() for column in found] == [column.to_pylist() for column in expected]
        for column in found:
            column.validate(full=True)
            assert len(set(column.dictionary.to_pylist())) == len(column.dictionary)
            assert column.dictionary.null_count == 0
    expected = [None if value is None else KEY.identifier("ip", value) for value in ADDRESSES]
    assert hashed_addresses(KEY, plain)[0].to_pylist() == expected


@given(st.lists(st.one_of(st.none(), st.text(max_size=20), st.sampled_from([" a ", "a", "\x1fa"]))))
def test_any_text_is_hashed_as_one_value_is(values: list[str | None]) -> None:
    expected = [None if value is None else KEY.identifier("end_user", value) for value in values]
    assert hashed(KEY, "end_user", pa.array(values, pa.string())).to_pylist() == expected


@given(st.lists(st.one_of(st.none(), st.lists(st.sampled_from(["a", "b2", "", " c", None]), max_size=3))))
def test_lists_are_hashed_element_by_element(values: list[list[str | None] | None]) -> None:
    kept = [[KEY.identifier("reasoning", cell) for cell in row if cell] if row else None for row in values]
    column = pa.array(values, pa.list_(pa.string()))
    assert hashed_lists(KEY, "reasoning", column).to_pylist() == [row or None for row in kept]
    half = column.slice(len(column) // 2)
    assert hashed_lists(KEY, "reasoning", half).to_pylist() == [row or None for row in kept[len(column) // 2 :]]
