"""Holds, erasure and retention: over SQLite and PostgreSQL, over a real state, and over tables of any part."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from stillwatch import ingest, state
from stillwatch.errors import HeldError
from stillwatch.records import EXCHANGES, arrow_schema
from stillwatch.server import ServerSettings, Service, application, audit, opened
from stillwatch.server.access import made_key
from stillwatch.server.intake import fold, folding
from stillwatch.server.journal import finished_segments
from stillwatch.server.operate import erasure, holds, retention
from stillwatch.server.settings import Keeping, Storing
from stillwatch.server.tables import Moment, metadata
from stillwatch.server.tables import audit as audit_table
from stillwatch.server.tables.base import kept
from stillwatch.settings import Settings
from stillwatch.upkeep import take_in

DAYS = Keeping(rollups_days=30, decisions_days=10, accounts_days=0, audit_days=20)


@pytest.fixture
def notes() -> Iterator[sa.Table]:
    """A table as a part might bring it: about accounts in campaigns, kept as long as decisions after they end."""
    table = sa.Table(
        "notes",
        metadata,
        sa.Column("note_id", sa.Integer, primary_key=True),
        sa.Column("account_id", sa.String(500)),
        sa.Column("campaign_id", sa.String(100)),
        sa.Column("ended_at", Moment),
        info=kept("decisions_days", "ended_at"),
    )
    yield table
    metadata.remove(table)


@pytest.fixture
def held(notes: sa.Table, tmp_path: Path, clock: Any, database_url: str) -> Iterator[Service]:
    """A service with notes on three accounts of two campaigns."""
    settings = ServerSettings(storage=Storing(state=tmp_path / "state", database=database_url), retention=DAYS)
    with opened(settings, now=clock) as service:
        notes.create(service.database.engine)
        old, new = clock() - timedelta(days=11), clock() - timedelta(days=9)
        rows = [("a", "c-1", old), ("a", "c-1", new), ("b", "c-1", old), ("c", "c-2", old), ("c", "c-2", None)]
        rows += [(None, None, old)]
        with service.database.write() as connection:
            for account_id, campaign_id, ended_at in rows:
                told = {"account_id": account_id, "campaign_id": campaign_id, "ended_at": ended_at}
                connection.execute(notes.insert().values(**told))
        yield service


@pytest.fixture
def admin(held: Service, clock: Any) -> Iterator[TestClient]:
    key = made_key(held.database, name="ana", roles=["admin"], by="tests", now=clock())
    with TestClient(application(held), headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


def accounts_of(service: Service, notes: sa.Table) -> list[str | None]:
    with service.database.read() as connection:
        return list(connection.execute(sa.select(notes.c.account_id).order_by(notes.c.note_id)).scalars())


def audit_of(service: Service) -> list[tuple[str, str, str]]:
    with service.database.read() as connection:
        assert audit.broken(connection) is None
        chosen = sa.select(audit_table.c.principal, audit_table.c.action, audit_table.c.subject)
        return [tuple(row) for row in connection.execute(chosen.order_by(audit_table.c.sequence))]


def test_every_table_says_how_long_its_rows_are_kept() -> None:
    wrong = {}
    for table in metadata.tables.values():
        setting, since = table.info.get("retention", "missing"), table.info.get("since")
        is_fine = setting is None or (hasattr(Keeping(), setting) and isinstance(table.c[since].type, Moment))
        if not is_fine:
            wrong[table.name] = "give it info=kept(...), see server/tables/base.py"
    assert wrong == {}


def test_rows_go_once_they_are_too_old_and_what_never_ended_stays(held: Service, notes: sa.Table) -> None:
    assert retention.retain(held)["notes"] == 4
    assert accounts_of(held, notes) == ["a", "c"]


def test_a_hold_on_an_account_keeps_its_rows(held: Service, notes: sa.Table, admin: TestClient) -> None:
    admin.post("/v1/holds", json={"subject": "b", "because": "court order"}).raise_for_status()
    retention.retain(held)
    assert accounts_of(held, notes) == ["a", "b", "c"]


def test_a_hold_on_a_campaign_keeps_its_rows_and_its_accounts(
    held: Service, notes: sa.Table, admin: TestClient, clock: Any
) -> None:
    admin.post("/v1/holds", json={"subject": "c-1", "subject_kind": "campaign", "because": "x"}).raise_for_status()
    retention.retain(held)
    assert accounts_of(held, notes) == ["a", "a", "b", "c"]
    with pytest.raises(HeldError, match=r"b is under legal hold until further notice \(x\): nothing was erased"):
        erasure.erase(held, "b", by="t", now=clock())


def test_a_hold_that_was_lifted_or_ended_keeps_nothing(
    held: Service, notes: sa.Table, admin: TestClient, clock: Any
) -> None:
    until = (clock() + timedelta(hours=1)).isoformat()
    lifted = admin.post("/v1/holds", json={"subject": "a", "because": "x"}).json()
    admin.post("/v1/holds", json={"subject": "b", "because": "y", "until": until}).raise_for_status()
    assert [row["subject"] for row in admin.get("/v1/holds").json()["holds"]] in (["a", "b"], ["b", "a"])
    assert admin.delete(f"/v1/holds/{lifted['hold_id']}").status_code == 204
    assert admin.delete(f"/v1/holds/{lifted['hold_id']}").status_code == 204
    clock.pass_by(hours=2)
    assert admin.get("/v1/holds").json() == {"holds": []}
    retention.retain(held)
    assert accounts_of(held, notes) == ["a", "c"]
    acts = [row for row in audit_of(held) if row[1].startswith("hold.")]
    assert acts == [("key:ana", f"hold.{act}", who) for act, who in (("placed", "a"), ("placed", "b"), ("lifted", "a"))]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"subject": "a"}, 422),
        ({"subject": "", "because": "x"}, 422),
        ({"subject": "a", "because": "x", "subject_kind": "planet"}, 422),
        ({"subject": "a", "because": "x", "until": "2020-01-01T00:00:00Z"}, 422),
        ({"subject": "a", "because": "x", "until": "2030-01-01T00:00:00"}, 422),
    ],
)
def test_a_hold_that_makes_no_sense_is_refused(asked: dict[str, Any], status: int, admin: TestClient) -> None:
    assert admin.post("/v1/holds", json=asked).status_code == status
    assert admin.get("/v1/holds").json() == {"holds": []}


def test_a_hold_that_does_not_exist_cannot_be_lifted(admin: TestClient) -> None:
    assert admin.delete("/v1/holds/hold-none").status_code == 404


def test_the_audit_log_is_cut_at_its_old_end_and_can_still_be_checked(
    held: Service, admin: TestClient, clock: Any
) -> None:
    for number in range(3):
        with held.database.write() as connection:
            audit.record(connection, at=clock(), principal="p", action="a", subject=str(number))
        clock.pass_by(days=15)
    assert retention.retain(held)["audit"] == 3  # the line of the admin's key is as old
    assert [row[1:] for row in audit_of(held)] == [("a", "2"), ("audit.trimmed", "audit")]
    clock.pass_by(days=15)
    assert retention.retain(held)["audit"] == 1
    assert [row[1] for row in audit_of(held)] == ["audit.trimmed"] * 2
    with held.database.write() as connection:
        connection.execute(audit_table.update().values(previous_hash=audit.FIRST))
        assert audit.broken(connection) is not None


def test_the_audit_log_stays_whole_while_anything_is_held(held: Service, admin: TestClient, clock: Any) -> None:
    admin.post("/v1/holds", json={"subject": "z", "because": "x"}).raise_for_status()
    clock.pass_by(days=40)
    assert "audit" not in retention.retain(held)


def traffic(folder: Path, clock: Any) -> None:
    """Two accounts: one exchange each today, and each one 40 days ago, in the service's state."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "exchange_id": f"{account}-{age}",
            "started_at": clock() - timedelta(days=age),
            "account_id": account,
            "model": "m",
            "prompt_text": f"write the {age} report for {account}",
            "output_tokens": 10,
        }
        for account in ("a", "b")
        for age in (0, 40)
    ]
    path = folder.parent / "logs.parquet"
    pq.write_table(pa.Table.from_pylist(rows, arrow_schema(EXCHANGES)), path)
    take_in(folder, Settings(logs=(str(path),), out=folder, threads=1, memory_limit="200MB"), progress=lambda *_: None)


