"""What may be matched: identifiers of which there are too many to try; everything else is refused, and told why."""

import secrets
import string
import unicodedata
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillwatch.errors import SharingError
from stillwatch.ingest.keys import Key, normalised
from stillwatch.sharing import identifiers
from stillwatch.sharing.identifiers import KINDS, SWEPT_BITS, prepared, refusal

FEW = {
    "IPv4": "192.0.2.17",
    "IPv4 prefix": "192.0.2.0/24",
    "IPv6": "2001:db8::17",
    "IPv6 prefix": "2001:db8::/48",
    "IPv6 in brackets": "[2001:db8::17]",
    "telephone": "+43 660 123 45 67",
    "telephone without spaces": "00436601234567",
    "card": "4111111111111111",
    "card with dashes": "4111-1111-1111-1111",
    "bank identification number": "411111",
    "date": "1984-02-29",
    "date with slashes": "29/02/1984",
    "time": "1984-02-29T12:00:00Z",
    "postcode": "SW1A 1AA",
    "number of a customer": "100000000000000000000000000000017",
    "network card": "00:1b:44:11:3a:b7",
    "network card without colons": "001b44113ab7",
    "IBAN": "AT61 1904 3002 3457 3201",
    "IMEI": "490154203237518",
    "short": "abc123",
    "zeros": "0" * 27 + "12ab3",
    "one letter": "a" * 32,
    "two letters": "ab" * 16,
    "twice the same": "deadbeef" * 4,
    "counting up": "0123456789abcdef" * 2,
    "empty UUID": str(uuid.UUID(int=0)),
    "UUID of a clock": "c07f1620-e9c0-11f1-a1ab-02fc00000001",
    "UUID of a name": str(uuid.uuid5(uuid.NAMESPACE_DNS, "192.0.2.17")),
    "words": "CorrectHorseBatteryStaple",
    "words with dashes": "my-laptop-at-work-2024",
    "serial number": "user-000000000123",
    "text": "the quick brown fox jumps over",
    "control characters": "4fQz8Lk2Vb9X\x00T3mW7c",
}


@pytest.mark.parametrize("kind", ["payment", "device", "account"])
@pytest.mark.parametrize("name", FEW)
def test_what_could_be_tried_is_refused_whatever_it_is_called(name: str, kind: str) -> None:
    with pytest.raises(SharingError, match="1 of 1 identifiers are refused"):
        prepared(kind, [FEW[name]], normalised)


@pytest.mark.parametrize("name", FEW)
def test_it_is_no_email_address_either(name: str) -> None:
    assert prepared("email", [FEW[name]], normalised, skip_refused=True).positions == {}


def drawn(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


BASE62 = string.ascii_letters + string.digits


@pytest.mark.parametrize(
    ("make", "most_refused"),
    [
        (lambda: secrets.token_hex(16), 0.0),
        (lambda: secrets.token_hex(32).upper(), 0.0),
        (lambda: str(uuid.uuid4()), 0.0),
        (lambda: drawn(BASE62, 16), 0.06),
        (lambda: "acct_" + drawn(BASE62, 16), 0.06),
        (lambda: drawn(BASE62, 24), 0.03),
        (lambda: secrets.token_urlsafe(32), 0.02),
        (lambda: drawn(string.ascii_lowercase + string.digits, 24), 0.03),
    ],
)
def test_random_tokens_pass_but_for_few(make: object, most_refused: float) -> None:
    tokens = {make() for _ in range(1000)}  # type: ignore[operator]
    found = prepared("payment", tokens, normalised, skip_refused=True)
    assert len(found.refused) <= most_refused * len(tokens)


@pytest.mark.parametrize(
    ("address", "is_refused"),
    [
        ("q7vx2mzk91@mail.example", False),
        ("marie.antoinette.1793@mail.example", False),
        ("bob@mail.example", True),
        ("abcdefghij@mail.example", True),  # 26^10 is below 2^48
        ("abcdefghijk@mail.example", False),
        ("bob+q7vx2mzk91abc@mail.example", True),
        ("postmaster@mail.example", True),
        ("donotreply@mail.example", True),
        ("aaaaaaaaaaaaaaaaaaaaa@mail.example", True),
        ("q7vx2mzk91", True),
        ("q7vx2mzk91@localhost", True),
        ("q7vx2 mzk91@mail.example", True),
        ("q7vx2mzk91@192.0.2.17", False),  # a domain in shape; the local part is what counts
    ],
)
def test_an_email_address_passes_by_its_local_part_alone(address: str, is_refused: bool) -> None:
    assert (refusal("email", address) is not None) == is_refused


@pytest.mark.parametrize("kind", SWEPT_BITS)
def test_kinds_of_which_there_are_few_are_refused_with_their_number(kind: str) -> None:
    with pytest.raises(SharingError, match=rf"fewer than 2\^{SWEPT_BITS[kind]} of them.*tr(y|ied) "):
        prepared(kind, [secrets.token_hex(16)], normalised)
    assert SWEPT_BITS[kind] < identifiers.LEAST_BITS


@pytest.mark.parametrize("kind", [*SWEPT_BITS, *KINDS, "nonsense"])
def test_a_list_of_hashes_is_refused_for_every_kind(kind: str) -> None:
    with pytest.raises(SharingError, match=r"refused|no such kind"):
        identifiers.refuse_hashed_list(kind)


def test_a_refusal_names_positions_and_never_a_value() -> None:
    values = [secrets.token_hex(16), "192.0.2.17", "", "+43 660 1234567", *["198.51.100.7"] * 20]
    with pytest.raises(SharingError) as caught:
        prepared("device", values, normalised)
    assert "22 of 23 identifiers are refused" in str(caught.value)
    assert "(21: number 2, 5, 6, " in str(caught.value)
    assert not any(value in str(caught.value) for value in values if value)
    left = prepared("device", values, normalised, skip_refused=True)
    assert (list(left.positions), len(left.refused)) == ([values[0]], 22)


def test_duplicates_are_one_identifier_at_several_positions() -> None:
    token = secrets.token_hex(16)
    assert prepared("device", [token, " ", token.upper(), f" {token}\n"], normalised).positions == {token: [0, 2, 3]}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=18, max_size=30), st.booleans())
def test_spellings_of_one_email_address_are_one_identifier(local: str, is_wide: bool) -> None:
    address = f"{local}@Mail.Example"
    other = unicodedata.normalize("NFD", address).lower()
    other = other.replace("@", "＠") if is_wide else f"  {other} "
    found = prepared("email", [address.lower(), other], normalised, skip_refused=True)
    assert len(found.positions) == (0 if found.refused else 1)
    assert len(found.refused) in (0, 2)


def test_identifiers_are_spelt_as_the_scan_spells_them() -> None:
    key = Key(b"k" * 32)
    (spelt,) = prepared("email", [" Marie.Antoinette.1793@Mail.Example "], normalised).positions
    assert key.identifier("email", spelt) == key.identifier("email", " Marie.Antoinette.1793@Mail.Example ")
