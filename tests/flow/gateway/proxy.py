"""The real LiteLLM proxy and a collector, as processes on free loopback ports, set up from docs/gateway-litellm.md."""

import contextlib
import http.client
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
ENVIRONMENT = ROOT / ".venv-gateway"
PAGE = ROOT / "docs" / "gateway-litellm.md"
BOOT_SECONDS = 120  # about 6 s on an idle machine
FLUSH_SECONDS = 60  # how long the last records may take to arrive; under a second on an idle machine
MOCK_MODELS = """
model_list:
  - model_name: assistant-large
    litellm_params: {model: openai/assistant-large, api_key: unused, mock_response: "First the idea, then the steps."}
  - model_name: assistant-small
    litellm_params: {model: openai/assistant-small, api_key: unused, mock_response: "In short: it depends."}
"""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running proxy: its port, and the file its collector appends to."""

    port: int
    log: Path


def is_installed() -> bool:
    """Whether the gateway's own environment is there."""
    return (ENVIRONMENT / "bin" / "litellm").exists()


@contextlib.contextmanager
def running(folder: Path, keys: list[str]) -> Iterator[Gateway]:
    """The proxy and its collector, both ended by their process ids on the way out. Their output stays in `folder`."""
    logs = folder / "logs"
    logs.mkdir(parents=True)
    collector_port, port = free_ports(2)
    (folder / "collect.py").write_text(block("python"), encoding="utf-8")
    (folder / "config.yaml").write_text(_config(), encoding="utf-8")
    (folder / "keys.txt").write_text("\n".join(keys), encoding="utf-8")
    shutil.copy(Path(__file__).with_name("known_keys.py"), folder)
    collect = [sys.executable, "collect.py", str(collector_port), str(logs)]
    serve = [
        str(ENVIRONMENT / "bin" / "litellm"),
        "--config",
        "config.yaml",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with process(collect, folder, {}), process(serve, folder, _settings(folder, collector_port)) as proxy:
        wait_until_up(proxy, port, folder)
        yield Gateway(port, logs / "litellm.jsonl")


def logged(log: Path, expected: Set[str]) -> dict[str, dict[str, Any]]:
    """The records of the log by id, as soon as all that are expected are there, at the latest after FLUSH_SECONDS."""
    deadline = time.monotonic() + FLUSH_SECONDS
    while True:
        lines = log.read_bytes().split(b"\n")[:-1]  # a last line without its end is still being written
        records = {record["id"]: record for line in lines for record in json.loads(line)}
        if expected <= records.keys() or time.monotonic() > deadline:
            return records
        time.sleep(1)


def _settings(folder: Path, collector_port: int) -> dict[str, str]:
    """The environment the page asks for, and what a machine without network and database needs."""
    exported = dict(re.findall(r"export (\w+)=(\S+)", block("sh")))
    return {
        **exported,
        "STILLWATCH_COLLECTOR": f"http://127.0.0.1:{collector_port}/",
        "KNOWN_KEYS_FILE": str(folder / "keys.txt"),
        "LITELLM_MASTER_KEY": "sk-" + secrets.token_hex(32),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def _config() -> str:
    """The page's settings with mock models and the check of our sixty keys added."""
    page = block("yaml")
    checked = page.replace("general_settings:\n", "general_settings:\n  custom_auth: known_keys.check\n")
    assert checked != page, "docs/gateway-litellm.md has no general_settings to add custom_auth to"
    return checked + MOCK_MODELS


def block(language: str) -> str:
    """The first fenced block of that language on the page."""
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found, f"docs/gateway-litellm.md has no {language} block"
    return found[1]


@contextlib.contextmanager
def process(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes into the folder, ended by its id on the way out."""
    name = Path(command[1] if command[0] == sys.executable else command[0]).stem
    with (folder / f"{name}.log").open("wb") as output:
        started = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield started
        finally:
            started.terminate()
            try:
                started.wait(timeout=20)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


def wait_until_up(proxy: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    """Wait until the proxy answers.

    Raises:
        AssertionError: it ended, or it took too long.
    """
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            proxy.wait(timeout=0.25)
            break
        if _answers(port):
            return
    raise AssertionError("the proxy did not come up:\n" + (folder / "litellm.log").read_text(errors="replace")[-4000:])


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/liveliness")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
