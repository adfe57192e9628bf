"""A real LiteLLM proxy serves sixty keys; a scan of its logs finds the fifteen that run a campaign, and no other."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.flow.gateway import drive, proxy, world

pytestmark = [pytest.mark.gateway, pytest.mark.slow]

SEED = 20261122
MINIMUM_REQUESTS = 40  # per key
ACCUSING = frozenset({"distillation", "coordinated"})


@dataclass(frozen=True)
class Traffic:
    """What was sent, by the id the gateway answered with, and what it logged: one record per id."""

    sent: dict[str, world.Request]
    records: dict[str, dict[str, Any]]
    log: Path


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Traffic]:
    if not proxy.is_installed():
        pytest.skip("NOT TESTED: the LiteLLM proxy is not installed. Install it: make .venv-gateway/.installed")
    folder = tmp_path_factory.mktemp("gateway")
    population = world.accounts(SEED)
    failed_before = request.session.testsfailed
    with proxy.running(folder / "run", [account.key for account in population]) as gateway:
        sent = drive.sent(gateway.port, world.rounds(population, SEED))
        records = proxy.logged(gateway.log, sent.keys())
    yield Traffic(sent, records, gateway.log)
    if request.session.testsfailed == failed_before:
        shutil.rmtree(folder)  # on failure the proxy's output and the logs stay in pytest's folder


@pytest.fixture(scope="module")
def found(traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a scan of the log, run as a person would run it."""
    folder = tmp_path_factory.mktemp("scan")
    command = [sys.executable, "-m", "stillwatch", "scan", str(traffic.log), "--out", str(folder / "out")]
    private = {"STILLWATCH_KEY_FILE": str(folder / "key"), "XDG_STATE_HOME": str(folder), "NO_COLOR": "1"}
    done = subprocess.run(
        command, env={**os.environ, **private}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


def test_every_request_is_in_the_logs(traffic: Traffic) -> None:
    per_key = Counter(request.key for request in traffic.sent.values())
    assert len(per_key) == 60
    assert min(per_key.values()) >= MINIMUM_REQUESTS
    assert traffic.sent.keys() - traffic.records.keys() == set()


def test_the_logs_hold_who_from_where_with_what_and_when(traffic: Traffic) -> None:
    hashes = defaultdict(set)
    for identifier, request in traffic.sent.items():
        record = traffic.records[identifier]
        hashes[request.key].add(record["metadata"]["user_api_key_hash"])
        assert record["requester_ip_address"] == request.address
        assert record["user_agent"] == request.user_agent
        assert record["messages"][-1]["content"] == request.body["messages"][-1]["content"]
        assert record["endTime"] >= record["startTime"] > 0
    assert hashes == {key: {_hash(key)} for key in hashes}


def test_the_scan_finds_all_fifteen_keys_and_none_of_the_other_forty_five(traffic: Traffic, found: Path) -> None:
    names = {_hash(request.key): request.key for request in traffic.sent.values()}
    campaigns = json.loads((found / "campaigns.json").read_text(encoding="utf-8"))
    accused = {names[a] for campaign in campaigns if campaign["verdict"] in ACCUSING for a in campaign["account_ids"]}
    expected = {key for key in names.values() if key.startswith("sk-campaign")}
    assert accused == expected, [(c["verdict"], sorted(names[a] for a in c["account_ids"])) for c in campaigns]


def test_the_scan_counts_every_request_once_and_rejects_none(traffic: Traffic, found: Path) -> None:
    counts = json.loads((found / "run.json").read_text(encoding="utf-8"))["counts"]
    assert (counts["exchanges"], counts["accounts"], counts["rejected"]) == (len(traffic.sent), 60, 0)


def test_no_prompt_and_no_address_leaves_the_scan(traffic: Traffic, found: Path) -> None:
    written = "".join(path.read_text(encoding="utf-8", errors="ignore") for path in found.rglob("*") if path.is_file())
    assert not [address for address in {r.address for r in traffic.sent.values()} if address in written]
    questions = {r.body["messages"][-1]["content"] for r in traffic.sent.values() if r.key.startswith("sk-person")}
    assert not [question for question in questions if question and question in written]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
