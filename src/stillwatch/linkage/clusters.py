"""Clusters of accounts under one control: cells that share templates, merged by what else they share.

Why:    a campaign deals its templates out, so its accounts fall into cells that have no prompt in common; cards,
        devices and addresses run across the cells. Chance can explain a shared template or a shared address, not
        that two cells meet again and again in kinds that have nothing to do with one another.
Misses: campaigns whose accounts share templates and nothing else, or whose every account has a template of its own and
        shares too few cards or devices.
Source: Traag, Waltman & van Eck, Sci. Rep. 9 (2019) 5233 (Leiden); Chung & Lu, PNAS 99 (2002) 15879-15882 (chance of
        sharing, degrees kept); Fisher's combination restricted to groups that speak for themselves. Membership bits
        as log-likelihood ratios: Fellegi & Sunter, JASA 64 (1969) 1183-1210.

    1. Cells: communities of accounts and their templates, which back what lies in them (`linkage/backing.py`). Accounts
       that end up in no cluster get a second sweep, with cells by cards and devices, for which chains speak as well
       (`linkage/chains.py`).
    2. Cells merge when at least two independent groups, beside the templates, link them far beyond chance.
    3. A cluster owns a template when nearly all of its holders are members that belong for another reason as well.
       Members hold something their cluster owns, or are tied to it by two groups of which one costs something to
       share, as cards and devices do. At first less than nearly all suffices: whoever sends much else was cut off.
    4. What a cluster owns cuts it into new cells, and these merge again: whoever came along with a loose phrase but
       has no other tie to the rest leaves.
    5. What is still too small to be a cluster gives way. Accounts of one cell that share a card, device or telephone
       with one another go to the cluster of which several members share it too.
    6. Where nearly all members say what is their cluster's own, whoever says other things only is let go, or a cluster
       of their own where several say them together (`linkage/silent.py`).
    7. A cluster that does not stand is divided by what few of its members say: a campaign behind a public tool is one
       cell with all of its users.

Otherwise values an account holds besides are no evidence against it: mixing in other traffic does not help.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch.linkage.backing import backed
from stillwatch.linkage.belonging import EASED, settled, tied_apart, tied_otherwise
from stillwatch.linkage.cells import DURABLE, cells_within, components, durable_cells, wording_cells
from stillwatch.linkage.chains import with_chains
from stillwatch.linkage.crossing import LOOSE, SMALL, WIDE, Crossed, crossed
from stillwatch.linkage.holdings import CONTENT, GROUPS, PARTNER, Floats, Holdings, Ints
from stillwatch.linkage.labels import any_of, commonest, holding_counts, holding_together, most, numbered
from stillwatch.linkage.lockstep import Starts
from stillwatch.linkage.merging import Flags, Linkable, merged
from stillwatch.linkage.reach import within_reach
from stillwatch.linkage.silent import bodies_apart, without_silent
from stillwatch.linkage.synchrony import Synchrony
from stillwatch.linkage.weights import Weights
from stillwatch.membership import MAX_GROUP_BITS, MIN_ACCOUNTS, SETTING, times_commoner
from stillwatch.records import TEMPLATE_KINDS

SMALLEST = 5  # accounts of a cluster: the coordination test can prove nothing about fewer
NOBODY_NAMED: Mapping[str, str] = {}
ROUNDS = 2  # of cutting and merging: the second changes little, a third nothing


@dataclass(frozen=True, slots=True)
class Clusters:
    """Cluster of each account, (accounts,) with -1 for none; bits and independent groups that tie it: (accounts,).

    `familiar` is the same, with accounts that are no members and yet no strangers: they bear a lead of its members.
    `crossed` has the clusters that are cells joined by all that they share together; `weighed` the weights with what
    chains and cells add, and `chained` which values only chains speak for: (values,).
    """

    of_account: Ints
    bits: Floats
    groups: Ints
    familiar: Ints
    crossed: Mapping[int, Crossed] = field(default_factory=dict)
    weighed: Weights | None = None
    chained: Flags | None = None

    @property
    def count(self) -> int:
        """Number of clusters."""
        return int(self.of_account.max(initial=-1)) + 1


def clusters(
    of: Holdings,
    weighed: Weights,
    starts: Starts,
    *,
    seed: int,
    outsiders: Collection[str] = (),
    named: Mapping[str, str] = NOBODY_NAMED,
) -> Clusters:
    """Cells, merged and settled; numbered by falling size, then by their first account.

    `outsiders` can be no members, and count as strangers in everything they hold. `named` is the organisation that an
    account names.
    """
    by = _linkable(of, weighed, starts, insiders(of, outsiders), named)
    by, labels, chained = _labelled(by, seed)
    labels = _corroborated(by, bodies_apart(of, without_silent(of, within_reach(by, labels, seed))))
    return Clusters(labels, *_membership(of, by.weighed, labels), labels, weighed=by.weighed, chained=chained)


def divided(
    of: Holdings,
    weighed: Weights,
    found: Clusters,
    starts: Starts,
    among: Collection[int],
    *,
    seed: int,
    outsiders: Collection[str],
    named: Mapping[str, str],
) -> Ints:
    """Clusters grown from what few members say of some that there are: the new one of each account, -1 for none.

    Everybody behind a public tool says what the tool says, so that a campaign which hides there is one cluster with
    strangers, and its cards and devices tie too small a part.
    """
    labels = _only(found.of_account, among)
    if not (labels >= 0).any():
        return labels
    by = _linkable(of, weighed, starts, insiders(of, outsiders) & (labels >= 0), named)
    return _corroborated(by, _swept(by, cells_within(of, weighed, labels, seed)))


def with_parts(of: Holdings, weighed: Weights, found: Clusters, parts: Ints, standing: Collection[int]) -> Clusters:
    """The clusters with some of their members in clusters of their own: those of `parts`, as `divided` gives them."""
    parts = _only(parts, standing)
    labels = numbered(np.where(parts >= 0, parts + found.count, found.of_account), least=SMALLEST)
    bits, groups = _membership(of, weighed, labels)
    return replace(found, of_account=labels, bits=bits, groups=groups, familiar=labels)


def with_crossed(
    of: Holdings, weighed: Weights, found: Clusters, standing: Collection[int], *, seed: int, outsiders: Collection[str]
) -> Clusters:
    """These clusters and what only crossing sees: sets of cells with the clusters they hold; in a small world in none.

    Clusters that do not stand and lose members are given up.
    """
    able, home = insiders(of, outsiders), _only(found.of_account, standing)
    if of.account_count <= SMALL.accounts:
        sets = crossed(of, able & (home < 0), home, SMALL, seed=seed)
    else:
        sets = []
        for counting in (WIDE, LOOSE):
            asked = (_taken_in(home, one) for one in crossed(of, able, home, counting, seed=seed))
            for one in filter(None, asked):
                sets.append(one)
                able[one.members] = False
    if not sets:
        return found
    labels = found.of_account.copy()
    for one in sets:
        labels[np.isin(labels, labels[one.members][labels[one.members] >= 0])] = -1
    for number, one in enumerate(sets, start=found.count):
        labels[one.members] = number
    labels = numbered(labels, least=SMALLEST)
    new = [one for one in sets if 2 * (home[one.members] >= 0).sum() < len(one.members)]
    named = {int(labels[one.members[0]]): one for one in new}
    return Clusters(labels, *_membership(of, weighed, labels), labels, named, weighed)


def _only(labels: Ints, those: Collection[int]) -> Ints:
    """The cluster of each account if it is one of those, else -1: (accounts,)."""
    return np.where(np.isin(labels, [*those]), labels, -1)


def _taken_in(home: Ints, one: Crossed) -> Crossed | None:
    """The set with the standing clusters of which it holds most, and without members of others; null if most are those.

    Whoever is in a cluster that stands and reaches beyond the set is that cluster's.
    """
    count, theirs = int(home.max(initial=-1)) + 1, home[one.members]
    inside, sizes = (np.bincount(own[own >= 0], minlength=count) for own in (theirs, home))
    whole = np.flatnonzero(2 * inside > sizes)
    kept = one.members[(theirs < 0) | np.isin(theirs, whole)]
    if 2 * len(kept) < len(one.members):
        return None
    return replace(one, members=np.union1d(kept, np.flatnonzero(np.isin(home, whole))))


def without(found: Clusters, given_up: Collection[int]) -> Clusters:
    """These clusters but for some, numbered on; none of them may be `crossed`."""
    place = np.full(found.count + 1, -1, dtype=np.int64)  # the last for -1
    kept = np.setdiff1d(np.arange(found.count), np.array([*given_up], dtype=np.int64))
    place[kept] = np.arange(len(kept))
    labels, familiar = place[found.of_account], place[found.familiar]
    inside = labels >= 0
    bits, groups = np.where(inside, found.bits, 0.0), np.where(inside, found.groups, 0)
    return replace(found, of_account=labels, bits=bits, groups=groups, familiar=familiar)


def clusters_of_bearers(
    of: Holdings,
    weighed: Weights,
    starts: Starts,
    *,
    seed: int,
    outsiders: Collection[str] = (),
    named: Mapping[str, str] = NOBODY_NAMED,
) -> Clusters:
    """The same among the accounts that bear a lead; whom leads and wordings alone tie is dismissed."""
    bears = any_of(of, of.accounts[of.group[of.held] == PARTNER])
    by = _linkable(of, weighed, starts, bears & insiders(of, outsiders), named)
    by, labels, chained = _labelled(by, seed)
    tied = _tied(by, labels)
    while not np.array_equal(labels, tied):
        labels, tied = tied, _tied(by, tied)
    labels = numbered(labels, least=SMALLEST)
    bits, groups = _membership(of, by.weighed, labels)
    return Clusters(labels, bits, groups, _familiar(by, labels), weighed=by.weighed, chained=chained)


def _familiar(by: Linkable, labels: Ints) -> Ints:
    """The cluster of each account, and of others the one whose lead they bear most of, -1 for none."""
    of = by.of
    home = commonest(of, labels)[0][of.held]
    bears = (of.group[of.held] == PARTNER) & (home >= 0)
    borne, _ = most(of.account_count, of.accounts[bears], home[bears])
    return np.where(by.eligible & (labels < 0), borne, labels)


def _tied(by: Linkable, labels: Ints) -> Ints:
    """The members that something other than leads and wordings ties, of clusters of which enough are left."""
    labels = np.where(tied_otherwise(by, labels) == labels, labels, -1)
    sizes = np.append(np.bincount(labels[labels >= 0]), 0)  # the last for -1
    return np.where(sizes[labels] >= SMALLEST, labels, -1)


def insiders(of: Holdings, outsiders: Collection[str]) -> Flags:
    """Which accounts may be members: (accounts,)."""
    names = pa.array(of.account_ids, pa.string())
    return ~np.asarray(pc.is_in(names, pa.array(list(outsiders), pa.string())))


def _linkable(of: Holdings, weighed: Weights, starts: Starts, eligible: Flags, named: Mapping[str, str]) -> Linkable:
    nobody = np.zeros(of.account_count, dtype=bool)
    return Linkable(of, weighed, Synchrony(starts), eligible, nobody, _named(of, named))


def _named(of: Holdings, named: Mapping[str, str]) -> Ints:
    """A number for the organisation that each account names, -1 for none: (accounts,)."""
    numbers = {name: number for number, name in enumerate(sorted(set(named.values())))}
    return np.array([numbers.get(named.get(name, ""), -1) for name in of.account_ids], dtype=np.int64)


def _labelled(by: Linkable, seed: int) -> tuple[Linkable, Ints, Flags]:
    """The same with the weights of what cells back and of chains, the cluster of each account after both sweeps.

    Also which values only chains speak for: (values,).
    """
    of, eligible = by.of, by.eligible
    cells = wording_cells(of, by.weighed, eligible, seed)
    by = replace(by, weighed=backed(of, by.weighed, cells))
    labels = _swept(by, cells)
    rest = eligible & (labels < 0)
    weighed = with_chains(of, by.weighed, rest, by.named, seed=seed)
    others = _swept(replace(by, weighed=weighed, eligible=rest, by_crowds=rest), durable_cells(of, weighed, rest))
    labels = numbered(np.where(others >= 0, others + labels.max(initial=-1) + 1, labels), least=SMALLEST)
    return replace(by, weighed=weighed), labels, weighed.valid & ~by.weighed.valid


def _swept(by: Linkable, cells: Ints) -> Ints:
    """Clusters grown from cells: merged, settled, cut and merged again; steps 2 to 5 of the module summary."""
    labels = cells
    for round_ in range(ROUNDS):
        labels, own = settled(by, merged(by, labels), EASED if round_ == 0 else ())
        if round_ + 1 < ROUNDS:
            labels = _recut(by, labels, own)
    labels = numbered(labels, least=SMALLEST)
    free = replace(by, by_crowds=by.by_crowds | ((labels < 0) & _doubly_paired(by.of, cells)))
    return _corroborated(by, settled(free, labels)[0])


def _doubly_paired(of: Holdings, cells: Ints) -> Flags:
    """Accounts that share a card, device or telephone with another one of their cell: (accounts,)."""
    edge = np.flatnonzero((cells[of.accounts] >= 0) & np.isin(of.group[of.held], DURABLE))
    return any_of(of, of.accounts[edge[holding_together(of, cells, edge) > 1]])


def _recut(by: Linkable, labels: Ints, own: Ints) -> Ints:
    """The clusters cut into the cells that the templates they own hold together; those that own none stay whole.

    A system prompt is often one sentence, and holds no cell together. Members held by other groups alone are let go:
    they find back when their cluster settles.
    """
    of = by.of
    template = of.is_of((*TEMPLATE_KINDS, SETTING))
    cutting = np.where(template, own, -1)
    parts = components(of, (cutting[of.held] >= 0) & (cutting[of.held] == labels[of.accounts]))
    cut = np.isin(labels, cutting[cutting >= 0])
    whole = np.where((labels >= 0) & ~cut, labels + of.account_count + len(of.values), -1)  # no name of a part
    return numbered(np.where(parts >= 0, parts, whole), least=1)


def _corroborated(by: Linkable, labels: Ints) -> Ints:
    """Clusters of some size with at least MIN_ACCOUNTS members tied by a group other than content, numbered."""
    labels = numbered(labels, least=SMALLEST)
    tied = tied_apart(by, labels)
    corroborated = np.bincount(labels[(labels >= 0) & (tied == labels)], minlength=int(labels.max(initial=-1)) + 1)
    stands = np.append(corroborated >= MIN_ACCOUNTS, False)  # the last for -1
    return numbered(np.where(stands[labels], labels, -1), least=SMALLEST)


def _membership(of: Holdings, weighed: Weights, labels: Ints) -> tuple[Floats, Ints]:
    """Bits that tie each member to its cluster, and how many groups do: (accounts,) each.

    One value speaks for each group, the most telling: how much commoner it is among the other members than among
    strangers, half an account added to both.
    """
    count = int(labels.max(initial=-1)) + 1
    held_by = holding_counts(of, labels, count)
    usable = (labels[of.accounts] >= 0) & (weighed.valid | (of.group == CONTENT))[of.held]
    account, value = of.accounts[usable], of.held[usable]
    home = labels[account]
    members = np.bincount(labels[labels >= 0], minlength=count)[home] - 1.0
    inside = (np.asarray(held_by[home, value]).ravel() if count else np.zeros(0)) - 1.0
    outside = of.holder_counts[value] - inside - 1.0
    times = times_commoner(inside, members, outside, of.account_count - members)
    bits = np.where(inside >= 1, np.clip(np.log2(times), 0.0, MAX_GROUP_BITS), 0.0)
    best = np.zeros((of.account_count, len(GROUPS)))
    np.maximum.at(best, (account, of.group[value]), bits)
    return np.round(best.sum(axis=1), 6), (best > 0).sum(axis=1).astype(np.int64)
