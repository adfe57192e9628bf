"""Signs of one author behind many accounts, one number per account: larger is more like a campaign.

Signs that compare an account with others are told who the others are: of the accounts of its own segment, those that
share most fingerprints with it. No detector knows segments, so these figures flatter the signs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse, stats

from stillwatch.linkage.matching import matrix
from stillwatch.records import INTENTS
from stillwatch.signals import signals

MOST_TEXTS = 40  # different prompts read of one account, by their ids
FEWEST_TEXTS = 6  # of an account before anything is said of it
RUN = 5  # fingerprints of one half of a sketch that nobody has by chance: some twenty words on end
RARE_TEXTS = 20  # a fingerprint in no more texts of the log is of an item, not of a wording
USUAL = 0.25  # share of an account's texts with a word that belongs to what it always says
ORDINARY_INTENTS = 1 << INTENTS.index("step_by_step") | 1 << INTENTS.index("expert_persona")
PEERS = 10  # accounts that one is compared with
DAY_US = 86_400_000_000

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Prompts:
    """Sampled prompts, each text of an account once.

    `account` (texts,) place in `names`; `sketch` (texts, fingerprints), `words` (texts, marks), 0 is none; `embedding`
    (texts, dimensions) of unit length about their mean; `intents` (texts,) bit sets; `segments` (accounts,) names.
    """

    names: list[str]
    segments: NDArray[np.object_]
    account: Ints
    sketch: Ints
    words: Ints
    embedding: Floats
    intents: Ints

    @cached_property
    def texts(self) -> Ints:
        """Of each account: (accounts,)."""
        return np.bincount(self.account, minlength=len(self.names))

    @cached_property
    def uses(self) -> sparse.csr_array:
        """Which text has which fingerprint: (texts, fingerprints)."""
        return incidence(self.sketch)

    @cached_property
    def shares(self) -> sparse.csr_array:
        """Share of the texts of each account with each fingerprint: (accounts, fingerprints)."""
        found = sparse.csr_array(self.averaging @ self.uses)
        found.sum_duplicates()
        return found

    @cached_property
    def averaging(self) -> sparse.csr_array:
        """What makes the mean over an account's texts of anything by text: (accounts, texts)."""
        rows = np.arange(len(self.account))
        return sparse.csr_array((1.0 / self.texts[self.account], (self.account, rows)))

    @cached_property
    def peers(self) -> sparse.csr_array:
        """What makes the mean over an account's peers of anything by account: (accounts, accounts)."""
        held = sparse.csr_array((self.shares > 0).astype(float))
        common = (held @ held.T).toarray() * (self.segments[:, None] == self.segments[None, :])
        np.fill_diagonal(common, 0.0)
        nearest = np.argsort(-common, axis=1, kind="stable")[:, :PEERS]
        rows = np.repeat(np.arange(len(common)), nearest.shape[1])
        chosen = sparse.coo_array((common[rows, nearest.ravel()] > 0, (rows, nearest.ravel())), shape=common.shape)
        found = chosen.astype(float).toarray()
        return sparse.csr_array(found / np.maximum(found.sum(axis=1, keepdims=True), 1.0))


def prompts(world: Path) -> Prompts:
    """Those of a simulated world, with the segment of each account."""
    rows = pa.Table.from_batches(_batches(world)).sort_by("order")
    account = pc.rank(rows["account_id"], tiebreaker="dense").to_numpy().astype(np.int64) - 1
    text = np.asarray(rows["text_id"], np.int64)
    _, first = np.unique(np.stack([account, text]), axis=1, return_index=True)
    rows, account = rows.take(pa.array(np.sort(first))), account[np.sort(first)]
    few = _places(account) < MOST_TEXTS
    rows, account = rows.filter(pa.array(few)), account[few]
    enough = np.flatnonzero(np.bincount(account) >= FEWEST_TEXTS)
    kept = np.isin(account, enough)
    rows, account = rows.filter(pa.array(kept)), np.searchsorted(enough, account[kept])
    names = sorted(set(rows["account_id"].to_pylist()))
    truth = {row["account_id"]: row for row in pq.read_table(world / "truth.parquet").to_pylist()}
    segments = [truth[name]["campaign"] or truth[name]["segment"] for name in names]
    vectors = matrix(rows["embedding"], np.float64)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    vectors = vectors - vectors.mean(axis=0)
    return Prompts(
        names,
        np.array(segments, object),
        account,
        matrix(rows["sketch"], np.int64),
        matrix(rows["words"], np.int16).view(np.uint16).astype(np.int64),
        vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9),
        np.asarray(rows["intents"].fill_null(0), np.int64),
    )


