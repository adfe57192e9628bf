"""What is looked up when metrics are read, and not counted as it happens."""

import shutil
from collections.abc import Callable

from prometheus_client import generate_latest

from stillwatch.errors import StillwatchError
from stillwatch.server import metrics
from stillwatch.server.operate.holds import in_force
from stillwatch.server.service import Service


def exposition(service: Service) -> bytes:
    """Every metric, as Prometheus reads it; what cannot be looked up keeps its last value."""
    for look_up in AT_SCRAPE:
        try:
            look_up(service)
        except (StillwatchError, OSError) as error:
            service.log.warning("not_looked_up", kind=type(error).__name__)
    return generate_latest(metrics.REGISTRY)


def _holds(service: Service) -> None:
    with service.database.read() as connection:
        metrics.holds.set(len(in_force(connection, service.now())))


def _disk(service: Service) -> None:
    metrics.disk_free_bytes.set(shutil.disk_usage(service.settings.storage.state).free)


AT_SCRAPE: tuple[Callable[[Service], None], ...] = (_holds, _disk)  # one function per thing, of any part
