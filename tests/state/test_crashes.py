"""Killed at any moment, a state is as before or as after; the same command then ends as if nothing had happened."""

import shutil
import signal
from pathlib import Path

from tests import processes
from tests.flow import planted
from tests.state import worlds

from stillwatch.state import erased, existing_manifest
from stillwatch.upkeep import compact


def killed_at(module: str, function: str, *words: object) -> None:
    """Run a command that is killed when it comes to a function."""
    done = processes.run(f"stillwatch.state.{module}:{function}", *words, main="tests.processes:dying_command")
    assert done.returncode == -signal.SIGKILL, done.stderr


# In the order in which an ingest comes to them.
STAGES = (("batches", "write_parts"), ("batches", "move_in"), ("batches", "write_manifest"), ("manifest", "asdict"))


def test_killed_at_any_stage_of_an_ingest_the_state_is_as_before_and_the_same_command_goes_through(
    world: Path, campaigns: bytes, tmp_path: Path
) -> None:
    state, days = tmp_path / "state", sorted((world / "logs").iterdir())
    worlds.ingested(state, *days[1:], accounts=world / "accounts.parquet")
    before = (state / "manifest.json").read_bytes()
    for module, function in STAGES:
        killed_at(module, function, "ingest", days[0], "--state", state, "--threads", 1)
        assert (state / "manifest.json").read_bytes() == before, function
    assert [batch.exchanges for batch in existing_manifest(state).batches] == [
        sum((row["started_at"] - planted.STARTS_AT).days > 0 for row in planted.exchanges())
    ]
    worlds.ingested(state, days[0])
    worlds.detected(state, tmp_path / "out")
    assert (tmp_path / "out" / "campaigns.json").read_bytes() == campaigns
    assert {path.name for path in (state / "parts").iterdir()} == set(existing_manifest(state).folders)
    assert list(state.glob(".work-*")) == []


def test_killed_in_mid_compaction_nothing_is_lost(held: Path, tmp_path: Path) -> None:
    state = Path(shutil.copytree(held, tmp_path / "state"))
    before = worlds.merged(state, tmp_path / "before")
    for function in ("move_in", "write_manifest"):
        killed_at("compaction", function, "state", "compact", "--state", state)
        assert worlds.merged(state, tmp_path / function) == before
    compact(state, memory_limit="200MB", threads=1)
    assert len(list((state / "parts").iterdir())) == 1


def test_killed_in_mid_erasure_the_account_is_whole_and_then_gone(held: Path, tmp_path: Path) -> None:
    state, account = Path(shutil.copytree(held, tmp_path / "state")), "people-000"
    before = worlds.merged(state, tmp_path / "before")
    killed_at("erasure", "write_manifest", "erase", "--account", account, "--out", tmp_path / "out", "--state", state)
    assert worlds.merged(state, tmp_path / "killed") == before
    erased(state, account)
    assert worlds.parts_with(state, account) == []


def test_whoever_reads_keeps_what_is_being_replaced(held: Path, tmp_path: Path) -> None:
    from stillwatch.state import reading

    state = Path(shutil.copytree(held, tmp_path / "state"))
    with reading(state):
        compact(state, memory_limit="200MB", threads=1)
        assert len(list((state / "parts").iterdir())) == planted.DAYS + 1
    late = planted.exchanges()[0] | {"exchange_id": "late"}
    planted.write_part(tmp_path / "late.parquet", [late])
    worlds.ingested(state, tmp_path / "late.parquet")
    assert len(list((state / "parts").iterdir())) == 2
