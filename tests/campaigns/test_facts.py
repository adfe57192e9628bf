"""Facts: what follows from the counts."""

from itertools import combinations

import numpy as np
import pytest
from tests.campaigns.clues import bearing, facts, members

from stillwatch.campaigns import Member


@pytest.mark.parametrize("seed", range(5))
def test_item_sharing_is_the_chance_that_another_member_sent_the_same_item(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sent = [set(rng.choice(30, int(rng.integers(1, 20)), replace=False).tolist()) for _ in range(6)]
    others = [[item in them for item in mine for k, them in enumerate(sent) if k != i] for i, mine in enumerate(sent)]
    expected = float(np.mean([hit for hits in others for hit in hits]))
    copies = 2 * sum(len(a & b) for a, b in combinations(sent, 2))
    used = bearing(exchanges=sum(map(len, sent)), accounts=len(sent), copies=copies)
    assert facts(bearing=used).item_sharing == pytest.approx(expected)


def test_item_sharing_is_nothing_for_a_corpus_shared_out_and_all_for_one_suite() -> None:
    assert facts(bearing=bearing(copies=0)).item_sharing == 0.0
    assert facts(bearing=bearing(exchanges=60, accounts=6, copies=60 * 5)).item_sharing == 1.0


@pytest.mark.parametrize("used", [bearing(accounts=1), bearing(exchanges=0), bearing(accounts=0)])
def test_item_sharing_is_unknown_with_fewer_than_two_accounts_or_no_traffic(used: object) -> None:
    assert facts(bearing=used).item_sharing is None


def test_accounts_of_one_verified_organisation_are_one_principal() -> None:
    firm = members(8, organization_id="o", verification_level="business")
    assert facts(members=[*firm, Member("z")]).principals == 2


def test_accounts_that_only_say_they_belong_together_are_principals_of_their_own() -> None:
    assert facts(members=members(8, organization_id="o", verification_level="email")).principals == 8


def test_the_template_share_is_unknown_without_prompts() -> None:
    assert facts().template_share == pytest.approx(5000 / 6000)
    assert facts(has_prompts=False).template_share is None
    assert facts(exchanges=0).template_share is None
