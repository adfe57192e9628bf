"""One decision as a gateway sees it, and the compact tuple that it is kept as.

Millions may be kept. A tuple of texts and numbers costs a third of an object, and Python's garbage collector stops
looking at it, so that a full collection in the gateway does not walk through every account.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, isfinite
from typing import Any

ACTIONS = frozenset({"none", "observe", "verify", "throttle", "shape", "suspend"})
REASONING = frozenset({"withhold", "summarise"})

Kept = tuple[Any, ...]  # when it expires [s since 1970, inf: never], then the parts of a decision, then of its limits
_TEXTS = ("shadow", "check", "because", "decision_id", "campaign_id")


@dataclass(frozen=True, slots=True)
class Limits:
    """What throttle and shape limit; None and False limit nothing."""

    requests_per_minute: float | None = None
    max_output_tokens: int | None = None
    strip_logprobs: bool = False
    reasoning: str | None = None  # withhold or summarise


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now about an account; `shadow` is what would be done if that action were live.

    `because` and `campaign_id` are for the operator's eyes. A customer is told `decision_id` and no more.
    """

    action: str = "none"
    shadow: str | None = None
    check: str | None = None
    limits: Limits | None = None
    because: str | None = None
    decision_id: str | None = None
    campaign_id: str | None = None
    expires_at: datetime | None = None


NONE = Decision()


def kept(row: Mapping[str, Any]) -> Kept | None:
    """What is kept of a row of the service; None when the row says to forget the account.

    Raises:
        ValueError: the row is no decision.
    """
    action, texts = row.get("action"), {name: row.get(name) for name in _TEXTS}
    if action not in ACTIONS or (texts["shadow"] is not None and texts["shadow"] not in ACTIONS):
        raise ValueError("a decision with an unknown action")
    if not all(text is None or isinstance(text, str) for text in texts.values()):
        raise ValueError("a decision with something else where a text should be")
    if action == "none" and texts["shadow"] in (None, "none"):
        return None
    shared = [sys.intern(str(action)), *(text and sys.intern(text) for text in list(texts.values())[:3])]
    return (
        _expiry(row.get("expires_at")),
        *shared,
        texts["decision_id"],
        texts["campaign_id"] and sys.intern(texts["campaign_id"]),
        *_limits(row.get("limits")),
    )


def made(held: Kept, now_s: float) -> Decision:
    """The decision that was kept; none at all once it has expired."""
    expires_s, action, shadow, check, because, decision_id, campaign_id, *limits = held
    if expires_s <= now_s:
        return NONE
    return Decision(
        action,
        shadow,
        check,
        Limits(*limits) if action in ("throttle", "shape") else None,
        because,
        decision_id,
        campaign_id,
        None if expires_s == inf else datetime.fromtimestamp(expires_s, UTC),
    )


def row_of(account_id: str, held: Kept) -> dict[str, Any]:
    """The row again, as `kept` reads it."""
    expires_s, action, shadow, check, because, decision_id, campaign_id, *limits = held
    names = ("requests_per_minute", "max_output_tokens", "strip_logprobs", "reasoning")
    return {
        "account_id": account_id,
        "action": action,
        "shadow": shadow,
        "check": check,
        "limits": dict(zip(names, limits, strict=True)),
        "because": because,
        "decision_id": decision_id,
        "campaign_id": campaign_id,
        "expires_at": None if expires_s == inf else datetime.fromtimestamp(expires_s, UTC).isoformat(),
    }


def decision_of(row: Mapping[str, Any], now_s: float) -> Decision:
    """The decision that a row of the service tells of.

    Raises:
        ValueError: the row is no decision.
    """
    held = kept(row)
    return NONE if held is None else made(held, now_s)


def _expiry(value: object) -> float:
    if value is None:
        return inf
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise ValueError("a decision with something else where a time should be")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _limits(value: object) -> tuple[float | None, int | None, bool, str | None]:
    if value is None:
        return None, None, False, None
    if not isinstance(value, Mapping):
        raise ValueError("a decision with something else where limits should be")
    reasoning = value.get("reasoning")
    if reasoning is not None and reasoning not in REASONING:
        raise ValueError("a decision that does something unknown to reasoning")
    tokens = _above_zero(value.get("max_output_tokens"))
    rate = _above_zero(value.get("requests_per_minute"))
    return rate, None if tokens is None else max(1, int(tokens)), value.get("strip_logprobs") is True, reasoning


def _above_zero(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value <= 0:
        raise ValueError("a decision with a limit that is no number above 0")
    return value
