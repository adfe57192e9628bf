"""How fast a world is written, beside the floor: writing the same columns, already in memory, with pyarrow.

    python bench/simulate.py [--scenario feb2026] [--scale 1] [--days 2] [--folder DIR]

Two days of a scale-1 world take the planning of all its accounts and the work of two full days; every further day adds
the same again, so the steady rate is that of the days. Peak memory is of the whole process.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch.evaluation import simulate


def main() -> None:
    """Print one line per measure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scenario", default="feb2026")
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--days", type=int, default=2)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        _measure(Path(folder), chosen)


def _measure(folder: Path, chosen: argparse.Namespace) -> None:
    simulate(folder / "warm", scenario=chosen.scenario, scale=0.001, days=1)  # compiles the kernels
    stamps = [time.perf_counter()]
    world = simulate(
        folder / "world",
        scenario=chosen.scenario,
        scale=chosen.scale,
        days=chosen.days,
        seed=chosen.seed,
        on_progress=lambda done, total: stamps.append(time.perf_counter()) if done == 0 else None,
    )
    total_s = time.perf_counter() - stamps[0]
    planning_s = stamps[1] - stamps[0]
    memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    files = sorted((folder / "world" / "exchanges").glob("*.parquet"))
    floor_s = _floor(files, folder / "floor")
    print(
        f"scenario {chosen.scenario}, scale {chosen.scale:g}, {chosen.days} days: {world.exchanges:,} exchanges, "
        f"{world.accounts:,} accounts, {sum(file.stat().st_size for file in files) / 1e6:,.0f} MB"
    )
    rate = world.exchanges / (total_s - planning_s)
    print(f"planning          {planning_s:8.1f} s")
    print(f"writing days      {total_s - planning_s:8.1f} s  {rate:12,.0f} exchanges/s")
    print(f"all               {total_s:8.1f} s  {world.exchanges / total_s:12,.0f} exchanges/s")
    print(f"floor (pyarrow)   {floor_s:8.1f} s  {world.exchanges / floor_s:12,.0f} exchanges/s")
    print(f"ratio to floor    {(total_s - planning_s) / floor_s:8.2f}")
    print(f"peak memory       {memory_gb:8.2f} GB")


def _floor(files: list[Path], folder: Path) -> float:
    """Seconds to write the same columns as plain Arrow, one file after another, by one writer."""
    folder.mkdir()
    seconds = 0.0
    for file in files:
        for k, group in enumerate(_groups(file)):
            begin = time.perf_counter()
            pq.write_table(group, folder / f"{file.stem}-{k}.parquet", compression="snappy")
            seconds += time.perf_counter() - begin
    return seconds


def _groups(file: Path) -> list[pa.Table]:
    reader = pq.ParquetFile(file)
    return [reader.read_row_group(k) for k in range(reader.num_row_groups)]


if __name__ == "__main__":
    main()
