"""Gathering: what clusters took, and the sizes of their requests."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
from tests.campaigns.clues import tables

from stillwatch.campaigns.gather import facts
from stillwatch.campaigns.sizes import Sizes
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage.evidence import COHESION_SCHEMA, EVIDENCE_SCHEMA
from stillwatch.records import ACTIVITY, arrow_schema

START = datetime(2026, 1, 5, tzinfo=UTC)


def test_what_accounts_take_is_compared_with_customers_outside_every_cluster(engine: EmbeddedEngine) -> None:
    names = [f"a{i:03d}" for i in range(300)]
    ordinary = {name: 10 if i % 20 else 5000 for i, name in enumerate(names)}
    inside = [f"m{i}" for i in range(30)]
    activity = {"account_id": inside, "hour_at": [START] * 30, "model": ["m"] * 30, "capability": [None] * 30}
    counts = {name: [1] * 30 for name in ("exchanges", "input_tokens", "output_tokens", "reasoning_tokens")}
    of = replace(
        tables(engine, [{"account_id": "m0", "model": "m"}], [{"account_id": inside[0]}]),
        activity=engine.memory(pa.table({**activity, **counts}, schema=arrow_schema(ACTIVITY))),
        members=pa.table({"account_id": inside, "cluster_id": pa.array([0] * 30, pa.int64())}),
        evidence=EVIDENCE_SCHEMA.empty_table(),
        cohesion=COHESION_SCHEMA.empty_table(),
        taken={**ordinary, **dict.fromkeys(inside, 5000)},
    )
    (found,) = facts(of, engine, account_count=330)
    assert found.volume.result == "proven"
    (untold,) = facts(replace(of, taken={}), engine, account_count=330)
    assert untold.volume.result == "not_tested"


def test_sizes_are_read_of_clusters_that_one_card_pays_for_and_of_no_others(engine: EmbeddedEngine) -> None:
    inside = [f"m{i}" for i in range(10)]
    sent = [{"account_id": name, "model": "m", "input_tokens": 70} for name in inside]
    card = {"kind": "payment", "family": "payment", "group": "payment", "value": "card", "outside_count": 0}
    paid = [
        {**card, "cluster_id": n, "account_count": count, "weight_bits": 9.0, "durability": "medium"}
        for n, count in ((0, 5), (1, 3))
    ]
    of = replace(
        tables(engine, [{"account_id": "m0", "model": "m"}], [{"account_id": inside[0]}]),
        activity=engine.memory(arrow_schema(ACTIVITY).empty_table()),
        members=pa.table({"account_id": inside, "cluster_id": pa.array([0] * 5 + [1] * 5, pa.int64())}),
        evidence=pa.Table.from_pylist(paid, EVIDENCE_SCHEMA),
        cohesion=COHESION_SCHEMA.empty_table(),
        content=engine.memory(pa.Table.from_pylist(sent)),
    )
    one_card, many = facts(of, engine, account_count=100)
    assert one_card.sizes == Sizes(exchanges=5, same=20, next=0)
    assert many.sizes == Sizes()
