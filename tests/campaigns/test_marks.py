"""Marks: what a campaign would take along is found among its members, as hashes, bounded, in any row order."""

import json
import random
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stillwatch.campaigns.marks import (
    MAX_CLIENTS,
    SAMPLE_SIZE,
    Marks,
    Observed,
    as_json,
    from_json,
    hash_name,
    marks,
    mixed,
)
from stillwatch.campaigns.usage import senders_by
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import TEMPLATED_SCHEMA
from stillwatch.linkage.shelves import shelved
from stillwatch.records import CLUSTERS, CONTENT, TRAITS, arrow_schema

START = datetime(2026, 3, 2, tzinfo=UTC)
MEMBERS = [f"member-{number:02}" for number in range(8)]
OTHERS = [f"other-{number:03}" for number in range(200)]
OWN = list(range(10, 20))  # fingerprints, in the order of the sketch, of the template that members alone use
PUBLIC = list(range(100, 110))  # of one that everybody uses
Row = dict[str, Any]


def exchanges(seed: int = 0) -> list[Row]:
    """Members fill their own template with ever new items and use the public one; the others use the public one."""
    rng = random.Random(seed)
    rows = []
    for account in (*MEMBERS, *OTHERS):
        for number in range(12):
            own = account in MEMBERS and number < 8
            text = rng.getrandbits(62)
            filling = [rng.getrandbits(40) + 1000 for _ in range(6)]
            rows.append(
                {
                    "exchange_id": len(rows),
                    "account_id": account,
                    "started_at": START + timedelta(hours=number * 3),
                    "model": "large",
                    "sketch": [*(OWN if own else PUBLIC), *filling],
                    "text_id": text,
                    "item_id": text,
                    "system_prompt_id": 777 if own else 888,
                    "is_own": own,
                }
            )
    return rows


def number_of(first: int, second: int) -> int:
    """The number of one pair."""
    return int(mixed(np.array([first], np.int64), np.array([second], np.int64))[0])


def own_pairs() -> set[str]:
    """The names of the pairs of neighbours among the fingerprints that members alone use."""
    return {hash_name(number_of(first, second)) for first, second in pairwise(OWN)}


def observed(engine: EmbeddedEngine, rows: list[Row], traits: list[Row] | None = None) -> Observed:
    def table(rows: list[Row], schema: pa.Schema) -> Any:
        return engine.memory(pa.Table.from_pylist(rows, schema))

    bearing_schema = TEMPLATED_SCHEMA.append(pa.field("cluster_id", pa.int64()))
    bearing = [{**row, "cluster_id": 0} for row in rows if row["is_own"]]
    members = [{"account_id": name, "cluster_id": 0, "membership_bits": 9.0, "families": 2} for name in MEMBERS]
    return Observed(
        bearing=table(bearing, bearing_schema),
        signals=table(rows, arrow_schema(CONTENT)),
        templated=table(rows, TEMPLATED_SCHEMA),
        traits=pa.Table.from_pylist(traits or [], arrow_schema(TRAITS)),
        members=pa.Table.from_pylist(members, arrow_schema(CLUSTERS)),
        account_count=len(MEMBERS) + len(OTHERS),
        work=Path(tempfile.mkdtemp()),
        senders=senders_by(table(bearing, bearing_schema), "cluster_id"),
    )


def shown(account: str, kind: str, value: str) -> Row:
    return {"account_id": account, "kind": kind, "value": value, "exchanges": 1}


def test_wordings_are_what_members_use_and_hardly_anybody_else(engine: EmbeddedEngine) -> None:
    found = marks(observed(engine, exchanges()), engine)[0]
    assert set(found.wordings.hashes) == own_pairs() | {hash_name(777)}
    assert found.wordings.count == len(OWN)
    assert list(found.wordings.outside.values()) == pytest.approx([0.5 / (len(OTHERS) + 1)] * found.wordings.count)


def test_wordings_are_the_same_read_off_shelves(engine: EmbeddedEngine, tmp_path: Path) -> None:
    rows = exchanges()
    rows += [
        {**rows[-1], "exchange_id": len(rows) + n, "sketch": None, "text_id": None, "item_id": None, "account_id": name}
        for n, name in enumerate(OTHERS[:4])
    ]
    rows = [{**row, "system_prompt_id": 777} if row["sketch"] is None else row for row in rows]
    of = observed(engine, rows)
    held = shelved(of.signals.to_pyarrow_batches(), len(rows), tmp_path / "shelves")
    there, here = marks(of, engine)[0], marks(replace(of, shelves=held), engine)[0]
    assert here == there
    assert here.wordings.outside[hash_name(777)] == pytest.approx(4.5 / (len(OTHERS) + 1))


def test_items_are_the_texts_that_bear_them_and_who_else_sent_them_is_known(engine: EmbeddedEngine) -> None:
    rows = exchanges()
    sent = [row["text_id"] for row in rows if row["is_own"]]
    copied = min(sent)
    rows += [{**rows[-1], "exchange_id": len(rows), "text_id": copied, "item_id": copied}]
    found = marks(observed(engine, rows), engine)[0].items
    assert found.count == len(set(sent))
    assert list(found.hashes) == sorted(hash_name(text) for text in set(sent))[:SAMPLE_SIZE]
    assert found.outside[hash_name(copied)] == pytest.approx(1.5 / (len(OTHERS) + 1))


