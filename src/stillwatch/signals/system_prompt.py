"""One id per system prompt, blind to numbers.

Why:    accounts of one operator often carry the same system prompt word for word; dates and counters inside it change.
Misses: system prompts that differ in a name or any other word. A shared harness gives thousands of strangers one id.
Source: Anthropic (2026), "Detecting and preventing distillation attacks", the expert-persona example.
"""

from collections.abc import Mapping

import pyarrow as pa

from stillwatch.signals import oracle
from stillwatch.signals.text import Batch, nullable, wording_ids

COLUMNS = ("system_prompt_id",)
READS = ("system_prompt",)


def signal(batch: Batch) -> dict[str, pa.Array]:
    """Hash of the normalised system prompt; null without a token."""
    distinct = batch.system_prompt
    ids = wording_ids(distinct.hashes, distinct.bounds)
    rows = batch.system_prompt_rows
    return {"system_prompt_id": nullable(ids[rows], distinct.is_empty[rows])}


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    text = exchange.get("system_prompt")
    found = oracle.without_number_runs(oracle.tokens(str(text) if text else None))
    return {"system_prompt_id": oracle.text_id(found) if found else None}
