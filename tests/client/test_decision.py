"""A row becomes a decision, and the row again; what is no decision is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.peer import row

from stillwatch.client import NONE, Decision, Limits, decision_of
from stillwatch.client.decision import kept, made, row_of

texts = st.none() | st.text(max_size=20)
limits = st.fixed_dictionaries(
    {},
    optional={
        "requests_per_minute": st.floats(0.1, 1e6),
        "max_output_tokens": st.integers(1, 10**6),
        "strip_logprobs": st.booleans(),
        "reasoning": st.sampled_from([None, "withhold", "summarise"]),
    },
)


@given(
    st.sampled_from(["observe", "verify", "throttle", "shape", "suspend"]),
    st.none() | limits,
    texts,
    texts,
    st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_row_that_was_kept_is_the_same_row_again(
    action: str, limited: dict[str, Any] | None, check: str | None, because: str | None, expires_at: datetime | None
) -> None:
    told = row("a", action, limits=limited, check=check, because=because)
    told["expires_at"] = expires_at and expires_at.isoformat()
    held = kept(told)
    assert held is not None
    assert kept(json.loads(json.dumps(row_of("a", held)))) == held


@pytest.mark.parametrize(
    "more",
    [
        {"action": "banish"},
        {"action": None},
        {"shadow": "banish"},
        {"because": 7},
        {"expires_at": "soon"},
        {"expires_at": 12},
        {"limits": [60]},
        {"limits": {"requests_per_minute": 0}},
        {"limits": {"requests_per_minute": True}},
        {"limits": {"requests_per_minute": float("nan")}},
        {"limits": {"max_output_tokens": "9"}},
        {"limits": {"reasoning": "burn"}},
    ],
)
def test_what_is_no_decision_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"decision|isoformat"):
        kept({**row("a", "throttle"), **more})


def test_a_row_that_says_none_in_force_and_in_shadow_is_forgotten() -> None:
    assert kept(row("a", "none")) is None
    assert decision_of(row("a", "none"), 0.0) is NONE


def test_only_throttle_and_shape_limit() -> None:
    told = {"max_output_tokens": 5}
    assert decision_of(row("a", "verify", limits=told), 0.0).limits is None
    assert decision_of(row("a", "shape", limits=told), 0.0).limits == Limits(max_output_tokens=5)


def test_a_time_without_a_zone_is_utc() -> None:
    held = kept(row("a", "suspend", expires_at="2026-03-01T12:00:00"))
    assert held is not None
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert made(held, noon.timestamp() - 1).expires_at == noon
    assert made(held, noon.timestamp()) is NONE


def test_a_decision_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        NONE.action = "suspend"  # type: ignore[misc]
    assert Decision() == NONE
