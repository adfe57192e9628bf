"""Prompts per CPU-second of every text signal, beside a memory copy, a byte sum and two libraries in the same run.

    python bench/text_kernels.py [--rows 65536] [--chars 900] [--repeats 5]

Prompts are made here from a seed: ASCII, and for one line Chinese characters of as many bytes. One thread; time is the
processor's, best of the repeats, so that a busy machine shows less.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stillwatch.records import EXCHANGES, TIMESTAMP, arrow_schema
from stillwatch.signals import signal_modules, signals, text

SEED = 11
LIBRARY_ROWS = 2000  # the libraries are slow; their rate does not depend on the number of rows
INSTRUCTION = "You are a careful assistant. Read the passage and answer the question at the end, step by step: "


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


@njit(nogil=True)  # type: ignore[untyped-decorator]
def byte_sum(data: npt.NDArray[np.uint8]) -> int:
    """The least a kernel that looks at every byte can do."""
    total = 0
    for value in data:
        total += value
    return total


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Least processor time of a call, after one call to compile and warm."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def library_rates(texts: list[str]) -> dict[str, float]:
    """Prompts per second of two libraries people would use instead."""
    from datasketch import MinHash  # noqa: PLC0415 - slow to import and optional
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415 - same

    def minhash() -> None:
        for value in texts:
            words = value.split()
            shingles = [" ".join(words[i : i + 3]).encode() for i in range(len(words) - 2)]
            MinHash(num_perm=64).update_batch(shingles)

    vectorizer = HashingVectorizer(n_features=2**16, ngram_range=(1, 2))
    return {
        "datasketch MinHash (64, 3-word shingles)": len(texts) / seconds(minhash, 1),
        "scikit-learn HashingVectorizer (1-2 words)": len(texts) / seconds(lambda: vectorizer.transform(texts), 1),
    }


def signal_blocks(module: ModuleType, blocks: list[text.Batch]) -> list[dict[str, pa.Array]]:
    """One signal over blocks that are already tokenised."""
    return [module.signal(block) for block in blocks]


def rates(texts: pa.Array, repeats: int) -> dict[str, float]:
    """Prompts per CPU-second of the floor, of each signal on tokens that are made, and of everything."""
    data = np.frombuffer(texts.buffers()[2], np.uint8)
    batch = exchanges(texts)
    blocks = [text.read(batch.slice(start, 4096)) for start in range(0, len(texts), 4096)]
    work: dict[str, Callable[[], object]] = {
        "memory copy": data.copy,
        "byte sum": lambda: byte_sum(data),
        "tokenise": lambda: [text.read(batch.slice(start, 4096)) for start in range(0, len(texts), 4096)],
    }
    for module in signal_modules():
        work[module.__name__.split(".")[-1]] = partial(signal_blocks, module, blocks)
    work["all signals, end to end"] = lambda: signals(batch)
    return {name: len(texts) / seconds(call, repeats) for name, call in work.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=65_536)
    parser.add_argument("--chars", type=int, default=900)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    texts = prompts(arguments.rows, arguments.chars)
    found = rates(texts, arguments.repeats)
    chinese = exchanges(chinese_prompts(LIBRARY_ROWS * 5, arguments.chars))
    found["all signals, Chinese of as many bytes"] = chinese.num_rows / seconds(
        lambda: signals(chinese), arguments.repeats
    )
    found |= library_rates(texts.slice(0, LIBRARY_ROWS).to_pylist())
    print(f"{arguments.rows} prompts of {arguments.chars} ASCII characters, one thread")
    print(f"{'':46}{'prompts per CPU-s':>18}{'cost / byte sum':>17}")
    for name, rate in found.items():
        print(f"{name:46}{rate:18,.0f}{found['byte sum'] / rate:17.1f}")


if __name__ == "__main__":
    main()