def test_the_order_of_rows_changes_nothing(engine: EmbeddedEngine) -> None:
    rows = exchanges()
    traits = [shown(name, "client", f"c{number % 3}") for number, name in enumerate(MEMBERS)]
    there = marks(observed(engine, rows, traits), engine)
    random.Random(1).shuffle(rows)
    assert marks(observed(engine, rows, traits[::-1]), engine) == there


def test_clients_have_shares_and_infrastructure_the_smallest_hashes(engine: EmbeddedEngine) -> None:
    traits = [shown(name, "client", "sdk" if number else "curl") for number, name in enumerate(MEMBERS)]
    traits += [shown(name, "payment", f"card-{number % 2}") for number, name in enumerate(MEMBERS)]
    traits += [shown(MEMBERS[0], "ip", f"{number:03}") for number in range(90)]
    traits += [shown(OTHERS[0], "device", "theirs"), shown(MEMBERS[0], "email_domain", "mail")]
    found = marks(observed(engine, exchanges(), traits), engine)[0]
    assert found.clients == {"sdk": 0.875, "curl": 0.125}
    assert found.infrastructure["payment"] == ("card-0", "card-1")
    assert found.infrastructure["ip"] == tuple(f"{number:03}" for number in range(64))
    assert set(found.infrastructure) == {"payment", "ip"}


def test_no_more_clients_are_kept_than_the_commonest(engine: EmbeddedEngine) -> None:
    traits = [shown(name, "client", f"c{number:02}") for name in MEMBERS for number in range(20)]
    assert len(marks(observed(engine, exchanges(), traits), engine)[0].clients) == MAX_CLIENTS


def test_timing_is_counted_by_hour_and_by_peak(engine: EmbeddedEngine) -> None:
    rows = exchanges()
    found = marks(observed(engine, rows), engine)[0]
    hours = Counter(row["started_at"].hour for row in rows if row["is_own"])
    total = sum(hours.values())
    assert found.by_hour == pytest.approx([hours[hour] / total for hour in range(24)], abs=1e-6)
    assert found.peak_share == pytest.approx(2 * len(MEMBERS) / total, abs=1e-6)  # 2 of the 22 hours it lasted


def test_the_other_clusters_count_as_one_stranger_each(engine: EmbeddedEngine) -> None:
    """Two campaigns of one operator must not make each other's wordings public."""
    rows = exchanges()
    twins = OTHERS[:20]
    rows = [{**row, "sketch": [*OWN, *row["sketch"][:6]]} if row["account_id"] in twins else row for row in rows]
    of = observed(engine, rows)
    twin_rows = [{"account_id": t, "cluster_id": 1, "membership_bits": 9.0, "families": 2} for t in twins]
    members = pa.concat_tables([of.members, pa.Table.from_pylist(twin_rows, arrow_schema(CLUSTERS))])
    both = Observed(of.bearing, of.signals, of.templated, of.traits, members, of.account_count, of.work, of.senders)
    found = marks(both, engine)[0]
    assert own_pairs() <= set(found.wordings.hashes)
    assert found.wordings.outside[hash_name(number_of(*OWN[:2]))] == pytest.approx(1.5 / (len(OTHERS) + 1))


def test_without_prompts_there_are_marks_without_wordings(engine: EmbeddedEngine) -> None:
    rows = [{**row, "sketch": None, "text_id": None, "system_prompt_id": None, "is_own": False} for row in exchanges()]
    found = marks(observed(engine, rows, [shown(MEMBERS[0], "payment", "card")]), engine)[0]
    assert (found.wordings.count, found.items.count, found.peak_share) == (0, 0, None)
    assert found.infrastructure == {"payment": ("card",)}


def test_marks_survive_being_written_and_hold_no_text(engine: EmbeddedEngine) -> None:
    found = marks(observed(engine, exchanges(), [shown(MEMBERS[0], "payment", "card")]), engine)[0]
    text = json.dumps(as_json(found))
    again = from_json(json.loads(text))
    assert as_json(again) == as_json(found)
    assert again.wordings.outside == {}
    assert as_json(from_json(as_json(Marks()))) == as_json(Marks())


def test_pairs_are_ordered_and_stay_64_bits_wide() -> None:
    numbers = [
        number_of(first, second) for first in (-(2**63), -1, 1, 2**63 - 1) for second in (-(2**63), 5, 2**63 - 1)
    ]
    assert len(set(numbers)) == len(numbers)
    assert all(-(2**63) <= number < 2**63 for number in numbers)
    assert number_of(3, 5) != number_of(5, 3)
    assert number_of(3, 0) == 3


def test_names_of_hashes_are_ordered_as_the_numbers_are() -> None:
    numbers = [-(2**63), -1, 0, 1, 2**63 - 1]
    names = [hash_name(number) for number in numbers]
    assert names == sorted(names)
    assert {len(name) for name in names} == {16}


def test_what_may_be_shared_are_own_fingerprints_and_items_with_how_many_members_use_them(
    engine: EmbeddedEngine,
) -> None:
    rows = exchanges()
    everybodys = min(row["text_id"] for row in rows if row["is_own"])
    for name in MEMBERS[:5]:
        rows.append({**next(row for row in rows if row["account_id"] == name and row["is_own"]), "text_id": everybodys})
        rows[-1] |= {"item_id": everybodys, "exchange_id": len(rows)}
    shared = marks(observed(engine, rows), engine)[0].shared
    assert shared.wordings == dict.fromkeys(OWN, len(MEMBERS))
    assert next(iter(shared.items)) == everybodys
    assert shared.items[everybodys] in (5, 6)
    assert set(shared.items.values()) - {shared.items[everybodys]} == {1}
