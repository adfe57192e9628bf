"""The parts of a live deployment, each real and a process of its own: our service, LiteLLM, and Envoy before it."""

import http.client
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.flow.gateway import proxy
from tests.flow.live import world
from tests.server.gateways import test_envoy as envoys

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs"
POLICY = """
name = "live"
version = 1
[checks]
default = ["identity"]
[countermeasures.throttle]
requests_per_minute = 1
[[rules]]
name = "much-was-taken"
because = "The campaign has taken much."
campaign = { verdicts = ["distillation"], min_exposure_exchanges = %d }
outcome = { action = "throttle", approvals = 0, expires_after_days = 7 }
[[rules]]
name = "campaign"
because = "These accounts are under common control."
campaign = { verdicts = ["distillation", "coordinated"] }
outcome = { action = "verify", check = "identity", approvals = 0, expires_after_days = 7 }
"""
SETTINGS = """
[storage]
state = "state"
[intake]
fold_every_s = 2
[detection]
every_s = %d
memory_limit = "1GB"
threads = 1
[decisions]
policy = "policy.toml"
live = ["verify", "throttle"]
[gateways]
verify = "tell"
"""


@dataclass(frozen=True, slots=True)
class Service:
    """The running service: its port, and keys of the roles that the test plays."""

    port: int
    keys: dict[str, str]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, role: str, body: Any = None) -> Any:
        """What a route answers, read as JSON; anything but 2xx fails the test."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            headers = {"Authorization": f"Bearer {self.keys[role]}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode()
        assert 200 <= response.status < 300, (method, path, response.status, text[:500])
        return json.loads(text)


def snapshot(told: Service) -> list[dict[str, Any]]:
    """Every decision that is in force, as gateways fetch them."""
    with closing(http.client.HTTPConnection("127.0.0.1", told.port, timeout=60)) as connection:
        connection.request(
            "GET", "/v1/decisions/snapshot", headers={"Authorization": f"Bearer {told.keys['enforcer']}"}
        )
        response = connection.getresponse()
        lines = response.read().decode().splitlines()
    assert response.status == 200, lines
    return [json.loads(line) for line in lines[1:]]


@contextmanager
def service(folder: Path, *, detect_every_s: int, much: int) -> Iterator[Service]:
    """`stillwatch serve`, with verify and throttle live, as an operator would start it."""
    folder.mkdir(parents=True)
    (folder / "policy.toml").write_text(POLICY % much)
    (folder / "service.toml").write_text(SETTINGS % detect_every_s)
    environment = {**os.environ, "STILLWATCH_KEY_FILE": str(folder / "key"), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "stillwatch"]
    made = {}
    for role in ("ingest", "enforcer", "analyst", "admin"):
        told = [*command, "keys", "make", "--name", role, "--role", role, "--config", "service.toml"]
        done = subprocess.run(told, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        made[role] = done.stdout.strip()
    with (folder / "service.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "serve", "--config", "service.toml", "--port", "0"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout:
            try:
                line = process.stdout.readline()
                assert line, (folder / "service.log").read_text()[-4000:]
                yield Service(int(line.strip().rpartition(":")[2]), made)
            finally:
                process.terminate()
                process.wait(60)


@contextmanager
def litellm(folder: Path, told: Service, keys: list[str]) -> Iterator[int]:
    """The proxy with our callback, which acts and posts, set up from the page of the docs; its port."""
    folder.mkdir(parents=True)
    page = (PAGES / "gateways" / "litellm.md").read_text(encoding="utf-8")
    exported = dict(re.findall(r"export (\w+)=(\S+)", page))
    settings = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0])
    settings["general_settings"]["custom_auth"] = "known_keys.check"
    settings |= yaml.safe_load(proxy.MOCK_MODELS)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "keys.txt").write_text("\n".join(keys))
    shutil.copy(Path(proxy.__file__).with_name("known_keys.py"), folder)
    environment = {
        **exported,
        "STILLWATCH_GATEWAY_URL": told.url,
        "STILLWATCH_GATEWAY_KEY": told.keys["enforcer"],
        "STILLWATCH_GATEWAY_INGEST_KEY": told.keys["ingest"],
        "STILLWATCH_GATEWAY_VERIFY": "tell",
        "KNOWN_KEYS_FILE": str(folder / "keys.txt"),
        "LITELLM_MASTER_KEY": "sk-" + secrets.token_hex(32),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "PYTHONPATH": f"{ROOT / 'src'}:{folder}",
    }
    (port,) = proxy.free_ports(1)
    command = [str(proxy.ENVIRONMENT / "bin" / "litellm"), "--config", "config.yaml", "--host", "127.0.0.1"]
    with proxy.process([*command, "--port", str(port)], folder, environment) as started:
        proxy.wait_until_up(started, port, folder)
        yield port


@contextmanager
def envoy(folder: Path, told: Service, upstream: int, keys: list[str]) -> Iterator[int]:
    """Envoy before the proxy, asking our service about these keys; its port."""
    folder.mkdir(parents=True)
    (port,) = proxy.free_ports(1)
    ports = {10000: port, 9000: upstream, 8080: told.port, 8081: told.port}
    settings = json.loads(envoys.configuration(grpc=False, ports=ports, key=told.keys["enforcer"]))
    manager = settings["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    (who,) = (f["typed_config"] for f in manager["http_filters"] if "credentials" in f["typed_config"])
    who["credentials"] = [{"key": key, "client": world.account_id(key)} for key in keys]
    with envoys.running(json.dumps(settings), folder, port):
        yield port
