"""Summed embeddings are integers: accounts merged equal one pass, in any order, and both equal sums made by numpy."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillwatch.campaigns.embeddings import Embeddings
from stillwatch.campaigns.usage import usage_by
from stillwatch.engines.base import IbisTable
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import TEMPLATED_SCHEMA
from stillwatch.records import EMBEDDING_SIZE

LAW = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ROWS = st.lists(
    st.tuples(st.sampled_from(("a", "b", "c")), st.none() | st.integers(0, 2**32 - 1)), min_size=1, max_size=30
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(tmp_path_factory.mktemp("engine"), memory_limit="200MB", threads=2) as engine:
        yield engine


def vector(seed: int | None) -> list[int] | None:
    """An embedding, or none."""
    return None if seed is None else np.random.default_rng(seed).integers(-127, 128, EMBEDDING_SIZE).tolist()


def templated(engine: EmbeddedEngine, rows: list[tuple[str, int | None]]) -> IbisTable:
    """Exchanges with nothing but an account, an item and an embedding."""
    known = [
        {"exchange_id": i, "account_id": account, "item_id": i, "embedding": vector(seed), "model": "all"}
        for i, (account, seed) in enumerate(rows)
    ]
    return engine.memory(pa.Table.from_pylist(known, TEMPLATED_SCHEMA))


def expected(rows: list[tuple[str, int | None]]) -> Embeddings:
    """The oracle: numpy over all vectors at once."""
    vectors = np.array([vector(seed) for _, seed in rows if seed is not None], dtype=np.int64)
    vectors = vectors.reshape(-1, EMBEDDING_SIZE)
    return Embeddings(len(vectors), tuple(vectors.sum(axis=0).tolist()))


@LAW
@given(rows=ROWS)
def test_accounts_merged_equal_one_pass_and_the_oracle(
    engine: EmbeddedEngine, rows: list[tuple[str, int | None]]
) -> None:
    one_pass = usage_by(templated(engine, rows), "model")["all"].embeddings
    merged = Embeddings()
    for usage in usage_by(templated(engine, rows[::-1]), "account_id").values():
        merged += usage.embeddings
    assert one_pass == merged == expected(rows)


@LAW
@given(rows=ROWS)
def test_nothing_added_changes_nothing(rows: list[tuple[str, int | None]]) -> None:
    assert expected(rows) + Embeddings() == Embeddings() + expected(rows) == expected(rows)
