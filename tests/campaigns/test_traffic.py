"""Traffic: where no prompt was logged, the activity says of everybody what the exchanges say."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from tests.campaigns.logs import STARTS_AT

from stillwatch import rollups
from stillwatch.campaigns.attempts import attempt_days, attempts_by
from stillwatch.campaigns.gather import days_by, usage_by
from stillwatch.campaigns.traffic import traffic
from stillwatch.engines.base import IbisTable
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import TEMPLATED_SCHEMA

LOGGED = frozenset({"account_id", "started_at", "model", "output_tokens"})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(tmp_path_factory.mktemp("engine"), memory_limit="200MB", threads=2) as engine:
        yield engine


@pytest.fixture
def exchanges(engine: EmbeddedEngine) -> IbisTable:
    """Three accounts, two models, several a minute and over days; no prompts."""
    rows: list[dict[str, Any]] = [
        {
            "exchange_id": number,
            "account_id": f"a{number % 3}",
            "started_at": STARTS_AT + timedelta(minutes=17 * number),
            "model": "large" if number % 5 else "small",
            "output_tokens": number if number % 4 else None,
            "reasoning_tokens": 2,
            "finish_reason": "refusal" if number % 7 == 0 else "stop",
        }
        for number in range(400)
    ]
    table = engine.memory(pa.Table.from_pylist(rows, TEMPLATED_SCHEMA))
    return table.mutate(input_tokens=table.output_tokens)


def test_usage_days_and_attempts_of_the_activity_are_those_of_the_exchanges(exchanges: IbisTable) -> None:
    short = traffic(exchanges, rollups.activity(exchanges), LOGGED)
    assert short.count().to_pyarrow().as_py() < exchanges.count().to_pyarrow().as_py()
    assert usage_by(short, "account_id") == usage_by(exchanges, "account_id")
    assert attempts_by(short, "account_id") == attempts_by(exchanges, "account_id")
    assert attempt_days(short, "account_id") == attempt_days(exchanges, "account_id") == {}
    (names, days), (others, expected) = days_by(short, "account_id"), days_by(exchanges, "account_id")
    assert names == others
    for one, other in ((days.unit, expected.unit), (days.day, expected.day), (days.exchanges, expected.exchanges)):
        assert one.tolist() == other.tolist()
    assert days.intents.tolist() == expected.intents.tolist()


@pytest.mark.parametrize("columns", [frozenset(), LOGGED | {"text_id"}, LOGGED | {"intents"}])
def test_exchanges_with_prompts_or_of_which_nothing_is_known_are_read_one_by_one(
    exchanges: IbisTable, columns: frozenset[str]
) -> None:
    assert traffic(exchanges, rollups.activity(exchanges), columns) is exchanges
