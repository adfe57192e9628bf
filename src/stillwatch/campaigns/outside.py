"""Gathers what ordinary customers sent: everybody outside the clusters, as columns, because they are nearly everybody.

Why:    a cluster is compared with them, one vote each: a unit is an organisation or a lone account.
Misses: campaigns that nobody has linked are among them.
Source: own.

Where no prompt was logged nothing is gathered, as no test could be made.
"""

from typing import NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stillwatch.campaigns.attempts import is_refused, technique_code
from stillwatch.campaigns.days import NO_DAYS, WHOLE, Days
from stillwatch.campaigns.embeddings import narrowness
from stillwatch.campaigns.extraction import NOBODY, Reaches, reaches
from stillwatch.campaigns.gather import SEGMENT
from stillwatch.campaigns.ordinary import NO_UNITS, Floats, Ints, Segments, Units, shares
from stillwatch.campaigns.tables import Tables
from stillwatch.campaigns.usage import component_sums
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.records import CAPABILITIES, INTENTS


class Outside(NamedTuple):
    """The units by name, their days in the same order, and how they reach for reasoning."""

    units: Units
    days: Days
    reaching: Reaches


def outside(tables: Tables, engine: Engine) -> Outside:
    """What the units outside the clusters sent."""
    if not tables.may_hold_prompts:
        return Outside(NO_UNITS, NO_DAYS, NOBODY)
    placed, count = _placed(tables)
    rows = tables.templated.inner_join(engine.memory(placed), "account_id")
    day = (rows.started_at.epoch_seconds() // 86400).cast("int64").fill_null(0)
    rows = rows.mutate(day=day, intents=rows.intents.fill_null(0))
    sent = _sent(rows)
    days = _days(sent, rows, count)
    cells = _cells(rows)
    units = Units(
        exchanges=_summed(days.unit, days.exchanges, count),
        items=_summed(days.unit, days.items, count),
        output_tokens=_summed(sent.unit, sent.tokens, count),
        intents=np.column_stack([_summed(days.unit, column, count) for column in days.intents.T]),
        mixes=_mixes(cells, count),
        narrowness=_narrowness(rows, count),
        segments=_segments(cells, count),
    )
    return Outside(units, days, _reaches(sent, units.exchanges))


def _placed(tables: Tables) -> tuple[pa.Table, int]:
    """The number of the unit of every account outside the clusters, by name, and its access programme; how many."""
    names = tables.templated.select("account_id").distinct().to_pyarrow()["account_id"].combine_chunks()
    names = names.filter(pc.invert(pc.is_in(names, tables.members["account_id"].combine_chunks())))
    declared = tables.accounts.select(["organization_id", "access_program"])
    declared = declared.take(pc.index_in(names, tables.accounts["account_id"].combine_chunks()))
    owners = pc.coalesce(declared["organization_id"], names)
    units = pc.unique(owners).sort()
    numbers = pc.index_in(owners, units)
    return pa.table({"account_id": names, "unit": numbers, "access_program": declared["access_program"]}), len(units)


class _Sent(NamedTuple):
    """Exchanges of each unit, day and intents: `n`, their output tokens, and those refused that reach for reasoning."""

    unit: Ints
    day: Ints
    intents: Ints
    n: Ints
    tokens: Ints
    refused: Ints


def _sent(rows: IbisTable) -> _Sent:
    """What the units sent, one pass for all that is asked of it."""
    refused = ibis.ifelse(technique_code(rows.intents) > 0, is_refused(rows), False)
    counted = rows.group_by(["unit", "day", "intents"]).aggregate(
        n=rows.count(),
        tokens=rows.output_tokens.fill_null(0).sum().cast("int64"),
        refused=refused.cast("int64").sum(),
    )
    return _Sent._make(_numbers(column) for column in counted.to_pyarrow().columns)


def _days(sent: _Sent, rows: IbisTable, count: int) -> Days:
    """What the units did day by day."""
    unit, day, intents, n = sent[:4]
    keys, row = np.unique(unit * WHOLE + day, return_inverse=True)
    by_intent = np.zeros((len(keys), len(INTENTS)), np.float32, order="F")  # enough for 16 million exchanges a day
    for bit in range(len(INTENTS)):
        by_intent[:, bit] = _summed(row, n * (intents >> bit & 1), len(keys))
    first = rows.filter(rows.item_id.notnull()).group_by(["unit", "item_id"]).aggregate(day=rows.day.min())
    new = first.group_by(["unit", "day"]).aggregate(n=first.count()).to_pyarrow()
    items = np.zeros(len(keys))
    items[np.searchsorted(keys, _numbers(new["unit"]) * WHOLE + _numbers(new["day"]))] = _numbers(new["n"])
    counts = (_summed(row, n, len(keys)), items, by_intent)
    return Days(keys // WHOLE, keys % WHOLE, *counts, size=count)


def _cells(rows: IbisTable) -> pa.Table:
    """Exchanges of each unit by capability and by what makes its segment."""
    return rows.group_by(["unit", "capability", *SEGMENT]).aggregate(n=ibis._.count()).to_pyarrow()


def _mixes(cells: pa.Table, count: int) -> Floats:
    """Shares of each capability among the exchanges that have one: (units, capabilities)."""
    place = pc.index_in(cells["capability"], pa.array(CAPABILITIES))
    is_known = place.is_valid().to_numpy()
    at = _numbers(cells["unit"])[is_known] * len(CAPABILITIES) + _numbers(place.drop_null())
    sums = _summed(at, _numbers(cells["n"])[is_known], count * len(CAPABILITIES))
    return shares(sums.reshape(count, len(CAPABILITIES)))


def _segments(cells: pa.Table, count: int) -> Segments:
    """The commonest value of each part of a segment, of equals the first by name: (units,) tuples."""
    unit, n = _numbers(cells["unit"]), _numbers(cells["n"])
    parts = [_commonest(unit, cells[name], n, count) for name in SEGMENT]
    numbers = np.stack([number for number, _ in parts], axis=1)
    distinct, place = np.unique(numbers, axis=0, return_inverse=True)
    names = [tuple(values[i] for i, (_, values) in zip(row, parts, strict=True)) for row in distinct.tolist()]
    return np.fromiter(names, np.object_, len(names))[place.reshape(-1)]


def _commonest(unit: Ints, column: pa.ChunkedArray, n: Ints, count: int) -> tuple[Ints, list[str | None]]:
    """The number of each unit's commonest value, and what the numbers stand for: null, then the values by name."""
    values = pc.unique(column).drop_null().sort()
    number = pc.fill_null(pc.index_in(column, values), -1).to_numpy().astype(np.int64) + 1
    keys, row = np.unique(unit * (len(values) + 1) + number, return_inverse=True)
    sums, owner, value = _summed(row, n, len(keys)), keys // (len(values) + 1), keys % (len(values) + 1)
    order = np.lexsort((value, -sums, owner))
    starts = np.searchsorted(owner[order], np.arange(count))
    return value[order][starts], [None, *values.to_pylist()]


def _narrowness(rows: IbisTable, count: int) -> Floats:
    """How alike the exchanges of each unit are by their embeddings, nought where there are too few: (units,)."""
    told = rows.filter(rows.embedding.notnull()).group_by("unit")
    table = told.aggregate(embedded=ibis._.embedding.count(), **component_sums()).to_pyarrow()
    unit, embedded, *sums = (_numbers(column) for column in table.columns)
    found = np.zeros(count)
    found[unit] = narrowness(embedded, np.stack(sums, axis=1))
    return found


def _reaches(sent: _Sent, exchanges: Floats) -> Reaches:
    code = technique_code(sent.intents)
    used = np.zeros(len(exchanges), np.int64)
    np.bitwise_or.at(used, sent.unit, code)
    return reaches(
        exchanges,
        reaching=_summed(sent.unit, sent.n * (code > 0), len(exchanges)),
        techniques=np.bitwise_count(used).astype(np.float64),
        refused=_summed(sent.unit, sent.refused, len(exchanges)),
    )


def _numbers(column: pa.ChunkedArray | pa.Array) -> Ints:
    return np.asarray(column.to_numpy()).astype(np.int64, copy=False)


def _summed(place: Ints, amounts: NDArray[np.generic], count: int) -> Floats:
    """Sums of the amounts by place, whole numbers all: (count,)."""
    return np.asarray(np.bincount(place, weights=amounts, minlength=count), np.float64)
