"""A callback of the LiteLLM proxy that applies decisions, and posts the proxy's records to intake when it has a key.

Why:    inside the proxy a decision costs microseconds, and requests and replies can be changed, not only refused.
Misses: requests that the proxy does not run callbacks for; batch files, realtime sockets and pass-through routes are
        refused and slowed, and not shaped.
Source: litellm/integrations/custom_logger.py and litellm/proxy/utils.py, as of 1.106.

It is a callback and not a guardrail, because a guardrail can be left out by a request or a key.
"""

import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.safe_json_dumps import safe_dumps
from litellm.proxy._types import ProxyException

from stillwatch.client import NONE, Client, Decision, Limits, Rates, Refusal, Verifying, refusal
from stillwatch.errors import SettingsError
from stillwatch.gateways.posting import Posting
from stillwatch.gateways.replies import Shaping, Summariser
from stillwatch.gateways.requests import account_of, shaped

LOG = logging.getLogger("stillwatch.gateway")

ACCOUNTS = ("key", "team", "user", "end_user")
VERIFY = ("refuse", "tell")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How the callback behaves; `account` is which of LiteLLM's fields is the account."""

    account: str = "key"
    verifying: Verifying = field(default_factory=Verifying)
    workers: int = 1
    summariser: Summariser | None = None


class RefusedError(ProxyException):
    """A request that is not served. LiteLLM's own exception, of which every route keeps status and headers."""

    def __init__(self, refused: Refusal) -> None:
        """What the client is told."""
        told = refused.body()["error"]
        super().__init__(
            message=refused.message,
            type=told["type"],
            param=None,
            code=refused.status,
            headers=dict(refused.headers),
            provider_specific_fields={"code": refused.code, "reference": refused.reference},
        )
        self.status_code = refused.status


class Gateway(CustomLogger):
    """What LiteLLM calls around every request. Nothing of ours raises into it but a refusal."""

    def __init__(self, client: Client, settings: GatewaySettings, posting: Posting | None = None) -> None:
        """Decisions come from the client; records go to the posting, if there is one."""
        super().__init__()
        self._client, self._settings, self._posting = client, settings, posting
        self._rates = Rates(processes=settings.workers)

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: str) -> Any:
        """Refuse the request, or make it smaller.

        Raises:
            RefusedError: the decision says that it is not served.
        """
        refused = None
        try:
            account_id = account_of(user_api_key_dict, data, self._settings.account)
            decision = self._client.decision(account_id) if account_id else NONE
            if decision.action != "none" and account_id:
                refused = refusal(account_id, decision, self._rates, self._settings.verifying)
                if refused is None and decision.action == "shape" and decision.limits is not None:
                    shaped(data, decision.limits, call_type)
        except Exception as error:  # whatever is wrong with us, the request goes on
            _passed(error)
        if refused is not None:
            raise RefusedError(refused)
        return data

    async def async_post_call_success_hook(self, data: Any, user_api_key_dict: Any, response: Any) -> Any:
        """The reply, without what the decision withholds."""
        try:
            limits = self._limits(user_api_key_dict, data)
            if limits is not None:
                return await Shaping(limits, self._settings.summariser).whole(response)
        except Exception as error:  # whatever is wrong with us, the reply goes out
            _passed(error)
        return response

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> AsyncIterator[Any]:
        """The stream, without what the decision withholds."""
        limits = None
        try:
            limits = self._limits(user_api_key_dict, request_data)
        except Exception as error:  # whatever is wrong with us, the stream goes out
            _passed(error)
        chunks = response if limits is None else Shaping(limits, self._settings.summariser).stream(response, _passed)
        async for chunk in chunks:
            yield chunk

    async def async_post_call_response_headers_hook(
        self, data: Any, user_api_key_dict: Any, response: Any, request_headers: Any = None, **_: Any
    ) -> dict[str, str] | None:
        """Which check an account that is served has still to pass."""
        try:
            decision = self._decision(user_api_key_dict, data)
        except Exception as error:  # whatever is wrong with us, the reply goes out
            _passed(error)
            return None
        return {"x-stillwatch-check": decision.check} if decision.action == "verify" and decision.check else None

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Let the record of a request that was served be posted."""
        self._post(kwargs)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Let the record of a request that failed, or was refused, be posted."""
        self._post(kwargs)

    def _post(self, told: Any) -> None:
        if self._posting is None:
            return
        try:
            payload = told.get("standard_logging_object")
            if payload:
                self._posting.put(_written(payload))
        except Exception as error:  # whatever is wrong with us, the proxy goes on
            self._posting.drop()
            LOG.warning("a record was dropped: %s", type(error).__name__)

    def _decision(self, user: Any, data: Any) -> Decision:
        account_id = account_of(user, data, self._settings.account)
        return self._client.decision(account_id) if account_id else NONE

    def _limits(self, user: Any, data: Any) -> Limits | None:
        decision = self._decision(user, data)
        return decision.limits if decision.action == "shape" else None


