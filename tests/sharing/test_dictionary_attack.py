"""What somebody learns who holds an exported bundle, a list of every likely prompt and all of our code.

Without the group's key: nothing. With it: which of the prompts were used. Both are said in docs/sharing-groups.md.
"""

import copy
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.sharing.outgoing import FRIEND, GROUP, KEY_ID, Campaigns, let_go, would

from stillwatch.sharing import GroupKey
from stillwatch.sharing.keyed import keyed, keyed_name
from stillwatch.sharing.objects import EXTENSION_ID
from stillwatch.signals import sketch

CANDIDATES, USED, HOLDERS = 600, 60, 9
KINDS = ("wording", "item", "template")
_VERBS = ("Explain", "Derive", "Summarise", "Refactor", "Translate", "Grade")
_NOUNS = ("proof", "contract", "function", "poem", "ledger", "trace", "molecule", "treaty", "circuit", "essay")
_ENDINGS = (
    "and show every step of your reasoning before the answer",
    "then list the assumptions you made and rank them by weight",
    "as a teacher would for a student who is stuck on the second line",
    "in numbered points, each with one worked example and its check",
    "so that a careful reader could repeat each step without asking",
    "with the shortest argument first and the longest one at the very end",
    "but first restate the task in your own words, twice, and compare both",
    "while you keep track of what is still unknown after each paragraph",
    "for somebody who has never heard of it and has an hour to learn it",
    "and finish with three questions that would test whether it was read",
)


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    """The attacker's list: every prompt that could have been sent, those that were among them."""
    made = [f"{verb} the {noun} {ending}" for verb in _VERBS for noun in _NOUNS for ending in _ENDINGS]
    assert len(set(made)) == CANDIDATES
    return list(np.random.default_rng(7).permutation(made))


@pytest.fixture(scope="module")
def numbers(prompts: list[str]) -> list[dict[str, set[int]]]:
    """Per candidate, the fingerprints that our public code makes of it."""
    found = []
    for prompt in prompts:
        told = sketch.reference({"prompt": prompt})
        wordings = {int(number) for number in told["sketch"] if number}  # type: ignore[attr-defined]
        found.append({"wording": wordings, "template": wordings, "item": {int(told["text_id"])}})  # type: ignore[call-overload]
    return found


@pytest.fixture
def exported(campaigns: Campaigns, numbers: list[dict[str, set[int]]]) -> str:
    """The bytes of a bundle about a campaign that sent the first prompts of the list, for a member of the group."""
    one = {**copy.deepcopy(campaigns[0]), "evidence": []}
    for name, kind in (("wordings", "wording"), ("items", "item")):
        used = set().union(*(candidate[kind] for candidate in numbers[:USED]))
        one["sketch"][name] = [{"value": str(number), "account_count": HOLDERS} for number in sorted(used)]
    return let_go(would([one], FRIEND)).text


def told(text: str) -> dict[str, set[str]]:
    """The values of content in a bundle, by kind."""
    measures = [one.get("extensions", {}).get(EXTENSION_ID, {}) for one in json.loads(text)["objects"]]
    return {row["kind"]: {value["value"] for value in row["values"]} for row in measures if row.get("kind") in KINDS}


def guessed(candidate: dict[str, set[int]], key: GroupKey) -> dict[str, set[str]]:
    """What the fingerprints of a candidate are under a key."""
    return {
        kind: {keyed_name(int(value)) for value in keyed(np.array(sorted(found), np.int64), kind, key)}
        for kind, found in candidate.items()
    }


def public_keys(text: str) -> Iterator[GroupKey]:
    """Every key that can be made of what is public: constants, and all that the bundle says."""
    words = {"", GROUP.group_id, KEY_ID, *(one["id"] for one in json.loads(text)["objects"])}
    for word in sorted(words):
        for epoch in (0, 1):
            yield GroupKey(GROUP.group_id, epoch, hashlib.sha256(word.encode()).digest())
    for secret in (bytes(32), b"\xff" * 32, GROUP.group_id.encode().ljust(32, b"\0")):
        yield GroupKey(GROUP.group_id, GROUP.epoch, secret)


def matches(exported_values: dict[str, set[str]], guess: dict[str, set[str]]) -> int:
    return sum(len(exported_values.get(kind, set()) & values) for kind, values in guess.items())


def test_the_bundle_holds_what_there_is_to_guess(exported: str) -> None:
    values = told(exported)
    assert len(values["wording"]) > 40
    assert len(values["item"]) > USED * 0.95  # one value in 2,000 has no letter, and stays


def test_without_the_key_no_candidate_can_be_told_from_another(
    exported: str, numbers: list[dict[str, set[int]]]
) -> None:
    values = told(exported)
    everything = set().union(*values.values())
    bare = [{keyed_name(n & (2**64 - 1)) for found in one.values() for n in found} for one in numbers]
    shifted = [{keyed_name((n + (1 << 63)) & (2**64 - 1)) for found in one.values() for n in found} for one in numbers]
    hashed = [{hashlib.sha256(str(n).encode()).hexdigest()[:16] for f in one.values() for n in f} for one in numbers]
    for names in (bare, shifted, hashed):
        assert sum(len(everything & one) for one in names) == 0
        assert not any(name in exported for one in names for name in one)
    keys = list(public_keys(exported))
    assert len(keys) > 50
    together = {kind: set().union(*(one[kind] for one in numbers)) for kind in KINDS}
    assert [key for key in keys if matches(values, guessed(together, key))] == []


@pytest.mark.parametrize("kind", ["wording", "item"])
def test_nor_do_bits_of_the_values_lean_towards_the_prompts_that_were_used(
    kind: str, exported: str, numbers: list[dict[str, set[int]]]
) -> None:
    """The nearest value to each candidate, by differing bits, ranks used and unused ones no better than chance."""
    values = np.array([int(value, 16) for value in sorted(told(exported)[kind])], np.uint64)

    def nearest(candidate: dict[str, set[int]]) -> float:
        own = np.array([n & (2**64 - 1) for n in candidate[kind]], np.uint64)
        return float(np.bitwise_count(own[:, None] ^ values[None, :]).min(axis=1).mean())

    near = np.array([nearest(candidate) for candidate in numbers])
    used, unused = near[:USED], near[USED:]
    wins = float((used[:, None] < unused[None, :]).mean() + 0.5 * (used[:, None] == unused[None, :]).mean())
    deviation = ((USED + (CANDIDATES - USED) + 1) / (12 * USED * (CANDIDATES - USED))) ** 0.5  # of the rank statistic
    assert abs(wins - 0.5) < 3.5 * deviation


def test_a_member_with_the_key_confirms_a_guess(exported: str, numbers: list[dict[str, set[int]]]) -> None:
    """For whoever can match can also try: the docs say so plainly."""
    items = told(exported)["item"]
    confirmed = [bool(items & guessed(candidate, GROUP)["item"]) for candidate in numbers]
    assert sum(confirmed[:USED]) >= USED - 1
    assert not any(confirmed[USED:])


def test_the_key_of_another_epoch_confirms_nothing(exported: str, numbers: list[dict[str, set[int]]]) -> None:
    other = GroupKey(GROUP.group_id, 2, hashlib.sha256(GROUP.secret).digest())
    together: dict[str, Any] = {kind: set().union(*(one[kind] for one in numbers)) for kind in KINDS}
    assert matches(told(exported), guessed(together, other)) == 0
    assert matches(told(exported), guessed(together, GROUP)) > USED
