"""The scenario that providers disclosed in February 2026, small: what must be found, and who must not be accused."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.flow import scans

from stillwatch.evaluation import simulate
from stillwatch.scan import Scanned

pytestmark = pytest.mark.slow

SCALE, SEED = 0.006, 7  # at 0.004 the proxy campaign is found in some worlds and missed in others: decision 33
PROXY = "lab-c"
NEVER_ACCUSED = {"enterprises", "classes", "coders", "evaluators", "resellers"}
VERIFIED = {"contract", "business"}
TEXTS = ("prompt", "system_prompt", "completion")
LESS_MEMORY_MB = 120  # what tables may take; the logs are larger. At 60 MB this world stops with an EngineError.


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feb2026") / "sim"
    simulate(folder, scenario="feb2026", scale=SCALE, seed=SEED)
    (folder / "logs").symlink_to(folder / "exchanges")
    return folder


@pytest.fixture(scope="module")
def truth(sim: Path) -> dict[str, dict[str, Any]]:
    return {row["account_id"]: row for row in pq.read_table(sim / "truth.parquet").to_pylist()}


@pytest.fixture(scope="module")
def found(sim: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scanned]:
    out = tmp_path_factory.mktemp("feb2026-found") / "out"
    return out, scans.scan(sim, out)


@pytest.fixture(scope="module")
def blind(sim: Path, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """A scan of the same world with every text null."""
    folder = tmp_path_factory.mktemp("feb2026-blind")
    (folder / "logs").mkdir()
    for path in (sim / "exchanges").iterdir():
        table = pq.read_table(path)
        for name in set(TEXTS) & set(table.column_names):
            empty = pa.nulls(table.num_rows, pa.string())
            table = table.set_column(table.column_names.index(name), name, empty)
        pq.write_table(table, folder / "logs" / path.name)
    return scans.scan(folder, folder / "out", accounts=sim / "accounts.parquet")


def accused(done: Scanned, verdict: str) -> set[str]:
    return {account for campaign in scans.with_verdict(done.campaigns, verdict) for account in campaign["account_ids"]}


def segments(accounts: set[str], truth: dict[str, dict[str, Any]]) -> Counter[str]:
    return Counter(truth[account]["segment"] for account in accounts)


def test_the_proxy_campaign_is_found(found: tuple[Path, Scanned], truth: dict[str, dict[str, Any]]) -> None:
    members = {account for account, row in truth.items() if row["campaign"] == PROXY}
    caught = members & accused(found[1], "distillation")
    assert len(caught) >= 0.5 * len(members)  # found: at least half of its accounts; docs/results.md has the recall


def test_no_population_that_looks_guilty_is_accused(
    found: tuple[Path, Scanned], truth: dict[str, dict[str, Any]]
) -> None:
    assert segments(accused(found[1], "distillation"), truth).keys() & NEVER_ACCUSED == set()


def test_without_text_nobody_is_accused_and_the_run_says_what_is_missing(blind: Scanned) -> None:
    assert accused(blind, "distillation") == set()
    assert any("no prompts" in text for text in blind.run["not_judged"])


def test_without_text_no_verified_organisation_is_called_coordinated(
    blind: Scanned, sim: Path, truth: dict[str, dict[str, Any]]
) -> None:
    levels = pq.read_table(sim / "accounts.parquet", columns=["account_id", "verification_level"]).to_pylist()
    verified = {row["account_id"] for row in levels if row["verification_level"] in VERIFIED}
    wrongly = {account for account in accused(blind, "coordinated") if not truth[account]["is_hostile"]}
    assert segments(wrongly & verified, truth) == {}


def test_shuffled_rows_and_files_in_less_memory_than_the_tables_take_give_the_same_campaigns(
    sim: Path, found: tuple[Path, Scanned], tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    tables = [pq.read_table(path) for path in sorted((sim / "exchanges").iterdir())]
    whole = pa.concat_tables(tables)
    order = list(range(whole.num_rows))
    random.Random(SEED).shuffle(order)
    mixed = whole.take(pa.array(order))
    size = -(-whole.num_rows // 9)
    for number in range(9):
        pq.write_table(mixed.slice(number * size, size), tmp_path / "logs" / f"{9 - number}.parquet")
    assert whole.nbytes > LESS_MEMORY_MB * 10**6
    scans.scan(tmp_path, tmp_path / "out", accounts=sim / "accounts.parquet", memory_limit=f"{LESS_MEMORY_MB}MB")
    name = "campaigns.json"
    assert (tmp_path / "out" / name).read_bytes() == (found[0] / name).read_bytes()
