"""Which identifiers may be matched with a partner: those of which there are too many to try them all.

Why:    private matching hides what is not shared, but a partner may put in guesses. Of addresses, telephone numbers or
        cards there are so few that guesses cover them; what is drawn from fewer than 2^48 values is refused.
Misses: a shape is an upper bound. A plain hash of a card has the shape of a random token, and a person's e-mail address
        is easier to guess than its length says; no look at a value can tell.
Source: Marx et al., "Hashing of personally identifiable information is not sufficient", SICHERHEIT 2018, 55-68.
"""

import ipaddress
import math
import re
import unicodedata
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from stillwatch.errors import SharingError

LEAST_BITS: Final = 48  # identifiers drawn from fewer than 2^48 values are refused
KINDS: Final = {
    "payment": "fingerprint that a payment processor gave a card or bank account, of random characters",
    "device": "fingerprint or id that was given to a device at random",
    "account": "token of an account at a service that both use, of random characters",
    "email": "e-mail address whose local part is long enough",
}
# How many bits it takes to count all of them, at most; the numbering plans and address spaces say so.
SWEPT_BITS: Final = {
    "ip": 32,
    "ip_prefix": 24,
    "asn": 32,
    "phone": 37,
    "card": 40,
    "bin": 27,
    "iban": 40,
    "postcode": 30,
    "date": 16,
    "mac": 46,
    "imei": 44,
    "email_domain": 30,
    "name": 33,
    "client": 20,
    "ja4": 20,
}
HASHES_A_SECOND_BITS: Final = 33  # one graphics card tries about 2^33 plain hashes in a second
LONGEST: Final = 320  # characters: the longest e-mail address
_TOLD: Final = 10  # positions that a refusal names

Normalise = Callable[[str, str], str]  # of a kind and a value

