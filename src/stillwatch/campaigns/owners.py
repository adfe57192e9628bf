"""Which members of a cluster are one customer for all to see: by what they pay with or hold, or by the name they give.

Why:    two firms that use one public prompt make a cluster that cards tie, each firm's own. What ties the firms to one
        another is the prompt alone.
Misses: a customer whose accounts share nothing that costs anything and give no name.
Source: own; connected parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse
from scipy.sparse import csgraph

from stillwatch.campaigns.facts import Facts, Member, Owner, most_named
from stillwatch.records import KINDS

OWNED_GROUPS = ("payment", "device", "contact")  # what costs something: one customer's accounts share it
OWNED_KINDS = tuple(kind for kind, (_, group, _) in KINDS.items() if group in OWNED_GROUPS)

Thing = tuple[str, str]  # kind and value


def with_owners(found: Sequence[Facts], traits: pa.Table) -> list[Facts]:
    """The clusters with their owners; `traits` of all members: account_id, kind and value, of OWNED_KINDS."""
    held: dict[str, list[Thing]] = {}
    columns = (traits[name].to_pylist() for name in ("account_id", "kind", "value"))
    for account_id, kind, value in zip(*columns, strict=True):
        held.setdefault(account_id, []).append((kind, value))
    return [replace(one, owners=_owners(one.members, held)) for one in found]


def owned(traits: pa.Table, accounts: pa.Array) -> pa.Table:
    """The rows of the accounts that tell their owner, as `with_owners` reads them."""
    kept = pc.and_(pc.is_in(traits["kind"], pa.array(OWNED_KINDS)), pc.is_in(traits["account_id"], accounts))
    return traits.select(["account_id", "kind", "value"]).filter(kept)


def _owners(members: Sequence[Member], held: Mapping[str, Sequence[Thing]]) -> list[Owner]:
    """The owners of two accounts or more, largest first."""
    number: dict[Thing, int] = {}  # of each thing, after those of the members
    edges = [
        (place, number.setdefault(thing, len(members) + len(number)))
        for place, member in enumerate(members)
        for thing in _things(member, held)
    ]
    size, ends = len(members) + len(number), np.array(edges, np.int64).reshape(-1, 2)
    graph = sparse.coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(size, size))
    parts: dict[int, list[Member]] = {}
    for member, part in zip(members, csgraph.connected_components(graph, directed=False)[1].tolist(), strict=False):
        parts.setdefault(part, []).append(member)
    return sorted((Owner(len(part), most_named(part)) for part in parts.values() if len(part) > 1), reverse=True)


def _things(member: Member, held: Mapping[str, Sequence[Thing]]) -> list[Thing]:
    named = [("organisation", member.organization_id)] if member.organization_id else []
    return [*held.get(member.account_id, ()), *named]
