import hashlib
from typing import Any

import pytest
from tests.sharing.planted import GROUP

from stillwatch.sharing.keyed import GroupKey, keyed_name
from stillwatch.sharing.traits import fingerprint, shareable_value, shared_traits, unkeyed_values

JA4 = "t13d1516h2_8daaf6152771_b186095e22b6"
TEMPLATE = "t-9f00aa11bb22cc33"


@pytest.mark.parametrize(
    ("kind", "value", "leaves"),
    [
        ("ip", "a" * 64, "a" * 64),
        ("ip", "203.0.113.7", None),
        ("payment", "4111111111111111", None),  # a card
        ("payment", "t-9f00aa11bb22cc33", None),
        ("client", f"openai-python/2.8\x1f{JA4}", JA4),
        ("client", "openai-python/2.8\x1f", None),
        ("client", "a" * 64, None),
        ("email_pattern", "a6d4", None),
        ("email_domain", "example.org", None),
        ("payment", f"{'a' * 64}\n", None),
    ],
)
def test_only_values_in_the_shape_of_a_hash_leave(kind: str, value: str, leaves: str | None) -> None:
    assert shareable_value(kind, value, ()) == leaves
    assert shareable_value(kind, value, (), GROUP) == leaves
    assert shareable_value(kind, value, (value,)) is None


@pytest.mark.parametrize("kind", ["template", "rewording", "system_prompt", "metadata", "wording", "item"])
@pytest.mark.parametrize("value", [TEMPLATE, "-6917529027641081856", "9223372036854775807", "17", "0"])
def test_content_leaves_under_a_groups_key_or_not_at_all(kind: str, value: str) -> None:
    assert shareable_value(kind, value, ()) is None
    left = shareable_value(kind, value, (), GROUP)
    assert left is not None
    assert len(left) == 16
    number = fingerprint(value)
    assert number is not None
    assert left not in (value, keyed_name(number & (2**64 - 1)))
    other = GroupKey(GROUP.group_id, GROUP.epoch + 1, hashlib.sha256(b"the next epoch").digest())
    assert shareable_value(kind, value, (), other) != left


@pytest.mark.parametrize(
    "value", ["You are a helpful assistant", "9223372036854775808", "t-9f00", "1e5", "", "٣", "1\n"]
)
def test_words_are_no_fingerprint_and_stay_whatever_the_key(value: str) -> None:
    assert fingerprint(value) is None
    assert shareable_value("template", value, (), GROUP) is None


def test_a_template_is_the_same_number_however_it_is_written() -> None:
    assert fingerprint("t-ffffffffffffffff") == fingerprint("-1") == -1
    assert fingerprint("t-7fffffffffffffff") == 2**63 - 1


def test_every_unkeyed_value_of_a_campaign_is_known_as_written_and_in_hexadecimal() -> None:
    campaign = {
        "evidence": [{"kind": "system_prompt", "value": "-1"}, {"kind": "payment", "value": "a" * 32}],
        "templates": [{"template_id": TEMPLATE}],
        "sketch": {"wordings": [{"value": "255", "account_count": 3}], "items": []},
    }
    assert unkeyed_values(campaign) == {
        *("-1", "ffffffffffffffff"),
        *(TEMPLATE, "9f00aa11bb22cc33"),
        *("255", "00000000000000ff"),
    }


def test_a_rewording_that_is_listed_among_the_templates_leaves_once(campaigns: list[dict[str, Any]]) -> None:
    campaign = campaigns[0]
    campaign["evidence"] = [{**campaign["evidence"][1], "kind": "rewording"}]
    found = shared_traits(campaign, group=GROUP)
    assert [trait.kind for trait in found] == ["rewording", "template"]
    assert [trait.account_count for trait in found] == [61, 44]  # the third template is of three accounts


def test_a_template_leaves_only_when_k_accounts_hold_it(campaigns: list[dict[str, Any]]) -> None:
    campaign = {**campaigns[0], "evidence": []}
    campaign["templates"] = [{**campaign["templates"][0], "accounts": accounts} for accounts in (3, 4)]
    assert shared_traits(campaign, group=GROUP) == []
    campaign["templates"] = [{**campaign["templates"][0], "accounts": 5}]
    assert [trait.account_count for trait in shared_traits(campaign, group=GROUP)] == [5]
    assert shared_traits(campaign, group=GROUP, least=6) == []
    assert shared_traits(campaign) == []
