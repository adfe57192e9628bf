"""How much a partner may put in: exact at the boundary, over midnight, over directions, over processes."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.server.conftest import NOON, Clock
from tests.server.psi.conftest import Held, Holding

from stillwatch.errors import SharingError
from stillwatch.server.database import Database
from stillwatch.server.psi import caps
from stillwatch.server.settings import Matching
from stillwatch.server.tables import psi_inputs

LIMITS = Matching()


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url or f"sqlite:///{tmp_path / 'records.db'}")
    made.make()
    yield made
    made.close()


def spend(
    database: Database, count: int, *, partner: str = "north", direction: str = caps.RECEIVED, now: datetime = NOON
) -> int:
    with database.write() as connection:
        return caps.spend(connection, LIMITS, partner=partner, direction=direction, count=count, now=now)


def test_a_day_allows_exactly_so_many_over_both_directions_and_midnight_begins_another(database: Database) -> None:
    assert spend(database, 5_000) == 5_000
    assert spend(database, 4_900, direction=caps.SENT) == 100
    with pytest.raises(SharingError, match="9,900 were, and this would be 101 more"):
        spend(database, 101)
    assert spend(database, 100) == 0
    for direction in (caps.RECEIVED, caps.SENT):
        with pytest.raises(SharingError, match="10,000 identifiers a day"):
            spend(database, 1, direction=direction)
    assert spend(database, 10_000, partner="south") == 0
    last = datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    with pytest.raises(SharingError):
        spend(database, 1, now=last)
    with pytest.raises(SharingError):  # the second of March east of here, not yet in UTC
        spend(database, 1, now=last.astimezone(timezone(timedelta(hours=14))))
    assert spend(database, 10_000, now=last + timedelta(microseconds=1)) == 0


def test_a_refusal_counts_nothing_and_days_long_past_are_forgotten(database: Database) -> None:
    with pytest.raises(SharingError):
        spend(database, 10_001)
    spend(database, 10_000)
    with database.write() as connection:
        assert caps.spent(connection, "north", NOON) == (10_000, 1)
        assert caps.forgotten(connection, NOON + timedelta(days=caps.KEPT_DAYS)) == 0
        assert caps.forgotten(connection, NOON + timedelta(days=caps.KEPT_DAYS + 1)) == 1


def test_sessions_a_day_are_counted_as_well(holding: Holding, tokens: list[str]) -> None:
    with holding(sessions_a_day=2, open_sessions=9) as held:
        held.offer(tokens)
        assert [status(held, "north") for _ in range(3)] == [201, 201, 429]
        assert status(held, "south") == 201


def test_sessions_that_are_open_at_once_are_few(held: Held, tokens: list[str], clock: Clock) -> None:
    held.offer(tokens)
    assert [status(held, "north") for _ in range(3)] == [201, 201, 429]
    clock.pass_by(seconds=900)
    assert status(held, "north") == 201


def status(held: Held, name: str, size: int = 100) -> int:
    asked = {"kind": "device", "size": size}
    return held.client.post("/v1/psi/sessions", headers=held.headers(name), json=asked).status_code


@pytest.mark.parametrize("size", [10_000, 20_000])
def test_a_session_counts_its_whole_size_at_once_whatever_comes_of_it(
    size: int, held: Held, tokens: list[str], clock: Clock
) -> None:
    held.offer(tokens)
    asked = {"kind": "device", "size": size}
    made = held.client.post("/v1/psi/sessions", headers=held.headers("north"), json=asked)
    if size > LIMITS.inputs_a_day:
        assert (made.status_code, made.headers["retry-after"]) == (429, str(12 * 3600))
        return
    assert made.json()["inputs_left"] == 0
    assert status(held, "north") == 429  # another key of the same name
    clock.pass_by(hours=12)
    assert status(held, "north") == 201


def raced(url: str) -> int:
    """How many identifiers one process gets through, in forty tries of three hundred."""
    database, limits, taken = Database(url), Matching(sessions_a_day=1000), 0
    for turn in range(40):
        direction = caps.SENT if turn % 2 else caps.RECEIVED
        try:
            with database.write() as connection:
                caps.spend(connection, limits, partner="north", direction=direction, count=300, now=NOON)
            taken += 300
        except SharingError:
            continue
    database.close()
    return taken


RACER = """
import sys
from tests.server.psi.test_caps import raced
for line in sys.stdin:
    print("ready", flush=True)
    print(raced(line.strip()), flush=True)
"""


def test_several_processes_at_once_let_no_more_through(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    urls = [f"sqlite:///{tmp_path / 'records.db'}"]
    if find_spec("pgserver"):
        urls.append(request.getfixturevalue("postgres_url"))
    other = subprocess.Popen([sys.executable, "-c", RACER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    with other:
        for url in urls:
            database = Database(url)
            database.make()
            other.stdin.write(f"{url}\n")
            other.stdin.flush()
            assert other.stdout.readline() == "ready\n"
            assert raced(url) + int(other.stdout.readline()) == 9_900
            with database.read() as connection:
                assert connection.execute(sa.select(sa.func.sum(psi_inputs.c.inputs))).scalar_one() == 9_900
            database.close()
        other.stdin.close()
