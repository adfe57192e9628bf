"""Sums that stay whole numbers.

Why:    DuckDB adds 64-bit numbers up in 128 bits, for which Parquet has no type: written and read again, a sum is a
        float, exact to 2^53 only, and parts that merge must be of one type.
"""

from typing import Any


def total(column: Any) -> Any:  # noqa: ANN401  # a column of Ibis, which has no types of its own
    """The sum of a column of whole numbers, in 64 bits."""
    # Ibis holds a sum to be 64 bits wide already and would leave a plain cast out; to it, "!" is another type.
    return column.sum().cast("!int64").cast("int64")
