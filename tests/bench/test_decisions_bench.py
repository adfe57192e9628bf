"""The load generator compares every answer, and under it no answer is wrong and none is missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.decisions.serving import served

from bench import decisions as bench
from stillwatch.server import Service, decisions, opened
from stillwatch.server.access import made_key
from stillwatch.server.service import utc_now

ACCOUNTS = 3_000


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with opened(bench.settings(tmp_path / "state", "")) as held:
        with held.database.write() as connection:
            found = list(bench.campaigns(ACCOUNTS))
            decisions.reconcile(connection, found, now=utc_now(), policy_name="default 1")
        held.snapshot.refresh(held.database)
        yield held


@pytest.fixture
def key(service: Service) -> str:
    return made_key(service.database, name="gateway", roles=["enforcer"], by="tests", now=utc_now())


def test_under_load_no_answer_is_wrong_and_none_is_missing(service: Service, key: str) -> None:
    with served(service) as port:
        asked = bench.questions(port, key, ACCOUNTS)
        load = bench.loaded(port, asked, connections=8, seconds=1.5)
    assert (load.wrong, load.dropped) == (0, 0)
    assert len(load.latencies_s) > 100


def test_a_wrong_answer_is_noticed(service: Service, key: str) -> None:
    with served(service) as port:
        asked = [(sent, wanted[:-3] + b"X" + wanted[-2:]) for sent, wanted in bench.questions(port, key, ACCOUNTS)]
        load = bench.loaded(port, asked, connections=2, seconds=0.1)
    assert load.wrong == len(load.latencies_s) > 0


def test_a_missing_answer_is_noticed(service: Service, key: str) -> None:
    with served(service) as port:
        asked = [
            (sent.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") * 2, wanted)
            for sent, wanted in bench.questions(port, key, ACCOUNTS)
        ]
        load = bench.loaded(port, asked, connections=2, seconds=0.2)
    assert load.dropped > 0
