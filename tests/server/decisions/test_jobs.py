"""What comes round: other processes' decisions are followed, and what is over is ended."""

from collections.abc import Callable
from typing import Any

from tests.server.conftest import Clock
from tests.server.decisions.conftest import campaign, recommended

from stillwatch.server import Service, decisions
from stillwatch.server.decisions.jobs import jobs


def test_every_process_follows_and_one_ends_what_is_over(
    service: Service, clock: Clock, rows: Callable[..., list[Any]]
) -> None:
    follow, expire = jobs(service)
    assert (follow.is_shared, expire.is_shared) == (False, True)
    with service.database.write() as connection:  # as another process would
        found = [campaign(recommended("throttle", ["a"]), recommended("suspend", ["b"]))]
        decisions.reconcile(connection, found, now=clock(), policy_name="default 1")
    assert len(service.snapshot) == 0
    follow.run()
    assert len(service.snapshot) == 1
    clock.pass_by(days=7)
    expire.run()
    expire.run()
    assert [row.state for row in rows()] == ["expired", "expired"]
    follow.run()
    assert len(service.snapshot) == 0
