"""Sketches: the smallest keyed values that enough accounts sent, alike on both sides, and silent without the key."""

import hashlib
import random
from typing import Any

import numpy as np
import pytest
from tests.sharing.planted import GROUP, everything, indicators

from stillwatch.sharing import GroupKey
from stillwatch.sharing.keyed import keyed, keyed_name
from stillwatch.sharing.objects import measures
from stillwatch.sharing.sketches import MOST_SKETCHED, sketches
from stillwatch.sharing.traits import LEAST_HOLDERS

NUMBERS = [int(n) for n in np.random.default_rng(5).integers(-(2**63), 2**63, 3_000, dtype=np.int64)]


def campaign(wordings: list[tuple[int, int]], items: list[tuple[int, int]] = ()) -> dict[str, Any]:  # type: ignore[assignment]
    rows = ([{"value": str(value), "account_count": n} for value, n in pairs] for pairs in (wordings, items))
    return {"sketch": dict(zip(("wordings", "items"), rows, strict=True))}


def test_a_sketch_is_the_smallest_keyed_values_in_order() -> None:
    [sketch] = sketches(campaign([(n, 9) for n in NUMBERS]), GROUP, least=5)
    expected = sorted(keyed_name(int(value)) for value in keyed(np.array(NUMBERS), "wording", GROUP))
    lettered = [value for value in expected if not value.isdecimal()]
    assert [value for value, _ in sketch.values] == lettered[:MOST_SKETCHED]
    assert sketch.sampled_from == len(NUMBERS)


def test_the_order_of_values_changes_nothing() -> None:
    pairs = [(n, 5 + n % 7) for n in NUMBERS[:400]]
    shuffled = pairs[:]
    random.Random(7).shuffle(shuffled)
    assert sketches(campaign(pairs), GROUP, least=5) == sketches(campaign(shuffled), GROUP, least=5)


def test_two_sides_that_hold_half_in_common_meet_in_about_half_of_their_samples() -> None:
    mine, theirs = NUMBERS[:2_000], NUMBERS[1_000:]
    [here], [there] = (sketches(campaign([(n, 9) for n in side]), GROUP, least=5) for side in (mine, theirs))
    met = {value for value, _ in here.values} & {value for value, _ in there.values}
    assert 0.35 < len(met) / MOST_SKETCHED < 0.65


@pytest.mark.parametrize("least", [5, 8])
def test_a_value_leaves_when_at_least_k_accounts_sent_it(least: int) -> None:
    found = sketches(campaign([(n, n) for n in range(1, 20)], [(n, 4) for n in range(9)]), GROUP, least=least)
    assert [sketch.kind for sketch in found] == ["wording"]
    assert sorted(count for _, count in found[0].values) == list(range(least, 20))


def test_wordings_and_items_with_the_same_number_share_no_value() -> None:
    wording, item = sketches(campaign([(n, 9) for n in NUMBERS], [(n, 9) for n in NUMBERS]), GROUP, least=5)
    assert not {value for value, _ in wording.values} & {value for value, _ in item.values}


def test_a_campaign_of_before_has_no_sketch() -> None:
    assert sketches({}, GROUP, least=5) == []


def test_the_indicator_of_a_sketch_says_whose_key_and_of_how_many(campaigns: list[dict[str, Any]]) -> None:
    wording = measures(indicators(everything(campaigns))["wording"])
    assert (wording["group_id"], wording["epoch"], wording["sampled_from"]) == (GROUP.group_id, GROUP.epoch, 4)
    assert {row["account_count"] for row in wording["values"]} == {58, 44, 9, 5}
    assert all(row["account_count"] >= LEAST_HOLDERS for row in wording["values"])


def test_a_list_of_every_likely_number_says_nothing_without_the_key(campaigns: list[dict[str, Any]]) -> None:
    """The whole list is known to the attacker, the true ones among it: what was sent is in none of his tables."""
    sent = {row["value"] for row in measures(indicators(everything(campaigns))["wording"])["values"]}
    true = [int(row["value"]) for row in campaigns[0]["sketch"]["wordings"]]
    candidates = np.array([*true, *NUMBERS])
    guesses = {keyed_name(number & (2**64 - 1)) for number in candidates.tolist()}
    for secret in (b"", b"\0" * 32, GROUP.group_id.encode(), hashlib.sha256(GROUP.group_id.encode()).digest()):
        for kind in ("wording", "item", ""):
            key = GroupKey(GROUP.group_id, GROUP.epoch, secret)
            guesses |= {keyed_name(int(value)) for value in keyed(candidates, kind, key)}
    assert not sent & guesses
    known = {keyed_name(int(value)) for value in keyed(candidates, "wording", GROUP)}
    assert sent <= known  # a member confirms a guess, and the docs say so
