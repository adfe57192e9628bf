"""What a customer reads: what to do and a reference, never a campaign or a reason."""

import json

import pytest
from tests.client.peer import row

from stillwatch.client import Rates, Verifying, decision_of, refusal
from stillwatch.client.refusals import CHECKS
from stillwatch.records import CHECKS as KNOWN_CHECKS

REFUSING = Verifying(True, "https://console.example/verify")


@pytest.mark.parametrize("action", ["suspend", "verify", "throttle"])
def test_a_refusal_names_the_reference_and_never_the_campaign_or_the_reason(action: str) -> None:
    decision = decision_of(row("a", action), 0.0)
    rates = Rates()
    while (refused := refusal("a", decision, rates, REFUSING)) is None:
        pass
    told = json.dumps([refused.body(), refused.headers])
    assert decision.decision_id is not None
    assert decision.decision_id in told
    assert refused.reference == decision.decision_id
    for secret in (decision.campaign_id, decision.because, "campaign", "distil"):
        assert secret is not None
        assert secret not in told


def test_each_action_has_its_status() -> None:
    rates = Rates()
    told = {
        action: refusal("a", decision_of(row("a", action), 0.0), rates, REFUSING) for action in ("suspend", "verify")
    }
    assert {action: refused and (refused.status, refused.code) for action, refused in told.items()} == {
        "suspend": (403, "account_suspended"),
        "verify": (403, "verification_required"),
    }


def test_every_check_is_put_in_words() -> None:
    assert set(CHECKS) == set(KNOWN_CHECKS)


def test_verify_says_which_check_and_where_and_can_be_left_to_a_header() -> None:
    decision = decision_of(row("a", "verify", check="payment"), 0.0)
    refused = refusal("a", decision, Rates(), REFUSING)
    assert refused is not None
    assert "confirm its means of payment" in refused.message
    assert REFUSING.url in refused.message
    assert refused.headers == {"x-stillwatch-check": "payment"}
    assert refusal("a", decision, Rates(), Verifying(False)) is None


@pytest.mark.parametrize("action", ["none", "observe", "shape"])
def test_nobody_else_is_refused(action: str) -> None:
    assert refusal("a", decision_of(row("a", action, shadow="suspend"), 0.0), Rates(), REFUSING) is None


def test_a_throttled_account_is_told_when_to_come_back() -> None:
    decision = decision_of(row("a", "throttle", limits={"requests_per_minute": 2}), 0.0)
    rates = Rates()
    assert refusal("a", decision, rates, REFUSING) is None
    refused = refusal("a", decision, rates, REFUSING)
    assert refused is not None
    assert (refused.status, refused.headers) == (429, {"retry-after": "30"})
