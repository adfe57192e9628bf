"""Seconds until the command line is there, beside Python itself.

    python bench/start_up.py [--repeats 5]

Medians of new processes. `import stillwatch` and `stillwatch --help` load neither numba nor Ibis nor pyspark.
"""

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import stillwatch": ["-c", "import stillwatch"],
    "stillwatch --help": ["-m", "stillwatch", "--help"],
}


def seconds(arguments: list[str], repeats: int) -> float:
    """Median seconds of a new Python with these arguments, after one run that fills the file cache."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    for name, arguments in COMMANDS.items():
        print(f"{name:24}{seconds(arguments, repeats):8.3f} s")


if __name__ == "__main__":
    main()
