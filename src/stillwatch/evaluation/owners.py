"""One owner, many accounts: cards, networks, organisations and sign-up days that belong together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.people import COUNTRIES, DAY_S, SHORT_LIVED_DOMAINS, Columns, Plan


def split(rng: np.random.Generator, count: int, low: int, high: int) -> tuple[npt.NDArray[np.int64], int]:
    """Split `count` accounts over owners of `low` to `high` accounts: owner of each, and how many owners."""
    sizes: list[int] = []
    while sum(sizes) < count:
        sizes.append(int(np.exp(rng.uniform(np.log(low), np.log(high + 1)))))
    return np.repeat(np.arange(len(sizes)), sizes)[:count], len(sizes)


def shared_by_few(
    rng: np.random.Generator,
    owner: npt.NDArray[np.int64],
    sizes: tuple[int, int],
) -> npt.NDArray[np.int64]:
    """A number per account, the same for `sizes` accounts of one owner, or fewer at the owner's end."""
    count = len(owner)
    order = np.lexsort((rng.random(count), owner))
    part, _ = split(rng, count, *sizes)
    few = np.unique(part * count + owner[order], return_inverse=True)[1]
    shared = np.empty(count, np.int64)
    shared[order] = rng.integers(1, 2**62, count)[few]
    return shared


def one_owner(
    plan: Plan,
    rng: np.random.Generator,
    people: Columns,
    group: npt.NDArray[np.int64],
    groups: int,
    *,
    name: str,
    block: int,
    addresses: int,
) -> None:
    """Give each owner's accounts one card, one network, one organisation and mostly one mail domain."""
    count = len(group)
    networks, size = group_networks(plan, rng, groups, name, block, addresses)
    people["card"] = rng.integers(1, 2**62, groups)[group]
    people["organization"] = names(rng, groups, name)[group]
    people["net"], people["net_size"] = networks[group], np.full(count, size)
    people["net_other_share"] = np.where(rng.random(count) < 0.3, rng.uniform(0, 0.6, count), 0.0)
    people["signup"] = np.where(rng.random(count) < 0.7, networks[group], people["signup"])
    own_domain = (rng.random(groups) < 0.8)[group]
    domains = np.array([f"{word}.example" for word in names(rng, groups, "mail")], object)[group]
    people["mail_domain"] = np.where(own_domain, domains, people["mail_domain"])
    people["mail_style"] = rng.choice(5, groups, p=(0.5, 0.1, 0.3, 0.1, 0.0))[group]
    people["country"] = rng.integers(len(COUNTRIES), size=groups)[group]
    people["device"] = np.where(rng.random(count) < 0.35, rng.integers(1, 2**62, groups)[group], people["device"])


def group_networks(
    plan: Plan, rng: np.random.Generator, groups: int, name: str, block: int, addresses: int
) -> tuple[npt.NDArray[np.int64], int]:
    """A run of addresses per owner: first entry of each, and the length of all."""
    subnets = rng.integers(2**16, size=groups).astype(np.uint32)
    base = (np.uint32(block) << 24) + (subnets << 8)
    offsets = 10 + np.arange(addresses, dtype=np.uint32)
    first = plan.networks.add((base[:, None] + offsets).reshape(-1))
    return first + np.arange(groups) * addresses, addresses


def names(rng: np.random.Generator, groups: int, kind: str) -> npt.NDArray[np.object_]:
    """Invented names, one per owner."""
    return np.array([f"{kind}-{number:08x}" for number in rng.integers(2**32, size=groups)], object)


def per_group(
    rng: np.random.Generator, group: npt.NDArray[np.int64], groups: int, options: Sequence[object]
) -> npt.NDArray[np.object_]:
    """One of `options` per owner, for each account."""
    return np.array(options, object)[rng.integers(len(options), size=groups)][group]


def onboarded(rng: np.random.Generator, people: Columns, group: npt.NDArray[np.int64], groups: int) -> None:
    """Most accounts of an owner sign up within hours of one of a few days."""
    first = people["created_s"][np.unique(group, return_index=True)[1]]
    spread = np.where(rng.random(groups) < 0.6, 3_600.0, 9 * DAY_S)[group]
    together = rng.random(len(group)) < 0.8
    people["created_s"] = np.where(
        together, first[group] + rng.exponential(1, len(group)) * spread, people["created_s"]
    )


def some_short_lived(rng: np.random.Generator, domains: npt.NDArray[Any], share: float) -> npt.NDArray[Any]:
    """`domains`, a share of them replaced by those of throw-away mail."""
    short = rng.choice(np.array(SHORT_LIVED_DOMAINS, object), len(domains))
    return np.where(rng.random(len(domains)) < share, short, domains)


def only(chosen: npt.NDArray[np.bool_], values: npt.NDArray[Any]) -> npt.NDArray[np.object_]:
    """`values` where chosen, else nothing."""
    kept = np.full(len(values), None, object)
    kept[chosen] = values[chosen]
    return kept
