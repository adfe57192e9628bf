from hypothesis import given
from hypothesis import strategies as st

from stillwatch.decisions.durability import STANDING_BITS, at_least, durability
from stillwatch.records import DURABILITIES

traits = st.lists(
    st.fixed_dictionaries(
        {
            "family": st.sampled_from(["content", "network", "payment"]),
            "weight_bits": st.floats(-2, 12),
            "durability": st.sampled_from(DURABILITIES),
        }
    )
)


def by_definition(evidence: list[dict[str, object]]) -> str:
    """The definition, written again the slow way: the highest level whose evidence alone still stands."""
    standing = DURABILITIES[0]
    for level in DURABILITIES[1:]:
        kept = [trait for trait in evidence if DURABILITIES.index(trait["durability"]) >= DURABILITIES.index(level)]
        families = {trait["family"] for trait in kept}
        best = [max(0.0, *(t["weight_bits"] for t in kept if t["family"] == family)) for family in sorted(families)]
        if sum(best) >= STANDING_BITS:
            standing = level
    return standing


@given(traits)
def test_it_is_the_highest_level_at_which_the_evidence_still_stands(evidence: list[dict[str, object]]) -> None:
    assert durability(evidence) == by_definition(evidence)


def test_no_evidence_has_the_lowest_durability() -> None:
    assert durability([]) == "low"


def test_two_traits_of_one_family_count_once() -> None:
    half = {"family": "content", "weight_bits": 2.0, "durability": "high"}
    assert durability([half, half]) == "low"
    assert durability([half, {**half, "family": "payment"}]) == "high"


def test_levels_are_ordered() -> None:
    assert at_least("high", "medium")
    assert at_least("medium", "medium")
    assert not at_least("low-medium", "medium")
