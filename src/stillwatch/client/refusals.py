"""What a customer is told when a gateway does not serve a request: what to do, and a reference for support.

Never why: a reason or the name of a campaign would tell an operator of one which of the accounts were noticed, and how.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from stillwatch.client.decision import Decision
from stillwatch.client.rates import Rates

CHECKS = {
    "email": "confirm its e-mail address",
    "phone": "confirm its telephone number",
    "payment": "confirm its means of payment",
    "identity": "prove the identity of its holder",
    "programme_documents": "send the documents of its access programme",
}


@dataclass(frozen=True, slots=True)
class Verifying:
    """What a gateway does about an account that has to be verified: refuse, or serve and tell; and where to do it."""

    refuses: bool = True
    url: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply in place of an answer."""

    status: int
    code: str
    message: str
    reference: str | None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The reply's JSON, in the form of the OpenAI API."""
        kind = "rate_limit_error" if self.status == 429 else "permission_error"
        return {
            "error": {
                "message": self.message,
                "type": kind,
                "code": self.code,
                "param": None,
                "reference": self.reference,
            }
        }


def refusal(account_id: str, decision: Decision, rates: Rates, verifying: Verifying) -> Refusal | None:
    """Why the request is not served, if so. A throttled request that is served is counted."""
    if decision.action == "suspend":
        return Refusal(
            403, "account_suspended", "This account is suspended." + _support(decision), decision.decision_id
        )
    if decision.action == "verify" and verifying.refuses:
        return _unverified(decision, verifying)
    if decision.limits is not None and decision.limits.requests_per_minute is not None:
        return _too_fast(account_id, decision, rates, decision.limits.requests_per_minute)
    return None


def _unverified(decision: Decision, verifying: Verifying) -> Refusal:
    wanted = CHECKS.get(decision.check or "", "verify its holder")
    where = f" Do so at {verifying.url}." if verifying.url else ""
    message = f"Before it is served again, this account has to {wanted}.{where}{_support(decision)}"
    headers = {"x-stillwatch-check": decision.check} if decision.check else {}
    return Refusal(403, "verification_required", message, decision.decision_id, headers)


def _too_fast(account_id: str, decision: Decision, rates: Rates, per_minute: float) -> Refusal | None:
    wait = rates.wait_s(account_id, per_minute)
    if wait <= 0:
        return None
    seconds = max(1, math.ceil(wait))
    message = f"Too many requests: this account may send {per_minute:g} a minute. Try again in {seconds} s."
    return Refusal(
        429, "rate_limit_exceeded", message + _support(decision), decision.decision_id, {"retry-after": str(seconds)}
    )


def _support(decision: Decision) -> str:
    return f" Support knows more by the reference {decision.decision_id}." if decision.decision_id else ""