def in_state(folder: Path) -> dict[str, int]:
    """Exchanges of each account that the state holds."""
    paths = (folder / "parts").glob("*/activity.parquet")
    rows = pa.concat_tables(pq.read_table(path) for path in paths).to_pylist()
    return dict(Counter(row["account_id"] for row in rows for _ in range(row["exchanges"])))


def test_old_days_go_from_the_state_unless_their_account_is_held(held: Service, admin: TestClient, clock: Any) -> None:
    folder = held.settings.storage.state
    traffic(folder, clock)
    assert in_state(folder) == {"a": 2, "b": 2}
    admin.post("/v1/holds", json={"subject": "b", "because": "x"}).raise_for_status()
    assert retention.retain(held)["activity of the state"] == 1
    assert in_state(folder) == {"a": 1, "b": 2}


def test_an_erased_account_is_in_the_state_and_in_the_tables_no_more_and_the_audit_log_does_not_name_it(
    held: Service, notes: sa.Table, admin: TestClient, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first = held.settings.storage.state, list[str]()
    traffic(folder, clock)
    monkeypatch.setattr(erasure, "FIRST", (lambda service: first.append(service.holder),))
    hold = admin.post("/v1/holds", json={"subject": "a", "because": "x"}).json()
    refused = admin.post("/v1/accounts/a/erase")
    assert (refused.status_code, first) == (409, [])
    assert in_state(folder) == {"a": 2, "b": 2}
    admin.delete(f"/v1/holds/{hold['hold_id']}")
    reply = admin.post("/v1/accounts/a/erase")
    assert reply.json()["erased"]["content of the state"] == 2
    assert reply.json()["erased"]["notes of the records"] == 2
    assert first == [held.holder]
    assert in_state(folder) == {"b": 2}
    assert accounts_of(held, notes) == ["b", "c", "c", None]
    [subject] = [subject for _, action, subject in audit_of(held) if action == "account.erased"]
    assert subject == ingest.Key(held.key.secret).digest("erased account", b"a")
    assert state.existing_manifest(folder).batches


def send(held: Service, client: TestClient, clock: Any, account_id: str) -> None:
    """One exchange of an account, acknowledged and not folded."""
    key = made_key(held.database, name="logs", roles=["ingest"], by="tests", now=clock())
    row = {"started_at": clock().isoformat(), "account_id": account_id, "model": "m", "prompt": "Name a planet."}
    reply = client.post("/v1/exchanges", json=row, headers={"Authorization": f"Bearer {key}"})
    assert reply.json()["accepted"] == 1, reply.text


def test_what_waits_to_be_folded_does_not_bring_an_erased_account_back(
    held: Service, admin: TestClient, clock: Any
) -> None:
    for account_id in ("a", "b"):
        send(held, admin, clock, account_id)
    assert admin.post("/v1/accounts/a/erase").json()["erased"]["content of the state"] == 1
    fold(held)
    assert in_state(held.settings.storage.state) == {"b": 1}


def test_an_account_is_not_erased_while_another_process_holds_what_it_sent(
    held: Service, admin: TestClient, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(held, admin, clock, "a")
    held.journal.rotate()
    monkeypatch.setattr(folding, "_OTHERS_S", -60.0)
    with finished_segments(held.journal.folder):
        reply = admin.post("/v1/accounts/a/erase")
    assert reply.status_code == 503
    assert "ask again later" in reply.json()["detail"]
    assert admin.post("/v1/accounts/a/erase").json()["erased"]["content of the state"] == 1


def test_gateways_are_told_no_more_of_an_account_that_was_erased(held: Service, admin: TestClient) -> None:
    for account_id in ("a", "b"):
        told = {"account_id": account_id, "action": "verify", "because": "It resells."}
        assert admin.post("/v1/decisions", json=told).status_code == 201
    held.snapshot.refresh(held.database)
    assert admin.get("/v1/decisions/a").json()["shadow"] == "verify"
    assert admin.post("/v1/accounts/a/erase").json()["erased"]["decisions of the records"] == 1
    held.snapshot.refresh(held.database)
    assert [admin.get(f"/v1/decisions/{one}").json()["shadow"] for one in "ab"] == [None, "verify"]
    assert len(held.snapshot) == 1


def test_an_account_nobody_knows_is_erased_without_an_error(admin: TestClient) -> None:
    reply = admin.post("/v1/accounts/a%2Fb/erase")
    assert (reply.status_code, set(reply.json()["erased"].values())) == (200, {0})
    assert admin.post(f"/v1/accounts/{'x' * 501}/erase").status_code == 422


def test_verdicts_and_other_rows_about_a_subject_go_with_the_account() -> None:
    table = sa.Table("said", sa.MetaData(), sa.Column("subject", sa.String), sa.Column("subject_kind", sa.String))
    chosen = str(erasure.rows_of(table, "a").compile(compile_kwargs={"literal_binds": True}))
    assert chosen == "said.subject = 'a' AND said.subject_kind = 'account'"
    assert erasure.rows_of(audit_table, "a") is None
    assert erasure.rows_of(holds.holds, "a") is None


def test_the_command_line_erases_from_a_service_by_its_holds(
    held: Service, notes: sa.Table, admin: TestClient, clock: Any, run: Callable[..., Any], tmp_path: Path
) -> None:
    folder = held.settings.storage.state
    traffic(folder, clock)
    config = tmp_path / "stillwatch.toml"
    config.write_text(f'[storage]\nstate = "{folder}"\ndatabase = "{held.settings.storage.database}"\n')
    hold = admin.post("/v1/holds", json={"subject": "a", "because": "a court order"}).json()
    words = ("erase", "--account", "a", "--out", tmp_path / "out", "--config", config)
    done = run(*words)
    assert (done.code, done.err) == (
        1,
        "stillwatch: a is under legal hold until further notice (a court order): nothing was erased\n",
    )
    assert in_state(folder) == {"a": 2, "b": 2}
    admin.delete(f"/v1/holds/{hold['hold_id']}")
    assert "2 from notes of the records" in run(*words).err
    assert in_state(folder) == {"b": 2}
    assert "a" not in accounts_of(held, notes)


def test_the_state_of_a_service_is_never_erased_past_its_holds(
    clock: Any, run: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    with opened(ServerSettings(storage=Storing(state=folder)), now=clock) as service:
        traffic(folder, clock)
        with service.database.write() as connection:
            told = {"subject": "a", "subject_kind": "account", "because": "x", "until": None}
            holds.placed(connection, **told, by="t", now=clock())
    done = run("erase", "--account", "a", "--out", tmp_path / "out", "--state", folder)
    assert done.code == 1
    assert "under legal hold" in done.err
    assert in_state(folder) == {"a": 2, "b": 2}


def test_a_text_that_the_database_cannot_hold_is_the_clients_fault(admin: TestClient) -> None:
    assert admin.post("/v1/holds", json={"subject": "a\x00b", "because": "x"}).status_code in (201, 422)
    assert admin.post("/v1/accounts/c%00d/erase").status_code in (200, 422)
