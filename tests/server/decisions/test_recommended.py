"""What detection recommends, made into decisions: over SQLite and over PostgreSQL."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import HTTPException
from tests.server.conftest import Clock
from tests.server.decisions.conftest import CAMPAIGN_ID, campaign, recommended

from stillwatch.server import ServerSettings, Service, audit, decisions, opened
from stillwatch.server.decisions import Reconciled, ledger, people
from stillwatch.server.settings import Storing
from stillwatch.server.tables import audit as audit_table
from stillwatch.server.tables import outbox

Run = Callable[..., Reconciled]
Rows = Callable[..., list[Any]]


@pytest.fixture
def service(database_url: str, tmp_path: Path, clock: Clock) -> Iterator[Service]:
    with opened(ServerSettings(storage=Storing(tmp_path / "state", database_url)), now=clock) as held:
        yield held


def acts(service: Service) -> list[Any]:
    with service.database.read() as connection:
        assert audit.broken(connection) is None
        return list(connection.execute(sa.select(audit_table).order_by(audit_table.c.sequence)))


def undo(service: Service, decision_id: str) -> None:
    with service.database.write() as connection:
        people.undo(connection, decision_id, because="They are a class.", principal="key:ann", now=service.now())


def approve(service: Service, decision_id: str, principal: str) -> int:
    with service.database.write() as connection:
        return people.approve(connection, decision_id, principal=principal, now=service.now())


def states(rows: Rows) -> list[tuple[str, str, str]]:
    return [(row.account_id, row.action, row.state) for row in rows()]


def test_what_is_recommended_is_decided_with_reason_evidence_author_and_expiry(
    service: Service, reconciled: Run, rows: Rows, clock: Clock
) -> None:
    done = reconciled(campaign(recommended("throttle", ["a", "b"]), recommended("suspend", ["c"])))
    assert done == Reconciled(taken=2, proposed=1)
    row = rows(account_id="a")[0]
    assert (row.because, row.source, row.author) == (
        "They harvest.",
        "policy default 1, rule throttle-them",
        "policy default 1",
    )
    assert (row.state, row.created_at, (row.expires_at - clock()).days) == ("active", clock(), 7)
    assert row.evidence == {
        "verdict": "distillation",
        "probability": None,
        "accounts": 3,
        "evidence": [{"kind": "template", "family": "content", "weight_bits": 9.5, "durability": "high"}],
    }
    assert (rows(account_id="c")[0].state, rows(account_id="c")[0].approvals_needed) == ("proposed", 2)
    assert [(one.action, one.subject, one.after["taken"]) for one in acts(service)] == [
        ("decisions.reconciled", CAMPAIGN_ID, 2)
    ]


def test_the_same_campaigns_again_change_nothing(service: Service, reconciled: Run, rows: Rows, clock: Clock) -> None:
    found = [campaign(recommended("throttle", ["a", "b"])), campaign(campaign_id="c-explained", verdict="explained")]
    reconciled(*found)
    before, version = rows(), service.snapshot.version
    clock.pass_by(minutes=5)
    assert reconciled(*found) == Reconciled()
    assert (rows(), service.snapshot.version, len(acts(service))) == (before, version, 1)


def test_confirmation_renews_expiry_once_a_day_with_one_line_of_audit(
    service: Service, reconciled: Run, rows: Rows, clock: Clock
) -> None:
    found = campaign(recommended("throttle", ["a", "b"]))
    reconciled(found)
    clock.pass_by(hours=25)
    assert reconciled(found) == Reconciled(renewed=2)
    assert {row.expires_at - clock() for row in rows()} == {(rows()[0].expires_at - clock())}
    assert (rows()[0].expires_at - clock()).days == 7
    assert [one.after.get("renewed") for one in acts(service)] == [None, 2]


def test_a_decision_of_one_day_is_renewed_before_it_lapses(reconciled: Run, rows: Rows, clock: Clock) -> None:
    found = campaign(recommended("throttle", ["a"], expires_after_days=1))
    reconciled(found)
    for _ in range(6):
        clock.pass_by(hours=11)
        reconciled(found)
    assert states(rows) == [("a", "throttle", "active")]


@pytest.mark.parametrize(
    "now_found",
    [
        (),
        (campaign(verdict="explained", account_ids=["a", "b"]),),
        (campaign(recommended("throttle", ["b"]), account_ids=["a", "b"]),),
        (campaign(recommended("throttle", ["b"]), account_ids=["b", "c"]),),
    ],
    ids=["campaign gone", "campaign explained", "account innocent", "account gone"],
)
def test_who_is_recommended_nothing_any_more_is_free_in_the_same_run(
    service: Service, reconciled: Run, rows: Rows, now_found: tuple[dict[str, Any], ...]
) -> None:
    reconciled(campaign(recommended("throttle", ["a"]), recommended("throttle", ["b"], expires_after_days=9)))
    assert b'"throttle"' in service.snapshot.reply(b"a")
    reconciled(*now_found)
    row = rows(account_id="a")[0]
    assert (row.state, row.ended_by, row.ended_because) == (
        "withdrawn",
        "policy default 1",
        "Detection recommends it no longer.",
    )
    assert b'"throttle"' not in service.snapshot.reply(b"a")


@pytest.mark.parametrize(("before", "after"), [("verify", "throttle"), ("throttle", "verify")])
def test_a_stronger_and_a_weaker_recommendation_replace(reconciled: Run, rows: Rows, before: str, after: str) -> None:
    reconciled(campaign(recommended(before, ["a"])))
    assert reconciled(campaign(recommended(after, ["a"]))) == Reconciled(taken=1, replaced=1)
    assert states(rows) == [("a", before, "replaced"), ("a", after, "active")]


def test_what_stands_stays_in_force_while_its_stronger_replacement_waits_for_people(
    service: Service, reconciled: Run, rows: Rows, clock: Clock
) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    assert reconciled(campaign(recommended("suspend", ["a"]))) == Reconciled(proposed=1)
    clock.pass_by(days=6)
    reconciled(campaign(recommended("suspend", ["a"])))
    clock.pass_by(days=6)  # the throttle was renewed with the proposal
    assert reconciled(campaign(recommended("suspend", ["a"]))) == Reconciled(renewed=2)
    assert states(rows) == [("a", "throttle", "active"), ("a", "suspend", "proposed")]
    proposal = rows(state="proposed")[0].decision_id
    assert [approve(service, proposal, name) for name in ("key:ann", "key:ben")] == [0, 1]
    assert states(rows) == [("a", "throttle", "replaced"), ("a", "suspend", "active")]
    assert reconciled(campaign(recommended("suspend", ["a"]))) == Reconciled()


def test_what_is_too_strong_ends_at_once_even_if_its_replacement_waits(reconciled: Run, rows: Rows) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    reconciled(campaign(recommended("verify", ["a"], approvals=1)))
    assert states(rows) == [("a", "throttle", "replaced"), ("a", "verify", "proposed")]


def test_a_proposal_that_is_recommended_no_longer_cannot_be_approved(
    service: Service, reconciled: Run, rows: Rows
) -> None:
    reconciled(campaign(recommended("suspend", ["a"])))
    reconciled(campaign(recommended("shape", ["a"])))
    assert states(rows) == [("a", "suspend", "replaced"), ("a", "shape", "proposed")]


@pytest.mark.parametrize("action", ["shape", "suspend"])
def test_shaping_and_suspending_need_two_people_whatever_a_policy_says(
    service: Service, reconciled: Run, rows: Rows, action: str
) -> None:
    reconciled(campaign(recommended(action, ["a"], approvals=0)))
    assert (rows()[0].state, rows()[0].approvals_needed) == ("proposed", 2)
    assert b'"action":"none","shadow":null' in service.snapshot.reply(b"a")


def test_of_many_people_who_approve_at_once_as_many_count_as_are_needed(
    service: Service, reconciled: Run, rows: Rows
) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    reconciled(campaign(recommended("suspend", ["a"])))
    proposal = rows(state="proposed")[0].decision_id

    def one(number: int) -> int:
        try:
            return approve(service, proposal, f"key:{number}")
        except HTTPException as error:
            return error.status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one, range(8))) == [0, 1, *[409] * 6]
    assert states(rows) == [("a", "throttle", "replaced"), ("a", "suspend", "active")]
    assert [one.action for one in acts(service)].count("decision.approved") == 2


def test_an_undo_stands_against_every_further_recommendation_of_the_campaign(
    service: Service, reconciled: Run, rows: Rows, clock: Clock
) -> None:
    reconciled(campaign(recommended("throttle", ["a", "b"])))
    undo(service, rows(account_id="a")[0].decision_id)
    clock.pass_by(minutes=5)
    assert reconciled(campaign(recommended("throttle", ["a", "b"]))) == Reconciled()
    reconciled(campaign(recommended("suspend", ["a"]), recommended("throttle", ["b"])))
    heir = campaign(
        recommended("throttle", ["a", "b"]),
        campaign_id="c-fedcba987654",
        lineage=[{"campaign_id": CAMPAIGN_ID, "relation": "split_from"}],
    )
    reconciled(heir)
    assert [(row.action, row.state) for row in rows(account_id="a")] == [("throttle", "undone")]
    assert [row.state for row in rows(account_id="b")] == ["withdrawn", "active"]


def test_another_campaign_may_still_speak_of_an_account_that_was_undone(
    service: Service, reconciled: Run, rows: Rows
) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    undo(service, rows()[0].decision_id)
    reconciled(campaign(recommended("verify", ["a"]), campaign_id="c-fedcba987654"))
    assert states(rows) == [("a", "throttle", "undone"), ("a", "verify", "active")]


def test_a_decision_that_nobody_confirms_expires(service: Service, reconciled: Run, rows: Rows, clock: Clock) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    clock.pass_by(days=8)
    assert reconciled(campaign(recommended("throttle", ["a"]))) == Reconciled(taken=1, expired=1)
    assert [(row.state, row.ended_by) for row in rows()] == [("expired", "stillwatch"), ("active", None)]
    assert rows()[0].ended_at == rows()[0].expires_at
    assert [one.action for one in acts(service)][1:] == ["decisions.expired", "decisions.reconciled"]


def test_one_line_of_audit_can_be_held_against_the_rows(
    service: Service, reconciled: Run, rows: Rows, clock: Clock
) -> None:
    reconciled(campaign(recommended("throttle", ["a", "b"])))
    clock.pass_by(days=2)
    reconciled(campaign(recommended("throttle", ["b"]), recommended("suspend", ["c"])))
    states_then = {"a": "withdrawn", "b": "renewed", "c": "proposed"}
    lines = ["\x1f".join((row.decision_id, row.account_id, row.action, states_then[row.account_id])) for row in rows()]
    whole = "".join(f"{line}\n" for line in sorted(lines))
    told = acts(service)[1].after
    assert told["digest"] == hashlib.sha256(whole.encode()).hexdigest()
    assert {name: told[name] for name in ("withdrawn", "renewed", "proposed")} == dict.fromkeys(
        ("withdrawn", "renewed", "proposed"), 1
    )


@pytest.mark.parametrize("fails", ["insert", "end", "next_change"])
def test_a_run_that_breaks_off_leaves_everything_as_it_was(
    service: Service, reconciled: Run, rows: Rows, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciled(campaign(recommended("throttle", ["a", "b"])))
    before, version = rows(), service.snapshot.version

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    found = [campaign(recommended("verify", ["a"]), campaign_id="c-new"), campaign(recommended("verify", ["b"]))]
    with monkeypatch.context() as patched:
        patched.setattr(ledger, fails, broken)
        with pytest.raises(RuntimeError):
            reconciled(*found)
    service.snapshot.refresh(service.database)
    assert (rows(), service.snapshot.version, len(acts(service))) == (before, version, 1)


def test_ids_that_no_database_holds_are_left_out(reconciled: Run, rows: Rows) -> None:
    assert reconciled(campaign(recommended("throttle", ["a\0", "b" * 501, "c"]))) == Reconciled(taken=1)
    assert [row.account_id for row in rows()] == ["c"]


def attached(service: Service, clock: Clock, account_id: str = "new") -> str | None:
    with service.database.write() as connection:
        return decisions.attach(
            connection,
            account_id=account_id,
            campaign_id=CAMPAIGN_ID,
            because="It shares a template and a card with the campaign.",
            evidence=[{"kind": "template", "weight_bits": 9.0}],
            now=clock(),
            expires_at=clock().replace(day=3),
        )


def test_a_newcomer_is_asked_to_verify_once(service: Service, rows: Rows, clock: Clock) -> None:
    made = attached(service, clock)
    assert (made, attached(service, clock)) == (rows()[0].decision_id, None)
    assert (rows()[0].action, rows()[0].source, rows()[0].state) == ("verify", "newcomer", "active")
    assert [one.action for one in acts(service)] == ["decision.attached"]


def test_a_detection_that_has_not_seen_the_newcomer_leaves_it_and_one_that_has_decides(
    service: Service, reconciled: Run, rows: Rows, clock: Clock
) -> None:
    attached(service, clock, "new")
    attached(service, clock, "other")
    assert reconciled(campaign(recommended("throttle", ["a"]))) == Reconciled(taken=1)
    reconciled(campaign(recommended("throttle", ["a", "new"]), account_ids=["a", "new", "other"]))
    found = [(row.account_id, row.action, row.state) for row in rows() if row.account_id != "a"]
    assert sorted(found) == [
        ("new", "throttle", "active"),
        ("new", "verify", "replaced"),
        ("other", "verify", "withdrawn"),
    ]


def test_a_newcomer_of_a_campaign_that_accuses_nobody_is_free(
    service: Service, reconciled: Run, rows: Rows, clock: Clock
) -> None:
    attached(service, clock)
    reconciled(campaign(verdict="explained"))
    assert rows()[0].state == "withdrawn"


def test_no_newcomer_is_attached_where_a_person_undid_it(service: Service, rows: Rows, clock: Clock) -> None:
    made = attached(service, clock)
    assert made is not None
    undo(service, made)
    assert attached(service, clock) is None


def test_thousands_of_accounts_make_one_line_of_audit(service: Service, reconciled: Run) -> None:
    everybody = [f"acct-{number:05}" for number in range(2_100)]
    assert reconciled(campaign(recommended("throttle", everybody))).taken == 2_100
    assert reconciled(campaign(recommended("throttle", everybody))) == Reconciled()
    reconciled()
    assert [(one.after.get("taken"), one.after.get("withdrawn")) for one in acts(service)] == [
        (2_100, None),
        (None, 2_100),
    ]
    assert len(service.snapshot) == 0


def test_people_are_told_once_per_campaign_in_counts_and_of_renewals_nothing(
    service: Service, reconciled: Run, clock: Clock
) -> None:
    found = campaign(recommended("throttle", ["acct-1", "acct-2"]), recommended("suspend", ["acct-3"]))
    other = campaign(recommended("verify", ["acct-4"]), campaign_id="c-other")
    reconciled(found, other)
    clock.pass_by(hours=30)
    assert reconciled(found, other).renewed == 4
    clock.pass_by(minutes=5)
    reconciled(campaign(recommended("suspend", ["acct-1"])))
    with service.database.read() as connection:
        told = connection.execute(sa.select(outbox).order_by(outbox.c.at, outbox.c.subject)).all()
    author = {"author": "policy default 1"}
    assert [(one.kind, one.subject_kind, one.subject, one.facts) for one in told] == [
        ("decision.made", "campaign", CAMPAIGN_ID, author | {"suspend_proposed": 1, "throttle_active": 2}),
        ("decision.made", "campaign", "c-other", author | {"verify_active": 1}),
        (
            "decision.made",
            "campaign",
            CAMPAIGN_ID,
            author | {"suspend_proposed": 1, "suspend_withdrawn": 1, "throttle_withdrawn": 1},
        ),
        ("decision.made", "campaign", "c-other", author | {"verify_withdrawn": 1}),
    ]
    assert "acct-" not in str([one.facts for one in told])


def test_what_is_not_committed_is_not_told(service: Service, reconciled: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("stillwatch.server.decisions.recommended._campaigns_with_open_decisions", broken)
    with pytest.raises(RuntimeError):
        reconciled(campaign(recommended("throttle", ["a"])))
    with service.database.read() as connection:
        assert connection.execute(sa.select(outbox)).first() is None
