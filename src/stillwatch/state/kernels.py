"""Which text kernels made a state: fingerprints of two versions cannot be compared, and nobody remembers to say so.

Why:    a number raised by hand is forgotten. What the kernels make of a few texts changes whenever they do.
Misses: a change that shows only in texts unlike these.
Source: own.
"""

import hashlib
import json
from datetime import UTC, datetime
from functools import cache

import pyarrow as pa

from stillwatch.records import EXCHANGES, arrow_schema
from stillwatch.signals import signals

_TEXTS = (
    "Think step by step about the following problem and write your reasoning inside <thinking> tags: 12 apples",
    "Grade the answer below against each criterion of the rubric from 1 to 10, then rewrite it without the mistakes.",
    "请逐步思考下面的问题,并把推理过程写在标签里。",
    "次の文章を要約してください。句読点はそのままにします。",
    "Объясните, пожалуйста, как решить эту задачу, шаг за шагом",
    "def solve(values):\n    return sorted(set(values))[:3]  # fix the bug in this function and add tests",
    "word " * 700 + "the end",
    "",
)


@cache
def kernels() -> str:
    """A name for what the kernels of this version make of some texts."""
    rows = [
        {
            "exchange_id": str(number),
            "started_at": datetime(2026, 1, 1, tzinfo=UTC),
            "account_id": "a",
            "model": "m",
            "prompt": text,
            "system_prompt": _TEXTS[number - 1],
            "metadata": '{"b": 1, "a": 2}',
        }
        for number, text in enumerate(_TEXTS)
    ]
    made = signals(pa.RecordBatch.from_pylist(rows, arrow_schema(EXCHANGES)))
    text = json.dumps(made.drop_columns(["exchange_id", "started_at"]).to_pylist(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
