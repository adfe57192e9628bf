"""A state from the outside: batches in, what it holds, compaction; the run boundary around `state`."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from stillwatch import ingest, state
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.errors import StoreError
from stillwatch.settings import Settings, checked, key_path, key_secret

Progress = Callable[[str, int, int], None]


def take_in(folder: Path, settings: Settings, *, progress: Progress) -> state.Ingested:
    """Take one batch of logs into a state, once: whole or not at all.

    Raises:
        StillwatchError: settings, input, store or engine; the state is as it was.
    """
    checked(settings)
    key = ingest.Key(key_secret(key_path()))
    with (
        state.work_folder(folder) as work,
        EmbeddedEngine(work, memory_limit=settings.memory_limit, threads=settings.threads) as engine,
    ):
        return state.ingested(folder, settings, engine, key=key, work=work, progress=progress)


def compact(folder: Path, *, memory_limit: str, threads: int | None) -> state.Compacted:
    """Merge the partial rollups of every week; answers stay the same.

    Raises:
        StoreError: there is no state, or it is of another format.
    """
    state.existing_manifest(folder)  # before a folder is made
    with (
        state.work_folder(folder) as work,
        EmbeddedEngine(work, memory_limit=memory_limit, threads=threads) as engine,
    ):
        return state.compacted(folder, engine, work=work)


def holdings(folder: Path) -> dict[str, Any]:
    """What a state holds: batches, days, bytes by part, key.

    Raises:
        StoreError: there is no state, or it is of another format.
    """
    manifest = state.existing_manifest(folder)
    days = sorted({day for batch in manifest.batches for day in batch.days})
    sizes = state.part_bytes(folder, list(manifest.folders))
    exchanges = sum(batch.exchanges for batch in manifest.batches)
    return {
        "state": str(folder),
        "key_id": manifest.key_id,
        "format": manifest.format,
        "kernels": manifest.kernels,
        "version": manifest.version,
        "batches": len(manifest.batches),
        "folders": len(manifest.folders),
        "days": len(days),
        "first_day": _date(days[0]) if days else None,
        "last_day": _date(days[-1]) if days else None,
        "exchanges": exchanges,
        "duplicates": sum(batch.duplicates for batch in manifest.batches),
        "rejected": sum(batch.rejected for batch in manifest.batches),
        "bytes": sizes,
        "bytes_per_million_exchanges": round(sum(sizes.values()) / exchanges * 1_000_000) if exchanges else None,
    }


def newest_day(folder: Path) -> int:
    """The newest day of a state, in days since 1970.

    Raises:
        StoreError: there is no state, it is of another format, or no exchange is in it.
    """
    days = [day for batch in state.existing_manifest(folder).batches for day in batch.days]
    if not days:
        raise StoreError(f"{folder} holds no exchanges. Run `stillwatch ingest LOGS --state {folder}` first.")
    return max(days)


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
