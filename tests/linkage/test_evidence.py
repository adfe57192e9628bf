"""Evidence: the tables that say what holds a cluster together."""

import numpy as np
import pytest
from scipy import stats
from tests.linkage.planted import account, background, campaign, found_in

from stillwatch.linkage import Clusters, Holdings, Weights, cohesion, evidence, links, members
from stillwatch.linkage.evidence import TELLING_P_VALUE
from stillwatch.records import CLUSTERS, LINKS, arrow_schema

ACCOUNTS = 600
MEMBERS = [account(i) for i in range(10, 34)]
Found = tuple[Holdings, Weights, Clusters]


@pytest.fixture(scope="module")
def found() -> Found:
    return found_in(background(np.random.default_rng(0), ACCOUNTS) + campaign(MEMBERS), ACCOUNTS)


def test_members_lists_the_accounts_of_each_cluster(found: Found) -> None:
    of, _, clusters = found
    table = members(of, clusters)
    assert table.schema == arrow_schema(CLUSTERS)
    assert table["account_id"].to_pylist() == MEMBERS
    assert set(table["cluster_id"].to_pylist()) == {0}


def test_links_lists_every_holder_of_every_validated_value(found: Found) -> None:
    of, weighed, _ = found
    table = links(of, weighed)
    assert table.schema == arrow_schema(LINKS)
    assert table.num_rows == int(of.holder_counts[weighed.valid].sum())
    assert min(table["weight_bits"].to_pylist()) >= 0


def test_evidence_counts_members_and_strangers_that_hold_a_trait(found: Found) -> None:
    of, weighed, clusters = found
    rows = {(row["kind"], row["value"]): row for row in evidence(of, weighed, clusters, []).to_pylist()}
    own = rows["template", "x-own-0"]
    assert own["account_count"] == len(MEMBERS) // 2
    assert own["outside_count"] == 0
    assert own["family"] == "content"
    assert ("client", "client-0") not in rows


def test_outsiders_that_hold_a_trait_are_counted_as_strangers() -> None:
    rows = background(np.random.default_rng(0), ACCOUNTS) + campaign(MEMBERS)
    rows += [(account(i), "template", "x-own-0") for i in (400, 401)]
    of, weighed, clusters = found_in(rows, ACCOUNTS)
    table = evidence(of, weighed, clusters, []).to_pylist()
    assert next(row for row in table if row["value"] == "x-own-0")["outside_count"] == 2


def test_cohesion_names_the_independent_groups_that_tie_the_cluster(found: Found) -> None:
    of, _, clusters = found
    rows = {row["group"]: row for row in cohesion(of, clusters, []).to_pylist()}
    assert {"content", "network", "payment"} <= set(rows)
    for row in rows.values():
        assert row["p_value"] <= TELLING_P_VALUE
        assert 0 < row["linked"] <= row["principals"] == len(MEMBERS)
        assert 0 <= row["expected"] <= row["principals"]


def test_members_hang_together_by_wordings_that_a_cluster_has_to_itself() -> None:
    """Two bodies of wordings in one cluster, three and five accounts, and a prompt that as many strangers send."""
    rows = [(account(i), "template", "three") for i in range(3)]
    rows += [(account(i), "template", name) for name, who in (("four", range(3, 7)), ("tail", (6, 7))) for i in who]
    rows += [(account(i), "template", "public") for i in (*range(8), *range(50, 59))]
    of, _, _ = found_in(rows, 100)
    labels = np.where(np.arange(100) < 8, 0, -1)
    (row,) = cohesion(of, Clusters(labels, np.zeros(100), np.zeros(100, dtype=np.int64), labels), []).to_pylist()
    assert (row["group"], row["linked"], row["together"]) == ("content", 8, 5)


def test_members_hang_together_by_reasoning_that_they_hand_on() -> None:
    rows = [(account(i), "template", name) for name, who in (("one", range(4)), ("two", range(4, 8))) for i in who]
    handed, bought = [[*rows, *((account(i), kind, "it") for i in (0, 7))] for kind in ("artefact", "payment")]
    labels = np.where(np.arange(100) < 8, 0, -1)
    chosen = Clusters(labels, np.zeros(100), np.zeros(100, dtype=np.int64), labels)
    told = [cohesion(found_in(one, 100)[0], chosen, []).to_pylist() for one in (handed, bought)]
    assert [next(row for row in each if row["group"] == "content")["together"] for each in told] == [8, 4]


def test_an_account_is_expected_once_however_many_of_the_values_it_holds() -> None:
    """Fifteen of sixty share five exits, three for each: chance would put a quarter of fifteen in the cluster."""
    rows = [(account(i), "ip", f"exit-{(i + k) % 5}") for i in range(15) for k in range(3)]
    rows += [(account(i), "template", f"own-{i % 9}") for i in range(60)]
    of, _, _ = found_in(rows, 60)
    labels = np.where(np.arange(60) < 15, 0, -1)
    table = cohesion(of, Clusters(labels, np.zeros(60), np.zeros(60, dtype=np.int64), labels), []).to_pylist()
    network = next(row for row in table if row["group"] == "network")
    assert network["linked"] == 15
    assert network["expected"] == pytest.approx(15 * 15 / 60)


def test_values_of_too_few_holders_to_tell_anything_are_not_corrected_for() -> None:
    rows = [(account(i), "template", "own") for i in range(4)]
    rows += [(account(i), "template", f"pair-{n}-{i // 2}") for i in range(8) for n in range(20)]
    of, _, _ = found_in(rows, 100)
    labels = np.where(np.arange(100) < 8, 0, -1)
    chosen = Clusters(labels, np.zeros(100), np.zeros(100, dtype=np.int64), labels)
    row = cohesion(of, chosen, []).to_pylist()
    assert [(r["group"], r["linked"]) for r in row] == [("content", 4)]
    assert row[0]["p_value"] == pytest.approx(float(stats.hypergeom.sf(3, 100, 4, 8)))


def test_the_p_value_of_a_tie_is_the_hypergeometric_tail_times_the_values_tried() -> None:
    rows = [(account(i), "payment", "card") for i in range(6)] + [(account(i), "ip", "exit") for i in (0, 50)]
    of, _, _ = found_in(rows, 100)
    labels = np.where(np.arange(100) < 8, 0, -1)
    chosen = Clusters(labels, np.zeros(100), np.zeros(100, dtype=np.int64), labels)
    row = cohesion(of, chosen, []).to_pylist()
    assert [r["group"] for r in row] == ["payment"]
    assert row[0]["linked"] == 6
    assert row[0]["p_value"] == pytest.approx(float(stats.hypergeom.sf(5, 100, 6, 8)))
