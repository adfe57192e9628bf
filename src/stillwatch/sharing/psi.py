"""Private matching: two sides learn which identifiers both hold, and nothing of those that only one of them holds.

Each side multiplies points by a secret of its own, and multiplying commutes: an identifier that both hold ends as the
same point, whoever began. A point seen without the secret looks random.

     initiator                                        responder
     digests, secret a                                digests, secret b
     a·H(x) for each of its own, in order   ----->
                                            <-----    b·(a·H(x)), in that order
                                            <-----    b·H(y) for each of its own, in random order
     a·(b·H(y)); x is in both where b·(a·H(x)) is among these

Why:    a list of hashed identifiers can be tried against every guess by whoever holds it, for ever. Here each guess
        needs the other side to multiply once more, and the other side counts.
Misses: whoever departs from the protocol. The responder can give points that match nothing; the initiator can put in
        guesses, as many as the other side allows. H(x) is one way, not secret: it must never leave unblinded.
Source: Meadows, IEEE Symposium on Security and Privacy 1986, 134-137; Huberman, Franklin & Hogg, "Enhancing privacy and
        trust in electronic communities", ACM EC 1999, 78-86. H follows RFC 9380 (2023), section 3: two maps, added.
"""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TypeVar

from nacl import exceptions
from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_from_uniform,
    crypto_scalarmult_ed25519_noclamp,
)

from stillwatch.errors import SharingError

POINT_BYTES = 32  # of Ed25519, in its usual encoding
DIGEST_BYTES = 32
SECRET_BYTES = 32
COFACTOR = 8
_SCALAR_BITS = 252  # the group's order is a little above 2^252: a random number below that is as good as uniform
_PERSON = b"stillwatch psi 1"
_STEPS = (1, 2, 5)
LEAST_BUCKET = 100

Given = TypeVar("Given")
Found = TypeVar("Found")


def digest(kind: str, identifier: str) -> bytes:
    """What stands for an identifier of that kind from here on; whoever holds it can test guesses."""
    return blake2b(f"{kind}\0{identifier}".encode(), digest_size=DIGEST_BYTES, person=_PERSON).digest()


def secret_of(entropy: bytes) -> bytes:
    """A secret number from 32 random bytes.

    It is a multiple of the cofactor, so that it maps what is outside the large subgroup to nothing.
    """
    number = int.from_bytes(entropy[:SECRET_BYTES], "little") % (1 << _SCALAR_BITS)
    return (COFACTOR * number).to_bytes(SECRET_BYTES, "little")


def hashed_point(digest: bytes, session_id: str) -> bytes:
    """H(x): the point of a digest in one session. Other sessions have other points."""
    wide = blake2b(digest, digest_size=2 * POINT_BYTES, key=session_id.encode()[:64], person=_PERSON).digest()
    halves = (crypto_core_ed25519_from_uniform(wide[i : i + POINT_BYTES]) for i in (0, POINT_BYTES))
    return crypto_core_ed25519_add(*halves)


def blinded(digests: Sequence[bytes], *, secret: bytes, session_id: str, threads: int = 1) -> list[bytes]:
    """The points of the digests, times the secret."""
    return _each(lambda one: _times(secret, hashed_point(one, session_id)), digests, threads)


def blinded_again(points: Sequence[bytes], *, secret: bytes, threads: int = 1) -> list[bytes]:
    """The other side's points, times the secret.

    Raises:
        SharingError: one is no point of the large subgroup, or the one that has no secret in it: the identity.
    """
    return _each(lambda one: _times(secret, one), points, threads)


def points_in(held: bytes) -> list[bytes]:
    """The points that were written one after the other.

    Raises:
        SharingError: the last one is cut off.
    """
    if len(held) % POINT_BYTES:
        raise SharingError(f"{len(held)} bytes are no whole number of points of {POINT_BYTES} bytes. Send them whole.")
    return [held[i : i + POINT_BYTES] for i in range(0, len(held), POINT_BYTES)]


def bucket(count: int) -> int:
    """To how many a set of that size is filled up: 100, 200, 500, 1000, and so on.

    An exact size tells how many accounts were caught, and two sizes how many since yesterday.
    """
    size = LEAST_BUCKET
    while True:
        for step in _STEPS:
            if count <= step * size:
                return step * size
        size *= 10


def filled(digests: Sequence[bytes], draw: random.Random) -> list[bytes]:
    """The digests, filled up with random ones that stand for nothing; `draw` must be one nobody can foresee."""
    return [*digests, *(draw.randbytes(DIGEST_BYTES) for _ in range(bucket(len(digests)) - len(digests)))]


def shared_positions(answered: Sequence[bytes], others: Sequence[bytes]) -> list[int]:
    """Where among the initiator's points, both secrets in them, those stand that the responder has as well."""
    among = frozenset(others)
    return [i for i, point in enumerate(answered) if point in among]


def _times(secret: bytes, point: bytes) -> bytes:
    """The point times the secret. libsodium decodes, looks for the curve, small order and subgroup, then multiplies."""
    try:
        return crypto_scalarmult_ed25519_noclamp(secret, point)
    except exceptions.CryptoError as error:
        raise SharingError("a point is not of the group that both sides use. Nothing was computed with it.") from error


def _each(function: Callable[[Given], Found], items: Sequence[Given], threads: int) -> list[Found]:
    """The function of each item, in order; libsodium lets other threads run while it computes."""
    if threads < 2 or len(items) < threads:
        return [function(item) for item in items]
    size = -(-len(items) // threads)
    parts = [items[i : i + size] for i in range(0, len(items), size)]
    with ThreadPoolExecutor(threads) as pool:
        return [found for part in pool.map(lambda part: [function(item) for item in part], parts) for found in part]
