"""Campaigns in SQL over runs: opened, grown, dormant, back again; and what people are told of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.server.conftest import NOON, Clock

from stillwatch.server import audit
from stillwatch.server.database import Database
from stillwatch.server.detection import findings, runs
from stillwatch.server.detection.findings import Output
from stillwatch.server.tables import analyst_verdicts, campaign_accounts, campaigns, detections
from stillwatch.server.tables import audit as audit_table


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    held = Database(database_url or f"sqlite:///{tmp_path / 'records.db'}")
    held.make()
    yield held
    held.close()


def campaign(campaign_id: str, members: int, *, verdict: str = "distillation", exchanges: int = 100) -> dict[str, Any]:
    """As much of a campaign as findings look at."""
    ids = [f"{campaign_id}-{number:02}" for number in range(members)]
    return {
        "campaign_id": campaign_id,
        "verdict": verdict,
        "account_ids": ids,
        "first_seen_at": "2026-02-01T00:00:00+00:00",
        "last_seen_at": "2026-02-28T12:00:00+00:00",
        "exposure": {"exchanges": exchanges},
        "compromised": [{"account_id": ids[0], "because": "its key looks stolen"}],
        "recommended_decisions": [{"action": "verify", "account_ids": ids, "because": "under\0 control"}],
    }


def recorded(database: Database, *found: dict[str, Any], number: int = 1) -> list[tuple[str, str]]:
    """Write the findings of a run, and tell of them; what was told."""
    with database.write() as connection:
        findings.record(connection, Output(found, {}), number=number, now=NOON)
    with database.write() as connection:
        every = findings.news(connection)
        for news in every:
            findings.told(connection, news)
    return [(news.kind, news.campaign_id) for news in every]


def members(database: Database) -> dict[str, bool]:
    """Who is a member now, by account."""
    with database.read() as connection:
        return {row.account_id: row.left_at is None for row in connection.execute(sa.select(campaign_accounts))}


def state_of(database: Database, campaign_id: str) -> str:
    with database.read() as connection:
        chosen = sa.select(campaigns.c.state).where(campaigns.c.campaign_id == campaign_id)
        return str(connection.execute(chosen).scalar_one())


def acts(database: Database) -> list[str]:
    with database.read() as connection:
        assert audit.broken(connection) is None
        chosen = sa.select(audit_table.c.action).order_by(audit_table.c.sequence)
        return list(connection.execute(chosen).scalars())


def test_a_campaign_opens_goes_dormant_and_comes_back(database: Database) -> None:
    recorded(database, campaign("c-1", 3))
    recorded(database, number=2)
    assert state_of(database, "c-1") == "dormant"
    recorded(database, number=3)
    recorded(database, campaign("c-1", 3), number=4)
    assert state_of(database, "c-1") == "open"
    assert acts(database) == ["campaign.opened", "campaign.dormant", "campaign.changed"]


def test_the_same_campaign_again_changes_nothing_but_the_run(database: Database) -> None:
    recorded(database, campaign("c-1", 3))
    assert recorded(database, campaign("c-1", 3), number=2) == []
    assert acts(database) == ["campaign.opened"]
    with database.read() as connection:
        assert connection.execute(sa.select(campaigns.c.run)).scalar_one() == 2


def test_accounts_join_leave_and_come_back(database: Database) -> None:
    recorded(database, campaign("c-1", 4))
    recorded(database, campaign("c-1", 2), number=2)
    assert members(database) == {"c-1-00": True, "c-1-01": True, "c-1-02": False, "c-1-03": False}
    recorded(database, campaign("c-1", 3), number=3)
    assert members(database)["c-1-02"]
    with database.read() as connection:
        victims = sa.select(campaign_accounts.c.account_id).where(campaign_accounts.c.is_compromised == 1)
        assert connection.execute(victims).scalars().all() == ["c-1-00"]


def test_a_document_names_no_account_and_holds_no_character_that_a_database_refuses(database: Database) -> None:
    odd = campaign("c-1", 2)
    odd["account_ids"].append("nul\0")
    recorded(database, odd)
    with database.read() as connection:
        document = connection.execute(sa.select(campaigns.c.document)).scalar_one()
    assert "c-1-0" not in str(document)
    assert document["recommended_decisions"] == [{"action": "verify", "because": "under\ufffd control", "accounts": 3}]
    assert sorted(members(database)) == ["c-1-00", "c-1-01"]


def test_people_are_told_of_new_worse_and_half_again_larger_campaigns_once(database: Database) -> None:
    quiet = campaign("c-quiet", 9, verdict="explained")
    assert recorded(database, campaign("c-1", 10), quiet) == [("campaign.opened", "c-1")]
    assert recorded(database, campaign("c-1", 14, exchanges=149), quiet, number=2) == []
    assert recorded(database, campaign("c-1", 15), quiet, number=3) == [("campaign.grew", "c-1")]
    assert recorded(database, campaign("c-1", 15, exchanges=150), quiet, number=4) == [("campaign.grew", "c-1")]
    milder = campaign("c-1", 15, verdict="coordinated", exchanges=150)
    assert recorded(database, milder, number=5) == []
    together = campaign("c-2", 9, verdict="coordinated")
    assert recorded(database, together, number=6) == [("campaign.opened", "c-2")]
    assert recorded(database, campaign("c-2", 9), number=7) == [("campaign.grew", "c-2")]


def test_nobody_is_told_of_a_campaign_that_an_analyst_cleared(database: Database) -> None:
    row = {"subject": "c-1", "subject_kind": "campaign", "because": "ours", "author": "a"}
    with database.write() as connection:
        for verdict in ("guilty", "innocent"):  # of the same moment: innocent counts
            connection.execute(analyst_verdicts.insert().values(**row, verdict=verdict, decided_at=NOON))
    assert recorded(database, campaign("c-1", 10)) == []


def test_a_detection_is_due_when_asked_for_or_when_there_is_something_new_and_it_is_time(
    database: Database, clock: Clock
) -> None:
    def due(inputs: str) -> bool:
        with database.read() as connection:
            return runs.is_due(connection, inputs, now=clock(), every_s=300)

    assert due("a")
    with database.write() as connection:
        number = runs.begun(connection, "a", now=clock())
        runs.ended(connection, number, "done", now=clock())
    clock.pass_by(seconds=299)
    assert (due("a"), due("b")) == (False, False)
    clock.pass_by(seconds=1)
    assert (due("a"), due("b")) == (False, True)
    clock.pass_by(days=-1)
    assert due("b"), "a clock that was set back stops nothing"
    with database.write() as connection:
        asked = runs.requested(connection, by="tests", now=clock())
        assert runs.requested(connection, by="others", now=clock()) == asked
    assert due("a")
    with database.write() as connection:
        assert runs.begun(connection, "a", now=clock()) == asked
        assert runs.newest_done(connection) == number
    assert acts(database) == ["detection.ended", "detection.requested"]


def test_what_a_detection_would_read_has_a_name_that_follows_every_change(database: Database, tmp_path: Path) -> None:
    policy, seen = tmp_path / "policy.toml", []

    def name() -> str | None:
        with database.read() as connection:
            return runs.inputs_of(connection, tmp_path, str(policy))

    policy.write_text("a")
    assert name() is None, "no state"
    (tmp_path / "manifest.json").write_text("{}")
    seen.append(name())
    assert name() == seen[0]
    policy.write_text("b")
    seen.append(name())
    row = {"subject": "x", "subject_kind": "account", "verdict": "guilty", "because": "y", "author": "z"}
    with database.write() as connection:
        connection.execute(analyst_verdicts.insert().values(**row, decided_at=NOON))
    seen.append(name())
    (tmp_path / "manifest.json").write_text("{ }")
    seen.append(name())
    assert len(set(seen)) == len(seen)


def test_verdicts_of_the_service_join_those_in_the_folder(database: Database, tmp_path: Path) -> None:
    from stillwatch import store

    row = {"subject": "x", "subject_kind": "account", "verdict": "guilty", "because": "y", "author": "z"}
    with store.locked(tmp_path):
        store.write_verdict(tmp_path, {**row, "subject": "earlier", "decided_at": NOON.isoformat()})
    with database.write() as connection:
        connection.execute(analyst_verdicts.insert().values(**row, decided_at=NOON))
        assert connection.execute(sa.select(detections)).all() == []
    for _ in range(2):
        with database.read() as connection:
            runs.write_verdicts(connection, tmp_path)
    assert store.read_verdicts(tmp_path)["subject"].to_pylist() == ["earlier", "x"]
