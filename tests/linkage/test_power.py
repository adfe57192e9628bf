"""Power: the smallest campaign that the traffic would let us see."""

import numpy as np
from tests.linkage.planted import account, background, campaign, found_in, indexed, member_sets

from stillwatch.linkage import weights
from stillwatch.linkage.power import SMALLEST, minimum_detectable


def test_no_campaign_is_visible_among_a_handful_of_accounts() -> None:
    of = indexed(background(np.random.default_rng(0), 8), 8)
    assert minimum_detectable(of, fdr=0.01) is None


def test_a_campaign_of_the_stated_size_is_found() -> None:
    rows = background(np.random.default_rng(0), 600)
    least = minimum_detectable(indexed(rows, 600), fdr=0.01)
    assert least is not None
    assert SMALLEST <= least.accounts < 20
    assert least.assumes.startswith("four templates")
    members = [account(i) for i in range(least.accounts)]
    planted = [(m, kind, f"own-{t}") for m in members for kind in ("template", "ip") for t in range(4)]
    of, _, found = found_in(rows + planted, 600)
    assert member_sets(of, found) == [set(members)]


def test_what_a_campaign_of_the_stated_size_shares_passes_validation() -> None:
    for accounts in (300, 900):
        rows = background(np.random.default_rng(accounts), accounts)
        least = minimum_detectable(indexed(rows, accounts), fdr=0.01)
        assert least is not None
        members = [account(i) for i in range(least.accounts)]
        planted = [(m, kind, f"own-{t}") for m in members for kind in ("template", "ip") for t in range(4)]
        of = indexed(rows + planted, accounts)
        own = np.array([value.startswith("own-") for value in of.values])
        assert weights(of, fdr=0.01).valid[own].all()


def test_a_stricter_rate_never_makes_a_smaller_campaign_visible() -> None:
    of = indexed(background(np.random.default_rng(0), 200) + campaign([account(0), account(1)]), 200)
    found = [minimum_detectable(of, fdr=rate) for rate in (0.1, 1e-3, 1e-6, 1e-12)]
    sizes = [10_000 if one is None else one.accounts for one in found]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_without_wordings_it_speaks_of_cards_and_devices_and_holds() -> None:
    rng = np.random.default_rng(1)
    couples = [(account(i), kind, f"{kind}-{i // 2}") for i in range(400, 460) for kind in ("payment", "device")]
    rows = [(name, kind, value) for name, kind, value in background(rng, 600) if kind not in ("template", "payment")]
    rows += couples + [(account(i), kind, f"own-{kind}-{i}") for i in range(400) for kind in ("payment", "device")]
    least = minimum_detectable(indexed(rows, 600), fdr=0.01)
    assert least is not None
    assert least.assumes.startswith("one card and one device")
    members = [account(i) for i in range(500, 500 + least.accounts)]
    planted = [(member, kind, "theirs") for member in members for kind in ("payment", "device")]
    of, _, found = found_in(rows + planted, 600)
    assert member_sets(of, found) == [set(members)]


def test_where_neither_wordings_nor_cards_are_logged_nothing_is_promised() -> None:
    rows = [(account(i), "ip", f"address-{i % 50}") for i in range(600)]
    assert minimum_detectable(indexed(rows, 600), fdr=0.01) is None
