"""Families of wordings in clusters: which are a cluster's own, and what of its traffic they add."""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from stillwatch.campaigns.bearing import bearing
from stillwatch.campaigns.facts import FamilyUse
from stillwatch.campaigns.families import MIN_TEXTS, family_holders, family_texts, family_uses
from stillwatch.campaigns.tables import Tables
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import TEMPLATED_SCHEMA
from stillwatch.linkage.evidence import COHESION_SCHEMA, EVIDENCE_SCHEMA
from stillwatch.records import ACCOUNTS, ACTIVITY, REPLAYS, arrow_schema

MEMBERS = [f"m{i}" for i in range(6)]
TEMPLATE, FAMILY, EVERYBODYS = 11, 22, 33


def said(account: str, texts: int, family: int, template: int | None = None) -> list[dict[str, Any]]:
    """Different texts of one account that are of one family."""
    first = {"account_id": account, "model": "m", "family_id": family, "template_id": template}
    return [{**first, "item_id": hash((account, family, template, i))} for i in range(texts)]


def tables(engine: EmbeddedEngine, exchanges: list[dict[str, Any]]) -> Tables:
    """Six members of one cluster, of which one template is known to be its own."""
    own = {"cluster_id": 0, "kind": "template", "family": "content", "group": "content", "value": str(TEMPLATE)}
    counts = {"account_count": 6, "outside_count": 0, "weight_bits": 9.0, "durability": "high"}
    rows = [{"exchange_id": i, "intents": 0, **row} for i, row in enumerate(exchanges)]
    return Tables(
        templated=engine.memory(pa.Table.from_pylist(rows, TEMPLATED_SCHEMA)),
        activity=engine.memory(arrow_schema(ACTIVITY).empty_table()),
        replays=engine.memory(arrow_schema(REPLAYS).empty_table()),
        accounts=arrow_schema(ACCOUNTS).empty_table(),
        members=pa.table({"account_id": MEMBERS, "cluster_id": pa.array([0] * len(MEMBERS), pa.int64())}),
        evidence=pa.Table.from_pylist([{**own, **counts}], EVIDENCE_SCHEMA),
        cohesion=COHESION_SCHEMA.empty_table(),
    )


def test_a_member_uses_a_family_in_several_texts_and_a_stranger_in_a_single_one(engine: EmbeddedEngine) -> None:
    rows = [*said("m0", MIN_TEXTS, FAMILY), *said("m1", MIN_TEXTS - 1, FAMILY), *said("stranger", 1, FAMILY)]
    of = tables(engine, rows)
    (found,) = family_holders(family_texts(of.templated), engine.memory(of.members))
    assert (found["cluster_id"], found["family_id"]) == (0, FAMILY)
    assert (found["account_count"], found["outside_count"]) == (1, 1)


def test_what_is_said_in_other_words_counts_where_no_template_is_borne(engine: EmbeddedEngine) -> None:
    templated = [row for name in MEMBERS for row in said(name, 2, FAMILY, TEMPLATE)]
    reworded = [row for name in MEMBERS for row in said(name, 3, FAMILY)]
    of = tables(engine, [*templated, *reworded, *said("stranger", 9, EVERYBODYS)])
    borne = bearing(of, engine, account_count=500).to_pyarrow().to_pylist()
    assert sorted(row["is_reworded"] for row in borne) == [False] * 12 + [True] * 18
    assert not any(row["is_public"] for row in borne)


def test_a_family_that_strangers_use_as_well_adds_nothing(engine: EmbeddedEngine) -> None:
    reworded = [row for name in MEMBERS for row in said(name, 3, EVERYBODYS)]
    strangers = [row for i in range(len(MEMBERS)) for row in said(f"s{i}", 1, EVERYBODYS)]
    of = tables(engine, [*reworded, *strangers, *said("m0", 4, FAMILY, TEMPLATE)])
    borne = bearing(of, engine, account_count=500).to_pyarrow().to_pylist()
    assert [row["template_id"] for row in borne] == [TEMPLATE] * 4


def test_a_family_of_fewer_than_three_members_adds_nothing(engine: EmbeddedEngine) -> None:
    of = tables(engine, [row for name in MEMBERS[:2] for row in said(name, 5, FAMILY)])
    assert bearing(of, engine, account_count=500).count().to_pyarrow().as_py() == 0


def test_the_use_of_families_is_told_most_used_first(engine: EmbeddedEngine) -> None:
    rows = [*said("m0", 3, FAMILY, TEMPLATE), *said("m1", 3, FAMILY), *said("m2", 4, EVERYBODYS)]
    of = tables(engine, rows)
    own = of.templated.mutate(cluster_id=0)
    assert family_uses(own) == {
        0: [
            FamilyUse(FAMILY, exchanges=6, accounts=2, items=6, templates=1),
            FamilyUse(EVERYBODYS, exchanges=4, accounts=1, items=4, templates=0),
        ]
    }


def test_without_prompts_no_family_is_asked_for(engine: EmbeddedEngine) -> None:
    of = replace(tables(engine, said("m0", 5, FAMILY)), columns=frozenset({"client_ip"}))
    assert bearing(of, engine, account_count=500).count().to_pyarrow().as_py() == 0
