"""Bundles: values of one group that the same accounts hold become one value more."""

import numpy as np
from tests.linkage.planted import account, background, indexed

from stillwatch.linkage import bundled

ACCOUNTS = 600
MEMBERS = [account(i) for i in range(200, 230)]


def dealt(seed: int) -> list[tuple[str, str, str]]:
    """Each member holds five of twelve templates."""
    rng = np.random.default_rng(seed)
    return [(m, "template", f"deal-{t:02d}") for m in MEMBERS for t in rng.choice(12, 5, replace=False)]


def test_templates_dealt_out_over_the_same_accounts_become_a_bundle_that_all_of_them_hold() -> None:
    of = bundled(indexed(background(np.random.default_rng(0), ACCOUNTS) + dealt(1), ACCOUNTS), seed=0)
    assert of.kinds.count("template_bundle") == 1
    bundle = of.kinds.index("template_bundle")
    assert of.values[bundle] == "deal-00"
    assert {of.account_ids[i] for i in of.accounts[of.held == bundle]} == set(MEMBERS)


def test_addresses_used_by_the_same_accounts_become_a_pool() -> None:
    rows = [(name, "ip", value) for name, _, value in dealt(2)]
    of = bundled(indexed(background(np.random.default_rng(0), ACCOUNTS) + rows, ACCOUNTS), seed=0)
    assert of.kinds.count("address_pool") == 1
    assert of.kinds.count("template_bundle") == 0


def test_chance_makes_no_bundle() -> None:
    of = indexed(background(np.random.default_rng(4), ACCOUNTS), ACCOUNTS)
    assert bundled(of, seed=0) is of


def test_two_values_that_always_meet_are_too_few_for_a_bundle() -> None:
    rows = [(m, "template", f"pair-{t}") for m in MEMBERS for t in range(2)]
    of = indexed(background(np.random.default_rng(4), ACCOUNTS) + rows, ACCOUNTS)
    assert bundled(of, seed=0) is of