def of_prompts(read: Prompts) -> Mapping[str, Floats]:
    """What prompts say of each account: (accounts,) each."""
    again, alike = _repetition(read)
    return {
        "other wordings on each call": -again,
        "the same words all the same": _usual_words(read),
        "peers draw from the same wordings": alike / np.maximum(again, 1e-9),
        "no other account sends a run of its words": -_copied(read),
        "no other account sends its items": -_common_items(read),
        "no topic of its own": -_own_topic(read),
        "most of its prompts share wordings": _among_wordings(read),
        "asks for what a harvest asks for": read.averaging @ ((read.intents & ~ORDINARY_INTENTS) != 0).astype(float),
    }


def of_traffic(world: Path, names: list[str]) -> Mapping[str, Floats]:
    """What the rest of the logs and the accounts say of each: (accounts,) each."""
    rows = ds.dataset(world / "exchanges").to_table(["account_id", "started_at", "model"])
    rows = rows.filter(pc.is_in(rows["account_id"], pa.array(names)))
    account = np.searchsorted(names, np.array(rows["account_id"].to_pylist()))
    at = np.asarray(rows["started_at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()))
    first, last = np.full(len(names), at.max()), np.full(len(names), at.min())
    np.minimum.at(first, account, at)
    np.maximum.at(last, account, at)
    day = (at - at.min()) // DAY_US
    daily = sparse.coo_array((np.ones(len(day)), (account, day))).toarray()
    known = pq.read_table(world / "accounts.parquet", columns=["account_id", "created_at"])
    created = dict(zip(known["account_id"].to_pylist(), known["created_at"].to_pylist(), strict=True))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    signed = np.array([(created[name] - epoch).total_seconds() * 1e6 for name in names])
    by_model = rows.group_by("model").aggregate([("started_at", "min")]).sort_by("started_at_min")
    newest = np.asarray(pc.equal(rows["model"], by_model["model"][-1]))
    released = at[newest].min()
    adopted = np.full(len(names), at.max())
    np.minimum.at(adopted, account[newest], at[newest])
    return {
        "at work from the first day": -first.astype(float),
        "signed up shortly before": signed - first,
        "evenly at work": -daily.std(axis=1) / np.maximum(daily.mean(axis=1), 1e-9),
        "few calls a day": -np.bincount(account, minlength=len(names)) / ((last - first) / DAY_US + 1),
        "on the new model at once": -np.maximum(adopted - released, 0).astype(float),
    }


def likelihood(hostile: Floats, innocent: Floats) -> float:
    """That an account of a campaign shows more of a sign than an innocent: area under the ROC curve."""
    ranks = stats.rankdata(np.concatenate([hostile, innocent]))[: len(hostile)]
    return float((ranks.sum() - len(hostile) * (len(hostile) + 1) / 2) / (len(hostile) * len(innocent)))


def incidence(values: Ints) -> sparse.csr_array:
    """Which row has which value, 0 left out: (rows, values)."""
    rows, places = np.nonzero(values)
    _, column = np.unique(values[rows, places], return_inverse=True)
    found = sparse.coo_array((np.ones(len(rows)), (rows, column)), shape=(len(values), int(column.max()) + 1)).tocsr()
    found.data[:] = 1.0
    return found


def _batches(world: Path) -> Iterator[pa.RecordBatch]:
    """Account, text, order of sampling and signals of every prompt."""
    for batch in ds.dataset(world / "exchanges").to_batches():
        read = signals(batch)
        made = {name: read[name] for name in ("account_id", "text_id", "sketch", "words", "embedding", "intents")}
        text = read["text_id"].fill_null(0).to_numpy().view(np.uint64)
        with np.errstate(over="ignore"):
            made["order"] = pa.array(text * np.uint64(0x9E3779B97F4A7C15))
        rows = pa.RecordBatch.from_pydict(made)
        yield rows.filter(pc.and_(rows["sketch"].is_valid(), rows["embedding"].is_valid()))


def _places(account: Ints) -> Ints:
    """The how-manieth row of its account each is: (rows,)."""
    order = np.argsort(account, kind="stable")
    ends = np.cumsum(np.bincount(account))
    place = np.empty(len(account), np.int64)
    place[order] = np.arange(len(account)) - np.append(0, ends)[account[order]]
    return place


def _repetition(read: Prompts) -> tuple[Floats, Floats]:
    """Chance that a fingerprint of a text is in another text of the account, and in one of a peer: (accounts,) each."""
    share = read.shares.tocoo()
    texts = read.texts[share.row]
    chance = (share.data * texts - 1) / np.maximum(texts - 1, 1)
    again = np.bincount(share.row, weights=share.data * chance, minlength=len(read.names))
    alike = np.asarray(read.shares.multiply(read.peers @ read.shares).sum(axis=1)).ravel()
    weight = np.bincount(share.row, weights=share.data, minlength=len(read.names))
    return again / weight, alike / weight


def _usual_words(read: Prompts) -> Floats:
    """Bits that a text says on average for the words its account usually writes, over everybody's: (accounts,)."""
    share = sparse.csr_array(read.averaging @ incidence(read.words)).tocoo()
    everybody = np.bincount(share.col, weights=share.data) / len(read.names)
    texts = read.texts[share.row]
    own = np.minimum(share.data, 0.95) * texts / (texts + 1)
    others = np.minimum(everybody[share.col], 0.9)
    usual = (own >= USUAL) & (own * texts >= 3) & (own > 3 * others)
    bits = own * np.log2(own / others) + (1 - own) * np.log2((1 - own) / (1 - others))
    return np.bincount(share.row, weights=np.where(usual, bits, 0.0), minlength=len(read.names)).astype(np.float64)


def _copied(read: Prompts) -> Floats:
    """Share of the texts of which another account sends either end word for word: (accounts,)."""
    copied = np.zeros(len(read.account), bool)
    half = read.sketch.shape[1] // 2
    for end in (np.sort(read.sketch[:, :half]), np.sort(read.sketch[:, half:])):
        _, run = np.unique(end, axis=0, return_inverse=True)
        pairs = np.unique(np.stack([run, read.account]), axis=1)
        copied |= ((end != 0).sum(axis=1) >= RUN) & (np.bincount(pairs[0])[run] > 1)
    return np.asarray(read.averaging @ copied.astype(float))


def _common_items(read: Prompts) -> Floats:
    """Share of the fingerprints of its items that some peer sends as well: (accounts,)."""
    texts = np.asarray(read.uses.sum(axis=0)).ravel()
    rare = read.shares[:, np.flatnonzero(texts <= RARE_TEXTS)]
    by_peers = (rare > 0).multiply((read.peers @ rare) > 0).sum(axis=1)
    return np.asarray(by_peers).ravel() / np.maximum(np.asarray((rare > 0).sum(axis=1)).ravel(), 1)


def _own_topic(read: Prompts) -> Floats:
    """How much more alike its texts are to one another than to those of its peers, by their words: (accounts,)."""
    mean = np.asarray(read.averaging @ read.embedding)
    texts = read.texts.astype(float)
    within = ((mean**2).sum(axis=1) * texts - 1) / np.maximum(texts - 1, 1)
    return np.asarray(within - (mean * (read.peers @ mean)).sum(axis=1))


def _among_wordings(read: Prompts) -> Floats:
    """Share of its texts in which at least half of the fingerprints are wordings that three peers use: (accounts,)."""
    held = sparse.csr_array((read.shares > 0).astype(float))
    sizes = np.asarray((read.peers > 0).sum(axis=1)).ravel()
    peers = sparse.csr_array((read.peers @ held).multiply(sizes[:, None]) > 2.5)
    covered = np.asarray(read.uses.multiply(peers[read.account]).sum(axis=1)).ravel()
    return np.asarray(read.averaging @ (2 * covered >= (read.sketch != 0).sum(axis=1)).astype(float))
