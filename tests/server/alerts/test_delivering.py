"""What is queued arrives: signed, with one id, again and again until it is taken or a day has passed."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from standardwebhooks import Webhook
from structlog.testing import capture_logs
from tests.server.alerts.conftest import SECRET, Hooks, Mailbox, mail_server, served

from stillwatch.server import ServerSettings, Service, opened
from stillwatch.server.alerts import KINDS, tell
from stillwatch.server.alerts.delivering import FIRST_WAIT_S, GIVE_UP_AFTER, LONGEST_WAIT_S, deliver, wait_s
from stillwatch.server.alerts.jobs import jobs
from stillwatch.server.alerts.targets import targets
from stillwatch.server.service import utc_now
from stillwatch.server.settings import Storing, Telling
from stillwatch.server.tables import deliveries, outbox


@pytest.fixture
def telling(tmp_path: Path, clock: Any, hooks: Hooks) -> Callable[..., Any]:
    """A service that tells these receivers, the usual one when none is named."""

    @contextmanager
    def made(*told: Hooks, now: Any = clock, database: str = "", **settings: Any) -> Iterator[Service]:
        alerts = Telling(
            webhooks=tuple(f"{one.url} {SECRET}" for one in told or (hooks,)), allow_private_addresses=True, **settings
        )
        storage = Storing(state=tmp_path / "state", database=database)
        with opened(ServerSettings(storage=storage, alerts=alerts), now=now) as held:
            yield held

    return made


def turn(service: Service) -> None:
    deliver(service, targets(service.settings.alerts))


def states(service: Service) -> list[tuple[str, int]]:
    with service.database.read() as connection:
        rows = connection.execute(sa.select(deliveries.c.state, deliveries.c.attempts).order_by(deliveries.c.order))
        return [tuple(row) for row in rows]


def test_a_message_arrives_as_a_cloud_event_that_the_librarys_verifier_accepts(
    telling: Any, hooks: Hooks, database_url: str
) -> None:
    with telling(now=utc_now, database=database_url) as service:
        tell(service, "campaign.opened", "c-1", {"accounts": 40, "verdict": "distillation"})
        jobs(service)[0].run()
    (came,) = hooks.received
    said = Webhook(SECRET).verify(came.body, came.headers)
    assert said == json.loads(came.body)
    assert came.headers["content-type"] == "application/cloudevents+json"
    assert {name: said[name] for name in ("specversion", "type", "source", "subject", "data")} == {
        "specversion": "1.0",
        "type": "stillwatch.campaign.opened",
        "source": "urn:stillwatch",
        "subject": "c-1",
        "data": {"accounts": 40, "verdict": "distillation"},
    }
    assert said["id"] == came.headers["webhook-id"]


def test_what_is_undone_is_not_told(telling: Any, hooks: Hooks) -> None:
    with telling() as service:

        def fail_after_telling() -> None:
            with service.database.write() as connection:
                tell(connection, "campaign.opened", "c-1", {}, now=service.now())
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail_after_telling()
        with service.database.write() as connection:
            tell(connection, "campaign.grew", "c-2", {}, now=service.now())
        turn(service)
    assert [json.loads(one.body)["subject"] for one in hooks.received] == ["c-2"]


def test_a_message_that_was_taken_is_not_sent_again(telling: Any, hooks: Hooks, clock: Any) -> None:
    with telling() as service:
        tell(service, "campaign.opened", "c-1", {})
        for _ in range(3):
            turn(service)
            clock.pass_by(hours=1)
        assert states(service) == [("sent", 1)]
    assert len(hooks.received) == 1


def test_a_message_is_tried_until_it_is_taken_with_the_same_id(telling: Any, hooks: Hooks, clock: Any) -> None:
    hooks.answers = [(500, {}, b""), (429, {}, b""), (302, {}, b""), (400, {}, b""), (200, {}, b"")]
    with telling() as service:
        tell(service, "campaign.opened", "c-1", {"accounts": 3})
        for attempt in range(1, 6):
            turn(service)
            turn(service)  # nothing is due: it waits
            assert states(service) == [("sent" if attempt == 5 else "waiting", attempt)]
            clock.pass_by(seconds=wait_s(attempt) * 2)
    assert len({(one.headers["webhook-id"], one.body) for one in hooks.received}) == 1
    assert len({one.headers["webhook-timestamp"] for one in hooks.received}) == 5


def test_a_process_that_dies_after_sending_sends_again_under_the_same_id(
    telling: Any, hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with telling() as service:
        tell(service, "campaign.opened", "c-1", {})
        with monkeypatch.context() as patch:
            patch.setattr("stillwatch.server.alerts.delivering._note", die)
            with pytest.raises(KeyboardInterrupt):
                turn(service)
        turn(service)
        assert states(service) == [("sent", 1)]
    first, second = hooks.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_waits_double_up_to_hours_and_are_spread() -> None:
    waits = [[wait_s(attempt) for _ in range(40)] for attempt in (1, 2, 3, 40, 5000)]
    for attempt, found in zip((1, 2, 3), waits, strict=False):
        assert FIRST_WAIT_S * 2 ** (attempt - 1) / 2 <= min(found) <= max(found) <= FIRST_WAIT_S * 2 ** (attempt - 1)
    assert all(LONGEST_WAIT_S / 2 <= wait <= LONGEST_WAIT_S for found in waits[3:] for wait in found)
    assert len(set(waits[0])) > 30


def test_after_a_day_a_message_is_dead_reported_and_revived_only_by_hand(
    telling: Any, hooks: Hooks, clock: Any
) -> None:
    hooks.answers = [(503, {}, b"")]
    with telling() as service, capture_logs() as logged:
        tell(service, "campaign.opened", "c-1", {})
        began = clock()
        while states(service)[:1] != [("dead", len(hooks.received))]:
            turn(service)
            clock.pass_by(minutes=30)
            assert clock() - began < GIVE_UP_AFTER * 2
        tried = len(hooks.received)
        assert tried >= 10
        turn(service)
        assert len(hooks.received) == tried
        (report,) = [line for line in logged if line["event"] == "delivery_dead"]
        assert (report["kind"], report["target"], report["reason"]) == ("campaign.opened", "127.0.0.1", "answered 503")
        assert SECRET not in str(logged)
        assert "/hook" not in str(logged)
        _revive(service, hooks)
        turn(service)
        assert states(service) == [("sent", 1)]


def _revive(service: Service, hooks: Hooks) -> None:
    from stillwatch.server import application
    from stillwatch.server.access import made_key

    keys = {
        role: made_key(service.database, name=role, roles=[role], by="t", now=service.now())
        for role in ("admin", "analyst")
    }
    client = TestClient(application(service))
    path = "/v1/alerts/deliveries"
    assert client.get(path, headers={"X-API-Key": keys["analyst"]}).status_code == 403
    admin = {"X-API-Key": keys["admin"]}
    (dead,) = client.get(f"{path}?state=dead", headers=admin).json()["deliveries"]
    assert (dead["kind"], dead["because"], dead["target"]) == ("campaign.opened", "answered 503", "127.0.0.1")
    assert "hook" not in str(dead)
    hooks.answers = [(200, {}, b"")]
    retry = f"{path}/{dead['message_id']}/{dead['target_id']}/retry"
    assert client.post(retry, headers=admin).json()["state"] == "waiting"
    assert client.post(retry, headers=admin).status_code == 404
    assert client.post(f"{path}/%00/x/retry", headers=admin).status_code == 404
    assert client.get(f"{path}?state=dead", headers=admin).json() == {"deliveries": []}


def test_a_receiver_that_wants_nothing_more_is_left_alone(telling: Any, hooks: Hooks) -> None:
    hooks.answers = [(410, {}, b"")]
    with telling() as service:
        tell(service, "campaign.opened", "c-1", {})
        turn(service)
        assert states(service) == [("dead", 1)]


def test_one_refused_message_does_not_hold_back_the_next(telling: Any, hooks: Hooks, clock: Any) -> None:
    hooks.answers = [(400, {}, b""), (200, {}, b"")]
    with telling() as service:
        for name in ("c-1", "c-2", "c-3"):
            tell(service, "campaign.opened", name, {})
            clock.pass_by(seconds=1)
        turn(service)
        assert states(service) == [("waiting", 1), ("sent", 1), ("sent", 1)]


def test_a_receiver_that_is_down_holds_back_only_its_own(telling: Any, hooks: Hooks, clock: Any) -> None:
    with served() as down:
        down.answers = [(503, {}, b"")]
        with telling(down, hooks) as service:
            for name in ("c-1", "c-2", "c-3"):
                tell(service, "campaign.opened", name, {})
                clock.pass_by(seconds=1)
            turn(service)
    assert [json.loads(one.body)["subject"] for one in hooks.received] == ["c-1", "c-2", "c-3"]
    assert len(down.received) == 1  # the others of this turn would only have cost time


def test_nothing_goes_to_a_private_address_unless_it_is_allowed(telling: Any, hooks: Hooks, tmp_path: Path) -> None:
    alerts = Telling(webhooks=(f"https://127.0.0.1:{hooks.port}/ {SECRET}",))
    with opened(ServerSettings(storage=Storing(state=tmp_path / "s"), alerts=alerts)) as service:
        tell(service, "campaign.opened", "c-1", {})
        turn(service)
        with service.database.read() as connection:
            because = connection.execute(sa.select(deliveries.c.because)).scalar_one()
    assert "not public" in because
    assert hooks.received == []


def test_a_mail_arrives_over_tls_after_a_login(telling: Any, mailbox: Mailbox, trusted: None, clock: Any) -> None:
    settings = {
        "smtp": f"127.0.0.1:{mailbox.port}",
        "mail_user": "me",
        "mail_password": "mail-secret",
        "mail_from": "stillwatch@provider.example",
        "mail_to": ("trust@provider.example", "safety@provider.example"),
    }
    with telling(**settings) as service:
        tell(service, "campaign.grew", "c-1", {"accounts": 61, "prompt": "Tell me all you know", "models": ["a", "b"]})
        tell(service, "verification.required", "a-1", {})  # nobody is mailed every request
        turn(service)
        turn(service)
        assert "mail-secret" not in repr(service)
    (mail,) = mailbox.mails
    text = mail.decode()
    assert mailbox.was_secure == [True]
    assert mailbox.logins == [b"\0me\0mail-secret"]
    assert "Subject: stillwatch: A campaign grew" in text
    assert "To: trust@provider.example, safety@provider.example" in text
    assert "accounts: 61" in text
    assert "models: a, b" in text
    assert "Tell me" not in text
    assert text.count("Message-ID: <msg_") == 1


def test_a_mail_arrives_where_tls_is_spoken_from_the_start(
    telling: Any, certificate: Path, trusted: None, clock: Any
) -> None:
    with mail_server(certificate, is_tls_from_the_start=True) as box:
        settings = {"smtp": f"smtps://127.0.0.1:{box.port}", "mail_from": "a@b.example", "mail_to": ("c@d.example",)}
        with telling(**settings) as service:
            tell(service, "campaign.opened", "c-1", {})
            turn(service)
            assert sorted(states(service)) == [("sent", 1), ("sent", 1)]
    assert (len(box.mails), box.was_secure, box.logins) == (1, [True], [])


def test_a_mail_server_without_tls_gets_nothing(telling: Any, mailbox: Mailbox, clock: Any) -> None:
    mailbox.offers_tls = False
    settings = {"smtp": f"127.0.0.1:{mailbox.port}", "mail_from": "a@b.example", "mail_to": ("c@d.example",)}
    with telling(**settings) as service:
        tell(service, "campaign.grew", "c-1", {})
        turn(service)
        assert sorted(states(service)) == [("sent", 1), ("waiting", 1)]
    assert mailbox.mails == []


def test_a_relay_on_this_machine_may_do_without_tls_where_the_settings_say_so(
    telling: Any, mailbox: Mailbox, clock: Any
) -> None:
    mailbox.offers_tls, mailbox.refuses = False, True
    smtp = f"smtp+plain://127.0.0.1:{mailbox.port}"
    with telling(smtp=smtp, mail_from="a@b.example", mail_to=("c@d.example",)) as service:
        tell(service, "campaign.grew", "c-1", {})
        turn(service)
        assert sorted(states(service)) == [("sent", 1), ("waiting", 1)]  # refused: tried again
        mailbox.refuses = False
        clock.pass_by(minutes=1)
        turn(service)
        assert sorted(states(service)) == [("sent", 1), ("sent", 2)]
    assert len(mailbox.mails) == 1


def test_facts_are_numbers_and_short_texts_and_no_text_of_customers(telling: Any, hooks: Hooks, clock: Any) -> None:
    facts = {
        "accounts": 3,
        "share": 0.5,
        "unknown": float("nan"),
        "is_new": True,
        "nothing": None,
        "at": clock(),
        "long": "x" * 9000,
        "models": {"b", "a"},
        "nested": {"a": 1},
        "bytes": b"x",
        "items": [1, {"a": 1}, "b", *range(500)],
        "prompt": "secret words",
        "templates": ["secret words"],
    }
    with telling() as service:
        tell(service, "campaign.opened", "c" * 9000, facts)
        turn(service)
    said = json.loads(hooks.received[0].body)
    assert said["data"] == {
        "accounts": 3,
        "share": 0.5,
        "unknown": None,
        "is_new": True,
        "nothing": None,
        "at": "2026-03-01T12:00:00+00:00",
        "long": "x" * 500,
        "models": ["a", "b"],
        "items": [1, "b", *range(97)],
    }
    assert len(said["subject"]) == 500


def test_an_unknown_kind_and_a_missing_moment_are_faults_of_the_caller(telling: Any) -> None:
    with telling() as service:
        with pytest.raises(ValueError, match="no such kind"):
            tell(service, "campaign.closed", "c-1", {})
        with service.database.write() as connection, pytest.raises(ValueError, match="give now="):
            tell(connection, "campaign.opened", "c-1", {})
        with service.database.read() as connection:
            assert connection.execute(sa.select(outbox)).all() == []


def test_messages_are_forgotten_with_their_account_and_after_a_month(
    telling: Any, hooks: Hooks, clock: Any, database_url: str
) -> None:
    hooks.answers = [(400, {}, b"")]
    with telling(database=database_url) as service:
        tell(service, "verification.failed", "a-1", {})
        tell(service, "campaign.opened", "c-1", {})
        turn(service)
        with service.database.write() as connection:  # as an erasure does
            mine = (outbox.c.subject_kind == "account") & (outbox.c.subject == "a-1")
            connection.execute(outbox.delete().where(mine))
        assert states(service) == [("waiting", 1)]
        tell(service, "decision.made", "c-1", {"accounts": 40})
        tell(service, "decision.made", "a-1", {"account_id": "a-1"})
        with service.database.read() as connection:
            told = connection.execute(sa.select(outbox.c.subject, outbox.c.subject_kind)).all()
        assert sorted(set(told)) == [("a-1", "account"), ("c-1", "campaign")]
        clock.pass_by(days=31)
        turn(service)
        assert states(service) == []


def test_every_kind_that_is_mailed_is_a_kind() -> None:
    from stillwatch.server.alerts.mailing import _TITLES
    from stillwatch.server.alerts.targets import MAILED

    assert set(KINDS) >= MAILED == set(_TITLES)


def test_a_day_is_the_longest_a_message_waits() -> None:
    assert timedelta(days=1) == GIVE_UP_AFTER
