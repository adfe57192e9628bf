"""Days out of a state: what stays is what a window over the same days finds, and held accounts stay whole."""

import shutil
from pathlib import Path

import pytest
from tests.flow import planted
from tests.state import worlds

from stillwatch import state
from stillwatch.errors import StoreError
from stillwatch.state import existing_manifest, retained

HELD = "company-003"


@pytest.fixture
def days(held: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(held, tmp_path / "state"))


def test_old_days_leave_every_part_and_a_window_over_the_rest_finds_the_same(days: Path, tmp_path: Path) -> None:
    first = min(day for batch in existing_manifest(days).batches for day in batch.days)
    window = worlds.merged(days, tmp_path / "before", state.Window(first + 2, None))
    removed = retained(days, first + 2)
    assert all(removed[part] > 0 for part in ("activity", "traits", "sessions", "content"))
    assert worlds.merged(days, tmp_path / "after") == window
    assert min(day for batch in existing_manifest(days).batches for day in batch.days) == first + 2


def test_batches_stay_known_so_that_old_logs_do_not_come_back(days: Path, world: Path) -> None:
    retained(days, 30_000)
    manifest = existing_manifest(days)
    assert len(manifest.batches) == planted.DAYS
    assert all(batch.days == () for batch in manifest.batches)
    again = worlds.ingested(days, sorted((world / "logs").iterdir())[0])
    assert again.was_known


def test_what_is_held_stays_on_every_day(days: Path, tmp_path: Path) -> None:
    before = worlds.merged(days, tmp_path / "before")
    retained(days, 30_000, held=[HELD])
    after = worlds.merged(days, tmp_path / "after")
    for name in ("activity", "traits", "content"):
        kept = {row: count for row, count in before[name].items() if f"'account_id': '{HELD}'" in row}
        assert kept
        assert dict(after[name]) == kept


def test_again_nothing_goes_and_nothing_is_written(days: Path) -> None:
    first = min(day for batch in existing_manifest(days).batches for day in batch.days)
    retained(days, first + 1)
    before = (days / "manifest.json").read_bytes()
    assert sum(retained(days, first + 1).values()) == 0
    assert (days / "manifest.json").read_bytes() == before


def test_without_a_state_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no state"):
        retained(tmp_path / "none", 1)
    assert not (tmp_path / "none").exists()
