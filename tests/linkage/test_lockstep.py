"""Lockstep: waves are seen, shared hours and timetables are not, and the tail agrees with a plain count."""

import numpy as np
import pyarrow as pa
import pytest
from tests.linkage.planted import account, background, dealt_campaign, indexed, member_sets

from stillwatch.linkage import Starts, clusters, cohesion, evidence, starts, steps, weights
from stillwatch.linkage.coincidences import repeats
from stillwatch.linkage.lockstep import DAY_MIN, REACH_MIN, SHIFTS_MIN, is_in_step, together

ACCOUNTS, DAYS = 400, 14
MEMBERS = np.arange(50, 62)


def table(begun: dict[int, list[int]]) -> pa.Table:
    rows = [(account(one), minute) for one, minutes in begun.items() for minute in minutes]
    return pa.table(
        {
            "account_id": pa.array([row[0] for row in rows], pa.string()),
            "minute": pa.array([row[1] for row in rows], pa.int64()),
        }
    )


def known(begun: dict[int, list[int]]) -> Starts:
    return starts(table(begun), [account(i) for i in range(ACCOUNTS)])


def office_hours(rng: np.random.Generator, one: int) -> list[int]:
    """Two or three sessions a working day, at any minute from nine to five."""
    del one
    days = rng.choice(DAYS, 10, replace=False)
    return [int(d * DAY_MIN + 540 + m) for d in days for m in rng.integers(480, size=rng.integers(2, 4))]


def everybody(seed: int) -> dict[int, list[int]]:
    rng = np.random.default_rng(seed)
    return {one: office_hours(rng, one) for one in range(ACCOUNTS)}


def in_waves(seed: int) -> dict[int, list[int]]:
    """The members begin at one of twenty moments of a day, chosen anew each day, a minute or so late."""
    rng = np.random.default_rng(1000 + seed)
    begun = everybody(seed)
    waves = rng.integers(DAY_MIN, size=(DAYS, 20))
    for one in MEMBERS.tolist():
        begun[one] = [int(d * DAY_MIN + w + rng.integers(2)) for d in range(DAYS) for w in rng.choice(waves[d], 3)]
    return begun


@pytest.mark.parametrize("seed", range(3))
def test_accounts_sent_to_work_in_waves_are_in_step(seed: int) -> None:
    tested = together(known(in_waves(seed)), MEMBERS, MEMBERS)
    assert is_in_step(tested.p_values)
    assert tested.p_values.max() < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_strangers_who_keep_the_same_office_hours_are_not(seed: int) -> None:
    assert not is_in_step(together(known(everybody(seed)), MEMBERS, MEMBERS).p_values)


def test_chance_puts_few_accounts_in_step() -> None:
    every = np.arange(ACCOUNTS)
    p_values = np.concatenate([together(known(everybody(seed)), every, every).p_values for seed in range(5)])
    assert (p_values <= 0.01).mean() <= 0.015


def test_a_timetable_is_not_lockstep() -> None:
    begun = everybody(0)
    for one in MEMBERS.tolist():
        begun[one] = [d * DAY_MIN + 120 for d in range(DAYS)]
    assert together(known(begun), MEMBERS, MEMBERS).seen.sum() == 0


def test_jobs_at_the_full_hour_are_not_lockstep() -> None:
    rng = np.random.default_rng(4)
    begun = everybody(0)
    for one in MEMBERS.tolist():
        begun[one] = [int(d * DAY_MIN + 60 * h) for d in range(DAYS) for h in rng.choice(24, 6, replace=False)]
    assert together(known(begun), MEMBERS, MEMBERS).seen.sum() == 0


def test_a_common_deadline_is_not_lockstep() -> None:
    rng = np.random.default_rng(5)
    begun = everybody(0)
    for one in MEMBERS.tolist():
        begun[one] = [int(9 * DAY_MIN + 1000 - rng.exponential(300)) for _ in range(8)]
    assert not is_in_step(together(known(begun), MEMBERS, MEMBERS).p_values)


