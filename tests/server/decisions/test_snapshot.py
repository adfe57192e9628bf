"""The snapshot: what is told of each account, what is in shadow, when it lapses, and what changed since."""

import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.server.conftest import Clock
from tests.server.decisions.conftest import campaign, recommended

from stillwatch.decisions import Countermeasures
from stillwatch.records import ACTIONS
from stillwatch.server import ServerSettings, Service, decisions, opened
from stillwatch.server.decisions import Snapshot, ledger, people, snapshot_of
from stillwatch.server.decisions.bodies import ByHand
from stillwatch.server.decisions.parts import Standing
from stillwatch.server.settings import Deciding, Storing
from stillwatch.server.tables import decisions as table

Run = Callable[..., Any]


def told(snapshot: Snapshot, account_id: str = "a") -> dict[str, Any]:
    return json.loads(snapshot.reply(account_id.encode()))


def whole(snapshot: Snapshot, namespace: bytes = b"") -> list[dict[str, Any]]:
    version, count, rows = snapshot.whole(namespace)
    found = [json.loads(row) for row in rows]
    assert (version, count) == (snapshot.version, len(found))
    return found


def by_hand(service: Service, account_id: str, action: str, days: int = 7) -> str:
    """A decision by hand, agreed to by two people where that is needed."""
    asked = ByHand(account_id=account_id, action=action, because="We looked at it.", expires_after_days=days)
    with service.database.write() as connection:
        made = people.decide(connection, asked, author="key:ann", now=service.now())
        if action in ("shape", "suspend"):
            for name in ("key:ben", "key:cem"):
                people.approve(connection, made, principal=name, now=service.now())
    service.snapshot.refresh(service.database)
    return made


def undone(service: Service, decision_id: str) -> None:
    with service.database.write() as connection:
        people.undo(connection, decision_id, because="It was wrong.", principal="key:ben", now=service.now())
    service.snapshot.refresh(service.database)


def test_an_account_that_nothing_is_decided_about_is_told_as_such(service: Service) -> None:
    row = told(service.snapshot, "nobody")
    assert (row.pop("account_id"), row.pop("action")) == ("nobody", "none")
    assert set(row.values()) == {None}


def test_everything_is_in_shadow_until_it_is_named(service: Service, reconciled: Run) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    row = told(service.snapshot)
    assert (row["action"], row["shadow"], row["limits"], row["check"]) == ("none", "throttle", None, None)
    assert (row["because"], row["author"]) == ("They harvest.", "policy default 1")
    assert (row["decided_at"], row["expires_at"]) == ("2026-03-01T12:00:00Z", "2026-03-08T12:00:00Z")


@pytest.mark.parametrize(
    ("action", "limits"),
    [
        ("observe", None),
        ("verify", None),
        ("throttle", {"requests_per_minute": 10}),
        ("shape", {"max_output_tokens": 1024, "strip_logprobs": True, "reasoning": "withhold"}),
        ("suspend", None),
    ],
)
def test_a_live_action_is_told_with_its_limits(service: Service, action: str, limits: Any) -> None:
    service.snapshot.act_on(ACTIONS)
    by_hand(service, "a", action)
    row = told(service.snapshot)
    assert (row["action"], row["shadow"], row["limits"]) == (action, None, limits)


def test_the_check_of_a_live_verification_is_told(service: Service, reconciled: Run) -> None:
    reconciled(campaign(recommended("verify", ["a"])))
    service.snapshot.act_on(["verify"])
    assert told(service.snapshot)["check"] == "identity"


def test_switching_an_action_on_and_off_acts_at_once_on_everybody(service: Service, reconciled: Run) -> None:
    reconciled(campaign(recommended("throttle", ["a", "b"]), recommended("verify", ["c"])))
    by_hand(service, "b", "suspend")
    before = service.snapshot.version
    service.snapshot.act_on(["throttle", "suspend"])
    assert [told(service.snapshot, one)["action"] for one in "abc"] == ["throttle", "suspend", "none"]
    assert service.snapshot.since(before) is None
    service.snapshot.act_on(["throttle"])
    assert [told(service.snapshot, one)["action"] for one in "abc"] == ["throttle", "throttle", "none"]
    service.snapshot.act_on([])
    assert [told(service.snapshot, one)["action"] for one in "abc"] == ["none"] * 3
    assert [told(service.snapshot, one)["shadow"] for one in "abc"] == ["throttle", "suspend", "verify"]


