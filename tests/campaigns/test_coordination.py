"""Coordination: proven needs independent groups of traits and enough principals."""

from dataclasses import replace

import pytest
from tests.campaigns.clues import CONTENT, NETWORK, facts, members

from stillwatch.campaigns.coordination import MIN_PRINCIPALS, coordination
from stillwatch.campaigns.facts import GroupLink
from stillwatch.membership import GROUP_P_VALUE


def test_two_groups_and_enough_principals_prove_coordination() -> None:
    found = coordination(facts())
    assert found.result == "proven"
    assert found.p_value == pytest.approx(2 * NETWORK.p_value)


@pytest.mark.parametrize(("count", "result"), [(MIN_PRINCIPALS - 1, "not_proven"), (MIN_PRINCIPALS, "proven")])
def test_it_takes_five_principals(count: int, result: str) -> None:
    assert MIN_PRINCIPALS == 5
    assert coordination(facts(members=members(count))).result == result


def test_the_accounts_of_one_verified_organisation_do_not_coordinate() -> None:
    firm = members(40, organization_id="o", verification_level="contract")
    assert coordination(facts(members=firm)).result == "not_proven"


@pytest.mark.parametrize("links", [[], [CONTENT], [NETWORK]])
def test_one_group_alone_proves_nothing(links: list[GroupLink]) -> None:
    found = coordination(facts(links=links))
    assert found.result == "not_proven"
    assert found.p_value == 1.0


def test_a_group_that_chance_explains_does_not_count() -> None:
    weak = replace(NETWORK, p_value=GROUP_P_VALUE)
    assert coordination(facts(links=[CONTENT, weak])).result == "not_proven"


def test_a_group_that_ties_few_of_the_members_does_not_count() -> None:
    thin = replace(NETWORK, linked=1)
    assert coordination(facts(links=[CONTENT, thin])).result == "not_proven"


@pytest.mark.parametrize(("expected", "result"), [(16_900.0, "not_proven"), (14_000.0, "proven")])
def test_in_a_large_cluster_a_hairs_breadth_beyond_chance_does_not_count(expected: float, result: str) -> None:
    """Users of one public tool sign up in fewer places than customers at large: a little, and past all chance."""
    signed_up = GroupLink("registration", 18_300, expected, 27_500, 1e-29)
    found = coordination(facts(links=[replace(CONTENT, linked=27_500, principals=27_500), signed_up]))
    assert found.result == result


def test_every_group_is_measured_whether_it_tells_or_not() -> None:
    found = coordination(facts(links=[CONTENT, NETWORK, GroupLink("device", 2, 1.9, 12, 0.4)]))
    assert [m.name for m in found.measures] == ["shared content", "shared network", "shared device"]
    assert found.measures[2].bits == 0.0
    assert found.bits == pytest.approx(sum(m.bits for m in found.measures))


def test_a_p_value_of_zero_gives_finite_bits() -> None:
    found = coordination(facts(links=[replace(CONTENT, p_value=0.0), NETWORK]))
    assert found.bits is not None
    assert found.bits < 200
