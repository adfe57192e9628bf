"""The real nginx, set up as docs/gateways/nginx.md says, with the service there and away."""

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from tests.client.conftest import becomes
from tests.server.gateways.conftest import Decided, free_port, listens, serving

ROOT = Path(__file__).parents[3]
UNPACKED = ROOT / ".nginx" / "usr" / "sbin" / "nginx"
NGINX = shutil.which("nginx") or (str(UNPACKED) if UNPACKED.exists() else None)
PAGE = ROOT / "docs" / "gateways" / "nginx.md"

pytestmark = [
    pytest.mark.gateway,
    pytest.mark.skipif(NGINX is None, reason="NOT TESTED: nginx is not installed. Unpack it: make nginx"),
]


@dataclass
class Nginx:
    """A running nginx: asks it with an account's key, and knows what it logged and what kills its service."""

    port: int
    access_log: Path
    stop_service: Callable[[], None]

    def ask(self, account: str, **headers: str) -> tuple[int, dict[str, str], dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = {"Authorization": f"Bearer sk-of-{account}", **{n.replace("_", "-"): v for n, v in headers.items()}}
            connection.request("POST", "/v1/chat/completions?x=1", b'{"messages": []}', sent)
            response = connection.getresponse()
            body = response.read()
            told = {n.lower(): v for n, v in response.getheaders()}
            return response.status, told, json.loads(body) if body.startswith(b"{") else {}
        finally:
            connection.close()


@contextmanager
def running(folder: Path, ports: dict[int, int], key: str) -> Iterator[None]:
    """nginx with the page's configuration, on the test's ports, with the test's key and a patient time limit."""
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    text = re.sub(r"127\.0\.0\.1:(\d+)", lambda port: f"127.0.0.1:{ports[int(port[1])]}", found[1])
    text = text.replace("sw_KEY", key).replace("100ms", "20s")
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        text = text.replace("http {\n", f"http {{\n    {kind}_temp_path {kind};\n", 1)
    (folder / "nginx.conf").write_text(text)
    with (folder / "output.log").open("wb") as output:
        command = [str(NGINX), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            assert listens(ports[10000]), (folder / "error.log").read_text() + (folder / "output.log").read_text()
            yield
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def nginx(app: FastAPI, enforcer: str, model_port: int, tmp_path: Path) -> Iterator[Nginx]:
    with ExitStack() as held:
        service = held.enter_context(ExitStack())
        ports = {10000: free_port(), 9000: model_port, 8080: service.enter_context(serving(app))}
        held.enter_context(running(tmp_path, ports, enforcer))
        yield Nginx(ports[10000], tmp_path / "access.jsonl", service.close)


def test_nginx_refuses_slows_and_passes_on_as_decided(nginx: Nginx, decided: Decided) -> None:
    status, _, sent = nginx.ask("account-7")
    assert (status, sent["x-account-id"], sent["x-stillwatch-action"]) == (200, "account-7", "none")
    assert nginx.ask("nobody")[0] == 401

    decided.decide("account-7", "suspend")
    status, headers, body = nginx.ask("account-7")
    assert (status, body["error"]["code"], body["error"]["reference"]) == (
        403,
        "account_suspended",
        "decision-account-7",
    )
    assert headers["content-type"] == "application/json"
    assert "campaign" not in str(body)
    assert nginx.ask("account-8")[0] == 200

    decided.decide("account-8", "throttle", limits={"requests_per_minute": 2})
    assert nginx.ask("account-8")[0] == 200
    status, headers, body = nginx.ask("account-8")
    assert (status, body["error"]["type"]) == (429, "rate_limit_error")
    assert 1 <= int(headers["retry-after"]) <= 30


def test_nginx_tells_the_upstream_how_to_shape_and_the_client_what_to_verify(nginx: Nginx, decided: Decided) -> None:
    decided.decide("account-7", "shape")
    _, _, sent = nginx.ask("account-7")
    told = {name: sent[f"x-stillwatch-{name}"] for name in ("action", "max-output-tokens", "logprobs", "reasoning")}
    assert told == {"action": "shape", "max-output-tokens": "64", "logprobs": "strip", "reasoning": "withhold"}
    decided.decide("account-7", "verify")
    status, headers, body = nginx.ask("account-7")
    assert (status, headers["x-stillwatch-check"]) == (403, "identity")
    assert "prove the identity" in body["error"]["message"]


def test_a_client_can_neither_name_another_account_nor_tell_the_upstream_what_was_decided(
    nginx: Nginx, decided: Decided
) -> None:
    decided.decide("account-7", "suspend")
    assert nginx.ask("account-7", X_Account_Id="account-8")[0] == 403
    _, _, sent = nginx.ask("account-8", X_Account_Id="nobody", X_Stillwatch_Action="shape")
    assert (sent["x-account-id"], sent["x-stillwatch-action"]) == ("account-8", "none")


def test_nginx_lets_everybody_pass_while_the_service_is_away_or_knows_nothing(nginx: Nginx, decided: Decided) -> None:
    decided.decide("account-7", "suspend")
    assert nginx.ask("account-7")[0] == 403
    decided.fails = True
    status, _, sent = nginx.ask("account-7", X_Stillwatch_Action="shape")
    assert (status, sent.get("x-stillwatch-action")) == (200, None)
    decided.fails = False
    assert nginx.ask("account-7")[0] == 403
    nginx.stop_service()
    assert nginx.ask("account-7")[0] == 200


def test_a_wrong_key_lets_everybody_pass(app: FastAPI, decided: Decided, model_port: int, tmp_path: Path) -> None:
    decided.decide("account-7", "suspend")
    with serving(app) as asked:
        ports = {10000: free_port(), 9000: model_port, 8080: asked}
        with running(tmp_path, ports, "sw_revoked"):
            assert Nginx(ports[10000], tmp_path, lambda: None).ask("account-7")[0] == 200


def test_the_access_log_names_the_account_as_it_is_asked_about(nginx: Nginx, decided: Decided) -> None:
    decided.decide("account-7", "none", shadow="throttle")
    nginx.ask("account-7")
    assert becomes(lambda: nginx.access_log.exists() and nginx.access_log.read_text().endswith("\n"))
    logged = json.loads(nginx.access_log.read_text())
    assert (logged["account_id"], logged["stillwatch_shadow"]) == ("account-7", "throttle")
