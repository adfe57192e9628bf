"""Prompts per second of every text signal and of the whole text stage, beside three libraries in the same run.

    python bench/text_kernels.py [--rows 65536] [--chars 900] [--repeats 3]

Prompts are made here from a seed: ASCII, and for one line Chinese characters of as many bytes. Kernels and libraries
run on one thread and are measured in the processor's time; the text stage runs on all cores and is measured in both.
Every figure is the median of the repeats. The libraries do a part of the work only: a sketch, or features of a model.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from datasketch import MinHash
from numba import njit
from rensa import RMinHash
from sklearn.feature_extraction.text import HashingVectorizer

from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import EXCHANGES, SIGNALS, TIMESTAMP, arrow_schema
from stillwatch.signals import signal_modules, signals, text

SEED = 11
BLOCK_ROWS = 4096
GROUP_ROWS = 16_384  # of the Parquet file: several for each core
LIBRARY_ROWS = 2000  # the libraries are slow; their rate does not depend on the number of rows
PERMUTATIONS, SHINGLE_WORDS = 64, 3
INSTRUCTION = "You are a careful assistant. Read the passage and answer the question at the end, step by step: "
FIRST_CALL = """
import time
start = time.perf_counter()
import pyarrow as pa
from stillwatch.signals import signals
signals(pa.RecordBatch.from_pydict({"prompt": ["a b c", "考"], "system_prompt": ["d", None]}))
print(time.perf_counter() - start)
"""


def prompts(rows: int, chars: int) -> pa.Array:
    """Prompts of one instruction and filler of about `chars` characters, words drawn by Zipf's law."""
    random = np.random.default_rng(SEED)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    lengths = random.integers(2, 10, 20_000)
    vocabulary = np.array(["".join(random.choice(letters[: 8 + length], length)) for length in lengths])
    drawn = (random.zipf(1.3, (rows, chars // 5)) - 1) % len(vocabulary)
    fillers = (" ".join(vocabulary[row]) for row in drawn)
    return pa.array([(INSTRUCTION + filler)[:chars] for filler in fillers])


def chinese_prompts(rows: int, chars: int) -> pa.Array:
    """Prompts of Chinese characters drawn by Zipf's law, three bytes each, `chars` bytes in all."""
    drawn = (np.random.default_rng(SEED).zipf(1.2, (rows, chars // 3)) - 1) % 3000
    return pa.array(["".join(map(chr, row)) for row in 0x4E00 + drawn])


def exchanges(texts: pa.Array) -> pa.RecordBatch:
    """Exchanges that have these prompts and nothing else that is optional."""
    rows = len(texts)
    known = {
        "exchange_id": pa.array([f"x{i}" for i in range(rows)]),
        "started_at": pa.array([0] * rows, TIMESTAMP),
        "account_id": pa.array(["a"] * rows),
        "model": pa.array(["m"] * rows),
        "prompt": texts,
    }
    schema = arrow_schema(EXCHANGES)
    columns = [known.get(field.name, pa.nulls(rows, field.type)) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@njit(nogil=True)
def byte_sum(data: npt.NDArray[np.uint8]) -> int:
    """The least a kernel that looks at every byte can do."""
    total = 0
    for value in data:
        total += value
    return total


def seconds(work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.process_time) -> float:
    """Median time of a call, after one call to compile and warm."""
    work()
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return statistics.median(times)


def shingles(value: str) -> list[str]:
    """Overlapping runs of words."""
    words = value.split()
    return [" ".join(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)]


def library_rates(texts: list[str], repeats: int) -> dict[str, float]:
    """Prompts per second of what people would use instead, fed with Python strings."""

    def rensa() -> None:
        for value in texts:
            sketch = RMinHash(PERMUTATIONS, SEED)
            sketch.update(shingles(value))
            sketch.digest()

    def datasketch() -> None:
        for value in texts:
            MinHash(num_perm=PERMUTATIONS).update_batch([shingle.encode() for shingle in shingles(value)])

    vectorizer = HashingVectorizer(n_features=2**16, ngram_range=(1, 2))
    work: dict[str, Callable[[], object]] = {
        "rensa RMinHash (64, 3-word shingles)": rensa,
        "datasketch MinHash (64, 3-word shingles)": datasketch,
        "scikit-learn HashingVectorizer (1-2 words)": lambda: vectorizer.transform(texts),
    }
    return {name: len(texts) / seconds(call, repeats) for name, call in work.items()}


def tokenised(batch: pa.RecordBatch) -> tuple[text.Batch, int]:
    """The batch with its texts read, and how many tokens they have."""
    block = text.Batch(batch)
    return block, len(block.prompt.hashes) + len(block.system_prompt.hashes)


def signal_blocks(module: ModuleType, batch: pa.RecordBatch) -> float:
    """Processor seconds of one signal alone over blocks that are already tokenised, what signals share included."""
    total = 0.0
    for start in range(0, batch.num_rows, BLOCK_ROWS):
        block, _ = tokenised(batch.slice(start, BLOCK_ROWS))
        before = time.process_time()
        module.signal(block)
        total += time.process_time() - before
    return total


def rates(texts: pa.Array, repeats: int) -> dict[str, float]:
    """Prompts per CPU-second of the floor, of each signal on tokens that are made, and of everything."""
    data = np.frombuffer(texts.buffers()[2], np.uint8)
    batch = exchanges(texts)
    starts = range(0, len(texts), BLOCK_ROWS)
    floor: dict[str, Callable[[], object]] = {
        "memory copy": data.copy,
        "byte sum": lambda: byte_sum(data),
        "tokenise": lambda: [tokenised(batch.slice(start, BLOCK_ROWS)) for start in starts],
    }
    found = {name: len(texts) / seconds(call, repeats) for name, call in floor.items()}
    for module in signal_modules():
        signal_blocks(module, batch)
        spent = statistics.median(signal_blocks(module, batch) for _ in range(repeats))
        found[module.__name__.split(".")[-1]] = len(texts) / spent
    found["all signals, one thread"] = len(texts) / seconds(lambda: signals(batch), repeats)
    return found


def decode_and_derive(path: Path, threads: int) -> None:
    """Read every row group of the file and derive all signals, the groups shared out among threads."""
    with pq.ParquetFile(path) as file:
        groups = range(file.num_row_groups)

    def group(number: int) -> int:
        with pq.ParquetFile(path, read_dictionary=["account_id", "model"]) as file:
            batches = file.iter_batches(batch_size=GROUP_ROWS, row_groups=[number], use_threads=False)
            return sum(signals(batch).num_rows for batch in batches)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(group, groups))


def decode_derive_and_write(path: Path, engine: EmbeddedEngine, work: Path) -> None:
    """The same as an engine does it, its table of signals written."""
    with pq.ParquetFile(path) as file:
        engine.map_batches(file.iter_batches(batch_size=GROUP_ROWS), signals, arrow_schema(SIGNALS), work / "signals")


def stage_rates(texts: pa.Array, repeats: int) -> dict[str, tuple[float, float]]:
    """Prompts per second and per CPU-second of the text stage on all cores, Parquet decoding included."""
    threads, found = os.cpu_count() or 1, {}
    with tempfile.TemporaryDirectory() as folder:
        path, work = Path(folder) / "prompts.parquet", Path(folder) / "work"
        table = pa.Table.from_batches([exchanges(texts)])
        pq.write_table(table, path, row_group_size=GROUP_ROWS, compression="snappy")
        with EmbeddedEngine(work, threads=threads) as engine:
            calls = {
                "Parquet decode, all signals": partial(decode_and_derive, path, threads),
                "Parquet decode, all signals, signals written": partial(decode_derive_and_write, path, engine, work),
            }
            for name, call in calls.items():
                wall, processor = (seconds(call, repeats, clock) for clock in (time.perf_counter, time.process_time))
                found[name] = (len(texts) / wall, len(texts) / processor)
    return found


def first_call_seconds() -> list[float]:
    """Seconds of import and first call in a new process: kernels compiled, then kernels read from the cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        command = [sys.executable, "-c", FIRST_CALL]
        runs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)]
    return [float(run.stdout) for run in runs]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=65_536)
    parser.add_argument("--chars", type=int, default=900)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    texts = prompts(arguments.rows, arguments.chars)
    found = rates(texts, arguments.repeats)
    everything = found["all signals, one thread"]
    chinese = exchanges(chinese_prompts(LIBRARY_ROWS * 5, arguments.chars))
    spent = seconds(lambda: signals(chinese), arguments.repeats)
    found["all signals, Chinese of as many bytes"] = chinese.num_rows / spent
    found |= library_rates(texts.slice(0, LIBRARY_ROWS).to_pylist(), arguments.repeats)
    print(f"{arguments.rows} prompts of {arguments.chars} ASCII characters, medians of {arguments.repeats}")
    print(f"{'':46}{'prompts per CPU-s':>18}{'cost / byte sum':>17}{'all signals / it':>18}")
    for name, rate in found.items():
        print(f"{name:46}{rate:18,.0f}{found['byte sum'] / rate:17.1f}{everything / rate:18.2f}")
    print(f"\n{os.cpu_count()} cores{'':39}{'prompts per s':>18}{'per CPU-s':>17}")
    for name, (wall, processor) in stage_rates(texts, arguments.repeats).items():
        print(f"{name:46}{wall:18,.0f}{processor:17,.0f}")
    compiled, cached = first_call_seconds()
    print(f"\nimport and first call: {compiled:.1f} s with an empty cache, {cached:.1f} s with a warm one")


if __name__ == "__main__":
    main()
