"""Rewordings: prompts of one template that say it with other words on each call.

Why:    a call that replaces one word in ten keeps most of its fingerprints, but never the same set, so that no template
        recurs. What recurs is the company that fingerprints keep: those of one text stand in the same prompts.
Misses: texts reworded so far that a fingerprint survives in fewer than KEPT of the calls; wordings that so many owners
        share that nobody's own text is most of their use.
Source: own; an association is kept when it holds both ways round, as in reciprocal nearest neighbours.

    1. A sample of the prompts that bear known fingerprints, but no template by their exact set.
    2. Two fingerprints keep company when at least KEPT of the sampled prompts with either have both. A sentence that
       many owners use has company in each of them and most of it in none, and joins nobody's texts.
    3. Connected fingerprints are a group. A prompt is a rewording of the group that most of its fingerprints are of.
       Who uses a sentence of a text becomes one as well; what rewordings may tie together is `belonging`'s to say.
"""

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from stillwatch.engines.base import IbisTable
from stillwatch.linkage.matching import NO_GROUP

KEPT = 0.4  # of the prompts with either fingerprint, that have both
MIN_PROMPTS = 5  # that have both
SMALLEST = 3  # fingerprints of a group: fewer are a phrase
MOST_SAMPLED = 500_000  # prompts
MOST_OF_ACCOUNT = 32  # sampled prompts of one account: nobody's habits outweigh those of the others

Ints = NDArray[np.int64]


def sampled(looks: IbisTable, accepted: IbisTable, *, accounts: int) -> IbisTable:
    """The numbers of the fingerprints of sampled prompts without a template: one column, `numbers`.

    `looks` is as `vocabularies.LOOKS_SCHEMA`, `accepted` has the templates that recur (`template_id`). Of one account
    those with the smallest numbers under the key are taken, whatever they say.
    """
    left = looks.filter(looks.numbers.notnull()).anti_join(accepted, "template_id")
    order = ibis.window(group_by="account_id", order_by="exchange_id")
    ranked = left.mutate(rank=ibis.row_number().over(order))
    return ranked.filter(ranked["rank"] < most_of_account(accounts)).select("numbers")


def most_of_account(accounts: int) -> int:
    """How many prompts of each of so many accounts are sampled."""
    return max(min(MOST_OF_ACCOUNT, MOST_SAMPLED // max(accounts, 1)), 1)


def groups(prompts: pa.ChunkedArray, count: int) -> Ints:
    """The group of each of `count` fingerprints, NO_GROUP for none; `prompts` are lists of their numbers."""
    lists = prompts.combine_chunks()
    sizes = np.asarray(lists.value_lengths().fill_null(0))
    rows, columns = np.repeat(np.arange(len(lists)), sizes), np.asarray(lists.flatten())
    uses = sparse.coo_array((np.ones(len(rows), np.int32), (rows, columns)), shape=(len(lists), count)).tocsr()
    used = np.asarray(uses.sum(axis=0)).ravel()
    both = sparse.triu(uses.T @ uses, k=1).tocoo()
    keeps = (both.data >= MIN_PROMPTS) & (both.data >= KEPT * np.maximum(used[both.row], used[both.col]))
    company = sparse.coo_array((np.ones(int(keeps.sum())), (both.row[keeps], both.col[keeps])), shape=both.shape)
    _, labels = csgraph.connected_components(company, directed=False)
    large = np.bincount(labels, minlength=1)[labels] >= SMALLEST
    return np.where(large, labels, NO_GROUP).astype(np.int64)
