"""Cards and devices of a few that hang together far beyond chance count; what owners and strangers share does not."""

import numpy as np
import pytest
from tests.linkage.planted import Row, account, indexed, member_sets, no_starts, shuffled_kinds, trait_table

from stillwatch.linkage import Known, clusters, findings, weights
from stillwatch.linkage.chains import with_chains
from stillwatch.linkage.holdings import Holdings

ACCOUNTS = 1500
Shared = dict[tuple[int, str], str]  # what an account holds of a kind in place of its own


def world(shared: Shared) -> list[Row]:
    """Everybody has a card and a device of his own, but for what is shared."""
    kinds, numbers = ("payment", "device"), range(ACCOUNTS)
    own = [(account(i), kind, shared.get((i, kind), f"own-{kind}-{i}")) for i in numbers for kind in kinds]
    return own + [(account(i), kind, value) for (i, kind), value in shared.items() if kind not in kinds]


def handfuls(members: range, kind: str, size: int, share: float, rng: np.random.Generator) -> Shared:
    """A share of the accounts, in handfuls at random; each has a value of the kind in common."""
    some = rng.permutation(members)[: int(share * len(members))]
    return {(int(i), kind): f"{kind}-{members[0]}-{place // size}" for place, i in enumerate(some)}


def campaign(members: range, seed: int = 0) -> Shared:
    """Half of the accounts share cards, four in ten devices, each in handfuls of their own."""
    rng = np.random.default_rng(seed)
    return handfuls(members, "payment", 6, 0.5, rng) | handfuls(members, "device", 6, 0.4, rng)


def households(members: range) -> Shared:
    """Threes with a card and a device."""
    return {(i, kind): f"{kind}-home-{i // 3}" for i in members for kind in ("payment", "device")}


def teams(members: range, kind: str = "payment") -> Shared:
    """Fives with one value in common."""
    return {(i, kind): f"{kind}-team-{i // 5}" for i in members}


def freelancers(members: range) -> Shared:
    """Devices that sign in for accounts of three teams, two accounts of every team with another device each."""
    rng = np.random.default_rng(3)
    some = [int(first + place) for first in members[::5] for place in rng.permutation(5)[:2]]
    return {(i, "device"): f"freelancer-{place // 3}" for place, i in enumerate(rng.permutation(some).tolist())}


def counting(of: Holdings, named: dict[int, int] | None = None) -> set[str]:
    """Values that count only for the chain they are in."""
    names = np.array([(named or {}).get(i, -1) for i in range(ACCOUNTS)])
    before = weights(of)
    after = with_chains(of, before, np.ones(ACCOUNTS, dtype=bool), names, seed=0)
    return {of.values[value] for value in np.flatnonzero(after.valid & ~before.valid)}


def reported(rows: list[Row]) -> list[set[str]]:
    """The accounts of each cluster that linkage leaves."""
    ids = [account(i) for i in range(ACCOUNTS)]
    known = Known(ids, (), no_starts(indexed(rows, ACCOUNTS)), fdr=0.01, seed=0)
    table = findings(trait_table(rows), (), known).members
    names = zip(table["cluster_id"].to_pylist(), table["account_id"].to_pylist(), strict=True)
    found: dict[int, set[str]] = {}
    for cluster, name in names:
        found.setdefault(cluster, set()).add(name)
    return list(found.values())


def test_handfuls_that_lead_from_card_to_device_to_card_make_a_cluster_though_no_two_values_meet_often() -> None:
    members = range(120)
    of = indexed(world(households(range(300, 450)) | campaign(members)), ACCOUNTS)
    before = weights(of)
    assert sum(of.values[value].startswith(("payment-0", "device-0")) for value in np.flatnonzero(before.valid)) <= 2
    found = member_sets(of, clusters(of, before, no_starts(of), seed=0))
    hostile = {account(i) for i in members}
    assert len(found) == 1
    assert found[0] <= hostile
    assert len(found[0]) >= 60


def test_a_small_campaign_is_found_beside_a_large_one() -> None:
    of = indexed(world(campaign(range(200)) | campaign(range(200, 250), seed=1)), ACCOUNTS)
    assert any(value.startswith(("payment-200", "device-200")) for value in counting(of))


@pytest.mark.parametrize("seed", range(8))
def test_holders_dealt_anew_make_no_chain(seed: int) -> None:
    rows = world(campaign(range(120)) | households(range(300, 450)) | teams(range(500, 800)))
    assert not counting(indexed(shuffled_kinds(rows, np.random.default_rng(seed)), ACCOUNTS))


def test_owners_with_one_card_and_one_device_are_no_chain_however_many() -> None:
    company = teams(range(500, 800)) | teams(range(500, 800), "device")
    assert not counting(indexed(world(households(range(300, 450)) | company), ACCOUNTS))


def test_a_device_that_hundreds_have_in_common_makes_no_chain_of_their_cards() -> None:
    default = {(i, "device"): "default" for i in range(500, 800, 2)}
    assert not counting(indexed(world(teams(range(500, 800)) | default), ACCOUNTS))


def test_freelancers_who_work_for_teams_that_show_themselves_make_no_chain() -> None:
    members = range(500, 800)
    work = teams(members) | freelancers(members)
    offices = teams(members, "ip")
    homes = {(i, "ip"): f"home-{device}" for (i, _), device in freelancers(members).items()}
    assert not counting(indexed(world(work | offices), ACCOUNTS))
    assert not counting(indexed(world(work | homes), ACCOUNTS))
    assert not counting(indexed(world(work), ACCOUNTS), named={i: i // 5 for i in members})


def test_freelancers_of_teams_that_show_nothing_are_a_chain_and_yet_no_cluster() -> None:
    members = range(500, 800)
    rows = world(teams(members) | freelancers(members))
    assert counting(indexed(rows, ACCOUNTS))
    assert not reported(rows)


def test_a_chain_is_reported_where_its_accounts_share_addresses_beyond_chance_as_well() -> None:
    members = range(120)
    exits = {(i, "ip"): f"exit-{i % 7}" for i in members[::2]}
    assert not reported(world(campaign(members)))
    found = reported(world(campaign(members) | exits))
    assert len(found) == 1
    assert len(found[0]) >= 60
    assert found[0] <= {account(i) for i in members}


def test_accounts_that_are_not_free_take_no_part() -> None:
    of = indexed(world(campaign(range(120))), ACCOUNTS)
    before, nobody = weights(of), np.full(ACCOUNTS, -1)
    after = with_chains(of, before, np.arange(ACCOUNTS) >= 120, nobody, seed=0)
    assert np.array_equal(after.valid, before.valid)
