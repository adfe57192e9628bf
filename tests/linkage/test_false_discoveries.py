"""False-discovery control: where nothing is associated with anything, hardly a value passes, at any rate."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from tests.linkage.planted import Row, account, background, campaign, indexed, shuffled_kinds

from stillwatch.linkage import Holdings, weights

ACCOUNTS = 300
SEEDS = 20
KINDS = (("template", 400, 3.0), ("ip", 600, 4.0), ("payment", 300, 0.8), ("device", 350, 0.9))  # values, held each

World = Callable[[np.random.Generator], list[Row]]


def zealous(most: float) -> World:
    """Kinds drawn apart from one another, popular values and rare; zealous accounts hold more of everything."""

    def world(rng: np.random.Generator) -> list[Row]:
        zeal = np.minimum(rng.pareto(1.5, ACCOUNTS) + 1, most)
        rows: list[Row] = []
        for kind, values, each in KINDS:
            popularity = 1.0 / np.arange(1, values + 1) ** 0.8
            for number in range(ACCOUNTS):
                held = min(rng.poisson(each * zeal[number]), values // 4)
                chosen = rng.choice(values, held, replace=False, p=popularity / popularity.sum())
                rows += [(account(number), kind, f"{kind}-{value}") for value in chosen]
        return rows

    return world


def dealt_anew(rng: np.random.Generator) -> list[Row]:
    """A deployment with a campaign, its holders dealt anew within each kind: degrees stay, associations go."""
    rows = background(rng, ACCOUNTS) + campaign([account(number) for number in range(40, 70)])
    return shuffled_kinds(rows, rng)


def passed(of: Holdings, rate: float) -> tuple[int, int]:
    """Values that pass, and kinds with at least one of them."""
    valid = weights(of, fdr=rate).valid
    return int(valid.sum()), len({kind for kind, is_valid in zip(of.kinds, valid.tolist(), strict=True) if is_valid})


@pytest.mark.parametrize("rate", [0.01, 0.1])
@pytest.mark.parametrize("world", [zealous(3), zealous(10), dealt_anew], ids=["zeal-3", "zeal-10", "dealt-anew"])
def test_on_null_data_the_share_of_valid_values_is_at_most_the_rate(world: World, rate: float) -> None:
    valid = tried = 0
    for seed in range(SEEDS // 2):
        of = indexed(world(np.random.default_rng(seed)), ACCOUNTS)
        valid += passed(of, rate)[0]
        tried += len(of.values)
    assert valid <= rate * tried


@pytest.mark.parametrize(
    "world",
    [zealous(3), zealous(10), zealous(30), dealt_anew],
    ids=["zeal-3", "zeal-10", "zeal-30", "dealt-anew"],
)
def test_on_null_data_hardly_a_kind_has_a_discovery_at_all(world: World) -> None:
    """Where everything is null every discovery is false, so at most the rate of the kinds may have one.

    The bound allows what chance allows of the count, at one in a thousand: the oracle is the binomial distribution.
    """
    rate, discovered, kinds = 0.05, 0, 0
    for seed in range(SEEDS):
        of = indexed(world(np.random.default_rng(100 + seed)), ACCOUNTS)
        discovered += passed(of, rate)[1]
        kinds += len(set(of.kinds))
    assert discovered <= stats.binom.ppf(0.999, kinds, rate)
