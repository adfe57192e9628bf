import pytest

from stillwatch.sharing.traits import shareable_value

JA4 = "t13d1516h2_8daaf6152771_b186095e22b6"


@pytest.mark.parametrize(
    ("kind", "value", "leaves"),
    [
        ("ip", "a" * 64, "a" * 64),
        ("ip", "203.0.113.7", None),
        ("payment", "4111111111111111", None),  # a card
        ("template", "t-9f00aa11bb22cc33", "9f00aa11bb22cc33"),
        ("payment", "t-9f00aa11bb22cc33", None),
        ("template", "-1", None),
        ("template", "15550100777", None),
        ("template", "-6917529027641081856", "a000000000000000"),
        ("template", "9223372036854775807", "7fffffffffffffff"),
        ("template", "1157442765409226768", None),  # 0x1010101010101010: digits alone
        ("template", "9223372036854775808", None),
        ("system_prompt", "You are a helpful assistant", None),
        ("client", f"openai-python/2.8\x1f{JA4}", JA4),
        ("client", "openai-python/2.8\x1f", None),
        ("client", "a" * 64, None),
        ("email_pattern", "a6d4", None),
        ("email_domain", "example.org", None),
    ],
)
def test_only_values_in_the_shape_of_a_hash_leave(kind: str, value: str, leaves: str | None) -> None:
    assert shareable_value(kind, value, ()) == leaves
