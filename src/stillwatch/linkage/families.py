"""Template families: instructions that are reworded on every call, found by the pool of words they draw from.

Why:    a template whose words are swapped for others at random is another exact template on each call; which words it
        draws, and how often, stays. A family is that pool: how frequent each word is among the texts of one
        instruction, far beyond how frequent it is among all texts of the same writing system.
Misses: a template in several languages (no words in common), one seen in fewer than `MIN_TEXTS` texts, one whose
        words are common everywhere. Two owners of one public instruction are one family, as they are one template. A
        rare language among the texts of one writing system is a pool of words too, so a family ties nobody.
Source: mixture of Bernoulli products with hard assignment: Juan & Vidal, "On the use of Bernoulli mixture models for
        text classification", Pattern Recognition 35 (2002) 2705-2711. Seeds from recurring shingles, the background
        that leaves a family out of what it is compared with, and the merging rule are our own.

    1. Texts: those of a sample of accounts by hash, so that another day changes it little, at most MAX_ACCOUNT_TEXTS of
       each. A text counts once, whoever sent it. Writing systems are learned apart from one another: beside Chinese
       every word of Japanese is rare, and would be a pool of its own.
    2. Seeds: every fingerprint in at least MIN_TEXTS texts proposes the words of its texts as a family, unless each
       account has it in hardly more than one text.
    3. Two families are one when the texts of each are explained nearly as well by the other. A sentence that several
       instructions share does not do that: the texts of one lack the rest of the other.
    4. Each text goes to the family that explains it best, by bits over the background; families are estimated anew
       from their texts, merged, and texts assigned again, ROUNDS times. No text is compared with another text.
    5. What accounts send in one or two texts each is an item, not a template, however many accounts ask it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.engines.base import Engine, IbisTable
from stillwatch.linkage.matching import matrix
from stillwatch.linkage.pools import (
    LEAST_BITS,
    MARKS,
    Ints,
    Marks,
    Pools,
    Postings,
    assigned,
    estimated,
    grouped,
    postings,
)

MIN_TEXTS = 5  # different texts; below this, coincidence dominates
SEED_BITS = 12.0  # that a text of a seed must say for it; seeds are few texts, and grow
SEED_TEXTS_PER_ACCOUNT = 1.25  # of a seed; what accounts repeat as rarely is an item that many of them ask
MAX_SEED_TEXTS = 64  # texts a seed is estimated from
TEXTS_PER_ACCOUNT = 3.0  # different texts that an account which has a family sends of it, on average
MAX_SAMPLE_TEXTS = 1 << 16  # families are learned from about so many
MOST_LOOKED_AT = 4_000_000  # exchanges among which those are chosen
MAX_ACCOUNT_TEXTS = 48  # of one account in the sample, so that no account sets what is ordinary
ROUNDS = 3
MAX_RACES = 8  # marks that name a family, when fewer name another one as well
# A mark names a family with full weight above these limits, with none below: from the share of its texts that have it,
# beside its most frequent mark's, and from the odds it gives [bits]. Words it always draws.
ID_SHARES = (0.35, 0.65)
ID_ODDS = (3.0, 5.0)


class Learned(NamedTuple):
    """The families of one writing system: `ids` (families,) come from the pools alone, which `postings` look up."""

    ids: Ints
    pools: Pools
    postings: Postings


@dataclass(frozen=True, slots=True)
class Families:
    """Families and their pools of words, by the writing system of the texts they were learned from."""

    by_script: Mapping[str, Learned]

    def ids_of(self, words: pa.Array, scripts: pa.Array) -> pa.Array:
        """The family of each bag of words in its writing system; null for none."""
        marks, ids = matrix(words, np.int16).view(np.uint16), np.zeros(len(words), np.int64)
        is_none = np.ones(len(words), np.bool_)
        for script, known in self.by_script.items():
            rows = np.flatnonzero(pc.equal(scripts.cast(pa.string()), script).fill_null(False))
            home = assigned(marks[rows], known.pools, known.postings)
            of = rows[home >= 0]
            ids[of], is_none[of] = known.ids[home[home >= 0]], False
        return pa.array(ids, mask=is_none)


NO_FAMILIES = Families({})


def families(signals: IbisTable, engine: Engine, work: Path, few: pa.Table | None = None) -> Families:
    """Learn the families of a run from sketches and words of its prompts; what is sampled is kept in `work`.

    `few` are the first texts of each account, `account_id` and `text_id`, where they are known already.
    """
    rows, found = _sampled(signals, engine, work, few), {}
    for script in sorted(pc.unique(rows["script"]).to_pylist()):
        own = rows.filter(pc.equal(rows["script"], script))
        _, first, text = np.unique(np.asarray(own["text_id"], np.int64), return_index=True, return_inverse=True)
        distinct = own.take(pa.array(first))
        account = np.asarray(own["account_id"].combine_chunks().dictionary_encode().indices, dtype=np.int64)
        sketches, words = matrix(distinct["sketch"], np.int64), matrix(distinct["words"], np.int16).view(np.uint16)
        pools = learned(sketches, words, _sorted_groups(text, account))
        if pools.families:
            found[script] = Learned(_ids(pools, script), pools, postings(pools))
    return Families(found)


def learned(sketches: Ints, words: Marks, senders: "Groups") -> Pools:
    """Pools of the families of distinct texts, with the accounts that sent each.

    `sketches` (texts, fingerprints) and `words` (texts, marks) are 0 where there is none.
    """
    corpus = _Corpus(words, np.bincount(words[words != 0], minlength=MARKS).astype(np.int64), senders)
    groups = _united(_estimated(_seeds(sketches, senders), corpus, SEED_BITS))
    for _ in range(ROUNDS):
        _, pools = _estimated(groups, corpus, SEED_BITS)
        groups = _united(_estimated(_texts_of(pools, corpus), corpus, LEAST_BITS))
    _, pools = _estimated(groups, corpus, LEAST_BITS)
    return _templates_only(pools, corpus)


Groups = tuple[Ints, Ints]  # start (groups + 1,) and members of all groups, one after the other


@dataclass(frozen=True, slots=True)
class _Corpus:
    """The texts: words (texts, marks), how many texts have each mark (MARKS,), and the accounts that sent each text."""

    words: Marks
    frequency: Ints
    senders: Groups


def _seeds(sketches: Ints, senders: Groups) -> Groups:
    """The texts of each fingerprint that recurs, at most MAX_SEED_TEXTS; equal sets of texts once."""
    text, place = np.nonzero(sketches)
    _, which, counts = np.unique(sketches[text, place], return_inverse=True, return_counts=True)
    keep = (counts >= MIN_TEXTS)[which]
    start, members = seeds = _sorted_groups(which[keep], text[keep])
    sent, owners = _sending(np.repeat(np.arange(len(start) - 1), np.diff(start)), members, senders)
    start, members = _taken(seeds, np.flatnonzero(sent >= SEED_TEXTS_PER_ACCOUNT * owners))
    rank = np.arange(len(members)) - np.repeat(start[:-1], np.diff(start))
    group = np.repeat(np.arange(len(start) - 1), np.diff(start))
    few = rank < MAX_SEED_TEXTS
    start, members = _sorted_groups(group[few], members[few])
    if not len(members):
        return start, members
    mixed = (members.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    _, first = np.unique(np.add.reduceat(mixed ^ (mixed >> np.uint64(32)), start[:-1]), return_index=True)
    return _taken((start, members), np.sort(first))


def _sorted_groups(group: NDArray[np.integer], member: NDArray[np.integer]) -> Groups:
    """Members by group, each once and in order; negative groups are left out."""
    wanted = group >= 0
    pairs = np.unique(np.stack([group[wanted].astype(np.int64), member[wanted].astype(np.int64)]), axis=1)
    first = np.flatnonzero(np.diff(pairs[0], prepend=-1))
    return np.append(first, pairs.shape[1]).astype(np.int64), pairs[1]


def _taken(groups: Groups, wanted: Ints) -> Groups:
    """Some of the groups."""
    start, members = groups
    sizes = np.diff(start)[wanted]
    ends = np.append(0, np.cumsum(sizes)).astype(np.int64)
    rows = np.arange(ends[-1]) - np.repeat(ends[:-1], sizes) + np.repeat(start[wanted], sizes)
    return ends, members[rows]


def _texts_of(pools: Pools, corpus: _Corpus) -> Groups:
    """The texts that speak for each of the pools."""
    return _sorted_groups(assigned(corpus.words, pools, postings(pools)), np.arange(len(corpus.words)))


def _templates_only(pools: Pools, corpus: _Corpus) -> Pools:
    """The pools without items: those whose texts their accounts send in fewer than TEXTS_PER_ACCOUNT each."""
    home = assigned(corpus.words, pools, postings(pools)).astype(np.int64)
    text = np.flatnonzero(home >= 0)
    sent, owners = _sending(home[text], text, corpus.senders)
    few = np.zeros(pools.families, bool)
    few[: len(sent)] = sent < TEXTS_PER_ACCOUNT * owners
    return pools.rows(np.flatnonzero(~few))


def _sending(group: Ints, text: Ints, senders: Groups) -> tuple[Ints, Ints]:
    """By group: how often one of its accounts sends one of its texts, and how many accounts do."""
    start, accounts = _taken(senders, text)
    pairs = np.stack([np.repeat(group, np.diff(start)), accounts])
    return np.bincount(pairs[0]), np.bincount(np.unique(pairs, axis=1)[0])


def _estimated(groups: Groups, corpus: _Corpus, least_bits: float) -> tuple[Groups, Pools]:
    """The groups that are large and telling enough to be families, with their pools."""
    pools = estimated(*groups, corpus.words, corpus.frequency)
    fit = np.flatnonzero((pools.texts >= MIN_TEXTS) & (pools.expected >= least_bits))
    return _taken(groups, fit), pools.rows(fit)


def _united(candidates: tuple[Groups, Pools]) -> Groups:
    """The groups with those that are one family put together."""
    (start, members), pools = candidates
    return _sorted_groups(np.repeat(grouped(pools), np.diff(start)), members)


def _ids(pools: Pools, script: str) -> Ints:
    """A number per family from its writing system and its most telling marks."""
    top = pools.share.max(axis=1, keepdims=True)
    frequent = np.clip((pools.share / top - ID_SHARES[0]) / (ID_SHARES[1] - ID_SHARES[0]), 0.0, 1.0)
    rare = np.clip((pools.odds - ID_ODDS[0]) / (ID_ODDS[1] - ID_ODDS[0]), 0.0, 1.0)
    weight = frequent.astype(np.float64) * rare
    seed = int.from_bytes(blake2b(script.encode(), digest_size=8).digest())
    ids = np.full(pools.families, seed, np.uint64)
    clash = np.ones(pools.families, bool)
    for race in range(MAX_RACES):
        ids[clash] = _mixed(ids[clash] + _winner(pools.marks[clash], weight[clash], race))
        _, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
        clash = counts[inverse] > 1
        if not clash.any():
            break
    return ids.view(np.int64)


def _winner(marks: Marks, weight: NDArray[np.float64], race: int) -> NDArray[np.uint64]:
    """The mark of each row that wins a race in which each runs at a speed of its weight times a luck of its own."""
    mixed = _mixed(marks.astype(np.uint64) + np.uint64(race << 16))
    luck = -np.log((mixed.astype(np.float64) + 1.0) / 2.0**64)
    with np.errstate(divide="ignore"):
        time = np.where(weight > 0, luck / weight, np.inf)
    return marks[np.arange(len(marks)), np.argmin(time, axis=1)].astype(np.uint64)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        values = (values ^ np.uint64(0x5851F42D4C957F2D)) * np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(32))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(29))


def one_in(texts: int) -> int:
    """Of how many texts one is looked at, when there are so many."""
    return max(texts // MOST_LOOKED_AT, 1)


def _sampled(signals: IbisTable, engine: Engine, work: Path, few: pa.Table | None) -> pa.Table:
    """Account, text, script, sketch and words of the sample, each text of an account once, by text and account.

    Texts are chosen by their ids; sketches and words are looked up for the chosen ones only. A prompt that has an id
    has both.
    """
    known = signals.filter(signals.text_id.notnull() & signals.script.notnull())
    chosen = _drawn_there(known, engine, work) if few is None else _drawn_here(few, engine)
    rows = known.select("account_id", "text_id", "script", "sketch", "words")
    rows = rows.inner_join(chosen, ["account_id", "text_id"])
    others = {name: rows[name].arbitrary() for name in ("script", "sketch", "words")}
    texts = rows.group_by(["account_id", "text_id"]).aggregate(**others).to_pyarrow()
    return texts.sort_by([("text_id", "ascending"), ("account_id", "ascending")])


def _drawn_there(known: IbisTable, engine: Engine, work: Path) -> IbisTable:
    """Account and text of the sample, chosen by the engine."""
    looked_at = known.filter(known.text_id % one_in(int(known.count().to_pyarrow().as_py())) == 0)
    pairs = looked_at.select("account_id", "text_id").distinct()
    ranked = pairs.mutate(rank=ibis.row_number().over(group_by="account_id", order_by="text_id"))
    few = engine.write(ranked.filter(ranked["rank"] < MAX_ACCOUNT_TEXTS).drop("rank"), work / "few.parquet")
    counts = few.group_by("account_id").aggregate(texts=few.count()).to_pyarrow()
    drawn = _is_drawn(counts["account_id"].to_pylist(), sum(counts["texts"].to_pylist()))
    wanted = counts.filter(pa.array(drawn, pa.bool_())).select(["account_id"])
    return few.semi_join(engine.memory(wanted), "account_id")


def _drawn_here(few: pa.Table, engine: Engine) -> IbisTable:
    """The same of the first texts of each account, whose names are a dictionary."""
    accounts = few["account_id"].combine_chunks()
    drawn = np.array(_is_drawn(accounts.dictionary.to_pylist(), len(few)), np.bool_)
    chosen = few.filter(pa.array(drawn[np.asarray(accounts.indices)]))
    return engine.memory(chosen.set_column(0, "account_id", chosen["account_id"].cast(pa.string())))


def _is_drawn(account_ids: list[str], texts: int) -> list[bool]:
    """Whether an account is in the sample: its hash is below a power of two that halves as `texts` doubles."""
    halvings = max(texts - 1, 0) // MAX_SAMPLE_TEXTS
    below = 1 << (64 - halvings.bit_length())
    return [int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) < below for name in account_ids]