def test_the_strongest_live_decision_counts_and_a_stronger_one_in_shadow_is_told_beside_it(service: Service) -> None:
    service.snapshot.act_on(["verify", "throttle"])
    by_hand(service, "a", "verify")
    throttle = by_hand(service, "a", "throttle")
    suspend = by_hand(service, "a", "suspend")
    row = told(service.snapshot)
    assert (row["action"], row["shadow"], row["decision_id"]) == ("throttle", "suspend", throttle)
    undone(service, throttle)
    assert (told(service.snapshot)["action"], told(service.snapshot)["shadow"]) == ("verify", "suspend")
    undone(service, suspend)
    assert (told(service.snapshot)["action"], told(service.snapshot)["shadow"]) == ("verify", None)


def test_a_proposal_is_told_to_nobody(service: Service, reconciled: Run) -> None:
    reconciled(campaign(recommended("suspend", ["a"])))
    assert (told(service.snapshot)["shadow"], len(service.snapshot)) == (None, 0)


def test_expiry_is_honoured_without_a_database_and_falls_back_to_what_still_stands(
    service: Service, clock: Clock
) -> None:
    service.snapshot.act_on(ACTIONS)
    by_hand(service, "a", "suspend", days=2)
    by_hand(service, "a", "verify", days=5)
    version = service.snapshot.version
    service.database.close()
    for days, action in ((1, "suspend"), (1, "verify"), (2, "verify"), (1, "none")):
        clock.pass_by(days=days)
        assert told(service.snapshot)["action"] == action  # before anything came round
        service.snapshot.lapse()
        assert told(service.snapshot)["action"] == action
    changed = service.snapshot.since(version)
    assert changed is not None
    assert [json.loads(row)["action"] for _, row in changed[1]] == ["none"]
    assert whole(service.snapshot) == []


def test_another_process_follows_by_the_number_of_the_change(service: Service, clock: Clock) -> None:
    other = snapshot_of(service.database, Deciding(live=("throttle",)), now=clock)
    made = by_hand(service, "a", "throttle")
    assert told(other)["action"] == "none"
    other.refresh(service.database)
    assert told(other)["decision_id"] == made
    undone(service, made)
    other.refresh(service.database)
    assert told(other)["action"] == "none"
    assert other.version.partition("-")[0] != service.snapshot.version.partition("-")[0]


def test_what_is_deleted_is_told_no_more_in_any_process(service: Service, reconciled: Run, clock: Clock) -> None:
    other = snapshot_of(service.database, Deciding(), now=clock)
    by_hand(service, "b", "verify")
    reconciled(campaign(recommended("throttle", ["a", "b"])))
    other.refresh(service.database)
    with service.database.write() as connection:
        connection.execute(table.delete().where(table.c.account_id == "a"))
        connection.execute(table.delete().where(table.c.account_id == "b", table.c.action == "throttle"))
        decisions.tell_of_deletions(connection)
    for snapshot in (service.snapshot, other):
        before = snapshot.version
        snapshot.refresh(service.database)
        assert [(row["account_id"], row["shadow"]) for row in whole(snapshot)] == [("b", "verify")]
        assert len((snapshot.since(before) or ("", []))[1]) == 2


