"""The real LiteLLM proxy with our callback: it refuses, slows, shapes whole and in streams, and serves without us."""

import hashlib
import http.client
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.client import peer as peers
from tests.client.conftest import becomes
from tests.client.peer import Peer, row
from tests.flow.gateway import proxy
from tests.gateways import upstream
from tests.gateways.upstream import ANSWER, SIGNATURE, THOUGHT

from stillwatch.ingest.formats.litellm import _rows

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "gateways" / "litellm.md"
KEYS = tuple(f"sk-account-{name}" for name in ("ordinary", "suspended", "unverified", "throttled", "shaped", "summed"))
ORDINARY, SUSPENDED, UNVERIFIED, THROTTLED, SHAPED, SUMMED = KEYS
CHAT = {"model": "thinker", "messages": [{"role": "user", "content": "What is it?"}]}
RESPONSES = {"model": "thinker", "input": "What is it?"}
MESSAGES = {"model": "claude", "max_tokens": 4000, "messages": CHAT["messages"]}
ROUTES = {"/v1/chat/completions": CHAT, "/v1/responses": RESPONSES, "/v1/messages": MESSAGES}
SUMMARIES = """
import pathlib, sys

pathlib.Path("loaded").write_text(" ".join(name for name in sys.modules if name.startswith("stillwatch")))

async def short(text):
    return f"summary of {len(text)}"
"""
LIMITS = {"max_output_tokens": 64, "strip_logprobs": True}

pytestmark = [pytest.mark.gateway, pytest.mark.slow]


def account(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass
class Gateway:
    """A running proxy with our callback."""

    port: int
    sent: list[dict[str, Any]]  # to the model
    folder: Path

    def ask(self, key: str, path: str, **more: Any) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            connection.request("POST", path, json.dumps({**ROUTES[path], **more}), headers)
            response = connection.getresponse()
            return response.status, {n.lower(): v for n, v in response.getheaders()}, response.read().decode()
        finally:
            connection.close()


@contextmanager
def running(folder: Path, service_url: str, **environment: str) -> Iterator[Gateway]:
    """The proxy, set up as the page says, before a model that thinks aloud, with the checks of our six keys."""
    folder.mkdir(parents=True, exist_ok=True)
    page = PAGE.read_text(encoding="utf-8")
    settings = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0]
    exported = dict(re.findall(r"export (\w+)=(\S+)", page))
    with ExitStack() as held:
        model_port, sent = held.enter_context(upstream.running())
        (port,) = proxy.free_ports(1)
        base = f"http://127.0.0.1:{model_port}"
        models = f"""
model_list:
  - model_name: thinker
    litellm_params: {{model: openai/thinker, api_key: unused, api_base: "{base}/v1"}}
  - model_name: claude
    litellm_params: {{model: anthropic/claude-sonnet-4-5, api_key: unused, api_base: "{base}"}}
"""
        checked = settings.replace("general_settings:\n", "general_settings:\n  custom_auth: known_keys.check\n")
        assert checked != settings
        (folder / "config.yaml").write_text(checked + models)
        (folder / "keys.txt").write_text("\n".join(KEYS))
        (folder / "summaries.py").write_text(SUMMARIES)
        shutil.copy(Path(proxy.__file__).with_name("known_keys.py"), folder)
        told = {
            **exported,
            "STILLWATCH_GATEWAY_URL": service_url,
            "STILLWATCH_GATEWAY_KEY": peers.KEY,
            "STILLWATCH_GATEWAY_INGEST_KEY": peers.INGEST_KEY,
            "KNOWN_KEYS_FILE": str(folder / "keys.txt"),
            "LITELLM_MASTER_KEY": "sk-" + secrets.token_hex(32),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "PYTHONPATH": f"{ROOT / 'src'}:{folder}",
            **environment,
        }
        command = [str(proxy.ENVIRONMENT / "bin" / "litellm"), "--config", "config.yaml", "--host", "127.0.0.1"]
        started = held.enter_context(proxy.process([*command, "--port", str(port)], folder, told))
        proxy.wait_until_up(started, port, folder)
        yield Gateway(port, sent, folder)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    peer = Peer()
    peer.decide(
        row(account(SUSPENDED), "suspend"),
        row(account(UNVERIFIED), "verify"),
        row(account(THROTTLED), "throttle", limits={"requests_per_minute": 2}),
        row(account(SHAPED), "shape", limits={**LIMITS, "reasoning": "withhold"}),
        row(account(SUMMED), "shape", limits={**LIMITS, "reasoning": "summarise"}),
    )
    with peers.running(peer):
        yield peer


