"""Sizes tell repetition from what merely has a narrow range of lengths."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from stillwatch.campaigns.sizes import Sizes, counted, sizes_by
from stillwatch.engines.embedded import EmbeddedEngine


def sizes(tokens: list[int], model: str = "m") -> Sizes:
    return counted(Counter((model, one) for one in tokens))


def test_pairs_are_those_that_comparing_all_of_them_finds() -> None:
    rng = np.random.default_rng(0)
    sent = [(str(m), int(t)) for m, t in zip(rng.integers(2, size=80), rng.integers(9, 25, size=80), strict=True)]
    pairs = [(a, b) for i, a in enumerate(sent) for k, b in enumerate(sent) if i != k and a[0] == b[0]]
    same, after = sum(a == b for a, b in pairs), sum(b[1] == a[1] + 1 for a, b in pairs)
    assert counted(Counter(sent)) == Sizes(80, same, after)


def test_few_requests_sent_over_and_over_come_again_in_the_same_size() -> None:
    rng = np.random.default_rng(1)
    found = sizes(rng.choice(rng.integers(40, 400, size=30), size=1000).tolist())
    assert found.again > 20
    assert found.beyond_chance > 0.7


@pytest.mark.parametrize("width", [20, 200, 2000])
def test_new_requests_of_however_narrow_a_range_of_sizes_do_not(width: int) -> None:
    found = sizes(np.random.default_rng(width).integers(100, 100 + width, size=5000).tolist())
    assert found.beyond_chance < 0.2


def test_nothing_sent_is_no_repetition() -> None:
    assert (Sizes().again, Sizes().beyond_chance, sizes([7]).again) == (0.0, 0.0, 0.0)


def test_sizes_are_pooled_over_the_accounts_of_a_cluster(engine: EmbeddedEngine) -> None:
    rows = [("a", "m", 10), ("b", "m", 10), ("b", "m", 11), ("a", "n", 10), ("c", "m", 10), ("a", "m", None)]
    names = ("account_id", "model", "input_tokens")
    content = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    members = pa.table({"account_id": ["a", "b"], "cluster_id": pa.array([4, 4], pa.int64())})
    assert sizes_by(engine.memory(content), engine.memory(members)) == {4: Sizes(exchanges=4, same=2, next=2)}
