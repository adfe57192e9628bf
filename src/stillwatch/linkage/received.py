"""Leads: which exchanges bear the wordings that a partner says a campaign of its own uses.

Why:    a campaign that was found at one provider goes on at another, with other accounts, cards and addresses. What it
        takes along are its wordings; known in advance, they tell its accounts apart before anything recurs.
Misses: what the operator rewords so far that fewer than MIN_BORNE of the wordings stand in a prompt. A wording that two
        senders name counts for the first of their campaigns.
Source: own. Wordings are fingerprints under the key of a sharing group, so that only its members can compare them.

A lead is never proof: it names prompts that no template of our own explains, and ties accounts only beside something
that they share here. What it can do is `merging` and `belonging` to say.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stillwatch.engines.base import Engine, IbisTable
from stillwatch.linkage.matching import NO_GROUP, Vocabulary, group_of, indexed, matrix, numbers
from stillwatch.records import LEAD_KIND

MIN_BORNE = 3  # wordings of one campaign in a prompt: fewer are a phrase
MIN_TEXTS = 3  # different prompts of an account
MIN_SHARE = 0.1  # of its exchanges: who uses a phrase of it now and then is a passer-by

Ints = NDArray[np.int64]
Keyed = Callable[[Ints], NDArray[np.uint64]]


@dataclass(frozen=True, slots=True)
class Received:
    """Wordings under one key: the function that keys a fingerprint, and the campaign number of each keyed value."""

    keyed: Keyed
    campaign_of: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Leads:
    """What was received: how often each campaign's sender proved right, in order of their numbers; and wordings."""

    precision: Mapping[str, float] = field(default_factory=dict)
    received: Sequence[Received] = ()

    @property
    def campaigns(self) -> list[str]:
        """The campaigns by number."""
        return list(self.precision)


NO_LEADS = Leads()


class Recognition:
    """Leads, made ready to be looked for batch by batch.

    A lead has a number, that of its campaign.
    """

    def __init__(self, leads: Leads) -> None:
        """Make the tables that keyed values are looked up in."""
        self._known = [(one.keyed, _vocabulary(one.campaign_of)) for one in leads.received]
        self._labels = pa.array([label(name) for name in leads.campaigns], pa.int64())

    def leads(self, sketches: pa.Array | pa.ChunkedArray) -> pa.Array:
        """The number of the lead that each prompt bears, null for none."""
        found = np.full(len(sketches), NO_GROUP, np.int64)
        plain = matrix(sketches, np.int64) if self._known else found
        for keyed, known in self._known:
            hashed = keyed(plain.ravel()).view(np.int64).reshape(plain.shape)
            hashed[plain == 0] = 0
            places, groups = np.empty_like(hashed), np.empty(len(hashed), np.int64)
            numbers(hashed, known, places)
            group_of(places, known, MIN_BORNE, groups)
            found = np.where(found == NO_GROUP, groups, found)
        return pa.array(found, mask=found == NO_GROUP)

    def templates(self, leads: pa.Array) -> pa.Array:
        """The template ids that stand for leads, null for none."""
        return self._labels.take(leads)


def label(campaign: str) -> int:
    """The template id that stands for a partner's campaign."""
    return int.from_bytes(hashlib.blake2b(campaign.encode(), digest_size=8).digest(), "little", signed=True)


def lead_traits(exchanges: IbisTable, campaigns: Sequence[str], engine: Engine) -> IbisTable:
    """Which account bears which lead, in MIN_TEXTS prompts and MIN_SHARE of its exchanges; as in `records.TRAITS`."""
    totals = exchanges.group_by("account_id").aggregate(total=exchanges.count())
    bearing = exchanges.filter(exchanges.lead.notnull())
    held = bearing.group_by(["account_id", "lead"]).aggregate(
        exchanges=bearing.count().cast("int64"),
        texts=bearing.item_id.nunique(),
        first_seen_at=bearing.started_at.min(),
        last_seen_at=bearing.started_at.max(),
    )
    numbered = {"lead": pa.array(range(len(campaigns)), pa.int64()), "value": pa.array(campaigns, pa.string())}
    held = held.join(totals, "account_id")
    enough = (held.texts >= MIN_TEXTS) & (held.exchanges >= MIN_SHARE * held.total)
    told = held.filter(enough).inner_join(engine.memory(pa.table(numbered)), "lead")
    return told.mutate(kind=ibis.literal(LEAD_KIND))


def _vocabulary(campaign_of: Mapping[int, int]) -> Vocabulary:
    """Keyed values, sorted as signed numbers, each in the group of its campaign."""
    values = np.array(list(campaign_of), np.uint64).view(np.int64)
    campaigns = np.array(list(campaign_of.values()), np.int64)
    order = np.argsort(values)
    return indexed(values[order], campaigns[order])