@pytest.fixture(scope="module")
def gateway(peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if not proxy.is_installed():
        pytest.skip("NOT TESTED: the LiteLLM proxy is not installed. Install it: make .venv-gateway/.installed")
    folder = tmp_path_factory.mktemp("gateway")
    with running(folder, peer.url, STILLWATCH_GATEWAY_VERIFY_URL="https://console.example/verify") as held:
        assert becomes(lambda: held.ask(SUSPENDED, "/v1/chat/completions")[0] == 403)
        yield held


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
def test_an_ordinary_account_is_served_as_if_we_were_not_there(gateway: Gateway, path: str, *, stream: bool) -> None:
    status, headers, body = gateway.ask(ORDINARY, path, stream=stream, max_tokens=4000)
    assert status == 200
    assert all(word in "".join(_texts(body)) for word in (THOUGHT, ANSWER))
    assert gateway.sent[-1].get("max_output_tokens" if "responses" in path else "max_tokens", 4000) == 4000
    assert not [name for name in headers if "stillwatch" in name]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_suspended_account_is_refused_with_a_reference_only(gateway: Gateway, path: str, *, stream: bool) -> None:
    before = len(gateway.sent)
    status, _, body = gateway.ask(SUSPENDED, path, stream=stream)
    assert status == 403
    assert f"decision-{account(SUSPENDED)}" in body
    assert "campaign" not in body
    assert "card" not in body
    assert len(gateway.sent) == before


def test_an_unverified_account_is_told_which_check_and_where(gateway: Gateway) -> None:
    status, headers, body = gateway.ask(UNVERIFIED, "/v1/chat/completions")
    assert (status, headers["x-stillwatch-check"]) == (403, "identity")
    assert "prove the identity of its holder. Do so at https://console.example/verify." in body


def test_a_throttled_account_is_served_at_its_rate(gateway: Gateway) -> None:
    assert gateway.ask(THROTTLED, "/v1/chat/completions")[0] == 200
    status, headers, body = gateway.ask(THROTTLED, "/v1/messages")
    assert status == 429
    assert 1 <= int(headers["retry-after"]) <= 30
    assert "2 a minute" in body


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("key", [SHAPED, SUMMED])
def test_a_shaped_account_gets_short_answers_without_reasoning_and_probabilities(
    gateway: Gateway, path: str, key: str, *, stream: bool
) -> None:
    more: dict[str, Any] = {"max_tokens": 9999} if "messages" in path else {}
    if path == "/v1/chat/completions":
        more = {"max_completion_tokens": 9999, "logprobs": True, "top_logprobs": 5}
    status, _, body = gateway.ask(key, path, stream=stream, **more)
    assert status == 200
    assert ANSWER in "".join(_texts(body))
    for secret in (THOUGHT, THOUGHT[:20], THOUGHT[20:], SIGNATURE, '"logprob"'):
        assert secret not in body
    assert (f"It has {len(THOUGHT)} characters" in body) == (key == SUMMED)
    asked = gateway.sent[-1]
    assert {asked[name] for name in asked if "max_" in name} == {64}
    assert [name for name in asked if "logprobs" in name] == []


def read(peer: Peer) -> list[dict[str, Any]]:
    """What intake makes of the records that were posted."""
    return [dict(found) for log in list(peer.logged) for found in _rows(log, None)]  # type: ignore[arg-type]  # no file


def test_every_request_is_posted_once_under_the_account_that_it_was_asked_about(gateway: Gateway, peer: Peer) -> None:
    expected = []
    for key in (ORDINARY, SHAPED, SUSPENDED):
        for path in ROUTES:
            for stream in (False, True):
                text = f"Ask {key} {path} {stream}"
                asked = {"input": text} if "responses" in path else {"messages": [{"role": "user", "content": text}]}
                gateway.ask(key, path, stream=stream, **asked)
                expected.append((text, account(key), "failure" if key == SUSPENDED else "success", key != SUSPENDED))

    def posted() -> list[tuple[str, str, str, bool]]:
        rows = [row for row in read(peer) if str(row.get("prompt")).startswith("Ask ")]
        return sorted((row["prompt"], row["account_id"], row["status"], bool(row.get("completion"))) for row in rows)

    assert becomes(lambda: len(posted()) >= len(expected)), (posted(), expected)
    assert posted() == sorted(expected)


def test_no_way_around_the_limits(gateway: Gateway) -> None:
    around = {"extra_body": {"max_tokens": 5000, "logprobs": True}, "max_tokens": "5000", "n": 1}
    assert gateway.ask(SHAPED, "/v1/chat/completions", **around)[0] == 200
    asked = json.dumps(gateway.sent[-1])
    assert "5000" not in asked
    assert "logprobs" not in asked


def test_a_change_of_decision_takes_hold_within_a_moment_and_so_does_its_undoing(gateway: Gateway, peer: Peer) -> None:
    peer.decide(row(account(ORDINARY), "suspend"))
    assert becomes(lambda: gateway.ask(ORDINARY, "/v1/chat/completions")[0] == 403)
    peer.decide(row(account(ORDINARY), "none"))
    assert becomes(lambda: gateway.ask(ORDINARY, "/v1/chat/completions")[0] == 200)


def test_the_proxy_serves_everybody_until_the_service_is_there_and_keeps_what_it_knew(tmp_path: Path) -> None:
    if not proxy.is_installed():
        pytest.skip("NOT TESTED: the LiteLLM proxy is not installed. Install it: make .venv-gateway/.installed")
    peer, chat = Peer(), "/v1/chat/completions"
    peer.decide(row(account(SUSPENDED), "suspend"), row(account(UNVERIFIED), "verify"))
    peer.decide(row(account(SUMMED), "shape", limits={"reasoning": "summarise"}))
    (port,) = proxy.free_ports(1)
    file = tmp_path / "decisions"
    settings = {"VERIFY": "tell", "SUMMARISER": "summaries:short", "SNAPSHOT_FILE": str(file)}
    told = {f"STILLWATCH_GATEWAY_{name}": value for name, value in settings.items()}
    with running(tmp_path / "proxy", f"http://127.0.0.1:{port}", **told) as gateway:
        assert [gateway.ask(key, chat)[0] for key in (ORDINARY, SUSPENDED)] == [200, 200]
        with peers.running(peer, port):
            assert becomes(lambda: gateway.ask(SUSPENDED, chat)[0] == 403, timeout_s=90)
            assert gateway.ask(UNVERIFIED, chat)[1]["x-stillwatch-check"] == "identity"
            summary = f"summary of {len(THOUGHT)}"
            assert summary in gateway.ask(SUMMED, chat)[2]
            assert summary in gateway.ask(SUMMED, "/v1/messages", stream=True)[2]
            assert becomes(file.exists)
            early = {account(ORDINARY), account(SUSPENDED)}  # served before the service was there
            assert becomes(lambda: early <= {found["account_id"] for found in read(peer)}, timeout_s=90)
        assert [gateway.ask(key, chat)[0] for key in (ORDINARY, SUSPENDED)] == [200, 403]
    loaded = {".".join(name.split(".")[:2]) for name in (tmp_path / "proxy" / "loaded").read_text().split()}
    assert loaded == {"stillwatch", "stillwatch.client", "stillwatch.errors", "stillwatch.gateways"}


def _texts(body: str) -> Iterator[str]:
    """Every text that a reply shows, in order: of a whole one or of the events of a stream."""
    events = [line[5:].strip() for line in body.splitlines() if line.startswith("data:")] or [body]
    for event in events:
        if event != "[DONE]":
            yield from _strings(json.loads(event))


def _strings(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, str) and name in ("content", "reasoning_content", "text", "thinking", "delta"):
        yield value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _strings(each, key)
    for each in value if isinstance(value, list) else ():
        yield from _strings(each, name)
