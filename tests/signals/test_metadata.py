"""Keys of the client's metadata."""

from collections.abc import Callable
from typing import Any

import pytest

SignalOf = Callable[..., dict[str, Any]]


def test_it_fires_alike_on_the_same_keys_in_any_order(signal_of: SignalOf) -> None:
    first = signal_of(metadata='{"job": 1, "shard": "a"}')
    second = signal_of(metadata='{"shard": null, "job": {"deep": true}}')
    assert first["metadata_keys_id"] == second["metadata_keys_id"] is not None


def test_a_look_alike_with_one_key_more_has_another_id(signal_of: SignalOf) -> None:
    first, second = signal_of(metadata='{"job": 1}'), signal_of(metadata='{"job": 1, "x": 1}')
    assert first["metadata_keys_id"] != second["metadata_keys_id"]


def test_keys_cannot_be_glued_into_others(signal_of: SignalOf) -> None:
    first, second = signal_of(metadata='{"a": 1, "b": 1}'), signal_of(metadata='{"a, b": 1}')
    assert first["metadata_keys_id"] != second["metadata_keys_id"]


@pytest.mark.parametrize(
    "broken", ["{", "[1]", "null", "7", "{}", "{'a': 1}", '{"a": NaN}', '{"a": 1} tail', "[" * 5000]
)
def test_what_is_no_object_with_keys_is_null(broken: str, signal_of: SignalOf) -> None:
    assert signal_of(metadata=broken)["metadata_keys_id"] is None
