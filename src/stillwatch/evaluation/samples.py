"""Real prompts and real arrival times from files, for worlds whose text and rhythm are not ours.

Why:    wordings of our own flatter a detector of our own; text and timing written by others do not know it.
Misses: the columns label, capability, family and language are taken on trust; sources are never known by name.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillwatch.errors import InputError
from stillwatch.evaluation.arrivals import Rhythm
from stillwatch.evaluation.grammar import LANGUAGES
from stillwatch.evaluation.templates import Library
from stillwatch.records import CAPABILITIES

LONGEST = 6_000  # characters of a text that is used
FEWEST_TEXTS = 40  # of a source, or of a use, before it stands alone
FEWEST_GAPS = 200
PROMPT_COLUMNS = ("text", "source", "family", "label", "capability", "language")
TIMING_COLUMNS = ("t_s", "output_tokens", "session_id", "source")

Row = Mapping[str, Any]

# Use of legitimate texts: families whose name says so, else a capability, else any short or any text at all.
_USES: Mapping[str, tuple[str, str]] = {
    "person_homework": (r"homework|school|tutor|exam", "reasoning"),
    "person_code": (r"agent|coding|code|repo|swe", "agentic_coding"),
    "person_judge": (r"judge|grading|rubric|preference", "grading"),
    "person_eval": (r"eval|bench|test", "reasoning"),
}
_TALK = r"chat|utterance|human|conversation|question"


def read_prompts(path: Path, library: Library) -> dict[str, list[int]]:
    """Kinds of item per use, from a file with columns text, source, family, label, capability, language.

    Campaigns take texts labelled `distillation`, customers those labelled `legitimate`; a label that is missing
    altogether falls back on all texts.

    Raises:
        InputError: the file cannot be read, lacks `text` or `label`, or has no usable text.
    """
    rows = [
        row
        for row in _rows(path, PROMPT_COLUMNS, ("text", "label"))
        if row["text"] and 4 <= len(row["text"]) <= LONGEST
    ]
    if not rows:
        raise InputError(
            f"{path} has no text of 4 to {LONGEST} characters; pass a file of prompts with a column `text`"
        )
    harvest = [row for row in rows if row["label"] == "distillation"] or rows
    customers = [row for row in rows if row["label"] == "legitimate"] or rows
    return {**_harvest_kinds(harvest, library), **_customer_kinds(customers, library)}


def _harvest_kinds(rows: Sequence[Row], library: Library) -> dict[str, list[int]]:
    kinds = {"harvest_general": _by_source(rows, library)}
    for capability in CAPABILITIES:
        chosen = [row for row in rows if row["capability"] == capability]
        if len(chosen) >= FEWEST_TEXTS and capability != "general":
            kinds[f"harvest_{capability}"] = _by_source(chosen, library)
    return kinds


def _customer_kinds(rows: Sequence[Row], library: Library) -> dict[str, list[int]]:
    kinds = {"person_app": _by_source(rows, library)}
    for use, (pattern, capability) in _USES.items():
        chosen = _first_enough(rows, _family(pattern), _capability(capability))
        kinds[use] = [library.kinds.texts(use, [row["text"] for row in chosen])]
    for language in LANGUAGES:
        spoken = [row for row in rows if (row["language"] or "en") == language and len(row["text"]) <= 600]
        chosen = _first_enough(spoken, _family(_TALK))
        if len(chosen) >= FEWEST_TEXTS:
            name = f"person_chat_{language}"
            kinds[name] = [library.kinds.texts(name, [row["text"] for row in chosen])]
    return kinds


def _family(pattern: str) -> Callable[[Row], bool]:
    return lambda row: re.search(pattern, row["family"] or "") is not None


def _capability(wanted: str) -> Callable[[Row], bool]:
    return lambda row: row["capability"] == wanted


def _first_enough(rows: Sequence[Row], *tests: Callable[[Row], bool]) -> Sequence[Row]:
    """The rows of the first test that leaves enough of them; all rows when none does."""
    for test in tests:
        chosen = [row for row in rows if test(row)]
        if len(chosen) >= FEWEST_TEXTS:
            return chosen
    return rows


def _by_source(rows: Iterable[Row], library: Library) -> list[int]:
    """One kind per source; sources with few texts share one."""
    texts: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        texts[row["source"] or ""].append(row["text"])
    small = sorted(source for source, own in texts.items() if len(own) < FEWEST_TEXTS)
    rest = [text for source in small for text in texts.pop(source)]
    groups = [(source, texts[source]) for source in sorted(texts)] + ([("rest", rest)] if rest else [])
    return [library.kinds.texts(f"file:{source}", own) for source, own in groups]


def read_rhythm(path: Path) -> Rhythm:
    """Gaps and answer lengths, relative to the median of their source, from a file of recorded requests.

    Columns: t_s, output_tokens, session_id (nullable) and source. Gaps come from within sessions, and where there are
    too few of those from the whole source. Input lengths are not taken: here they follow from the text.

    Raises:
        InputError: the file cannot be read, lacks a column, or has fewer than 200 gaps.
    """
    table = _table(path, TIMING_COLUMNS, TIMING_COLUMNS)
    sources = np.array([source or "" for source in table["source"].to_pylist()])
    at = table["t_s"].to_numpy(zero_copy_only=False).astype(np.float64)
    tokens = table["output_tokens"].to_numpy(zero_copy_only=False).astype(np.float64)
    sessions = np.array([str(session or "") for session in table["session_id"].to_pylist()])
    gaps, lengths = [], []
    for source in np.unique(sources):
        own = sources == source
        gaps.append(_relative_gaps(at[own], sessions[own]))
        lengths.append(tokens[own] / max(float(np.nanmedian(tokens[own])), 1.0))
    return _rhythm(np.concatenate(gaps), np.concatenate(lengths), path)


def _rhythm(gaps: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any], path: Path) -> Rhythm:
    if len(gaps) < FEWEST_GAPS:
        raise InputError(f"{path} holds {len(gaps)} gaps between requests; {FEWEST_GAPS} are needed")
    usable = lengths[np.isfinite(lengths)]
    return Rhythm(np.sort(np.clip(gaps, 0.02, 60.0)), np.sort(np.clip(usable, 0.02, 25.0)))


def _relative_gaps(at: np.ndarray[Any, Any], sessions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    order = np.lexsort((at, sessions))
    gaps = np.diff(at[order])
    same = (sessions[order][1:] == sessions[order][:-1]) & (sessions[order][1:] != "")
    within = gaps[same & (gaps > 0)]
    if len(within) < FEWEST_GAPS:
        every = np.diff(np.sort(at))
        within = every[every > 0]
    return within / max(float(np.median(within)), 1e-9) if len(within) else within


def _rows(path: Path, columns: Sequence[str], needed: Sequence[str]) -> list[Row]:
    rows: list[Row] = _table(path, columns, needed).to_pylist()
    return rows


def _table(path: Path, columns: Sequence[str], needed: Sequence[str]) -> pa.Table:
    """`columns` of a Parquet file; those not needed are null where the file lacks them."""
    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} cannot be read as Parquet; pass an existing Parquet file") from error
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(f"{path} lacks the columns {', '.join(missing)}; it needs {', '.join(needed)}")
    table = pq.read_table(path, columns=[name for name in columns if name in names])
    for name in columns:
        if name not in names:
            table = table.append_column(name, pa.nulls(len(table), pa.string()))
    return table
