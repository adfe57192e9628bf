"""The id of a system prompt."""

from collections.abc import Callable
from typing import Any

SignalOf = Callable[..., dict[str, Any]]


PROMPT = "You are the booking assistant of a hotel. Today is 2026-01-05. Answer politely."


def test_it_fires_on_the_same_system_prompt_with_another_date(signal_of: SignalOf) -> None:
    first = signal_of("hello", system_prompt=PROMPT)
    second = signal_of("bye", system_prompt=PROMPT.replace("2026-01-05", "2026-02-17").upper())
    assert first["system_prompt_id"] == second["system_prompt_id"] is not None


def test_a_look_alike_of_another_hotel_has_another_id(signal_of: SignalOf) -> None:
    first = signal_of(system_prompt=PROMPT)
    second = signal_of(system_prompt=PROMPT.replace("hotel", "hostel"))
    assert first["system_prompt_id"] != second["system_prompt_id"]


def test_the_prompt_does_not_matter_and_no_system_prompt_is_null(signal_of: SignalOf) -> None:
    assert signal_of("hello")["system_prompt_id"] is None
    assert signal_of(system_prompt="...")["system_prompt_id"] is None
