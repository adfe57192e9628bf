from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest

from stillwatch.campaigns.attempts import AttemptDay, Attempts, TechniqueUse
from stillwatch.campaigns.extraction import SWEEP_FORMS, Extraction, Reaches, Winner, extraction, reaches, sweep

STARTS_ON = date(2026, 7, 1)
KINDS = (("debug_pretext",), ("system_prompt_pretext", "reasoning_disclosure"), ("translation_laundering",))
WON = ("replay_decoding",)


def unit(
    exchanges: int, reaching: int, refused: int = 0, techniques: Sequence[str] = ("forced_trace_tags",)
) -> Attempts:
    uses = {name: TechniqueUse(reaching, refused, 1) for name in techniques} if reaching else {}
    return Attempts(exchanges, reaching, refused, 1, uses)


def ordinary(count: int = 400, seed: int = 0) -> list[Attempts]:
    """Customers: most never reach for reasoning; a few do in nearly every exchange, in tags, and are not refused."""
    rng = np.random.default_rng(seed)
    units = []
    for _ in range(count):
        exchanges = int(rng.integers(10, 120))
        share = rng.choice([0.0, 0.02, 0.9], p=(0.8, 0.18, 0.02))
        units.append(unit(exchanges, int(rng.binomial(exchanges, share))))
    return units


def learned(units: Sequence[Attempts]) -> Reaches:
    rows = [(one.exchanges, one.reaching, len(one.techniques), one.refused) for one in units]
    return reaches(*np.array(rows, np.float64).T)


def tried(day: int, forms: int, refused: int, techniques: tuple[str, ...] = KINDS[0]) -> AttemptDay:
    return AttemptDay(STARTS_ON + timedelta(days=day), techniques, True, forms, forms, refused)


def repeated(day: int, exchanges: int, refused: int = 0, techniques: tuple[str, ...] = WON) -> AttemptDay:
    return AttemptDay(STARTS_ON + timedelta(days=day), techniques, False, 1, exchanges, refused)


def swept(refused: int = 8) -> list[AttemptDay]:
    """Three days on which three kinds of form are tried, ten of each."""
    return [tried(day, 10, refused, kind) for day in (4, 5, 6) for kind in KINDS]


def test_a_cluster_that_reaches_for_reasoning_by_many_techniques_is_proven() -> None:
    found = extraction(unit(6000, 4000, 300, KINDS[0] + KINDS[1] + WON), 40, learned(ordinary()))
    assert found.result == "proven"
    assert found.p_value is not None
    assert found.p_value <= 0.005
    assert found.share == pytest.approx(2 / 3, abs=1e-6)
    assert list(found.techniques) == sorted(found.techniques)


def test_a_customer_who_wants_tags_in_every_exchange_is_as_far_out_as_other_customers_who_do() -> None:
    found = extraction(unit(90, 80), 1, learned(ordinary()))
    assert found.result == "not_proven"
    assert "as far out" in found.because


@pytest.mark.parametrize("reaching", [0, 29])
def test_few_exchanges_are_not_tested(reaching: int) -> None:
    found = extraction(unit(5000, reaching), 12, learned(ordinary()))
    assert (found.result, found.p_value) == ("not_tested", None)


def test_without_ordinary_units_nothing_is_tested_but_techniques_are_told() -> None:
    found = extraction(unit(5000, 400), 12, learned(ordinary(199)))
    assert found.result == "not_tested"
    assert found.techniques == {"forced_trace_tags": TechniqueUse(400, 0, 1)}


def test_the_share_of_false_proofs_is_the_promised_one_among_ordinary_customers() -> None:
    proven = 0
    for seed in range(20):
        everybody = ordinary(401, seed)
        found: Extraction = extraction(everybody[0], 1, learned(everybody[1:]))
        proven += found.result == "proven"
    assert proven <= 1  # 20 draws at one in 200 or less


def test_many_forms_mostly_refused_are_a_sweep_and_what_was_repeated_after_it_is_the_winner() -> None:
    found = sweep([*swept(), *(repeated(day, 200) for day in (6, 7, 8))])
    assert found is not None
    assert (found.forms, found.refused_share) == (90, 0.8)
    assert (found.first_on, found.last_on) == (date(2026, 7, 5), date(2026, 7, 7))
    assert found.winner == Winner(WON, 600, date(2026, 7, 7))


def test_what_was_repeated_before_the_sweep_or_is_refused_as_often_has_not_won() -> None:
    before = [repeated(day, 200) for day in range(12)]
    refused = [repeated(day, 200, 190, KINDS[0]) for day in (7, 8)]
    found = sweep([*swept(), *before, *refused])
    assert found is not None
    assert found.winner is None


@pytest.mark.parametrize(
    "days",
    [
        [],
        swept(refused=0),
        [tried(4, SWEEP_FORMS - 3, 6), tried(4, 1, 1, KINDS[1]), tried(4, 1, 1, KINDS[2])],
        [tried(4, 90, 80)],
        [repeated(4, 90, 80, kind) for kind in KINDS],
    ],
    ids=["nothing", "nothing refused", "few forms", "one technique", "nothing tried"],
)
def test_what_lacks_a_sign_of_a_sweep_is_none(days: list[AttemptDay]) -> None:
    assert sweep(days) is None
