"""The answer to a gateway that asks whether to serve a request, whatever it speaks.

Why:    a gateway that cannot hold our client asks over the network instead.
Misses: what we cannot answer (an unknown key, a fault of ours) is answered as a failure, never as a refusal, so that
        the gateway's own failure mode decides; set it to allow.
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from fastapi.concurrency import run_in_threadpool

from stillwatch.client import Decision, Limits, Rates, Refusal, Verifying, decision_of, refusal
from stillwatch.errors import ServiceError
from stillwatch.server.access import Principal
from stillwatch.server.logging import failure
from stillwatch.server.metrics import gateway_answers, gateway_seconds
from stillwatch.server.settings import Checking

KEY_HEADER = "x-stillwatch-key"
KEY_LASTS_S = 10.0  # a key that was revoked is still taken so long
_NOT_IN_HEADERS = re.compile(r"[^ !#-\[\]-~]")  # nor in JSON between quotes, where nginx puts it
_MOST_KEYS = 1000
_MOST_CHARACTERS = 1024  # of an account id

Lookup = Callable[[str, str], Mapping[str, Any]]  # a row by account id and namespace


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the gateway tells of it: a header by its lower-case name, and a value of Envoy's metadata."""

    header: Callable[[str], str]
    metadata: Callable[[str, str], str] = lambda _filter, _path: ""


@dataclass(frozen=True, slots=True)
class Answer:
    """200 and what the upstream is told, or a refusal and what the client is told; 503 when we cannot tell."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Checks:
    """How requests are checked, how often throttled accounts asked, and who was let in to ask."""

    settings: Checking = field(default_factory=Checking)
    clock: Callable[[], float] = time.monotonic
    rates: Rates = field(init=False)
    _keys: dict[str, tuple[Principal, float]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Nobody has asked yet."""
        self.rates = Rates(processes=self.settings.processes, clock=self.clock)

    async def principal(self, service: Any, key: str) -> Principal | None:
        """Whose key it is, remembered for a while; for longer when the database does not answer."""
        found = self._keys.get(key)
        if found is not None and found[1] > self.clock():
            return found[0]
        try:
            principal = await run_in_threadpool(service.principal, "", key) if key else None
        except ServiceError:
            if found is None:
                raise
            principal = found[0]
        self._keys.pop(key, None)
        if principal is None or not {"enforcer", "admin"} & principal.roles:
            return None
        if len(self._keys) >= _MOST_KEYS:
            self._keys.clear()
        self._keys[key] = (principal, self.clock() + KEY_LASTS_S)
        return principal

    def answer(self, lookup: Lookup, principal: Principal, asked: Asked, *, now_s: float) -> Answer:
        """Whether to serve the request. A throttled request that is served is counted."""
        account_id = self._account_id(asked)
        if not account_id:
            gateway_answers.labels("no_account").inc()
            return Answer(200, _told(Decision()))
        decision = decision_of(lookup(account_id, principal.namespace or ""), now_s)
        verifying = Verifying(self.settings.verify == "refuse", self.settings.verify_url)
        refused = refusal(principal.account_id(account_id), decision, self.rates, verifying)
        if refused is None:
            gateway_answers.labels(decision.action).inc()
            return Answer(200, _told(decision))
        gateway_answers.labels(refused.code).inc()
        return Answer(refused.status, _refused(refused), orjson.dumps(refused.body()))

    def _account_id(self, asked: Asked) -> str:
        for place in self.settings.account:
            kind, _, rest = place.partition(":")
            if kind == "header":
                found = asked.header(rest.lower()).strip()
            elif kind == "metadata":
                found = asked.metadata(*rest.split(":", 1))
            else:
                found = _hash_of_token(asked.header(rest.lower()))
            if found:
                return found if len(found) <= _MOST_CHARACTERS else ""
        return ""


def lookup_of(service: Any) -> Lookup:
    """Rows of the service's own snapshot of decisions."""

    def row(account_id: str, namespace: str) -> Mapping[str, Any]:
        before = f"{namespace}:".encode() if namespace else b""
        found: Mapping[str, Any] = orjson.loads(service.snapshot.reply(account_id.encode(), before))
        return found

    return row


async def checked(service: Any, asked: Asked, *, key: str = "", principal: Principal | None = None) -> Answer:
    """The answer to a gateway with a key, or to who was let in already; never an exception."""
    with gateway_seconds.time():
        return await _checked(service, asked, key, principal)


async def _checked(service: Any, asked: Asked, key: str, principal: Principal | None) -> Answer:
    try:
        principal = principal or await service.checks.principal(service, key)
        if principal is None:
            gateway_answers.labels("unknown_key").inc()
            return _failed(f"{KEY_HEADER} holds no valid key with the role enforcer")
        answer: Answer = service.checks.answer(lookup_of(service), principal, asked, now_s=service.now().timestamp())
        return answer
    except Exception as error:  # the boundary to the gateway: a fault of ours is a failure, never a refusal
        gateway_answers.labels("failed").inc()
        service.log.error("check_failed", **failure(error))
        return _failed("the decision could not be looked up")


def _failed(why: str) -> Answer:
    return Answer(503, {"retry-after": "5"}, orjson.dumps({"detail": f"{why}; not a refusal: let the request pass"}))


def _told(decision: Decision) -> dict[str, str]:
    """What the upstream is told; every header each time, so that none that a client sent is left."""
    limits = decision.limits or Limits()
    return {
        "x-stillwatch-action": decision.action,
        "x-stillwatch-shadow": decision.shadow or "none",
        "x-stillwatch-decision": decision.decision_id or "none",
        "x-stillwatch-check": (decision.check if decision.action == "verify" else None) or "none",
        "x-stillwatch-max-output-tokens": str(limits.max_output_tokens or "none"),
        "x-stillwatch-logprobs": "strip" if limits.strip_logprobs else "none",
        "x-stillwatch-reasoning": limits.reasoning or "none",
    }


def _refused(refused: Refusal) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "x-stillwatch-status": str(refused.status),
        "x-stillwatch-code": refused.code,
        "x-stillwatch-reference": refused.reference or "none",
        "x-stillwatch-message": _NOT_IN_HEADERS.sub("?", refused.message),
        **refused.headers,
    }


def _hash_of_token(header: str) -> str:
    scheme, _, token = header.strip().partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    return hashlib.sha256(token.encode()).hexdigest() if token else ""
