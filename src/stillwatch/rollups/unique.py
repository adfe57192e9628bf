"""One row per exchange id: the same request may stand in two files, or be delivered twice.

Why:    gateways retry their log deliveries; counting twice would inflate exposure and invent templates.
Misses: the same request logged under two ids.
Source: own; which copy stays depends on its content only, so the order of files and rows does not matter.
"""

import ibis

from stillwatch.engines.base import IbisTable

_TIE_BREAKERS = ("started_at", "account_id", "text_id", "model", "input_tokens", "output_tokens", "client_ip")


def repeated_ids(signals: IbisTable) -> IbisTable:
    """Exchange ids that occur more than once, with the number of surplus rows."""
    counted = signals.group_by("exchange_id").aggregate(surplus=ibis._.count() - 1)
    return counted.filter(counted.surplus > 0)


def unique_exchanges(signals: IbisTable, repeated: IbisTable) -> IbisTable:
    """The signals with one row per exchange id; of several copies the earliest stays."""
    copies = signals.semi_join(repeated, "exchange_id")
    order = [copies[name].asc(nulls_first=True) for name in _TIE_BREAKERS]
    ranked = copies.mutate(copy=ibis.row_number().over(group_by=copies.exchange_id, order_by=order))
    first = ranked.filter(ranked.copy == 0).drop("copy")
    return signals.anti_join(repeated, "exchange_id").union(first)
