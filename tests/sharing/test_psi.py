"""Private matching: the same as the plain intersection, blind on both sides, deaf to points that are none."""

import os
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_is_valid_point

from stillwatch.errors import SharingError
from stillwatch.sharing import psi

P = 2**255 - 19  # of the field of Ed25519
L = 2**252 + 27742317777372353535851937790883648493  # order of the large subgroup
D = -121665 * pow(121666, -1, P) % P
SESSION = "a" * 32


def secret(seed: int) -> bytes:
    return psi.secret_of(random.Random(seed).randbytes(32))


def matched(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """What the initiator learns, with every step of the protocol."""
    first, second = secret(1), secret(2)
    blinded = psi.blinded([psi.digest("email", one) for one in ours], secret=first, session_id=SESSION)
    answered = psi.blinded_again(blinded, secret=second)
    own = psi.blinded([psi.digest("email", one) for one in theirs], secret=second, session_id=SESSION)
    return [ours[i] for i in psi.shared_positions(answered, psi.blinded_again(own, secret=first))]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(*[st.lists(st.text(max_size=4), max_size=12)] * 2, st.lists(st.text(max_size=4), max_size=6))
def test_what_is_learned_is_the_plain_intersection(ours: list[str], theirs: list[str], both: list[str]) -> None:
    ours, theirs = [*ours, *both], [*both, *theirs]
    assert matched(ours, theirs) == [one for one in ours if one in set(theirs)]


def test_nothing_is_shared_with_an_empty_side() -> None:
    assert matched([], ["a"]) == matched(["a"], []) == matched([], []) == []


def test_filling_up_changes_nothing_that_is_learned() -> None:
    ours = psi.filled([psi.digest("email", one) for one in "abc"], random.Random(1))
    theirs = psi.filled([psi.digest("email", one) for one in "bcd"], random.Random(2))
    assert len(ours) == len(theirs) == psi.LEAST_BUCKET
    first, second = secret(1), secret(2)
    answered = psi.blinded_again(psi.blinded(ours, secret=first, session_id=SESSION), secret=second)
    own = psi.blinded_again(psi.blinded(theirs, secret=second, session_id=SESSION), secret=first)
    assert psi.shared_positions(answered, own) == [1, 2]


def test_kinds_and_sessions_never_meet() -> None:
    assert psi.digest("email", "x") != psi.digest("device", "x")
    one = psi.digest("email", "x")
    assert psi.hashed_point(one, "a" * 32) != psi.hashed_point(one, "b" * 32)


def test_threads_change_nothing() -> None:
    digests = [psi.digest("email", str(i)) for i in range(50)]
    alone = psi.blinded(digests, secret=secret(1), session_id=SESSION)
    assert psi.blinded(digests, secret=secret(1), session_id=SESSION, threads=3) == alone


def test_hashed_points_are_of_the_large_subgroup() -> None:
    points = [psi.hashed_point(psi.digest("email", str(i)), SESSION) for i in range(50)]
    assert all(crypto_core_ed25519_is_valid_point(point) for point in points)
    assert len(set(points)) == len(points)


def test_a_secret_is_a_multiple_of_the_cofactor_and_no_two_are_the_same() -> None:
    numbers = [int.from_bytes(psi.secret_of(os.urandom(32)), "little") for _ in range(50)]
    assert all(number % psi.COFACTOR == 0 and 0 < number < 2**255 for number in numbers)
    assert len({number % L for number in numbers}) == len(numbers)


def test_multiplying_agrees_with_the_curve_computed_by_hand() -> None:
    point, number = psi.hashed_point(psi.digest("email", "x"), SESSION), secret(3)
    told = psi.blinded_again([point], secret=number)[0]
    assert told == encoded(times(int.from_bytes(number, "little"), decoded(point)))


# Bytes that must not be taken for points: each would leak a few bits of the secret, or nothing at all would match.
NEUTRAL, ORDER_TWO = (0, 1), (0, P - 1)
ORDER_FOUR = (pow(2, (P - 1) // 4, P), 0)


def decoded(point: bytes) -> tuple[int, int]:
    number = int.from_bytes(point, "little")
    y, sign = number % 2**255, number >> 255
    squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(squared, (P + 3) // 8, P)
    x = x if x * x % P == squared else x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == squared
    return (x if x % 2 == sign else P - x), y


def encoded(point: tuple[int, int]) -> bytes:
    return (point[1] | (point[0] % 2) << 255).to_bytes(32, "little")


def added(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    product = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, P)
    return x % P, (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P


def times(number: int, point: tuple[int, int]) -> tuple[int, int]:
    found = NEUTRAL
    while number:
        found = added(found, point) if number & 1 else found
        point, number = added(point, point), number >> 1
    return found


def off_the_curve() -> bytes:
    """A y for which there is no x."""
    for y in range(2, 100):
        squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
        if pow(squared, (P - 1) // 2, P) == P - 1:
            return y.to_bytes(32, "little")
    raise AssertionError


GOOD = psi.hashed_point(psi.digest("email", "good"), SESSION)
BAD = {
    "identity": encoded(NEUTRAL),
    "identity with the other sign": bytes([1, *[0] * 30, 128]),
    "of order two": encoded(ORDER_TWO),
    "of order four": encoded(ORDER_FOUR),
    "of the whole curve, with a part of order two": encoded(added(decoded(GOOD), ORDER_TWO)),
    "of the whole curve, with a part of order four": encoded(added(decoded(GOOD), ORDER_FOUR)),
    "zero": bytes(32),
    "all ones": b"\xff" * 32,
    "not reduced": (P + 1).to_bytes(32, "little"),
    "off the curve": off_the_curve(),
    "too short": GOOD[:31],
    "too long": GOOD + b"\0",
    "empty": b"",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_point_of_the_group_is_refused(name: str) -> None:
    with pytest.raises(SharingError, match="not of the group"):
        psi.blinded_again([GOOD, BAD[name]], secret=secret(1))


def test_a_part_outside_the_subgroup_would_vanish_even_if_it_came_through() -> None:
    number = int.from_bytes(secret(1), "little")
    mixed = added(decoded(GOOD), ORDER_FOUR)
    assert times(number, mixed) == times(number, decoded(GOOD))


def test_points_that_are_cut_off_are_refused() -> None:
    assert psi.points_in(GOOD * 3) == [GOOD] * 3
    with pytest.raises(SharingError, match="whole number of points"):
        psi.points_in(GOOD * 3 + b"x")


@pytest.mark.parametrize(
    ("count", "size"), [(0, 100), (100, 100), (101, 200), (201, 500), (1000, 1000), (9_999, 10_000), (100_000, 100_000)]
)
def test_sizes_are_rounded_up_to_buckets(count: int, size: int) -> None:
    assert psi.bucket(count) == size
    assert psi.bucket(size) == size


def test_two_blindings_of_the_same_set_have_no_point_in_common() -> None:
    digests = [psi.digest("email", str(i)) for i in range(20)]
    runs = [set(psi.blinded(digests, secret=secret(seed), session_id=SESSION)) for seed in (1, 2)]
    assert not runs[0] & runs[1]
    assert not runs[0] & {psi.hashed_point(one, SESSION) for one in digests}
