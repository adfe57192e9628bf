"""Two processes share intake, folding and one detection loop over PostgreSQL, killed in turn: nothing lost or twice."""

import random
import threading
import time
from collections import defaultdict, deque
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from tests.flow import planted
from tests.server.intake import bodies
from tests.server.intake.test_crashes import DEADLINE_S, ROWS_PER_BATCH, SENDERS, Load, key_of, serving
from tests.server.intake.test_folding import plain
from tests.state import worlds

from stillwatch.server import ServerSettings, opened
from stillwatch.server.settings import Storing
from stillwatch.server.tables import campaign_accounts, campaigns, detections
from stillwatch.state import existing_manifest

KILLS = 8
PATIENCE_S = 400  # for a detection on a busy machine

pytestmark = pytest.mark.nightly


class Pair:
    """Two processes, each with its own senders; all of them take from what waits."""

    def __init__(self, state: Path, database: str, waiting: "deque[tuple[str, bytes]]") -> None:
        headers = {"X-API-Key": key_of(state, database)}
        self.loads = [Load(waiting, headers), Load(waiting, headers)]
        self.senders = [threading.Thread(target=load.send) for load in self.loads for _ in range(SENDERS)]
        self._told, self._held = (state, database), [ExitStack(), ExitStack()]

    def start(self, number: int) -> None:
        self._held[number].enter_context(serving(*self._told, self.loads[number], "sharing"))

    def kill(self, number: int) -> None:
        self._held[number].close()

    def acknowledges(self, number: int, more: int) -> None:
        """Wait until one of them has acknowledged some more, or nothing waits."""
        load = self.loads[number]
        wanted = load.acknowledged + more
        with load.changed:
            load.changed.wait_for(lambda: load.acknowledged >= wanted or not load.waiting, DEADLINE_S)


def exchanges(state: Path) -> int:
    return sum(batch.exchanges for batch in existing_manifest(state).batches)


def test_two_processes_killed_in_turn_under_load_lose_nothing_and_detect_one_at_a_time(
    tmp_path: Path, postgres_url: str
) -> None:
    state, rng, rows = tmp_path / "state", random.Random(8), planted.exchanges()
    told = plain(rows)
    starts = range(0, len(told), ROWS_PER_BATCH)
    pair = Pair(state, postgres_url, deque((str(n), bodies.lines(told[n : n + ROWS_PER_BATCH])) for n in starts))
    with opened(ServerSettings(storage=Storing(state=state, database=postgres_url))) as service, ExitStack() as held:
        for number in range(2):
            held.callback(pair.kill, number)
            pair.start(number)
        for sender in pair.senders:
            sender.start()
        for kill in range(KILLS):
            pair.acknowledges(kill % 2, rng.randrange(1, 40))
            pair.kill(kill % 2)
            pair.start(kill % 2)
        for sender in pair.senders:
            sender.join(PATIENCE_S)
        assert [(load.problems, list(load.waiting)) for load in pair.loads] == [([], [])] * 2
        assert sum(load.acknowledged for load in pair.loads) == len(starts)
        until, done = time.monotonic() + PATIENCE_S, sa.select(detections).where(detections.c.outcome == "done")
        runs: list[sa.Row[tuple[object, ...]]] = []
        while not runs or runs[-1].exchanges != len(rows):
            assert time.monotonic() < until, [run.exchanges for run in runs]
            with service.database.read() as connection:
                runs = list(connection.execute(done.order_by(detections.c.number)))
            service.stopping.wait(0.5)
        with service.database.read() as connection:
            found: dict[str, set[str]] = defaultdict(set)
            is_open = sa.select(campaigns.c.campaign_id).where(campaigns.c.state == "open")
            members = sa.select(campaign_accounts).where(campaign_accounts.c.campaign_id.in_(is_open))
            for row in connection.execute(members.where(campaign_accounts.c.left_at.is_(None))):
                found[row.campaign_id].add(row.account_id)
    assert all(before.ended_at <= after.started_at for before, after in pairwise(runs))
    assert exchanges(state) == len(rows)
    planted.write_part(tmp_path / "all.parquet", rows)
    assert worlds.merged(state, tmp_path / "merged") == worlds.rolled([tmp_path / "all.parquet"], tmp_path / "rolled")
    worlds.ingested(tmp_path / "batch", tmp_path / "all.parquet")
    worlds.detected(tmp_path / "batch", tmp_path / "out")
    wanted = orjson.loads((tmp_path / "out" / "campaigns.json").read_bytes())
    assert sorted(map(sorted, found.values())) == sorted(sorted(one["account_ids"]) for one in wanted)
