"""What is kept about starting together is what asking once more would give."""

import numpy as np
from tests.linkage.test_lockstep import MEMBERS, everybody, in_waves, known

from stillwatch.linkage.lockstep import p_values_of, pairs_together, together
from stillwatch.linkage.synchrony import TIE_P_VALUE, Synchrony

OTHERS = np.arange(100, 110)
NOBODY = np.full(400, -1, dtype=np.int64)


def labelled() -> np.ndarray:
    labels = NOBODY.copy()
    labels[MEMBERS], labels[OTHERS] = 0, 1
    return labels


def test_whoever_is_asked_about_first_the_answers_are_the_same() -> None:
    starts, labels = known(in_waves(0)), labelled()
    every = np.arange(400)
    at_once = Synchrony(starts).in_step(labels, every, np.zeros(400, np.int64))
    asked = Synchrony(starts)
    bit_by_bit = [asked.in_step(labels, part, np.zeros(len(part), np.int64)) for part in np.split(every[::-1], 8)]
    assert np.array_equal(np.concatenate(bit_by_bit)[::-1], at_once)
    assert np.array_equal(at_once, together(starts, every, MEMBERS).p_values <= TIE_P_VALUE)
    assert at_once[MEMBERS].sum() >= 3


def test_nobody_is_in_step_with_a_cluster_that_is_not() -> None:
    starts, labels = known(everybody(0)), labelled()
    assert not Synchrony(starts).in_step(labels, np.arange(400), np.ones(400, np.int64)).any()


def test_pairs_asked_about_together_are_as_those_asked_about_one_by_one() -> None:
    starts = known(in_waves(1))
    groups = [MEMBERS[:6], MEMBERS[6:], OTHERS, np.arange(200, 203)]
    left, right = np.array([2, 0, 1, 0, 3]), np.array([3, 1, 2, 2, 0])
    found = pairs_together(starts, groups, left, right)
    alone = [pairs_together(starts, groups, left[[i]], right[[i]])[0] for i in range(len(left))]
    assert np.array_equal(found, alone)
    assert found[1] < 1e-6 < found[3]
    kept = Synchrony(starts)
    assert np.array_equal(kept.p_values(groups, left[:2], right[:2]), found[:2])
    assert np.array_equal(kept.p_values(groups, left, right), found)


def test_several_sets_asked_about_together_are_as_each_by_itself() -> None:
    starts = known(in_waves(2))
    sets, accounts = [MEMBERS, OTHERS], [np.arange(40, 70), OTHERS[:4]]
    for found, asked, others in zip(p_values_of(starts, accounts, sets), accounts, sets, strict=True):
        assert np.array_equal(found, together(starts, asked, others).p_values)
