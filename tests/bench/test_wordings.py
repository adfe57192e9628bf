"""Signs of one author: each reads high for what it is about, and the table is made end to end."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from bench.wordings.__main__ import compared, found_before_first, made, mean, printed, weighed
from bench.wordings.signs import Prompts, likelihood, of_prompts, of_traffic, prompts

FIXED, REWORDS, COPIES = 0, 1, 2  # accounts


def planted() -> Prompts:
    """Three accounts with their peers: one says the same each time, one other words, one sends what others sent."""
    rng = np.random.default_rng(0)
    account, sketch, words = [], [], []
    for one, _ in product(range(12), range(20)):
        kind = one % 3
        wording = rng.integers(1, 25, 8) + 100 * np.arange(8)
        fixed = np.arange(1000, 1008) + 10 * kind
        item = rng.integers(10**6, 10**9, 8)
        copied = 10**4 + 100 * rng.integers(0, 30) + np.arange(8)
        head = {FIXED: fixed, REWORDS: wording, COPIES: copied}[kind]
        account.append(one)
        sketch.append(np.concatenate([head, item]))
        words.append(np.arange(1, 9) + 10 * (one if kind == REWORDS else rng.integers(20, 900)))
    vectors = rng.normal(size=(len(account), 4))
    return Prompts(
        [f"a{k:02}" for k in range(12)],
        np.array([f"s{k % 3}" for k in range(12)], object),
        np.array(account),
        np.array(sketch),
        np.array(words),
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        np.zeros(len(account), np.int64),
    )


def test_each_sign_reads_high_where_it_belongs() -> None:
    signs = of_prompts(planted())
    other, runs = signs["other wordings on each call"], signs["no other account sends a run of its words"]
    assert other[REWORDS] > other[FIXED] + 0.2
    assert runs[REWORDS] > runs[COPIES] + 0.5
    words = signs["the same words all the same"]
    assert words[REWORDS] > words[COPIES] + 5
    alike = signs["peers draw from the same wordings"]
    assert alike[REWORDS] == pytest.approx(1.0, abs=0.2)


def test_other_wordings_are_counted_over_all_pairs_of_texts() -> None:
    read = planted()
    own = [set(row) for row in read.sketch[read.account == COPIES].tolist()]
    pairs = list(permutations(own, 2))
    again = sum(len(one & other) for one, other in pairs) / sum(len(one) for one, _ in pairs)
    assert of_prompts(read)["other wordings on each call"][COPIES] == pytest.approx(-again)


def test_an_account_with_a_topic_of_its_own_is_nearer_to_itself_than_to_its_peers() -> None:
    read = planted()
    topic = of_prompts(read)["no topic of its own"]
    assert np.abs(topic).max() < 0.2
    read.embedding[read.account == REWORDS] = [1.0, 0.0, 0.0, 0.0]
    assert of_prompts(read)["no topic of its own"][REWORDS] < -0.5


def test_the_likelihood_is_that_of_all_pairs() -> None:
    hostile, innocent = np.array([0.1, 0.5, 0.9]), np.array([0.5, 0.2])
    pairs = [(a > b) + 0.5 * (a == b) for a, b in product(hostile, innocent)]
    assert likelihood(hostile, innocent) == pytest.approx(np.mean(pairs))


def test_signs_are_weighed_by_those_that_are_known() -> None:
    rng = np.random.default_rng(1)
    hostile = np.arange(200) < 100
    signs = {"tells": hostile + 0.1 * rng.normal(size=200), "says nothing": rng.normal(size=200)}
    odds = weighed(signs, hostile, np.arange(200) % 2 == 0)
    assert likelihood(odds[hostile], odds[~hostile]) > 0.99


def test_the_table_is_made_of_a_small_world(tmp_path: Path) -> None:
    made(tmp_path, seed=1, scale=0.006, prompts=None, timing=None)
    read = prompts(tmp_path)
    signs = {**of_prompts(read), **of_traffic(tmp_path, read.names)}
    table = compared(read, signs)
    assert {"demonstrated", "rewording_tool"} <= set(table["few calls a day"])
    assert all(0 <= value <= 1 for row in table.values() for value in row.values())
    assert printed(mean([table, table])) == printed(table)
    assert 0 <= found_before_first(read, signs) <= 1
    assert printed(table).count("\n") == 2 + len(table["few calls a day"])
