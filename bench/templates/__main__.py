"""Reworded templates: is a template still one when a part of its words is another on every call?

    python -m bench.templates [--templates 1000] [--variants 50] [--prompts FILE] [--seed 0]

Every row of the table sends as many variants of each of many templates, as accounts would, and looks at what a scan
says of each prompt: its family, else its template; the template alone; the template if it recurs as an exact set.
Words, synonyms and templates are made here from the seed; the product has none of them.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch import ingest, linkage, rollups
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.records import EXCHANGES, arrow_schema
from stillwatch.signals import signals

from . import japanese

VOCABULARY = 8_000  # words of the made-up language
SYNONYMS = 5  # of each word, from among the words about as frequent
STOCK = 40  # sentences that several templates share
STOCK_SHARE = 0.6  # of the templates that hold one
ACCOUNTS = 5  # that send each template
JAPANESE_TEMPLATES = {True: 100, False: 20}  # with a subject of their own; of twelve sentences few differ
JAPANESE_ORDINARY = 2_000  # prompts without a template beside them
BATCH = 10_000

Words = list[str]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Language:
    """Words by falling frequency, and what joins them."""

    words: Sequence[str]
    frequency: npt.NDArray[np.float64]
    gap: str
    synonyms: Ints  # (words, SYNONYMS)


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    name: str
    reworded: float = 0.0
    slot_at: str = "end"
    slot_words: tuple[int, int] = (100, 300)
    language: str = "latin"
    prefix: bool = False
    with_subject: bool = True
    disguise: Callable[[str, np.random.Generator], str] | None = None


def language(kind: str, seed: int) -> Language:
    """A made-up language: pseudo-words of Latin letters, or words of one or two Chinese characters."""
    rng = np.random.default_rng([seed, len(kind)])
    if kind == "latin":
        letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
        odds = 1 / np.arange(2, 28)
        lengths = np.minimum(1 + rng.poisson(2 + np.log2(np.arange(1, VOCABULARY * 2)) / 3), 12)
        made = dict.fromkeys("".join(rng.choice(letters, n, p=odds / odds.sum())) for n in lengths)
    else:
        signs = 0x4E00 + rng.permutation(3_000)
        odds = 1 / (np.arange(3_000) + 20)
        pick = rng.choice(signs, (VOCABULARY * 2, 2), p=odds / odds.sum())
        made = dict.fromkeys(chr(a) if i < 60 else chr(a) + chr(b) for i, (a, b) in enumerate(pick))
    words = list(made)[:VOCABULARY]
    rank = np.arange(len(words))
    frequency = 1 / (rank + 2.7)
    near = rank[:, None] + rng.integers(-1, 2, (len(words), SYNONYMS)) * rng.integers(
        5, 40 + rank[:, None] // 3, (len(words), SYNONYMS)
    )
    return Language(
        words, frequency / frequency.sum(), " " if kind == "latin" else "", np.clip(near, 0, len(words) - 1)
    )


def templates(of: Language, count: int, rng: np.random.Generator) -> list[Ints]:
    """Instructions of 25 to 60 words, six in ten with a sentence that other templates hold as well."""
    stock = [_drawn(of, int(rng.integers(8, 13)), rng) for _ in range(STOCK)]
    made = []
    for _ in range(count):
        size = int(rng.integers(25, 61))
        shared = stock[int(rng.integers(STOCK))] if rng.random() < STOCK_SHARE else _drawn(of, 0, rng)
        own = _drawn(of, size - len(shared), rng)
        at = int(rng.integers(len(own) + 1))
        made.append(np.concatenate([own[:at], shared, own[at:]]))
    return made


def _drawn(of: Language, count: int, rng: np.random.Generator) -> Ints:
    return rng.choice(len(of.words), count, p=of.frequency).astype(np.int64)


def reworded(template: Ints, share: float, of: Language, rng: np.random.Generator) -> Ints:
    """The template with a share of its words, at random places, each replaced by one of its synonyms."""
    places = rng.permutation(len(template))[: round(share * len(template))]
    changed = template.copy()
    changed[places] = of.synonyms[template[places], rng.integers(0, SYNONYMS, len(places))]
    return changed


def prompts(
    setting: Setting,
    of: Language,
    made: list[Ints],
    variants: int,
    slots: Iterator[str],
    rng: np.random.Generator,
) -> Iterator[tuple[int, str]]:
    """Template and text of every prompt."""
    for number, template in enumerate(made):
        for _ in range(variants):
            words = [of.words[i] for i in reworded(template, setting.reworded, of, rng)]
            yield number, _filled(setting, of, words, next(slots), rng)


def _filled(setting: Setting, of: Language, words: Words, slot: str, rng: np.random.Generator) -> str:
    where = setting.slot_at if setting.slot_at != "any" else str(rng.choice(["front", "middle", "end"]))
    cut = {"front": 0, "end": len(words)}.get(where, int(rng.integers(len(words) // 3, 2 * len(words) // 3 + 1)))
    parts = [of.gap.join(words[:cut]), slot, of.gap.join(words[cut:])]
    if setting.prefix:
        parts = [_sentence(of, 4, 20, rng), *parts, _sentence(of, 4, 20, rng)]
    text = "\n".join(part for part in parts if part)
    return setting.disguise(text, rng) if setting.disguise else text


def _sentence(of: Language, low: int, high: int, rng: np.random.Generator) -> str:
    return of.gap.join(of.words[i] for i in _drawn(of, int(rng.integers(low, high + 1)), rng))


def made_slots(setting: Setting, of: Language, rng: np.random.Generator) -> Iterator[str]:
    """Text of the same language without end."""
    while True:
        yield _sentence(of, *setting.slot_words, rng)


def file_slots(path: Path, setting: Setting, rng: np.random.Generator) -> Iterator[str]:
    """Prompts of a file, put together to the length wanted; none comes again before all have come."""
    pool = [text.split() for text in pq.read_table(path, columns=["text"])["text"].to_pylist() if text]
    order: list[int] = []
    while True:
        wanted, words = int(rng.integers(*setting.slot_words)), list[str]()
        while len(words) < wanted:
            order = order or [int(i) for i in rng.permutation(len(pool))]
            words += pool[order.pop()]
        yield " ".join(words[:wanted])


def exchanges(texts: Sequence[tuple[int, str]]) -> pa.RecordBatch:
    """Prompts as exchanges: ACCOUNTS accounts share the variants of a template out."""
    schema = arrow_schema(EXCHANGES)
    rows = [
        {
            "exchange_id": f"x{i}",
            "started_at": datetime(2026, 1, 1, tzinfo=UTC),
            "account_id": f"a{number}-{i % ACCOUNTS}",
            "model": "m",
            "prompt": text,
        }
        for i, (number, text) in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def zero_width(text: str, rng: np.random.Generator) -> str:
    """Invisible characters after one letter in eight."""
    hide = rng.random(len(text)) < 1 / 8
    return "".join(c + "\u200b" if h else c for c, h in zip(text, hide, strict=True))


def look_alikes(text: str, rng: np.random.Generator) -> str:
    """Half of the letters that have a Cyrillic twin replaced by it."""
    twins = str.maketrans("aceopxy", "асеорху")
    swap = rng.random(len(text)) < 1 / 2
    return "".join(c.translate(twins) if s else c for c, s in zip(text, swap, strict=True))


def case_games(text: str, rng: np.random.Generator) -> str:
    """Capitals, and full-width forms, at random."""
    dice = rng.random(len(text))
    return "".join(
        c.upper() if d < 1 / 3 else chr(ord(c) + 0xFEE0) if d > 2 / 3 and "!" <= c <= "~" else c
        for c, d in zip(text, dice, strict=True)
    )


SETTINGS = (
    Setting("not reworded"),
    Setting("25 % reworded", 0.25),
    Setting("50 % reworded", 0.5),
    Setting("25 % reworded, slot anywhere", 0.25, "any"),
    Setting("50 % reworded, slot anywhere", 0.5, "any"),
    Setting("25 % reworded, slots of 5 to 30 words", 0.25, "any", (5, 30)),
    Setting("50 % reworded, slots of 5 to 30 words", 0.5, "any", (5, 30)),
    Setting("25 % reworded, random sentences before and behind", 0.25, prefix=True),
    Setting("50 % reworded, random sentences before and behind", 0.5, prefix=True),
    Setting("25 % reworded, zero-width characters", 0.25, disguise=zero_width),
    Setting("25 % reworded, look-alike letters", 0.25, disguise=look_alikes),
    Setting("25 % reworded, case and width games", 0.25, disguise=case_games),
    Setting("Chinese, 25 % reworded", 0.25, language="chinese"),
    Setting("Chinese, 50 % reworded", 0.5, language="chinese"),
    Setting("Japanese, every choice of words drawn anew, beside the Chinese", language="japanese"),
    Setting("Japanese, the same, of twelve stock sentences and nothing else", language="japanese", with_subject=False),
)


@dataclass(frozen=True)
class Quality:
    """How well what a scan says is the planted template: B-cubed recall, precision, largest share."""

    said: tuple[float, float, float]
    template: tuple[float, float, float]
    exact_recall: float
    seconds: float = field(default=0.0)


def b_cubed(found: Ints, truth: Ints) -> tuple[float, float, float]:
    """Recall, precision and mean share of the largest part; a prompt without family (-1) is a cluster of its own."""
    alone = found < 0
    label = np.where(alone, found.max(initial=0) + 1 + np.arange(len(found)), found)
    _, which, both = np.unique(np.stack([label, truth]), axis=1, return_inverse=True, return_counts=True)
    which = which.ravel()
    _, of_label, labels = np.unique(label, return_inverse=True, return_counts=True)
    _, of_truth, truths = np.unique(truth, return_inverse=True, return_counts=True)
    most = np.zeros(len(truths))
    np.maximum.at(most, of_truth, both[which])
    return (
        float(np.mean(both[which] / truths[of_truth])),
        float(np.mean(both[which] / labels[of_label])),
        float(np.mean(most / truths)),
    )


def measured(setting: Setting, wanted: argparse.Namespace) -> Quality:
    """Make the prompts of a setting, run the product on them, compare with the truth."""
    rng = np.random.default_rng([wanted.seed, sum(map(ord, setting.name))])
    texts = list(_japanese(setting, wanted, rng) if setting.language == "japanese" else _made(setting, wanted, rng))
    batch = exchanges(texts)
    parts = [batch.slice(i, BATCH) for i in range(0, batch.num_rows, BATCH)]
    key = ingest.Key(bytes(32))
    table = pa.Table.from_batches([ingest.with_exchange_keys(signals(part), key) for part in parts])
    start = time.process_time()
    assigned = _templated(table)
    seconds = time.process_time() - start
    truth = np.array([number for number, _ in texts])
    labels = [_labels(assigned[name]) for name in ("said", "template_id", "exact")]
    if setting.language == "japanese":  # the rest are there to be ordinary
        wanted_rows = (truth >= 0) & (truth < JAPANESE_TEMPLATES[setting.with_subject])
        *labels, truth = (of[wanted_rows] for of in (*labels, truth))
    said, template, exact = (b_cubed(of, truth) for of in labels)
    return Quality(said, template, exact[0], seconds)


def _made(setting: Setting, wanted: argparse.Namespace, rng: np.random.Generator) -> Iterator[tuple[int, str]]:
    of = language(setting.language, wanted.seed)
    made = templates(of, wanted.templates, rng)
    from_file = wanted.prompts is not None and setting.language == "latin"
    slots = file_slots(wanted.prompts, setting, rng) if from_file else made_slots(setting, of, rng)
    return prompts(setting, of, made, wanted.variants, slots, rng)


def _japanese(setting: Setting, wanted: argparse.Namespace, rng: np.random.Generator) -> Iterator[tuple[int, str]]:
    count = JAPANESE_TEMPLATES[setting.with_subject]
    nouns = japanese.compounds(rng) if setting.with_subject else japanese.NOUNS
    subjects = setting.with_subject and japanese.templates_with_subjects(count, nouns, rng)
    slots = japanese.items(nouns, rng)
    for number, template in enumerate(subjects or japanese.templates(count, rng)):
        for _ in range(wanted.variants):
            yield number, f"{japanese.worded(template, rng)}\n{next(slots)}"
    for _ in range(JAPANESE_ORDINARY):
        yield -1, next(slots)
    chinese = Setting("beside", 0.25, language="chinese")
    for number, text in _made(chinese, wanted, rng):
        yield count + number, text


def _templated(table: pa.Table) -> pa.Table:
    """The exact set of wordings of each prompt, its template as a scan has it, and its family, else its template."""
    derived = rollups.unsampled(ibis.memtable(table))
    table = derived.to_pyarrow()
    with tempfile.TemporaryDirectory() as scratch, EmbeddedEngine(Path(scratch)) as engine:
        fingerprints = linkage.vocabulary(derived, linkage.numbered_accounts(derived), engine, Path(scratch))
        exact = pa.Table.from_batches([linkage.looks(linkage.indexed(fingerprints))(part) for part in _parts(table)])
        scanned = linkage.templated(engine.memory(table), engine, Path(scratch)).exchanges.to_pyarrow()
        scanned = scanned.take(pc.index_in(table["exchange_id"], scanned["exchange_id"].combine_chunks()))
    said = pc.coalesce(scanned["family_id"], scanned["template_id"])
    return pa.table({"exact": exact["template_id"], "template_id": scanned["template_id"], "said": said})


def _parts(table: pa.Table) -> list[pa.RecordBatch]:
    return list(table.to_batches(max_chunksize=BATCH))


def _labels(ids: pa.ChunkedArray) -> Ints:
    """Small integers for ids, -1 for null."""
    encoded = ids.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1)).astype(np.int64)


def main() -> None:
    """Print the table on standard output; progress goes to standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.templates", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--templates", type=int, default=1000, help="templates per setting (default: 1000)")
    parser.add_argument("--variants", type=int, default=50, help="variants of each template (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything (default: 0)")
    parser.add_argument("--prompts", type=Path, help="Parquet file whose column `text` fills the slots")
    parser.add_argument("--only", default="", metavar="TEXT", help="only settings whose name holds this")
    wanted = parser.parse_args()
    heads = ("setting", "family, else template: recall", "precision", "template: recall", "precision", "exact", "CPU-s")
    print(f"| {' | '.join(heads)} |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for setting in SETTINGS:
        if wanted.only not in setting.name:
            continue
        print(setting.name, file=sys.stderr)
        got = measured(setting, wanted)
        print(
            f"| {setting.name} | {got.said[0]:.3f} | {got.said[1]:.4f} | {got.template[0]:.3f} | "
            f"{got.template[1]:.4f} | {got.exact_recall:.3f} | {got.seconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
