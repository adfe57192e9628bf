"""Simulated artefacts: who is issued them, who sends them back, and that they move nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillwatch.evaluation import simulate
from stillwatch.evaluation.artefacts import MOST_REPLAYED, artefact_lists, handed_out
from stillwatch.evaluation.replaying import refusals

Ask = Callable[..., list[tuple[Any, ...]]]
# Queries are put together from constants of this file.
# ruff: noqa: S608
ISSUED = "(select account_id, campaign, unnest(reasoning_issued) as artefact, started_at from known)"
REPLAYED = "(select account_id, campaign, unnest(reasoning_replayed) as artefact, started_at from known)"


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small world of the scenario `replay`."""
    out = tmp_path_factory.mktemp("replay")
    simulate(out, scenario="replay", scale=0.004, seed=4)
    return out


def rows(accounts: list[int], sessions: list[int], positions: list[int], thinks: list[bool]) -> dict[str, Any]:
    """One row per second, each with an account, a conversation and a place in it."""
    count = len(accounts)
    return {
        "at_us": np.arange(count) * 1_000_000,
        "account": np.array(accounts, np.int32),
        "session": np.array(sessions, np.uint64),
        "has_session": np.ones(count, bool),
        "position": np.array(positions, np.int32),
        "wording": np.arange(1, count + 1, dtype=np.uint64) * np.uint64(7919),
        "reasoning_tokens": np.array(thinks, np.int64) * 50,
    }


def people(count: int, **columns: Any) -> dict[str, Any]:
    return {"organization": np.full(count, None, object), "campaign": np.full(count, "c", object), **columns}


def test_a_conversation_sends_back_its_own_last_artefacts_newest_first() -> None:
    draws = rows([0] * 7 + [1], [5] * 7 + [6], [*range(7), 0], [True, False, True, True, True, True, True, True])
    found = handed_out(people(2), draws, np.zeros(8, np.int64), first=0, seed=1)
    issued = found["issued"].tolist()
    assert [bool(number) for number in issued] == [True, False, True, True, True, True, True, True]
    assert found["replayed"][2].tolist()[:2] == [0, issued[0]]
    assert found["replayed"][6].tolist() == [issued[5], issued[4], issued[3], issued[2]]
    assert not found["replayed"][7].any()


def test_replaying_accounts_send_back_what_others_were_issued_before() -> None:
    accounts = [number % 4 for number in range(400)]
    draws = rows(accounts, list(range(400)), [0] * 400, [True] * 400)
    work = np.where(np.array(accounts) == 3, 9, 1)
    found = handed_out(people(4, replay_work=np.array([-2, -2, -2, 9])), draws, work, first=0, seed=1)
    issued = {number: row for row, number in enumerate(found["issued"].tolist())}
    for row in range(8, 400):
        sent = [number for number in found["replayed"][row].tolist() if number]
        assert all(accounts[issued[number]] != accounts[row] and issued[number] < row for number in sent)
        assert accounts[row] == 3 or not sent
    assert sum(bool(found["replayed"][row].any()) for row in range(8, 400) if accounts[row] == 3) >= 60


def test_lists_drop_what_is_missing_and_are_null_without_any() -> None:
    lists = artefact_lists(np.array([[0, 0], [5, 0], [0, 7], [1, 2]], np.uint64)).to_pylist()
    assert [names and len(names) for names in lists] == [None, 1, 1, 2]
    assert lists[1] == ["rsn_0000000000000005"]


def test_only_a_sweep_is_refused() -> None:
    work = np.array([4, 4, 5])
    chance = np.array([0.1, 0.9, 0.1])
    assert refusals({"sweep_work": np.array([4])}, np.zeros(3, np.int64), work, chance).tolist() == [True, False, False]
    assert not refusals({}, np.zeros(3, np.int64), work, chance).any()


def test_artefacts_are_issued_where_the_model_thinks_and_never_twice(ask: Ask) -> None:
    thinks = "coalesce(reasoning_tokens, 0) > 0"
    assert ask(f"select count(*) from exchanges where ({thinks}) <> (reasoning_issued is not null)") == [(0,)]
    assert ask(f"select count(*) - count(distinct artefact) from {ISSUED}") == [(0,)]
    assert ask("select max(len(reasoning_replayed)) from exchanges") == [(MOST_REPLAYED,)]


def test_without_a_replaying_campaign_artefacts_cross_accounts_of_one_organisation_or_went_round(ask: Ask) -> None:
    crossed = f"""select a.organization_id is not null and a.organization_id = b.organization_id as same, count(*)
        from {REPLAYED} r join {ISSUED} i using (artefact)
        join accounts a on a.account_id = r.account_id join accounts b on b.account_id = i.account_id
        where r.account_id <> i.account_id group by same"""
    [(same, moved)] = ask(crossed)
    assert same
    assert moved >= 10
    unissued = f"select count(*), count(distinct artefact) from {REPLAYED} r anti join {ISSUED} i using (artefact)"
    [(pasted, transcripts)] = ask(unissued)
    assert pasted > transcripts > 10


def test_the_named_share_of_a_replaying_campaign_sends_back_what_others_of_it_were_issued(
    ask: Ask, replay: Path
) -> None:
    crossed = f"""select r.campaign, count(distinct r.account_id), count(distinct artefact) from {REPLAYED} r
        join {ISSUED} i using (artefact) where r.campaign is not null and r.account_id <> i.account_id
        and r.campaign = i.campaign and i.started_at < r.started_at group by 1"""
    sizes = dict(ask("select campaign, count(*) from truth where is_hostile group by 1", replay))
    replaying = {name: (accounts / sizes[name], artefacts) for name, accounts, artefacts in ask(crossed, replay)}
    assert replaying.keys() == {"decoders", "borrowers"}
    assert 0.2 <= replaying["decoders"][0] <= 0.6
    assert 0.03 <= replaying["borrowers"][0] <= 0.25
    assert all(artefacts > 50 for _, artefacts in replaying.values())


def test_a_sweep_comes_first_and_most_of_it_is_refused(ask: Ask, replay: Path) -> None:
    shares = """select started_at < '2026-07-08' as early, avg((finish_reason = 'content_filter')::int), count(*)
        from known where campaign is not null group by 1"""
    found = {early: (share, rows) for early, share, rows in ask(shares, replay)}
    assert found[True][0] > 3 * found[False][0]
    assert found[True][0] * found[True][1] > 15  # exchanges
