"""How many words the prompt has.

Why:    harvested prompts carry a passage to work on, so they are longer than small talk.
Misses: anything about the text but its length.
Source: own; a word is a token of `text.py`, a single character in scripts without spaces.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.signals import oracle
from stillwatch.signals.text import Batch, nullable

COLUMNS = ("prompt_words",)
READS = ("prompt",)


def signal(batch: Batch) -> dict[str, pa.Array]:
    """Words per exchange; null without a prompt, 0 for one without a word."""
    has_text = pc.greater(pc.binary_length(batch.column("prompt").cast(pa.string())), 0).fill_null(False)
    is_null = ~has_text.to_numpy(zero_copy_only=False)
    return {"prompt_words": nullable(batch.prompt.counts.astype(np.int32), is_null)}


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    prompt = exchange.get("prompt")
    return {"prompt_words": len(oracle.words(str(prompt))) if prompt else None}
