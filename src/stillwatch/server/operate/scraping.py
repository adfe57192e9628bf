"""What is looked up when metrics are read, and not counted as it happens."""

import shutil
from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import sqlalchemy as sa
from prometheus_client import generate_latest

from stillwatch.errors import StillwatchError
from stillwatch.records import ACTIONS, VERDICTS
from stillwatch.server import metrics
from stillwatch.server.detection import runs
from stillwatch.server.logging import failure
from stillwatch.server.operate.holds import in_force
from stillwatch.server.service import Service
from stillwatch.server.tables import campaigns, deliveries, outbox


def exposition(service: Service) -> bytes:
    """Every metric, as Prometheus reads it; what cannot be looked up keeps its last value."""
    for look_up in AT_SCRAPE:
        try:
            look_up(service)
        except (StillwatchError, OSError) as error:
            service.log.warning("not_looked_up", **failure(error))
    return generate_latest(metrics.REGISTRY)


def _holds(service: Service) -> None:
    with service.database.read() as connection:
        metrics.holds.set(len(in_force(connection, service.now())))


def _disk(service: Service) -> None:
    metrics.disk_free_bytes.set(shutil.disk_usage(service.settings.storage.state).free)


def _intake(service: Service) -> None:
    metrics.intake_pending_bytes.set(service.journal.pending_bytes())
    since = service.journal.pending_since()
    metrics.fold_lag_seconds.set(max(0.0, (service.now() - since).total_seconds()) if since else 0.0)


def _detection(service: Service) -> None:
    with service.database.read() as connection:
        counts = _counts(connection, campaigns.c.verdict, campaigns.c.state == "open")
        done_at = runs.done_at(connection)
    for verdict in VERDICTS:
        metrics.campaigns.labels(verdict).set(counts[verdict])
    metrics.detected_at.set(done_at.timestamp() if done_at else 0.0)


def _decisions(service: Service) -> None:
    counts = service.snapshot.counts()
    for key in product(ACTIONS, ("live", "shadow")):
        metrics.decisions.labels(*key).set(counts[key])


def _queued(service: Service) -> None:
    with service.database.read() as connection:
        new = _counts(connection, outbox.c.is_routed, sa.not_(outbox.c.is_routed)).total()
        counts = _counts(connection, deliveries.c.state, deliveries.c.state != "sent")
    metrics.queued.labels("outbox_waiting").set(new + counts["waiting"])
    metrics.queued.labels("outbox_dead").set(counts["dead"])


def _counts(connection: sa.Connection, column: sa.Column[Any], chosen: sa.ColumnElement[bool]) -> Counter[Any]:
    """How many rows there are of each value of a column, among those that are chosen."""
    rows = connection.execute(sa.select(column, sa.func.count()).where(chosen).group_by(column))
    return Counter({value: count for value, count in rows})  # noqa: C416 - a Counter would count the rows


AT_SCRAPE: tuple[Callable[[Service], None], ...] = (_holds, _disk, _intake, _detection, _decisions, _queued)
