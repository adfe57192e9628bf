"""What the prompt and its system prompt ask for, as a bit set over INTENTS.

Why:    harvests have recurring aims: reasoning in tags, rubric grades, traces to be cleaned, tasks in bulk. A tag says
        what a campaign harvests.
Misses: paraphrase, other languages than seven, the middle of long prompts. Every tag has innocent twins (teachers
        grade, engineers debug, red teams try every trick on purpose), so no tag speaks against an account by itself.
Source: Anthropic (2026), "Detecting and preventing distillation attacks" and "Detecting and countering misuse of AI:
        September 2026", techniques of reasoning extraction; Google Threat Intelligence Group (2026), "AI Threat
        Tracker", reasoning-trace coercion. The phrases in intents.toml are our own.
"""

from collections.abc import Mapping
from functools import cache

import pyarrow as pa

from stillwatch.signals import lexicon, oracle
from stillwatch.signals.text import Batch, nullable

COLUMNS = ("intents",)
READS = ("system_prompt", "prompt")


@cache
def phrases() -> lexicon.Lexicon:
    """Our phrases and rules."""
    return lexicon.shipped()[1]


def signal(batch: Batch) -> dict[str, pa.Array]:
    """Bits per exchange, over prompt and system prompt together; null without either."""
    rows = batch.system_prompt_rows
    found = lexicon.terms(batch.prompt, phrases()) | lexicon.terms(batch.system_prompt, phrases())[rows]
    is_null = batch.prompt.is_empty & batch.system_prompt.is_empty[rows]
    return {"intents": nullable(lexicon.labels(found, phrases()), is_null)}


def reference(exchange: Mapping[str, object]) -> dict[str, object]:
    """The same for one exchange."""
    texts = [str(exchange.get(name) or "") for name in ("prompt", "system_prompt")]
    if not any(oracle.words(text) for text in texts):
        return {"intents": None}
    found = lexicon.terms_reference(texts[0], phrases()) | lexicon.terms_reference(texts[1], phrases())
    return {"intents": sum({1 << label for label, needed in phrases().rules if found & needed == needed})}
