"""Killed at any moment, a state is as before or as after; the same command then ends as if nothing had happened."""

import signal
from pathlib import Path

import pytest
from tests import processes
from tests.flow import planted
from tests.state import worlds

from stillwatch.state import erased, existing_manifest
from stillwatch.upkeep import compact

def killed_at(module: str, function: str, *words: object) -> None:
    """Run a command that is killed when it comes to a function."""
    done = processes.run(f"stillwatch.state.{module}:{function}", *words, main="tests.processes:dying_command")
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(
    ("module", "function"),
    [("batches", "write_parts"), ("batches", "move_in"), ("batches", "write_manifest"), ("manifest", "asdict")],
)
def test_killed_in_mid_ingest_the_state_is_as_before_and_the_same_command_goes_through(
    module: str, function: str, world: Path, campaigns: bytes, tmp_path: Path
) -> None:
    state, days = tmp_path / "state", sorted((world / "logs").iterdir())
    worlds.ingested(state, *days[1:], accounts=world / "accounts.parquet")
    before = (state / "manifest.json").read_bytes()
    killed_at(module, function, "ingest", days[0], "--state", state, "--threads", 1)
    assert (state / "manifest.json").read_bytes() == before
    assert [batch.exchanges for batch in existing_manifest(state).batches] == [
        sum((row["started_at"] - planted.STARTS_AT).days > 0 for row in planted.exchanges())
    ]
    worlds.ingested(state, days[0])
    worlds.detected(state, tmp_path / "out")
    assert (tmp_path / "out" / "campaigns.json").read_bytes() == campaigns
    assert {path.name for path in (state / "parts").iterdir()} == set(existing_manifest(state).folders)
    assert list(state.glob(".work-*")) == []


@pytest.mark.parametrize("function", ["move_in", "write_manifest"])
def test_killed_in_mid_compaction_nothing_is_lost(function: str, world: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    for day in sorted((world / "logs").iterdir()):
        worlds.ingested(state, day)
    before = worlds.merged(state, tmp_path / "before")
    killed_at("compaction", function, "state", "compact", "--state", state)
    assert worlds.merged(state, tmp_path / "killed") == before
    compact(state, memory_limit="200MB", threads=1)
    assert len(list((state / "parts").iterdir())) == 1


def test_killed_in_mid_erasure_the_account_is_whole_and_then_gone(world: Path, tmp_path: Path) -> None:
    state, account = tmp_path / "state", "people-000"
    for day in sorted((world / "logs").iterdir())[:2]:
        worlds.ingested(state, day, accounts=world / "accounts.parquet")
    before = worlds.merged(state, tmp_path / "before")
    killed_at("erasure", "write_manifest", "erase", "--account", account, "--out", tmp_path / "out", "--state", state)
    assert worlds.merged(state, tmp_path / "killed") == before
    erased(state, account)
    assert worlds.parts_with(state, account) == []


def test_whoever_reads_keeps_what_is_being_replaced(held: Path, world: Path, tmp_path: Path) -> None:
    from stillwatch.state import reading

    state = tmp_path / "state"
    for day in sorted((world / "logs").iterdir())[:2]:
        worlds.ingested(state, day)
    with reading(state):
        compact(state, memory_limit="200MB", threads=1)
        assert len(list((state / "parts").iterdir())) == 3
    worlds.ingested(state, world / "logs" / "day-2.parquet")
    assert len(list((state / "parts").iterdir())) == 2
