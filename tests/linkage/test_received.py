"""Leads of partners: they name prompts, tie accounts beside what those share here, and prove nothing by themselves."""

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.linkage.planted import Row, account, background, dealt_campaign, found_in, indexed, no_starts, trait_table
from tests.linkage.planted import campaign as planted_campaign

from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.linkage import (
    Clusters,
    Findings,
    Known,
    Leads,
    Received,
    findings,
    findings_with_leads,
    lead_traits,
    starts,
    templated_batches,
    weights,
)
from stillwatch.linkage import indexed as vocabulary
from stillwatch.linkage.clusters import clusters_of_bearers
from stillwatch.linkage.holdings import GROUPS, PARTNER
from stillwatch.linkage.received import MIN_BORNE, MIN_TEXTS, Recognition, label
from stillwatch.linkage.templates import TEMPLATED_SCHEMA
from stillwatch.linkage.weights import _discoveries
from stillwatch.records import CONTENT, SKETCH_SIZE, arrow_schema

OURS, THEIRS = [11, 12, 13, 14, 15], [21, 22, 23, 24]
ACCOUNTS = 400
NAMES = ["campaign--theirs", "campaign--others"]


def keyed_with(mask: int) -> Callable[[np.ndarray], np.ndarray]:
    """A stand-in for a group's key: another number for each fingerprint, the same for everybody who has the mask."""
    return lambda numbers: numbers.view(np.uint64) ^ np.uint64(mask)


def leads(mask: int = 0xABCD, precision: float = 0.5) -> Leads:
    keyed = keyed_with(mask)
    values = keyed(np.array(THEIRS, np.int64)).tolist()
    return Leads(dict.fromkeys(NAMES, precision), [Received(keyed, dict.fromkeys(values, 0))])


def sketches(*prompts: list[int]) -> pa.Array:
    filled = [[*prompt, *([0] * (SKETCH_SIZE - len(prompt)))] for prompt in prompts]
    return pa.array(filled, pa.list_(pa.int64(), SKETCH_SIZE))


def test_a_prompt_bears_a_lead_by_enough_of_its_wordings_and_no_others() -> None:
    found = Recognition(leads()).leads(sketches(THEIRS[:MIN_BORNE], THEIRS[: MIN_BORNE - 1] + OURS, OURS, []))
    assert found.to_pylist() == [0, None, None, None]


def test_wordings_under_another_key_are_nobodys() -> None:
    other = Leads(dict.fromkeys(NAMES, 0.5), [Received(keyed_with(0x1234), leads().received[0].campaign_of)])
    assert Recognition(other).leads(sketches(THEIRS)).to_pylist() == [None]
    assert Recognition(Leads()).leads(sketches(THEIRS)).to_pylist() == [None]


def test_a_lead_names_only_prompts_that_no_template_of_ours_explains() -> None:
    own = np.sort(np.array([*OURS, *THEIRS[:2]], np.int64))
    batch = templated_batches(vocabulary(own), np.array([], np.int64), leads())
    rows = {name: [None] * 3 for name in arrow_schema(CONTENT).names}
    rows |= {"exchange_id": [1, 2, 3], "account_id": ["a"] * 3, "started_at": [datetime(2026, 3, 2, tzinfo=UTC)] * 3}
    table = pa.table({name: pa.array(rows[name], arrow_schema(CONTENT).field(name).type) for name in rows})
    table = table.set_column(
        table.column_names.index("sketch"), "sketch", sketches(THEIRS, [*THEIRS[1:], *OURS[:2]], OURS)
    )
    [record] = table.to_batches()
    done = batch(record)
    assert done["lead"].to_pylist() == [0, 0, None]
    named, ours, _ = done["template_id"].to_pylist()
    without = templated_batches(vocabulary(own), np.array([], np.int64))(record)["template_id"].to_pylist()
    assert (named, ours) == (without[0], without[1])  # two words of ours make a template of ours
    alone = templated_batches(vocabulary(np.array(OURS, np.int64)), np.array([], np.int64), leads())(record)
    assert alone["template_id"].to_pylist()[0] == label(NAMES[0])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(Path(tmp_path_factory.mktemp("engine")), memory_limit="200MB", threads=2) as engine:
        yield engine


