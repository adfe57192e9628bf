"""Writing system most of the prompt's letters are in.

Why:    reference traffic must be compared like with like, and a translated template is still the same harvest.
Misses: languages that share a script (English and Vietnamese, Arabic and Persian); romanised text. Never evidence of
        anything by itself: it selects the reference, it carries no weight.
Source: Unicode Standard, blocks; Japanese is told from Chinese by at least one kana in eight characters (our choice).
"""

from collections.abc import Mapping

import pyarrow as pa

from stillwatch.signals import oracle
from stillwatch.signals.characters import SCRIPTS
from stillwatch.signals.text import Batch
from stillwatch.signals.tokeniser import NO_SCRIPT

COLUMNS = ("script",)
READS = ("prompt",)


def signal(batch: Batch) -> dict[str, pa.Array]:
    """Script per exchange; null without a letter."""
    found = batch.prompt.scripts
    coded = pa.DictionaryArray.from_arrays(pa.array(found, mask=found == NO_SCRIPT), pa.array(SCRIPTS))
    return {"script": coded.cast(pa.string())}


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    prompt = exchange.get("prompt")
    return {"script": oracle.script(str(prompt)) if prompt else None}
