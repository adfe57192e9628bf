"""Which accounts are in step with which cells and clusters: every question is worked out once, however often asked.

Cells merge and settle in rounds that leave most of them as they were, so that the same accounts are held against the
same others again and again. What was found is kept by the members of the others: it depends on nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stillwatch.linkage.holdings import Floats, Ints
from stillwatch.linkage.labels import members_of
from stillwatch.linkage.lockstep import MIN_IN_STEP, Starts, is_in_step, p_values_of, pairs_together

Flags = NDArray[np.bool_]

TIE_P_VALUE = 1e-4  # of starting with a cluster by chance, for timing to tie an account to it


@dataclass(frozen=True, slots=True)
class _Asked:
    """Accounts, in order, that were held against a cluster in step, and whether each is: (accounts,) each."""

    accounts: Ints
    flags: Flags


class Synchrony:
    """Who starts together with whom, as far as anybody asked."""

    def __init__(self, starts: Starts) -> None:
        """Remember nothing yet."""
        self._starts = starts
        self._known: dict[bytes, _Asked | None] = {}  # by the members of a cluster; null for one that is not in step
        self._pairs: dict[tuple[bytes, bytes], float] = {}  # by the members of both cells

    def p_values(self, groups: Sequence[Ints], left: Ints, right: Ints) -> Floats:
        """As `lockstep.pairs_together`."""
        names = [group.tobytes() for group in groups]
        pairs = [(names[one], names[other]) for one, other in zip(left.tolist(), right.tolist(), strict=True)]
        new = np.array([place for place, pair in enumerate(pairs) if pair not in self._pairs], dtype=np.int64)
        found = pairs_together(self._starts, groups, left[new], right[new])
        self._pairs.update(zip((pairs[place] for place in new.tolist()), found.tolist(), strict=True))
        return np.array([self._pairs[pair] for pair in pairs], dtype=np.float64)

    def in_step(self, labels: Ints, account: Ints, cluster: Ints) -> Flags:
        """Whether each account starts its sessions with the cluster beside it, of clusters that are in step at all."""
        members = members_of(labels)
        order = np.argsort(cluster, kind="stable")
        places = [place for place in np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1) if len(place)]
        places = [place for place in places if len(members[cluster[place[0]]]) >= MIN_IN_STEP]
        groups = [members[cluster[place[0]]] for place in places]
        self._learn(groups)
        self._ask(groups, [account[place] for place in places])
        step = np.zeros(len(account), dtype=bool)
        for place, group in zip(places, groups, strict=True):
            known = self._known[group.tobytes()]
            if known is not None:
                step[place] = known.flags[np.searchsorted(known.accounts, account[place])]
        return step

    def _learn(self, groups: Sequence[Ints]) -> None:
        """Find out which of the clusters are in step, and which of their members."""
        new = [group for group in groups if group.tobytes() not in self._known]
        for group, p_values in zip(new, p_values_of(self._starts, new, new), strict=True):
            known = _Asked(group, p_values <= TIE_P_VALUE) if is_in_step(p_values) else None
            self._known[group.tobytes()] = known

    def _ask(self, groups: Sequence[Ints], accounts: Sequence[Ints]) -> None:
        """Hold accounts that were not yet against the clusters that are in step."""
        new = []
        for group, asked in zip(groups, accounts, strict=True):
            known = self._known[group.tobytes()]
            if known is not None:
                new.append((group, known, np.setdiff1d(asked, known.accounts)))
        found = p_values_of(self._starts, [asked for _, _, asked in new], [group for group, _, _ in new])
        for (group, known, asked), p_values in zip(new, found, strict=True):
            every = np.append(known.accounts, asked)
            order = np.argsort(every)
            self._known[group.tobytes()] = _Asked(every[order], np.append(known.flags, p_values <= TIE_P_VALUE)[order])