def test_counts_agree_with_comparing_every_pair_of_starts() -> None:
    begun = in_waves(0)
    of = known(begun)
    tested = together(of, MEMBERS, MEMBERS)
    kept = {one: of.minutes[of.first[one] : of.first[one + 1]] for one in MEMBERS.tolist()}
    for place, one in enumerate(MEMBERS.tolist()):
        others = np.concatenate([kept[other] for other in kept if other != one])
        gaps = np.abs(kept[one][:, None] - others[None, :])
        assert tested.seen[place] == int((gaps <= REACH_MIN).sum())
        sides = [
            np.mean([(np.abs(kept[one][:, None] + s - others) <= REACH_MIN).sum() for s in SHIFTS_MIN if (s > 0) == up])
            for up in (False, True)
        ]
        assert 0.8 * max(sides) <= tested.expected[place] <= 1.6 * max(sides), "but for the habits of the hour and all"


def test_neither_row_order_nor_repeats_matter() -> None:
    rows = table(in_waves(1))
    names = [account(i) for i in range(ACCOUNTS)]
    shuffled = pa.concat_tables([rows, rows]).take(pa.array(np.random.default_rng(0).permutation(2 * rows.num_rows)))
    assert np.array_equal(starts(rows, names).minutes, starts(shuffled, names).minutes)


def test_cells_tied_by_addresses_alone_merge_when_they_start_together() -> None:
    names = [account(i) for i in MEMBERS.tolist()]
    rows = [row for row in dealt_campaign(names, cells=2) if row[1] in ("template", "ip")]
    of = indexed(background(np.random.default_rng(0), ACCOUNTS) + rows, ACCOUNTS)
    apart = clusters(of, weights(of), known(everybody(0)), seed=0)
    assert set(names) not in member_sets(of, apart)
    found = clusters(of, weights(of), known(in_waves(0)), seed=0)
    assert set(names) in member_sets(of, found)
    begun = known(in_waves(0))
    assert [
        row["group"] for row in cohesion(of, found, steps(found, begun)).to_pylist() if row["group"] == "timing"
    ] == ["timing"]
    told = [
        row
        for row in evidence(of, weights(of), found, steps(found, begun)).to_pylist()
        if row["kind"] == "session_starts"
    ]
    assert told[0]["account_count"] >= 3
    assert told[0]["weight_bits"] > 0


def test_when_everybody_begins_at_once_nobody_is_in_step() -> None:
    rng = np.random.default_rng(6)
    begun = everybody(0)
    for one in range(ACCOUNTS):  # after each of three outages all come back within two minutes
        begun[one] = [*begun[one], *(int(d * DAY_MIN + 777 + rng.integers(3)) for d in (2, 5, 11))]
    assert not is_in_step(together(known(begun), MEMBERS, MEMBERS).p_values)
    short = {one: [777 + int(rng.integers(3))] * 1 + [790 + int(rng.integers(3)), 803] for one in range(ACCOUNTS)}
    assert not is_in_step(together(known(short), MEMBERS, MEMBERS).p_values)


def test_where_nothing_is_known_of_time_nobody_is_in_step() -> None:
    tested = together(known({}), MEMBERS, MEMBERS)
    assert tested.seen.tolist() == [0] * len(MEMBERS)
    assert not is_in_step(tested.p_values)


def test_repeats_are_the_places_of_an_account_next_to_each_and_those_beyond_its_last() -> None:
    rng = np.random.default_rng(3)
    account_of = np.sort(rng.integers(0, 12, size=300))
    place = rng.integers(0, 10, size=300)
    keys = account_of * 10 + place
    near = [int((np.abs(keys - key) <= 1).sum()) for key in keys.tolist()]
    assert repeats(account_of, place, 12, 10).tolist() == near
