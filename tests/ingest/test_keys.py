import hashlib
import hmac
import ipaddress

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillwatch.ingest.keys import Key, address, hashed, hashed_addresses, hashed_lists, prefix, present

KEY = Key(b"0" * 32)


def test_the_identifier_is_the_documented_hmac() -> None:
    expected = hmac.new(b"0" * 32, b"email\x00anna@example.com", hashlib.sha256).hexdigest()[:32]
    assert KEY.identifier("email", " Anna@Example.COM ") == expected == "681dc57b19cbdd09e8ab97e2e123db93"
    assert KEY.identifier("ip", "203.0.113.9") == "e8b4aa86bf6af11e34a9bb6c519ef777"


def test_the_secret_is_shown_nowhere() -> None:
    assert "0000" not in repr(KEY)
    assert len(KEY.key_id) == 12
    assert KEY.key_id not in Key(b"1" * 32).key_id


def test_equal_values_of_different_kinds_or_keys_do_not_meet() -> None:
    found = {KEY.identifier("ip", "x"), KEY.identifier("payment", "x"), Key(b"1" * 32).identifier("ip", "x")}
    assert len(found) == 3


@pytest.mark.parametrize(
    "spelling",
    [
        "1.2.3.4",
        " 1.2.3.4 ",
        "1.2.3.4:443",
        "::ffff:1.2.3.4",
        "::FFFF:102:304",
        "[::ffff:1.2.3.4]:80",
        "9.9.9.9, 1.2.3.4",
    ],
)
def test_one_ipv4_address_has_one_identifier_in_any_spelling(spelling: str) -> None:
    assert KEY.identifier("ip", spelling) == KEY.identifier("ip", "1.2.3.4")
    assert hashed_addresses(KEY, pa.array([spelling]))[0].to_pylist() == [KEY.identifier("ip", "1.2.3.4")]


@pytest.mark.parametrize(
    "spelling", ["2001:DB8::1", "2001:db8:0:0:0:0:0:1", "[2001:db8::1]", "[2001:db8::1]:443", "2001:db8::1%eth0"]
)
def test_one_ipv6_address_has_one_identifier_in_any_spelling(spelling: str) -> None:
    assert KEY.identifier("ip", spelling) == KEY.identifier("ip", "2001:db8::1")


@given(st.ip_addresses())
def test_hashing_a_column_agrees_with_hashing_one_value(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    whole, network = hashed_addresses(KEY, pa.array([str(found)]))
    canonical = address(str(found))
    assert canonical is not None
    assert whole.to_pylist() == [KEY.identifier("ip", str(found))] == [KEY.digest("ip", str(canonical).encode())]
    assert network.to_pylist() == [KEY.identifier("ip_prefix", prefix(canonical))]
    assert canonical in ipaddress.ip_network(prefix(canonical))


def test_a_value_that_is_no_address_is_hashed_and_has_no_prefix() -> None:
    already = "9f86d081884c7d659a2feaa0c55ad015"
    whole, network = hashed_addresses(KEY, pa.array([already, None, "not an address"]))
    assert whole.to_pylist() == [KEY.identifier("ip", already), None, KEY.identifier("ip", "not an address")]
    assert whole[0].as_py() != already
    assert network.null_count == 3


def test_a_prefix_is_the_same_from_an_address_a_network_or_a_longer_network() -> None:
    spellings = ("203.0.113.77", "203.0.113.0/24", "203.0.113.128/25", "203.0.113.9/24")
    assert len({KEY.identifier("ip_prefix", spelling) for spelling in spellings}) == 1
    assert KEY.identifier("ip_prefix", "203.0.0.0/16") != KEY.identifier("ip_prefix", "203.0.0.0/24")


@pytest.mark.parametrize("spelling", ["+1 (415) 555-0100", "0014155550100", "14155550100", "+1.415.555.0100"])
def test_one_phone_number_has_one_identifier(spelling: str) -> None:
    assert KEY.identifier("phone", spelling) == KEY.identifier("phone", "14155550100")


def test_a_hashed_phone_number_keeps_its_letters() -> None:
    assert KEY.identifier("phone", "00ab12") == KEY.digest("phone", b"00ab12")


def test_a_column_is_hashed_value_by_value() -> None:
    values = pa.array(["a", None, "b", "a"])
    assert hashed(KEY, "end_user", values).to_pylist() == [
        KEY.identifier("end_user", "a"),
        None,
        KEY.identifier("end_user", "b"),
        KEY.identifier("end_user", "a"),
    ]


@given(st.lists(st.text("aAzZ09@.+()-/ é", max_size=8), max_size=6), st.sampled_from(["email", "phone"]))
def test_a_column_is_normalised_value_by_value(values: list[str], kind: str) -> None:
    assert hashed(KEY, kind, pa.array(values, pa.string())).to_pylist() == [KEY.identifier(kind, v) for v in values]


def test_lists_are_hashed_element_by_element_and_empty_ones_are_missing() -> None:
    values = pa.array([["x", None, ""], [], None], pa.list_(pa.string()))
    assert hashed_lists(KEY, "reasoning", values).to_pylist() == [[KEY.identifier("reasoning", "x")], None, None]


def test_the_ways_logs_write_nothing_are_null() -> None:
    assert present(pa.array(["-", "Unknown", "1.2.3.4", None])).to_pylist() == [None, None, "1.2.3.4", None]


@given(st.text())
def test_any_text_has_an_identifier(value: str) -> None:
    assert len(KEY.identifier("ip", value)) == len(KEY.identifier("email", value)) == 32


def test_the_cache_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillwatch.ingest.keys.CACHED_ADDRESSES", 10)
    key = Key(b"2" * 32)
    first = [key.address_identifiers(f"10.0.0.{i}") for i in range(100)]
    assert len(key._addresses) <= 10
    assert first == [key.address_identifiers(f"10.0.0.{i}") for i in range(100)]


def test_a_long_value_is_not_cached() -> None:
    key = Key(b"3" * 32)
    assert key.address_identifiers("x" * 10_000) == (key.identifier("ip", "x" * 10_000), None)
    assert not key._addresses
