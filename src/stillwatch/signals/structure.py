"""How large the prompt is and what shape its exchange has.

Why:    a pipeline that fills one template sends exchanges of one shape: same turns, same tools, like lengths.
Misses: a pipeline that varies its batch sizes; and every busy product has a shape too.
Source: own; the buckets are powers of two, as token counts spread over orders of magnitude.

`token_shape` packs five buckets, of which 0 is null and b > 0 holds counts of b - 1 bits (1: none, 2: one, 3: 2-3 ..):

    bit 18     14     10      5       0
    +------+------+------+-------+--------+
    |turns | tools|images| input | output |      4, 4, 4, 5 and 5 bits; the highest bucket takes all beyond
    +------+------+------+-------+--------+
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.signals import oracle
from stillwatch.signals.text import Batch, nullable

COLUMNS = ("prompt_chars", "prompt_words", "token_shape")

# Column and width of its bucket [bits], from the highest bits down.
_PACKING = (("turn_count", 4), ("tool_count", 4), ("image_count", 4), ("input_tokens", 5), ("output_tokens", 5))


def signal(batch: Batch) -> dict[str, pa.Array]:
    """Characters and tokens of the prompt (null without one) and the packed shape (null when nothing is known)."""
    prompt = batch.column("prompt").cast(pa.string())
    chars = pc.utf8_length(prompt).cast(pa.int32())
    chars = pc.if_else(pc.equal(chars, 0), pa.scalar(None, pa.int32()), chars)
    no_prompt = chars.is_null().to_numpy(zero_copy_only=False)
    shape = np.zeros(len(prompt), np.int32)
    for name, bits in _PACKING:
        shape = (shape << bits) | _buckets(batch.column(name), bits)
    return {
        "prompt_chars": chars,
        "prompt_words": nullable(batch.prompt.counts.astype(np.int32), no_prompt),
        "token_shape": nullable(shape, shape == 0),
    }


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    prompt = exchange.get("prompt")
    shape = 0
    for name, bits in _PACKING:
        count = exchange.get(name)
        bucket = min(int(count).bit_length() + 1, (1 << bits) - 1) if isinstance(count, int) and count >= 0 else 0
        shape = shape << bits | bucket
    return {
        "prompt_chars": len(str(prompt)) if prompt else None,
        "prompt_words": len(oracle.words(str(prompt))) if prompt else None,
        "token_shape": shape or None,
    }


def _buckets(counts: pa.Array, bits: int) -> npt.NDArray[np.int32]:
    """1 + bit length of each count, capped; 0 where it is null or negative."""
    values = counts.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    bit_length = np.searchsorted(2 ** np.arange(32, dtype=np.int64), values, side="right")
    return np.where(values < 0, 0, np.minimum(bit_length + 1, (1 << bits) - 1)).astype(np.int32)