def test_looking_again_when_nothing_changed_reads_no_decision(
    service: Service, reconciled: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciled(campaign(recommended("throttle", ["a"])))
    monkeypatch.setattr(Snapshot, "_follow", lambda *_, **__: pytest.fail("decisions were read"))
    service.snapshot.refresh(service.database)


def test_what_stood_before_the_service_opened_is_told_from_the_start(tmp_path: Path, clock: Clock) -> None:
    chosen = ServerSettings(storage=Storing(tmp_path / "s"), decisions=Deciding(live=("throttle",)))
    with opened(chosen, now=clock) as service:
        made = by_hand(service, "a", "throttle")
        by_hand(service, "b", "throttle", days=1)
    clock.pass_by(days=2)
    with opened(chosen, now=clock) as service:
        assert (told(service.snapshot)["decision_id"], len(service.snapshot)) == (made, 1)


def test_limits_come_from_the_policy_of_the_settings(tmp_path: Path, clock: Clock) -> None:
    built_in = Path(__file__).parents[3] / "src" / "stillwatch" / "decisions" / "policy.toml"
    policy = tmp_path / "mine.toml"
    policy.write_text(built_in.read_text().replace("requests_per_minute = 10", "requests_per_minute = 3"))
    chosen = Deciding(policy=str(policy), live=("throttle",))
    with opened(ServerSettings(storage=Storing(tmp_path / "s"), decisions=chosen), now=clock) as service:
        by_hand(service, "a", "throttle")
        assert told(service.snapshot)["limits"] == {"requests_per_minute": 3}


def test_changes_since_a_version_are_told_once_each_in_order(service: Service, reconciled: Run) -> None:
    start = service.snapshot.version
    reconciled(campaign(recommended("throttle", ["a", "b"]), recommended("verify", ["c"])))
    middle = service.snapshot.version
    reconciled(campaign(recommended("verify", ["a", "c"])))
    version, rows = service.snapshot.since(start) or ("", [])
    assert version == service.snapshot.version
    last = {json.loads(row)["account_id"]: (json.loads(row)["shadow"], at) for at, row in rows}
    assert {one: shadow for one, (shadow, _) in last.items()} == {"a": "verify", "b": None, "c": "verify"}
    assert max(rows, key=lambda one: int(one[0].partition("-")[2]))[0] == version
    assert {json.loads(row)["account_id"] for _, row in (service.snapshot.since(middle) or ("", []))[1]} == {"a", "b"}
    assert service.snapshot.since(version) == (version, [])


@pytest.mark.parametrize(
    "version", ["", "x", "x-1", "{epoch}-", "{epoch}-99", "{epoch}--1", "{epoch}-²", "{epoch}-1-1"]
)
def test_a_version_that_never_was_is_not_known(service: Service, reconciled: Run, version: str) -> None:
    reconciled(campaign(recommended("throttle", ["a", "b"])))
    epoch = service.snapshot.version.partition("-")[0]
    assert service.snapshot.since(version.format(epoch=epoch)) is None


def test_a_version_too_old_is_not_known(
    service: Service, reconciled: Run, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr("stillwatch.server.decisions.versions.RING", 2)
    reconciled(campaign(recommended("throttle", ["a", "b", "c"])))
    snapshot = snapshot_of(service.database, Deciding(), now=clock)
    epoch = snapshot.version.partition("-")[0]
    assert snapshot.since(f"{epoch}-0") is None
    assert len((snapshot.since(f"{epoch}-1") or ("", []))[1]) == 2


def test_a_namespace_sees_its_own_rows_only(service: Service, reconciled: Run) -> None:
    start = service.snapshot.version
    reconciled(campaign(recommended("throttle", ["acme:a", "acme:b", "other:a", "a"])))
    assert [row["account_id"] for row in whole(service.snapshot, b"acme:")] == ["a", "b"]
    assert [json.loads(row)["account_id"] for _, row in (service.snapshot.since(start, b"acme:") or ("", []))[1]] == [
        "a",
        "b",
    ]
    assert len(whole(service.snapshot)) == 4


def test_many_accounts_share_a_few_parts(service: Service, reconciled: Run) -> None:
    everybody = [f"acct-{number}" for number in range(500)]
    reconciled(campaign(recommended("throttle", everybody[:250]), recommended("verify", everybody[250:])))
    assert (len(service.snapshot), len(service.snapshot._parts)) == (500, 2)
    reconciled()
    assert (len(service.snapshot), len(service.snapshot._parts)) == (0, 0)


def test_who_reads_while_rows_change_is_told_one_decision_or_another_and_never_a_mixture(clock: Clock) -> None:
    snapshot = Snapshot(Countermeasures(), live=["throttle"], now=clock)
    made = {
        bytes.fromhex(ledger.new_id()): Standing(
            action, None, action, f"c-{action}", "p", clock(), clock().replace(day=9)
        )
        for action in ("throttle", "verify", "observe")
    }
    allowed = {snapshot.reply(b"a")}
    for decision_id, standing in made.items():
        snapshot._note(b"a", decision_id, standing)
        allowed.add(snapshot.reply(b"a"))
        snapshot._note(b"a", decision_id, None)
    seen, is_over, until = set(), threading.Event(), time.monotonic() + 30

    def read() -> None:
        while not is_over.is_set():
            seen.add(snapshot.reply(b"a"))

    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    turns = 0
    while (turns < 1_000 or seen != allowed) and time.monotonic() < until:
        turns += 1
        for decision_id, standing in made.items():
            for one in (standing, None):
                with snapshot._lock:
                    snapshot._note(b"a", decision_id, one)
    is_over.set()
    for reader in readers:
        reader.join()
    sys.setswitchinterval(often)
    assert seen == allowed


class Model:
    """The same, written the slow way: every decision ever made, looked through at every question."""

    def __init__(self) -> None:
        self.made: dict[bytes, tuple[str, Standing]] = {}

    def told(self, account_id: str, live: set[str], now: Any) -> tuple[str, str | None]:
        standing = [s.action for who, s in self.made.values() if who == account_id and s.expires_at > now]
        acting = max((one for one in standing if one in live), key=ACTIONS.index, default="none")
        waiting = max((one for one in standing if one not in live), key=ACTIONS.index, default=None)
        goes_further = waiting and (acting == "none" or ACTIONS.index(waiting) > ACTIONS.index(acting))
        return acting, waiting if goes_further else None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("make"), st.sampled_from("ab"), st.sampled_from(ACTIONS), st.integers(1, 4)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.integers(1, 2)),
        st.tuples(st.just("lapse")),
        st.tuples(st.just("act"), st.sets(st.sampled_from(ACTIONS))),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_happens_it_tells_what_a_plain_list_of_decisions_tells(steps: list[tuple[Any, ...]]) -> None:
    clock, model, live = Clock(), Model(), {"throttle", "verify"}
    snapshot = Snapshot(Countermeasures(), live=live, now=clock)
    followed = {"version": snapshot.version, "rows": {}}
    for step in steps:
        if step[0] == "make":
            made = bytes.fromhex(ledger.new_id())
            standing = Standing(step[2], None, "r", None, "p", clock(), clock() + timedelta(days=step[3]))
            model.made[made] = (step[1], standing)
            snapshot._note(step[1].encode(), made, standing)
        elif step[0] == "end" and model.made:
            ended = list(model.made)[step[1] % len(model.made)]
            snapshot._note(model.made.pop(ended)[0].encode(), ended, None)
        elif step[0] == "wait":
            clock.pass_by(days=step[1])
        elif step[0] == "lapse":
            snapshot.lapse()
        elif step[0] == "act":
            live = step[1]
            snapshot.act_on(live)
        expected = {one: model.told(one, live, clock()) for one in "ab"}
        assert {one: (told(snapshot, one)["action"], told(snapshot, one)["shadow"]) for one in "ab"} == expected
        rows = {row["account_id"]: (row["action"], row["shadow"]) for row in whole(snapshot)}
        assert rows == {one: pair for one, pair in expected.items() if pair != ("none", None)}
        follow(snapshot, followed)
        assert followed["rows"] == rows


def follow(snapshot: Snapshot, followed: dict[str, Any]) -> None:
    """What a client does: takes changes, or reads the whole again."""
    changed = snapshot.since(followed["version"])
    if changed is None:
        version, _, rows = snapshot.whole()
        followed["rows"], changed = {}, (version, [(version, row) for row in rows])
    followed["version"] = changed[0]
    for _, row in changed[1]:
        read = json.loads(row)
        followed["rows"][read["account_id"]] = (read["action"], read["shadow"])
        if (read["action"], read["shadow"]) == ("none", None):
            del followed["rows"][read["account_id"]]