def test_one_prompt_that_bears_a_lead_is_no_trait(engine: EmbeddedEngine) -> None:
    rows: list[dict[str, Any]] = []
    for name, texts in (("often", MIN_TEXTS), ("once", 1)):
        for k in range(3):
            at = datetime(2026, 3, 2, k, tzinfo=UTC)
            rows.append(
                {"account_id": name, "started_at": at, "item_id": k % texts, "lead": 0, "exchange_id": len(rows)}
            )
    found = lead_traits(engine.memory(pa.Table.from_pylist(rows, TEMPLATED_SCHEMA)), NAMES, engine).to_pyarrow()
    [row] = found.to_pylist()
    assert (row["account_id"], row["kind"], row["value"], row["exchanges"]) == ("often", "lead", NAMES[0], 3)


def clustered(rows: list[Row], precision: float = 0.5) -> tuple[Any, Any, Clusters]:
    """Clusters of those who bear a lead."""
    of = indexed(rows, ACCOUNTS)
    weighed = weights(of, precision=dict.fromkeys(NAMES, precision))
    return of, weighed, clusters_of_bearers(of, weighed, no_starts(of), seed=0)


def members(of: Any, found: Clusters) -> set[str]:
    return {of.account_ids[i] for i in np.flatnonzero(found.of_account >= 0)}


def named(bearing: list[str]) -> list[Row]:
    return [(one, "lead", NAMES[0]) for one in bearing]


def test_a_lead_is_worth_what_its_sender_was_right_before_and_says_nothing_of_wordings() -> None:
    rows = background(np.random.default_rng(1), ACCOUNTS)
    strangers = [account(n) for n in range(0, 60, 2)]
    rows += [(one, "template", "copied") for one in strangers]
    of, weighed, found = clustered(rows + named(strangers), precision=0.5)
    lead = int(np.flatnonzero(of.group == PARTNER)[0])
    assert weighed.control[lead] == pytest.approx(0.5 * 30 / 32)
    plain, without, _ = found_in(rows, ACCOUNTS)
    assert weighed.control[of.values.index("copied")] == without.control[plain.values.index("copied")]
    assert found.count == 0, "what strangers have in common is a prompt, whoever names it"


def test_where_nobody_holds_a_lead_no_test_against_leads_is_counted() -> None:
    of = indexed([(account(n), "template", "one") for n in range(3)], ACCOUNTS)
    fdr = 0.01
    p_values = np.ones((1, len(GROUPS)))
    p_values[0, GROUPS.index("payment")] = fdr / (len(GROUPS) - 1)
    assert _discoveries(of, p_values, fdr).sum() == 1
    with_leads = indexed([(account(n), kind, "one") for n in range(3) for kind in ("template", "lead")], ACCOUNTS)
    rows = np.vstack([p_values, np.ones((1, len(GROUPS)))])
    assert _discoveries(with_leads, rows, fdr).sum() == 0


def scattered(bearing: list[str]) -> list[Row]:
    """Cells of two, each with its template; exits across them, nothing else."""
    rows: list[Row] = []
    for place, member in enumerate(bearing):
        rows += [(member, "template", f"own-{place // 2}-{t}") for t in range(2)]
        rows += [(member, "ip", f"exit-{(place + i) % 3}") for i in range(2)]
    return rows


def test_a_lead_brings_together_cells_that_share_too_little_for_themselves() -> None:
    pool = [account(n) for n in range(0, 36, 3)]
    rows = background(np.random.default_rng(2), ACCOUNTS) + scattered(pool)
    _, _, alone = found_in(rows, ACCOUNTS)
    of, _, found = clustered(rows + named(pool))
    assert alone.count == 0
    assert members(of, found) == set(pool)


