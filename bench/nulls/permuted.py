"""One world, again and again with the holders of every kind of trait dealt anew: is any campaign reported?

Signals and templates are derived once. In every run the pipeline's two sources of traits are dealt anew within
segments: templates together with the exchanges that bear them, so that the campaign tests read the same traffic as
linkage, and all other kinds in the table of traits. What follows is the pipeline as it is. A verified organisation, one
principal and never a member, keeps what it holds.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stillwatch import ingest, linkage, pipeline, store
from stillwatch.engines.base import Engine, IbisTable
from stillwatch.engines.embedded import EmbeddedEngine
from stillwatch.intake import Intake, intake
from stillwatch.records import TEMPLATE_KINDS
from stillwatch.settings import Settings
from stillwatch.shown import NAMED, plain
from stillwatch.state import Kept, rolled

from .segments import segments
from .shuffle import codes, dealt

Verdicts = dict[str, int]  # campaigns by verdict
UNMOVED = TEMPLATE_KINDS  # they are dealt with their exchanges


@dataclass(frozen=True, slots=True)
class Prepared:
    """A world whose signals are derived, and the template that each of its exchanges bears."""

    taken: Intake
    kept: Kept
    engine: Engine
    settings: Settings
    segment: Mapping[str, int]
    templated: linkage.Templated


@contextmanager
def prepared(world: Path, work: Path, *, whole: bool) -> Iterator[Prepared]:
    """Read a world once; with `whole` all accounts are one segment."""
    settings = Settings(
        logs=(str(world / "exchanges"),), out=work / "out", accounts=world / "accounts.parquet", exemplars=False
    )
    key = ingest.Key(hashlib.sha256(b"bench.nulls").digest())
    with EmbeddedEngine(work) as engine:
        taken = intake(settings, engine, key=key, work=work, progress=lambda *_: None)
        active = taken.signals.select("account_id").distinct().to_pyarrow()["account_id"].to_pylist()
        principals = pipeline._principals(taken.accounts, active)
        found = segments(taken.signals, taken.accounts, principals)
        segment = dict.fromkeys(found, 0) if whole else found
        kept = rolled(taken, engine)
        templated = linkage.templated(
            kept.rollups.content, engine, kept.work, embedded=kept.rollups.embedded, per_day=kept.rollups.per_day
        )
        yield Prepared(taken, kept, engine, settings, segment, templated)


def verdicts(of: Prepared, seed: int | None) -> tuple[Verdicts, float]:
    """Campaigns by verdict, and the CPU-seconds, with traits dealt anew by a seed; none leaves them as they are."""
    earlier = pipeline.Earlier([], store.read_seen(of.settings.out), store.read_verdicts(of.settings.out))
    began = time.process_time()
    rng = np.random.default_rng(seed)
    people = pipeline._of_principals

    def templated(*_: object, **__: object) -> linkage.Templated:
        exchanges = of.templated.exchanges
        return of.templated if seed is None else of.templated._replace(exchanges=_with_bearers(exchanges, of, rng))

    def traits(table: pa.Table, principals: Mapping[str, str]) -> pa.Table:
        shown = people(table, principals)
        return shown if seed is None else _with_holders(plain(shown), of.segment, rng)

    with mock.patch.object(linkage, "templated", templated), mock.patch.object(pipeline, "_of_principals", traits):
        result = pipeline.found(of.kept, of.engine, of.settings, earlier=earlier, progress=lambda *_: None)
    counts = Counter(campaign["verdict"] for campaign in result.campaigns)
    return dict(counts), time.process_time() - began


def _with_bearers(templated: IbisTable, of: Prepared, rng: np.random.Generator) -> IbisTable:
    """The exchanges with all that bear a template in one account handed on together to another account."""
    bearing = templated.filter(templated.template_id.notnull())
    edges = bearing.select("account_id", "template_id").distinct().to_pyarrow()
    edges = edges.sort_by([("template_id", "ascending"), ("account_id", "ascending")])
    bearers = _dealt(edges, edges["template_id"].to_numpy(), of.segment, rng)
    moved = of.engine.memory(edges.append_column("bearer", bearers))
    rows = templated.left_join(moved, ["account_id", "template_id"]).select(*templated.columns, "bearer")
    rows = rows.mutate(account_id=rows.bearer.fill_null(rows.account_id)).drop("bearer").select(*templated.columns)
    return of.engine.write(rows, of.taken.work / "dealt.parquet")


def _with_holders(traits: pa.Table, segment: Mapping[str, int], rng: np.random.Generator) -> pa.Table:
    """The traits with the holders of each kind dealt anew; repeated rows are one edge."""
    kept = traits.filter(pc.is_in(traits["kind"], pa.array(UNMOVED)))
    parts = [kept]
    for kind in sorted(set(traits["kind"].to_pylist()) - set(UNMOVED)):
        rows = traits.filter(pc.equal(traits["kind"], kind))
        rows = rows.group_by(NAMED).aggregate([])
        rows = rows.sort_by([("value", "ascending"), ("account_id", "ascending")])
        holders = _dealt(rows, codes(rows["value"].to_pylist()), segment, rng)
        parts.append(rows.set_column(0, "account_id", holders).select(traits.column_names).cast(traits.schema))
    return pa.concat_tables(parts)


def _dealt(
    edges: pa.Table,
    values: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    segment: Mapping[str, int],
    rng: np.random.Generator,
) -> pa.Array:
    """A new account for each edge."""
    names = edges["account_id"].to_pylist()
    known = sorted(set(names))
    place = {name: number for number, name in enumerate(known)}
    accounts = np.array([place[name] for name in names], dtype=np.int64)
    inside = np.array([segment.get(name, -1) for name in names], dtype=np.int64)
    found = dealt(accounts, np.asarray(values, dtype=np.int64), inside, rng)
    return pa.array([known[number] for number in found.tolist()], pa.string())