_DIGITS = re.compile(r"[+()\d\s./-]*\d[+()\d\s./-]*")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?")
_MAC = re.compile(r"[0-9a-f]{2}([:-]?[0-9a-f]{2}){5}|([0-9a-f]{4}\.){2}[0-9a-f]{4}", re.IGNORECASE)
_IBAN = re.compile(r"[A-Z]{2}\d{2}[ ]?([A-Z0-9]{4}[ ]?){2,7}[A-Z0-9]{1,4}")
_HEX = re.compile(r"[0-9a-f]{24,128}", re.IGNORECASE)
_PREFIX = re.compile(r"[A-Za-z]{2,12}_")  # says what a token is of, as in card_...
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")
_EMAIL = re.compile(r"([\w!#$%&'*+/=?^`{|}~.-]{1,64})@((?:[\w-]{1,63}\.)+[\w-]{2,63})")
_RANDOM_UUIDS = (4, 7)  # others are made of a clock and a network card, or are plain hashes of a name
_ROLES = frozenset({"customerservice", "donotreply", "notifications", "postmaster", "webmaster", "administrator"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """Identifiers as both sides spell them, each with the positions it was given at; and what was refused, and why."""

    positions: dict[str, list[int]]
    refused: list[tuple[int, str]]


def prepared(kind: str, values: Iterable[str], normalise: Normalise, *, skip_refused: bool = False) -> Prepared:
    """The identifiers among the values. Empty values are left out, and so are refused ones where that is asked for.

    Raises:
        SharingError: such identifiers are not matched, or a value is refused. It names positions, never a value.
    """
    refuse_kind(kind)
    positions: dict[str, list[int]] = {}
    refused: list[tuple[int, str]] = []
    for i, value in enumerate(values):
        spelt = _spelt(kind, value, normalise)
        if not spelt:
            continue
        reason = refusal(kind, spelt)
        if reason is None:
            positions.setdefault(spelt, []).append(i)
        else:
            refused.append((i, reason))
    if refused and not skip_refused:
        raise SharingError(_told(refused, sum(map(len, positions.values())) + len(refused)))
    return Prepared(positions, refused)


def refuse_kind(kind: str) -> None:
    """Refuse a kind of which there are too few, or that is unknown.

    Raises:
        SharingError: it is one of those; the message says why.
    """
    if kind in SWEPT_BITS:
        raise SharingError(f"{kind}: refused. {_swept(kind)} These can be matched: {', '.join(KINDS)}.")
    if kind not in KINDS:
        raise SharingError(f"there is no such kind of identifier. These can be matched: {', '.join(KINDS)}.")


def refuse_hashed_list(kind: str) -> None:
    """Refuse to write hashes of identifiers to a file, of whatever kind.

    Raises:
        SharingError: always; the message says why, and what to do.
    """
    if kind in SWEPT_BITS:
        raise SharingError(f"a list of hashes of {kind}: refused. {_swept(kind)} Share none of them, hashed or not.")
    refuse_kind(kind)
    raise SharingError(
        f"a list of hashes of {kind}: refused. Whoever gets it can test every guess against it, as fast and as "
        "long as they like, and so can whoever gets it from them. `stillwatch share psi match` counts each guess."
    )


def refusal(kind: str, value: str) -> str | None:
    """Why a value, spelt as its kind asks, is not matched; null when it is."""
    if len(value) > LONGEST:
        return f"longer than {LONGEST} characters"
    few = _few(value)
    if few is not None:
        return f"{few}: of these there are fewer than 2^{LEAST_BITS}, so that a partner could try them all"
    if not value.isprintable() or any(character.isspace() for character in value):
        return "holds spaces or control characters: this is text, not an identifier"
    return _email_refusal(value) if kind == "email" else _token_refusal(value)


def _spelt(kind: str, value: str, normalise: Normalise) -> str:
    """The value as both sides spell it: one form of Unicode, then what its kind asks; hexadecimal in small letters."""
    text = unicodedata.normalize("NFKC", value).strip()
    text = unicodedata.normalize("NFKC", normalise(kind, text))
    return text.lower() if _HEX.fullmatch(text) or _uuid(text) else text


def _few(value: str) -> str | None:
    """What the value is, when it is of a kind of which there are few."""
    try:
        ipaddress.ip_network(value.partition("%")[0].strip("[]"), strict=False)
    except ValueError:
        pass
    else:
        return "an address or a prefix of addresses"
    if _DATE.fullmatch(value):
        return "a date"
    if _DIGITS.fullmatch(value):
        return "a number, such as one of a telephone, a card or a customer"
    if _MAC.fullmatch(value):
        return "the number of a network card"
    if _IBAN.fullmatch(value):
        return "the number of a bank account"
    return "a short text" if len(value) < 10 else None


def _token_refusal(value: str) -> str | None:
    """Why a token is refused: it could have been made by counting, by a clock or by a person."""
    found = _uuid(value)
    if found is not None:
        if found.version not in _RANDOM_UUIDS:
            return "a UUID that is not random (versions 4 and 7 are)"
        return _repetitive(found.hex)
    if _HEX.fullmatch(value):
        return _repetitive(value)
    body = _PREFIX.sub("", value, count=1)
    if not _TOKEN.fullmatch(body):
        return "not the shape of a random token: 24 hexadecimal digits, a UUID, or 16 letters and digits, or more"
    return _wordlike(body) or _repetitive(body)


def _email_refusal(value: str) -> str | None:
    """Why an address is refused: its domain is no secret, so that the local part alone must be hard to try."""
    found = _EMAIL.fullmatch(value)
    if found is None:
        return "not the shape of an e-mail address"
    local = found[1].partition("+")[0]
    if local in _ROLES:
        return "an address that every company has"
    if _capacity_bits(local) < LEAST_BITS:
        return f"of local parts that short there are fewer than 2^{LEAST_BITS}, so that a partner could try them all"
    return None if len(set(local)) >= 6 else "it repeats itself"


def _wordlike(token: str) -> str | None:
    """Why a token of letters and digits looks like words: random ones mix cases or digits, and change all the time."""
    letters = re.sub(r"[^A-Za-z]", "", token)
    digits = sum(character.isdigit() for character in token)
    is_mixed = letters != letters.lower() and letters != letters.upper()
    if not is_mixed:
        is_random = token.isalnum() and len(token) >= 20 and digits * 12 >= len(token)
        return None if is_random else "reads like words: random tokens of one case have 20 characters and more digits"
    kinds = [("A" if c.isupper() else "a" if c.islower() else "0") for c in token]
    changes = sum(a != b for a, b in pairwise(kinds))
    separators = len(token) - len(letters) - digits
    is_random = changes >= 0.35 * (len(token) - 1) and separators * 4 <= len(token)
    return None if is_random else "reads like words: random tokens change between cases and digits"


def _repetitive(token: str) -> str | None:
    """Why a token is refused whose characters say too little: 000...1, abab..., and what counts up."""
    entropy = -sum(n / len(token) * math.log2(n / len(token)) for n in Counter(token).values())
    steps = Counter(ord(b) - ord(a) for a, b in pairwise(token))
    is_regular = max(steps.values()) > len(token) // 2 or token in (token + token)[1:-1]
    return "it repeats itself or counts up" if entropy * len(token) < LEAST_BITS or is_regular else None


def _capacity_bits(text: str) -> float:
    """How many bits so many characters of these classes can hold at most."""
    size = 26 * any(c.isalpha() for c in text) + 10 * any(c.isdigit() for c in text)
    size += 3 * any(not c.isalnum() for c in text)
    return len(text) * math.log2(size)


def _uuid(value: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(value) if len(value) == 36 else None
    except ValueError:
        return None


def _swept(kind: str) -> str:
    """How soon all of them are tried."""
    bits = SWEPT_BITS[kind]
    seconds = 2.0 ** (bits - HASHES_A_SECOND_BITS)
    soon = "a second" if seconds <= 1 else f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    return (
        f"There are fewer than 2^{bits} of them: one graphics card undoes a plain hash of any of them within {soon}, "
        f"and a partner could try them all in private matching as well (2^{LEAST_BITS} is the least)."
    )


def _told(refused: list[tuple[int, str]], count: int) -> str:
    """What was refused, by reason, with the first positions, counted from 1."""
    by_reason: dict[str, list[int]] = {}
    for i, reason in refused:
        by_reason.setdefault(reason, []).append(i + 1)
    reasons = "; ".join(
        f"{reason} ({len(rows):,}: number {', '.join(map(str, rows[:_TOLD]))}{', ...' if len(rows) > _TOLD else ''})"
        for reason, rows in by_reason.items()
    )
    return f"{len(refused):,} of {count:,} identifiers are refused: {reasons}. Leave them out and try again."
