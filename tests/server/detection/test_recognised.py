"""Campaigns of partners that detections recognise: in SQL over runs, told to people, and shown to analysts."""

import sys
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from tests.server.conftest import NOON
from tests.server.detection.test_findings import acts, database
from tests.server.detection.worlds import Recorded
from tests.test_recognised import EVERYBODY, found

from stillwatch import store
from stillwatch.server import Service
from stillwatch.server.alerts.mailing import mailed
from stillwatch.server.alerts.outbox import KINDS, plain
from stillwatch.server.alerts.targets import MAILED, MailTarget
from stillwatch.server.database import Database
from stillwatch.server.detection import recognised, runs
from stillwatch.server.detection.detector import Detector, output_folder
from stillwatch.server.tables import decisions, recognised_campaigns

__all__ = ["database"]


def one(members: int = 6, **given: Any) -> dict[str, Any]:
    """A recognised campaign of customers of old, whom nothing but the partner's word names."""
    [told] = found(EVERYBODY[20 : 20 + members])
    return {**told, **given}


def turn(held: Database, *rows: dict[str, Any], number: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """What a detection recognises is recorded; what people are told of it."""
    with held.write() as connection:
        recognised.record(connection, rows, number=number, now=NOON)
    with held.write() as connection:
        news = recognised.news(connection)
        for each in news:
            recognised.told(connection, each)
    return [(each.kind, each.facts) for each in news]


def test_it_is_told_once_and_again_when_it_has_grown_by_half(database: Database) -> None:
    [(kind, facts)] = turn(database, one(6))
    assert (kind, facts["accounts"], facts["support"]) == ("recognised.found", 6, "unsupported")
    assert turn(database, one(8), number=2) == []
    [(kind, facts)] = turn(database, one(9), number=3)
    assert (kind, facts["accounts"], facts["accounts_before"]) == ("recognised.grew", 9, 6)


def test_it_is_told_again_when_more_speaks_for_it_and_never_while_our_logs_contradict_it(database: Database) -> None:
    assert turn(database, one(support="contradicted")) == []
    assert [kind for kind, _ in turn(database, one(), number=2)] == ["recognised.found"]
    assert [kind for kind, _ in turn(database, one(support="supported"), number=3)] == ["recognised.grew"]
    assert turn(database, one(support="unsupported"), number=4) == []


def test_it_goes_dormant_and_comes_back_and_every_change_is_in_the_audit(database: Database) -> None:
    turn(database, one())
    turn(database, number=2)
    with database.read() as connection:
        assert connection.execute(sa.select(recognised_campaigns.c.state)).scalar_one() == "dormant"
    assert turn(database, one(), number=3) == [], "it was told of already"
    assert acts(database) == ["recognised.found", "recognised.dormant", "recognised.changed"]


def test_no_account_stands_in_its_record_or_in_what_is_told(database: Database) -> None:
    [(_, facts)] = turn(database, one())
    with database.read() as connection:
        row = connection.execute(sa.select(recognised_campaigns)).one()
    assert "account_ids" not in row.document
    assert not {name for name in EVERYBODY if name in str(row) + str(facts)}
    assert plain(facts) == facts, "numbers and short texts, all of which may be told"


def test_people_are_mailed_that_nobody_is_accused(database: Database) -> None:
    assert {"recognised.found", "recognised.grew"} <= MAILED & set(KINDS)
    [(kind, facts)] = turn(database, one())
    target = MailTarget("m", "mail", "smtp", "mail", 587, "", "", "from@example.com", ("to@example.com",))
    mail = mailed(target, {"kind": kind, "facts": facts, "subject": "campaign--1", "message_id": "m", "at": NOON})
    assert "nobody is accused" in mail["Subject"]
    assert "innocent_reading: Were it a text that anybody can come upon" in " ".join(mail.get_content().split())


@pytest.fixture
def told(service: Service) -> list[dict[str, Any]]:
    """A service whose last detection recognised a campaign, as its output folder and its records say."""
    rows = [one()]
    store.write_json(output_folder(service.settings) / store.RECOGNISED, rows)
    with service.database.write() as connection:
        recognised.record(connection, rows, number=1, now=NOON)
    return rows


def test_an_analyst_sees_it_with_its_innocent_reading_and_who_bears_it(
    client: TestClient, key_for: Any, told: list[dict[str, Any]]
) -> None:
    analyst = key_for("analyst")
    for path in ("", "/campaign--1", "/campaign--1/accounts"):
        assert client.get(f"/v1/recognised{path}").status_code == 401
        assert client.get(f"/v1/recognised{path}", headers=key_for("enforcer")).status_code == 403
    [listed] = client.get("/v1/recognised?state=open", headers=analyst).json()["recognised"]
    assert (listed["campaign_ref"], listed["accounts"], listed["support"]) == ("campaign--1", 6, "unsupported")
    assert client.get("/v1/recognised?state=dormant", headers=analyst).json() == {"recognised": [], "next": None}
    shown = client.get("/v1/recognised/campaign--1", headers=analyst).json()
    assert shown["innocent"] == told[0]["innocent"]
    assert "account_ids" not in shown
    page = client.get("/v1/recognised/campaign--1/accounts?limit=4", headers=analyst).json()
    rest = client.get(f"/v1/recognised/campaign--1/accounts?after={page['next']}", headers=analyst).json()
    assert [*page["accounts"], *rest["accounts"]] == told[0]["account_ids"]
    assert client.get("/v1/recognised/campaign--2", headers=analyst).status_code == 404


def test_an_analyst_may_judge_an_account_that_bears_it(
    client: TestClient, key_for: Any, told: list[dict[str, Any]]
) -> None:
    said = {"verdict": "innocent", "because": "A teacher; we asked."}
    path = f"/v1/accounts/{told[0]['account_ids'][0]}/verdict"
    assert client.post(path, json=said, headers=key_for("analyst")).status_code == 201
    assert client.post("/v1/accounts/a39/verdict", json=said, headers=key_for("analyst")).status_code == 404


def test_a_detection_takes_it_over_tells_of_it_and_decides_nothing(service: Service) -> None:
    """The loop, with a child that leaves the last output as it is but for what it recognised."""
    recorded, leave = Recorded(), (sys.executable, "-c", "")
    with service.database.write() as connection:
        runs.requested(connection, by="ada", now=NOON)
        before = connection.execute(sa.select(sa.func.count()).select_from(decisions)).scalar()
    store.write_json(output_folder(service.settings) / store.RECOGNISED, [one()])
    Detector(service, recorded.hands, command=leave).turn()
    assert [(kind, name) for kind, name, _ in recorded.told] == [("recognised.found", "campaign--1")]
    [(reconciled, _)] = recorded.reconciled
    assert "campaign--1" not in reconciled
    with service.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(decisions)).scalar() == before
        assert connection.execute(sa.select(recognised_campaigns.c.accounts)).scalar_one() == 6
