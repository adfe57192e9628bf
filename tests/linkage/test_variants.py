"""Wordings per account and family, and which of them others use."""

from collections import defaultdict

import ibis
import numpy as np
import pyarrow as pa
import pytest

from stillwatch.linkage import variants

Row = tuple[str, int | None, list[int]]  # account, family, wordings


def counted(rows: list[Row]) -> dict[tuple[str, int], tuple[int, int, int]]:
    """Exchanges, variants and shared variants by account and family."""
    schema = pa.schema([("account_id", pa.string()), ("family_id", pa.int64()), ("wordings", pa.list_(pa.int64()))])
    table = pa.table(dict(zip(schema.names, zip(*rows, strict=True), strict=True)), schema=schema)
    found = variants(ibis.memtable(table)).to_pyarrow().to_pylist()
    return {
        (row["account_id"], row["family_id"]): (row["exchanges"], row["variants"], row["shared_variants"])
        for row in found
    }


def by_hand(rows: list[Row]) -> dict[tuple[str, int], tuple[int, int, int]]:
    used: dict[tuple[str, int], set[int]] = defaultdict(set)
    sent: dict[tuple[str, int], int] = defaultdict(int)
    for account, family, wordings in rows:
        if family is not None:
            used[account, family] |= set(wordings)
            sent[account, family] += 1
    found = {}
    for (account, family), own in used.items():
        others = [words for (other, same), words in used.items() if other != account and same == family]
        shared = [wording for wording in own if sum(wording in words for words in others) >= 2]
        found[account, family] = (sent[account, family], len(own), len(shared))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_it_counts_as_one_does_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows: list[Row] = [
        (f"a{rng.integers(6)}", [None, 1, 2][int(rng.integers(3))], rng.integers(1, 12, rng.integers(0, 5)).tolist())
        for _ in range(120)
    ]
    assert counted(rows) == by_hand(rows)


def test_accounts_on_one_pool_share_many_wordings_and_strangers_on_one_instruction_a_few() -> None:
    rng = np.random.default_rng(3)
    pool: list[Row] = [(f"pool{i % 5}", 1, rng.integers(100, 160, 6).tolist()) for i in range(250)]
    public: list[Row] = [(f"stranger{i % 5}", 2, [1, 2, 3]) for i in range(250)]
    found = counted(pool + public)
    assert all(shared > 50 for (account, _), (_, _, shared) in found.items() if account.startswith("pool"))
    assert all(found[f"stranger{i}", 2] == (50, 3, 3) for i in range(5))


def test_a_wording_that_one_other_account_uses_is_not_shared() -> None:
    rows: list[Row] = [("a", 1, [7, 8]), ("b", 1, [7]), ("c", 1, [8]), ("d", 1, [8]), ("d", 2, [7])]
    assert counted(rows)["a", 1] == (1, 2, 1)


def test_exchanges_without_a_family_or_without_wordings_count_no_variant() -> None:
    assert counted([("a", None, [1]), ("a", 1, []), ("a", 1, [])]) == {("a", 1): (2, 0, 0)}