def test_whom_nothing_but_a_lead_and_wordings_ties_is_no_member() -> None:
    pool = [account(n) for n in range(0, 36, 3)]
    bystanders = [account(n) for n in range(301, 306)]
    rows = background(np.random.default_rng(3), ACCOUNTS) + scattered(pool)
    rows += [(one, "template", f"own-{n}-{t}") for n, one in enumerate(bystanders) for t in range(2)]
    of, _, found = clustered(rows + named(pool + bystanders), precision=0.95)
    assert members(of, found) == set(pool)


def found_by(rows: list[Row], standing: Collection[str] = ()) -> tuple[Findings, Findings]:
    """What is found alone, and told by a partner that is trusted; of the accounts that stand in a campaign nothing."""
    ids = [account(number) for number in range(ACCOUNTS)]
    none = pa.table({"account_id": pa.array([], pa.string()), "minute": pa.array([], pa.int64())})
    known = Known(ids, set(), starts(none, ids), fdr=0.01, seed=0)
    alone = findings(trait_table(rows), NAMES, known)
    told = dict.fromkeys(NAMES, 0.95)
    return alone, findings_with_leads(trait_table(rows), told, known, alone=alone, standing=standing)


def test_whatever_a_partner_says_the_clusters_that_are_there_without_it_stay_as_they_are() -> None:
    """The lie names them, bystanders of theirs and strangers; a template of the lead's own comes with it."""
    pool = [account(n) for n in range(0, 60, 3)]
    bystanders = [account(n) for n in range(200, 260)]
    rows = background(np.random.default_rng(4), ACCOUNTS) + dealt_campaign(pool)
    lie = named(pool + bystanders) + [(one, "rewording", str(label(NAMES[0]))) for one in pool + bystanders]
    without, _ = found_by(rows)
    alone, told = found_by(rows + lie, standing=pool)
    assert without.members.num_rows == len(pool)
    for name in ("links", "members", "evidence", "cohesion"):
        assert getattr(alone, name).equals(getattr(without, name))
    assert told.members.equals(without.members)
    assert told.cohesion.equals(without.cohesion)
    borne = [row for row in told.evidence.to_pylist() if row["kind"] == "lead"]
    assert [(row["cluster_id"], row["account_count"]) for row in borne] == [(0, len(pool))]
    assert [row for row in told.evidence.to_pylist() if row["kind"] != "lead"] == without.evidence.to_pylist()


def test_what_a_lead_brings_together_must_speak_without_what_was_said() -> None:
    pool = [account(n) for n in range(0, 36, 3)]
    _, told = found_by(background(np.random.default_rng(2), ACCOUNTS) + scattered(pool) + named(pool))
    assert set(told.members["account_id"].to_pylist()) == set(pool)
    assert set(told.cohesion["group"].to_pylist()) == {"network"}
    assert {row["kind"] for row in told.evidence.to_pylist()} >= {"template", "lead", "ip"}


def test_a_cluster_that_was_not_judged_gives_way_to_what_a_lead_brings_together() -> None:
    pool = [account(n) for n in range(0, 60, 3)]
    rows = background(np.random.default_rng(4), ACCOUNTS) + dealt_campaign(pool) + named(pool)
    alone, told = found_by(rows)
    assert set(alone.members["cluster_id"].to_pylist()) == {0}
    for name in ("members", "evidence", "cohesion"):
        assert set(getattr(told, name)["cluster_id"].to_pylist()) == {1}, "nobody is in two clusters"
    assert set(told.members["account_id"].to_pylist()) == set(pool)


@pytest.mark.parametrize("planted", [planted_campaign, dealt_campaign])
def test_a_lead_about_strangers_takes_nobody_into_a_campaign_that_is_there(
    planted: Callable[[list[str]], list[Row]],
) -> None:
    pool = [account(n) for n in range(0, 60, 3)]
    others = [account(n) for n in range(200, 260)]
    rows = background(np.random.default_rng(4), ACCOUNTS) + planted(pool) + named(others)
    for standing in ((), pool):
        assert set(found_by(rows, standing)[1].members["account_id"].to_pylist()) == set(pool)
