"""The jobs as the service runs them: from a request to a campaign and an attached newcomer, in threads and a child."""

from pathlib import Path

import sqlalchemy as sa
from tests.server.detection import worlds
from tests.server.detection.test_detector import wait_until
from tests.server.detection.test_newcomers import EXIT, OWN, often
from tests.server.detection.worlds import Recorded

from stillwatch.server import Service
from stillwatch.server.detection import runs
from stillwatch.server.detection.jobs import jobs
from stillwatch.server.jobs import Jobs
from stillwatch.server.tables import detections


def test_a_newcomer_is_attached_within_seconds_while_the_jobs_run(service: Service, tmp_path: Path) -> None:
    recorded = Recorded()
    running = Jobs(
        jobs(service, recorded.hands), service.database, holder=service.holder, now=service.now, log=service.log
    )
    (tmp_path / "rows").mkdir()
    rows = worlds.derived(often("new", OWN, EXIT), tmp_path / "rows")
    running.start()
    try:

        def is_attached() -> bool:
            for observe in service.observers:
                observe(rows)
            return bool(recorded.attached)

        wait_until(is_attached)
    finally:
        running.stop()
    assert recorded.attached[0]["account_id"] == "new"


def test_stopping_the_jobs_ends_a_detection_at_once(service: Service) -> None:
    with service.database.write() as connection:
        runs.requested(connection, by="tests", now=service.now())
    running = Jobs(
        jobs(service, Recorded().hands), service.database, holder=service.holder, now=service.now, log=service.log
    )

    def outcomes() -> list[str]:
        with service.database.read() as connection:
            chosen = sa.select(detections.c.outcome).order_by(detections.c.number)
            return list(connection.execute(chosen).scalars())

    running.start()
    wait_until(lambda: outcomes() == ["done", "running"])
    running.stop()
    assert outcomes() == ["done", "stopped"]
