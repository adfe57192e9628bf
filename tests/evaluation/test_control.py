"""A claim of common control is right where one hand poses as several, and wrong about everybody else."""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillwatch.evaluation.control import control
from stillwatch.evaluation.measures import Share

CONTROLLER = {"a0": "lab", "a1": "lab", "b0": "abuser", "b1": "abuser", "m0": None, "m1": None, "b2": "other"}
SEGMENT = {"b0": "credit_abusers", "b1": "credit_abusers", "b2": "credit_abusers", "m0": "ci", "m1": "ci"}


def test_abusers_and_campaigns_are_rightly_called_and_the_machines_of_one_customer_are_not() -> None:
    called = {"a0": "1", "a1": "1", "b0": "2", "b1": "2", "m0": "3", "m1": "3"}
    found = control(called, CONTROLLER, SEGMENT)
    assert (found.accounts, found.campaigns, found.harvesting) == (Share(4, 6), Share(2, 3), Share(2, 6))
    assert found.wrong == {"ci": 2}


def test_an_account_alone_among_others_accounts_is_wrongly_called_whoever_runs_it() -> None:
    found = control({"a0": "1", "b0": "1", "b2": "2", "m0": "2"}, CONTROLLER, SEGMENT)
    assert found.accounts == Share(0, 4)
    assert found.campaigns == Share(0, 2)
    assert found.wrong == {"ci": 1, "credit_abusers": 2, "hostile": 1}


def test_a_campaign_is_right_from_half_of_its_accounts_on() -> None:
    assert control(dict.fromkeys(("a0", "a1", "m0", "m1"), "1"), CONTROLLER, SEGMENT).campaigns == Share(1, 1)
    assert control(dict.fromkeys(("a0", "a1", "m0", "m1", "b0"), "1"), CONTROLLER, SEGMENT).campaigns == Share(0, 1)


def test_who_the_truth_does_not_know_is_left_out() -> None:
    assert control({"victim": "1", "a0": "1"}, CONTROLLER, SEGMENT).accounts == Share(0, 1)
    assert control({}, CONTROLLER, SEGMENT).accounts.share is None


def test_a_world_names_the_hand_behind_abusers_and_campaigns_and_nobody_else(february: Path) -> None:
    truth = pq.read_table(february / "truth.parquet")
    abusers = truth.filter(pc.equal(truth["segment"], "credit_abusers"))
    assert abusers["controller"].null_count == 0
    assert 1 < len(abusers["controller"].unique()) < abusers.num_rows
    stolen = pc.fill_null(pc.equal(truth["role"], "compromised"), False)
    hostile = truth.filter(pc.and_(truth["is_hostile"], pc.invert(stolen)))
    assert hostile["controller"].equals(hostile["campaign"])
    others = truth.filter(
        pc.or_(pc.and_(pc.invert(truth["is_hostile"]), pc.not_equal(truth["segment"], "credit_abusers")), stolen)
    )
    assert others["controller"].null_count == others.num_rows
