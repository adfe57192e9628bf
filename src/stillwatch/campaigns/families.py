"""Families of wordings in clusters: what members say in other words each time, and hardly anybody else says.

Why:    of a template that is reworded on every call only a part of the calls bear a template that recurs, so that the
        harvest is judged by a part of its traffic. The pool of words it draws from stays.
Misses: a campaign that no card, device or recurring wording holds together: a family ties nobody to anything.
Source: own; the pools are those of `linkage.families`.
"""

from collections.abc import Mapping
from typing import Any

import ibis

from stillwatch.campaigns.facts import FamilyUse
from stillwatch.engines.base import IbisTable

MIN_TEXTS = 3  # different texts of a family that a member sends, to be one that uses it


def family_texts(templated: IbisTable) -> IbisTable:
    """How many different texts of each family every account sends: account_id, family_id, texts."""
    shown = templated.filter(templated.family_id.notnull())
    return shown.group_by(["account_id", "family_id"]).aggregate(texts=shown.item_id.nunique())


def family_holders(shown: IbisTable, members: IbisTable) -> list[Mapping[str, Any]]:
    """Which families the members of each cluster use: cluster_id, family_id, account_count, outside_count.

    A member uses a family in MIN_TEXTS texts; outside everybody counts who sends a single one, so that a pool of words
    that many people draw from now and then is nobody's. `shown` is what `family_texts` gives.
    """
    everywhere = shown.group_by("family_id").aggregate(holders=ibis._.count())
    inside = shown.inner_join(members, "account_id").group_by(["cluster_id", "family_id"])
    counted = inside.aggregate(any_count=ibis._.count(), account_count=(ibis._.texts >= MIN_TEXTS).cast("int64").sum())
    rows = counted.inner_join(everywhere, "family_id").order_by(["cluster_id", "family_id"]).to_pyarrow().to_pylist()
    return [{**row, "outside_count": row["holders"] - row["any_count"]} for row in rows]


def family_uses(own: IbisTable) -> dict[int, list[FamilyUse]]:
    """How each cluster uses its families, most used first, over its own exchanges as `bearing` gives them."""
    said = own.filter(own.family_id.notnull())
    rows = said.group_by(["cluster_id", "family_id"]).aggregate(
        exchanges=ibis._.count(),
        accounts=ibis._.account_id.nunique(),
        items=ibis._.item_id.nunique(),
        templates=ibis._.template_id.nunique(),
    )
    found: dict[int, list[FamilyUse]] = {}
    for row in rows.order_by([ibis.desc("exchanges"), "family_id"]).to_pyarrow().to_pylist():
        found.setdefault(row.pop("cluster_id"), []).append(FamilyUse(**row))
    return found
