"""Foreign artefacts, found by hashes: the same as plain sets and the comparison of texts find."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from stillwatch import rollups
from stillwatch.engines.base import IbisTable
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import EXCHANGES, arrow_schema
from stillwatch.rollups import foreign

Row = dict[str, Any]
Table = Callable[[list[Row]], IbisTable]
STARTS_AT = datetime(2026, 7, 1, tzinfo=UTC)
ARTEFACTS = [f"{random.Random(number).getrandbits(128):032x}" for number in range(40)]


@pytest.fixture
def handed() -> list[Row]:
    """Exchanges of five accounts that are issued artefacts and send back their own, others', and one twice."""
    rng = random.Random(4)
    rows: list[Row] = []
    for number in range(150):
        issued, replayed = (rng.choices(ARTEFACTS, k=rng.choice([0, 0, 1, 2, 3])) for _ in range(2))
        rows.append(
            {
                "exchange_id": f"e{number}",
                "started_at": STARTS_AT + timedelta(minutes=number),
                "account_id": f"a{rng.randrange(5)}",
                "organization_id": rng.choice([None, "o", "p"]),
                "model": "large",
                "reasoning_issued": issued or None,
                "reasoning_replayed": replayed or None,
            }
        )
    return rows


def seen(rows: list[Row], size: int = 40) -> foreign.SeenArtefacts:
    """What is known of the rows once they have passed by in batches, each a slice of one."""
    told = pa.Table.from_pylist(rows, arrow_schema(EXCHANGES))
    keys = pa.array([int(row["exchange_id"][1:]) for row in rows], pa.int64())
    whole = told.append_column("exchange_key", keys).combine_chunks().to_batches()[0]
    found = foreign.SeenArtefacts()
    for start in range(0, len(rows), size):
        found.add(whole.slice(start, size))
    return found


def of_others(rows: list[Row]) -> set[str]:
    """Artefacts that an account sent back without having been issued them, by sets."""
    issued = {(a, row["account_id"]) for row in rows for a in row["reasoning_issued"] or []}
    replayed = {(a, row["account_id"]) for row in rows for a in row["reasoning_replayed"] or []}
    return {artefact for artefact, _ in replayed - issued}


def test_artefacts_found_by_hashes_are_those_that_sets_find(handed: list[Row]) -> None:
    expected = of_others(handed)
    assert 0 < len(expected) < len(ARTEFACTS)
    found = seen(handed).foreign()
    assert found is not None
    prefixes = rollups.prefixes(found.artefacts)["prefix"].to_pylist()
    assert prefixes == sorted(artefact[: foreign.NUMBER_CHARS] for artefact in expected)
    held = ((row["exchange_id"], row["reasoning_issued"], row["reasoning_replayed"]) for row in handed)
    holding = [name for name, *lists in held if any(expected.intersection(artefacts or []) for artefacts in lists)]
    assert found.exchanges.tolist() == sorted(int(name[1:]) for name in holding)
    assert 0 < len(holding) < len(handed)


def test_the_order_of_batches_changes_nothing(handed: list[Row]) -> None:
    one, other = seen(handed).foreign(), seen(handed[::-1], size=7).foreign()
    assert one is not None
    assert other is not None
    assert one.artefacts.tolist() == other.artefacts.tolist()
    assert one.exchanges.tolist() == other.exchanges.tolist()


def test_what_is_looked_up_by_its_first_digits_is_what_all_texts_compared_give(
    engine: EmbeddedEngine, signals: Table, handed: list[Row]
) -> None:
    known = seen(handed).foreign()
    assert known is not None
    given = signals(handed)
    numbered = given.mutate(exchange_key=given.exchange_id.substr(1).cast("int64"))
    holding = rollups.handling(numbered, engine.memory(pa.table({"exchange_key": known.exchanges})))
    found = rollups.exchanged_artefacts(given, engine.memory(rollups.prefixes(known.artefacts)), holding)
    whole = rollups.exchanged_artefacts(given)
    key = ["artefact", "account_id", "is_issued"]
    assert found.order_by(key).to_pyarrow().to_pylist() == whole.order_by(key).to_pyarrow().to_pylist()


def test_of_daily_partials_the_same_artefacts_are_merged(signals: Table, handed: list[Row]) -> None:
    given = signals(handed)
    merged = rollups.shared_artefacts(rollups.daily_artefacts(given))
    key = ["artefact", "account_id", "is_issued"]
    expected = rollups.exchanged_artefacts(given).order_by(key).to_pyarrow().to_pylist()
    assert expected
    assert merged.order_by(key).to_pyarrow().to_pylist() == expected


def test_where_everybody_sends_back_its_own_nothing_is_looked_up(engine: EmbeddedEngine, signals: Table) -> None:
    own = {"account_id": "a", "started_at": STARTS_AT, "model": "large"}
    rows = [
        {**own, "exchange_id": "e1", "reasoning_issued": ARTEFACTS[:2]},
        {**own, "exchange_id": "e2", "reasoning_replayed": ARTEFACTS[:2]},
        {**own, "exchange_id": "e3"},
    ]
    known = seen(rows).foreign()
    assert known is not None
    assert not len(known.artefacts)
    assert not len(known.exchanges)
    found = rollups.exchanged_artefacts(signals(rows), engine.memory(rollups.prefixes(known.artefacts)))
    assert not found.to_pyarrow().num_rows


def test_artefacts_kept_as_bytes_are_those_of_the_lists_each_once(engine: EmbeddedEngine, signals: Table) -> None:
    lists = [ARTEFACTS[:1], None, [*ARTEFACTS[:3], *ARTEFACTS[1:3]], [ARTEFACTS[5]] * 2, ARTEFACTS[3:5]]
    column = pa.array([ARTEFACTS[:1], *lists], pa.list_(pa.string())).slice(1)
    packed = foreign.artefact_bytes(column)
    once = [artefacts and list(dict.fromkeys(artefacts)) for artefacts in lists]
    assert packed.to_pylist() == [artefacts and bytes.fromhex("".join(artefacts)) for artefacts in once]
    rows = [
        {
            "exchange_id": f"e{n}",
            "account_id": f"a{n % 2}",
            "started_at": STARTS_AT,
            "model": "m",
            "reasoning_issued": n_,
        }
        for n, n_ in enumerate(lists)
    ]
    given = signals(rows)
    bytes_too = given.to_pyarrow().drop_columns("reasoning_issued").append_column("reasoning_issued", packed)
    found = rollups.daily_artefacts(engine.memory(bytes_too)).to_pyarrow().to_pylist()
    assert sorted(map(str, found)) == sorted(map(str, rollups.daily_artefacts(given).to_pyarrow().to_pylist()))
    assert len(found) == 6


def test_of_too_many_nothing_is_known_and_nothing_is_held(handed: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "MOST_PAIRS", 20)
    assert seen(handed).foreign() is None
