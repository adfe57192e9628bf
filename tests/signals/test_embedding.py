"""The embedding: near for near texts, of constant length, adding up."""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

SignalOf = Callable[..., dict[str, Any]]
MakeBatch = Callable[..., pa.RecordBatch]
Vector = np.ndarray[Any, np.dtype[np.float64]]

FIRST = "prove that the sum of two even integers is even and explain every step of the proof"
NEAR = "prove that the sum of two odd integers is even and explain every step of the proof"
FAR = "book me a table for four at an italian restaurant near the harbour tonight please"


def cosine(first: Vector, second: Vector) -> float:
    return np.dot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second))


def vector(signal_of: SignalOf, prompt: str) -> Vector:
    return np.array(signal_of(prompt)["embedding"], float)


def test_it_fires_near_for_prompts_that_share_most_words(signal_of: SignalOf) -> None:
    assert cosine(vector(signal_of, FIRST), vector(signal_of, NEAR)) > 0.7


def test_a_look_alike_in_length_only_is_far(signal_of: SignalOf) -> None:
    assert cosine(vector(signal_of, FIRST), vector(signal_of, FAR)) < 0.5


@pytest.mark.parametrize("prompt", ["a", FIRST, "考" * 500, "go " * 900, "x1 y2 z3"])
def test_its_length_is_127_up_to_rounding(prompt: str, signal_of: SignalOf) -> None:
    found = signal_of(prompt)["embedding"]
    assert max(map(abs, found)) <= 127
    assert math.isclose(np.linalg.norm(found), 127, abs_tol=math.sqrt(32) / 2)


def test_two_kinds_of_prompts_have_different_means_and_one_kind_does_not(make_batch: MakeBatch) -> None:
    from stillwatch.signals import signals

    generator = random.Random(3)
    kinds = {"proof": FIRST.split(), "table": FAR.split()}
    prompts = [" ".join(generator.sample(kinds[kind], 9)) for kind in ("proof", "proof", "table") for _ in range(400)]
    vectors = np.array(signals(make_batch([{"prompt": prompt} for prompt in prompts]))["embedding"].to_pylist(), float)
    means = vectors.reshape(3, 400, -1).mean(axis=1)
    same, other = np.linalg.norm(means[0] - means[1]), np.linalg.norm(means[0] - means[2])
    assert other > 4 * same