def settings_of(environment: Mapping[str, str]) -> GatewaySettings:
    """The settings that environment variables give.

    Raises:
        SettingsError: one of them means nothing.
    """
    told = {name: environment.get(f"STILLWATCH_GATEWAY_{name}", default) for name, default in _DEFAULTS.items()}
    for name, allowed in (("ACCOUNT", ACCOUNTS), ("VERIFY", VERIFY)):
        if told[name] not in allowed:
            raise SettingsError(f"STILLWATCH_GATEWAY_{name}={told[name]}: give one of {', '.join(allowed)}")
    if not told["WORKERS"].isdecimal() or told["WORKERS"] == "0":
        raise SettingsError(f"STILLWATCH_GATEWAY_WORKERS={told['WORKERS']}: give how many processes the proxy has")
    return GatewaySettings(
        told["ACCOUNT"],
        Verifying(told["VERIFY"] == "refuse", told["VERIFY_URL"]),
        int(told["WORKERS"]),
        _summariser(told["SUMMARISER"]),
    )


def made(environment: Mapping[str, str]) -> Gateway:
    """The callback as environment variables say.

    Raises:
        SettingsError: the service's address or key is missing, or something means nothing.
    """
    missing = [name for name in ("STILLWATCH_GATEWAY_URL", "STILLWATCH_GATEWAY_KEY") if not environment.get(name)]
    if missing:
        raise SettingsError(f"set {' and '.join(missing)}: where the service is, and a key with the role enforcer")
    settings = settings_of(environment)
    file = environment.get("STILLWATCH_GATEWAY_SNAPSHOT_FILE") or None
    url, key = environment["STILLWATCH_GATEWAY_URL"], environment["STILLWATCH_GATEWAY_KEY"]
    ingest_key = environment.get("STILLWATCH_GATEWAY_INGEST_KEY")
    posting = Posting(url, ingest_key) if ingest_key else None
    return Gateway(Client(url, key, snapshot_file=file), settings, posting)


_DEFAULTS = {"ACCOUNT": "key", "VERIFY": "refuse", "VERIFY_URL": "", "WORKERS": "1", "SUMMARISER": ""}


def _summariser(place: str) -> Callable[[str], Any] | None:
    if not place:
        return None
    module, _, name = place.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"STILLWATCH_GATEWAY_SUMMARISER={place}: give MODULE:FUNCTION ({error})") from error
    if not callable(found):
        raise SettingsError(f"STILLWATCH_GATEWAY_SUMMARISER={place} is no function")
    summariser: Callable[[str], Any] = found
    return summariser


def _written(payload: Mapping[str, Any]) -> bytes:
    """The record as JSON, without what intake never reads: vectors and pictures of a reply."""
    response = payload.get("response")
    if isinstance(response, dict) and "data" in response:
        payload = {**payload, "response": {name: value for name, value in response.items() if name != "data"}}
    try:
        text = json.dumps(payload, default=_plain)
    except (TypeError, ValueError, RecursionError):  # too deep, a circle, a key that is no text
        text = safe_dumps(payload)  # takes its time, and cuts such things off
    return text.encode()


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else str(value)


def _passed(error: Exception) -> None:
    LOG.warning("a request passed unseen: %s", type(error).__name__)


def __getattr__(name: str) -> Gateway:
    """`gateway` is made when LiteLLM asks for it, so that importing this module starts nothing."""
    if name == "gateway":
        return made(os.environ)
    raise AttributeError(name)
