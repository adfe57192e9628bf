"""Volume: what many accounts take together, against as many ordinary customers."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from stillwatch.campaigns.volume import MIN_UNITS, P_VALUE, Everybody, Volume, by_programme, customers
from stillwatch.records import ACCOUNTS, arrow_schema

RNG = np.random.default_rng(0)
ORDINARY = np.exp(RNG.normal(8, 1.5, 3000)).astype(int).tolist()
EVERYBODY = Everybody(customers(ORDINARY), {})


def drawn(rng: np.random.Generator, accounts: int, times: float = 1.0) -> list[int]:
    return [int(one * times) for one in rng.choice(ORDINARY, accounts)]


def accounts_table(**columns: dict[str, str | None]) -> pa.Table:
    """The accounts table, from a value per account for each column."""
    names = sorted({name for values in columns.values() for name in values})
    rows = [{"account_id": name, **{column: of.get(name) for column, of in columns.items()}} for name in names]
    return pa.Table.from_pylist(rows, arrow_schema(ACCOUNTS))


def learned(tokens: dict[str, int], without: Sequence[str] = (), **columns: dict[str, str | None]) -> Everybody:
    return by_programme(tokens, accounts_table(**columns), without=pa.chunked_array([pa.array(without, pa.string())]))


def asked(tokens: list[int], groups: int = 1, programmes: tuple[str | None, ...] = (None,)) -> Volume:
    return EVERYBODY.volume(tokens, len(tokens), programmes, groups)


@pytest.mark.parametrize("accounts", [5, 20, 100])
def test_the_bound_is_never_below_what_drawing_pools_finds(accounts: int) -> None:
    known, rng = customers(ORDINARY), np.random.default_rng(accounts)
    pools = np.minimum(rng.choice(ORDINARY, (20_000, accounts)) / known.cap, 1.0).sum(axis=1)
    for quantile in (0.5, 0.9, 0.99, 0.999):
        total = float(np.quantile(pools, quantile))
        assert 2.0 ** -known.rarity_bits(total, accounts) >= float((pools > total).mean())


def test_the_bound_falls_as_more_is_taken() -> None:
    known = customers(ORDINARY)
    bits = [known.rarity_bits(known.mean * 20 * times, 20) for times in (0.5, 1.0, 1.5, 2.0, 4.0, 6.0)]
    assert bits[:2] == [0.0, 0.0]
    assert bits == sorted(bits)
    assert bits[-1] > 20


def test_ordinary_accounts_together_hardly_ever_take_far_more() -> None:
    rng = np.random.default_rng(7)
    results = [asked(drawn(rng, int(rng.integers(5, 60)))).result for _ in range(400)]
    assert results.count("proven") <= 400 * P_VALUE


def test_many_accounts_that_each_take_a_little_more_are_proven_together_and_one_alone_is_not() -> None:
    rng = np.random.default_rng(3)
    found = asked(drawn(rng, 200, times=4.0))
    assert found.result == "proven"
    assert found.times is not None
    assert 2 < found.times < 5
    assert "times what 200 of 3000 ordinary customers take" in found.because
    assert asked([10**9]).result == "not_proven"


def test_twice_as_much_is_needed_however_many_the_accounts() -> None:
    found = asked(drawn(np.random.default_rng(4), 20_000, times=1.5))
    assert found.result == "not_proven"
    assert found.bits is not None
    assert found.bits > 50


def test_many_groups_asked_make_each_less_sure() -> None:
    tokens = drawn(np.random.default_rng(5), 40, times=5.0)
    one, many = asked(tokens), asked(tokens, groups=1024)
    assert one.bits is not None
    assert many.bits == pytest.approx(one.bits - 10)


def test_who_is_ordinary_in_its_own_programme_is_not_far_out() -> None:
    tokens = {f"free{i}": 10 if i % 20 else 5000 for i in range(2000)} | {f"paid{i}": 5000 for i in range(MIN_UNITS)}
    programme: dict[str, str | None] = {name: name[:4] for name in tokens}
    known = learned(tokens, access_program=programme)
    assert known.volume([5000] * 30, 30, ["paid"] * 30, 1).result == "not_proven"
    assert known.volume([5000] * 30, 30, ["free"] * 30, 1).result == "proven"


def test_an_organisation_is_one_customer() -> None:
    tokens = {f"a{i}": 10 for i in range(50)}
    assert learned(tokens, organization_id=dict.fromkeys(tokens, "o")).all.count == 1
    assert learned(tokens, organization_id={"a3": "o", "a4": "o", "a5": "a6"}).all.count == 49


def test_the_programme_of_a_customer_is_that_of_most_of_its_accounts_and_of_equals_the_first_accounts() -> None:
    tokens = {f"{i}{part}": 10 for i in range(MIN_UNITS) for part in "cab"}
    owners: dict[str, str | None] = {name: name[:-1] for name in tokens}
    programme: dict[str, str | None] = {name: {"a": "paid", "b": "free", "c": None}[name[-1]] for name in tokens}
    assert list(learned(tokens, organization_id=owners, access_program=programme).own) == ["paid"]
    programme |= {name: "free" for name in tokens if name.endswith("c")}
    assert list(learned(tokens, organization_id=owners, access_program=programme).own) == ["free"]


def test_those_left_out_are_no_customers() -> None:
    assert learned({"a": 1, "b": 2, "c": 3}, without=["b"]).all.count == 2


def test_too_few_customers_or_no_tokens_leave_it_untested() -> None:
    few = learned({"a": 5}).volume([5], 1, [None], 1)
    assert (few.result, few.p_value) == ("not_tested", None)
    assert "at least 200" in few.because
    none = Everybody(customers([0] * 500), {}).volume([0] * 9, 9, [None], 1)
    assert (none.result, none.because) == ("not_tested", "the logs hold no output tokens")
