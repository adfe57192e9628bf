"""Small random deployments with a planted campaign, as trait tables."""

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from stillwatch.linkage import Clusters, Holdings, Starts, Weights, clusters, holdings, starts, weights

Row = tuple[str, str, str]


def account(number: int) -> str:
    """Name of an account."""
    return f"a{number:04d}"


def background(rng: np.random.Generator, accounts: int) -> list[Row]:
    """Innocent traits: public templates, shared addresses, popular clients, a few shared cards."""
    rows = []
    for number in range(accounts):
        name = account(number)
        rows += [(name, "template", f"public-{t}") for t in rng.choice(300, 2, replace=False)]
        rows += [(name, "ip", f"address-{i}") for i in rng.choice(accounts, 2, replace=False)]
        rows.append((name, "client", f"client-{rng.integers(6)}"))
        rows.append((name, "payment", f"card-{rng.integers(4 * accounts)}"))
    return rows


def campaign(members: list[str], name: str = "x") -> list[Row]:
    """What the accounts of one operator share: every other of its templates, some of its exits, few cards."""
    rows = []
    for place, member in enumerate(members):
        rows += [(member, "template", f"{name}-own-{t}") for t in range(8) if (place + t) % 2]
        rows += [(member, "ip", f"{name}-exit-{(place + i) % 5}") for i in range(3)]
        rows.append((member, "payment", f"{name}-card-{place // 4}"))
    return rows


def dealt_campaign(members: list[str], name: str = "x", cells: int = 3) -> list[Row]:
    """A campaign that deals its templates out: cells without a template in common, cards and exits across them."""
    rows = []
    for place, member in enumerate(members):
        rows += [(member, "template", f"{name}-cell-{place % cells}-{t}") for t in range(3)]
        rows += [(member, "ip", f"{name}-exit-{(place * 5 + i) % 12}") for i in range(4)]
        rows.append((member, "payment", f"{name}-card-{place // 4}"))
    return rows


def trait_table(rows: list[Row]) -> pa.Table:
    """The rows as a trait table; repeats removed, order kept."""
    kept = list(dict.fromkeys(rows))
    return pa.table(
        {
            "account_id": pa.array([row[0] for row in kept], pa.string()),
            "kind": pa.array([row[1] for row in kept], pa.string()),
            "value": pa.array([row[2] for row in kept], pa.string()),
            "exchanges": pa.array([10] * len(kept), pa.int64()),
        }
    )


def indexed(rows: list[Row], accounts: int) -> Holdings:
    """Holdings of a deployment of so many accounts."""
    return holdings(trait_table(rows), [account(number) for number in range(accounts)])


def found_in(
    rows: list[Row], accounts: int, seed: int = 0, outsiders: Collection[str] = ()
) -> tuple[Holdings, Weights, Clusters]:
    """Everything linkage finds in the rows."""
    of = indexed(rows, accounts)
    weighed = weights(of)
    return of, weighed, clusters(of, weighed, no_starts(of), seed=seed, outsiders=outsiders)


def no_starts(of: Holdings) -> Starts:
    """Nothing is known about when anybody began."""
    return starts(
        pa.table({"account_id": pa.array([], pa.string()), "minute": pa.array([], pa.int64())}), of.account_ids
    )


def member_sets(of: Holdings, found: Clusters) -> list[set[str]]:
    """The accounts of each cluster."""
    return [{of.account_ids[i] for i in np.flatnonzero(found.of_account == c)} for c in range(found.count)]


def shuffled_kinds(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    """The same rows with each kind's holders dealt anew: accounts and values keep how many they have."""
    dealt = []
    for kind in sorted({row[1] for row in rows}):
        values = [row[2] for row in rows if row[1] == kind]
        owners = [row[0] for row in rows if row[1] == kind]
        dealt += [(owners[i], kind, value) for i, value in zip(rng.permutation(len(owners)), values, strict=True)]
    return dealt
