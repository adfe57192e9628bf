"""Gathering: what a unit is, and the segment its traffic lies in."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from stillwatch.campaigns.gather import Tables, ordinary_usage
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import TEMPLATED_SCHEMA
from stillwatch.records import ACCOUNTS, EMBEDDING_SIZE, REPLAYS, arrow_schema


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(tmp_path_factory.mktemp("engine"), memory_limit="200MB", threads=2) as engine:
        yield engine


def tables(engine: EmbeddedEngine, exchanges: list[dict[str, Any]], accounts: list[dict[str, Any]]) -> Tables:
    """Stage tables with nobody in a cluster but the account `member`."""
    rows = [{"exchange_id": i, "item_id": i, "intents": 1, **row} for i, row in enumerate(exchanges)]
    empty = pa.table({})
    return Tables(
        templated=engine.memory(pa.Table.from_pylist(rows, TEMPLATED_SCHEMA)),
        activity=engine.memory(pa.table({"account_id": pa.array([], pa.string())})),
        accounts=pa.Table.from_pylist(accounts, arrow_schema(ACCOUNTS)),
        members=pa.table({"account_id": ["member"], "cluster_id": [0]}),
        evidence=empty,
        cohesion=empty,
        replays=engine.memory(arrow_schema(REPLAYS).empty_table()),
    )


def test_a_unit_is_an_organisation_or_a_lone_account_outside_every_cluster(engine: EmbeddedEngine) -> None:
    exchanges = [{"account_id": name, "model": "m"} for name in ("a", "a", "b", "c", "member")]
    accounts = [{"account_id": "a", "organization_id": "o"}, {"account_id": "b", "organization_id": "o"}]
    found = ordinary_usage(tables(engine, exchanges, accounts), engine)
    assert sorted(unit.exchanges for unit in found) == [1, 3]


def test_the_segment_is_the_commonest_of_each_part_and_of_equals_the_first_by_name(engine: EmbeddedEngine) -> None:
    exchanges = [
        {"account_id": "a", "model": "small", "script": "latin"},
        {"account_id": "a", "model": "large", "script": "latin"},
        {"account_id": "a", "model": "large", "script": "han"},
        {"account_id": "b", "model": "y"},
        {"account_id": "b", "model": "x"},
    ]
    found = ordinary_usage(tables(engine, exchanges, [{"account_id": "a", "access_program": "paid"}]), engine)
    assert [unit.segment for unit in found] == [("large", "paid", "latin"), ("x", None, None)]


def test_embeddings_are_summed_per_unit(engine: EmbeddedEngine) -> None:
    vectors = [[n] * EMBEDDING_SIZE for n in (3, -1)]
    exchanges = [{"account_id": "a", "model": "m", "embedding": vector} for vector in (*vectors, None)]
    (found,) = ordinary_usage(tables(engine, exchanges, []), engine)
    assert found.embeddings.exchanges == 2
    assert found.embeddings.sums == (2,) * EMBEDDING_SIZE
