"""The client answers from its copy, follows every change, and never stands in a request's way."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client import peer as peers
from tests.client.conftest import becomes
from tests.client.peer import Peer, row

from stillwatch.client import NONE, Client, Limits
from stillwatch.errors import SettingsError

Start = Callable[..., Client]


def test_it_answers_what_the_service_decided_and_none_for_everybody_else(peer: Peer, client_of: Start) -> None:
    peer.decide(row("a", "throttle"), row("b", "verify"), row("c", "shape"), row("d", "none", shadow="suspend"))
    client = client_of(peer.url)
    assert client.wait(20)
    assert client.decision("a").limits == Limits(requests_per_minute=60)
    assert (client.decision("b").action, client.decision("b").check) == ("verify", "identity")
    assert client.decision("c").limits == Limits(None, 64, True, "withhold")
    assert (client.decision("d").action, client.decision("d").shadow) == ("none", "suspend")
    assert client.decision("a").decision_id == "decision-a"
    assert client.decision("somebody else") is NONE


def test_it_follows_changes_without_fetching_the_snapshot_again(peer: Peer, client_of: Start) -> None:
    peer.decide(row("a", "throttle"))
    client = client_of(peer.url)
    assert becomes(lambda: client.health().is_connected and bool(peer.followers))
    peer.decide(row("a", "suspend"), row("b", "verify"))
    assert becomes(lambda: client.decision("b").action == "verify")
    assert client.decision("a").action == "suspend"
    peer.decide(row("a", "none"))
    assert becomes(lambda: client.decision("a") is NONE)
    assert [path for path, _ in peer.requests].count("/v1/decisions/snapshot") == 1
    assert client.health().version == peer.version


def test_a_broken_stream_is_taken_up_where_it_broke(peer: Peer, client_of: Start) -> None:
    peer.decide(row("a", "throttle"))
    client = client_of(peer.url)
    assert becomes(lambda: bool(peer.followers))
    peer.cut()
    peer.decide(row("b", "suspend"))
    assert becomes(lambda: client.decision("b").action == "suspend")
    assert [path for path, _ in peer.requests].count("/v1/decisions/snapshot") == 1


def test_a_service_that_lost_its_history_is_read_anew(peer: Peer, client_of: Start) -> None:
    peer.decide(row("a", "throttle"), row("b", "suspend"))
    client = client_of(peer.url)
    assert becomes(lambda: bool(peer.followers))
    del peer.rows["b"]
    peer.start_over()
    assert becomes(lambda: client.health().version == peer.version)
    assert (client.decision("a").action, client.decision("b")) == ("throttle", NONE)


def test_without_the_service_the_last_copy_goes_on_and_the_service_is_found_again(client_of: Start) -> None:
    peer = Peer()
    peer.decide(row("a", "suspend"))
    with peers.running(peer):
        client = client_of(peer.url)
        assert client.wait(20)
        assert becomes(lambda: bool(peer.followers))  # a stream that begins after the others were cut would stay open
        port = int(peer.url.rpartition(":")[2])
    assert becomes(lambda: client.health().last_error is not None)
    assert client.decision("a").action == "suspend"
    assert not client.health().is_connected
    peer.decide(row("b", "verify"))
    with peers.running(peer, port):
        assert becomes(lambda: client.decision("b").action == "verify")
        assert becomes(lambda: client.health().last_error is None)
        client.close()


def test_without_service_and_copy_everybody_passes_and_it_is_counted(client_of: Start) -> None:
    client = client_of("http://127.0.0.1:1")
    assert client.decision("a") is NONE
    assert client.decision("b") is NONE
    assert client.health().fail_opens == 2
    assert client.health().age_s is None


def test_whom_it_let_pass_unseen_is_told_to_the_service_once(client_of: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = client_of(f"http://127.0.0.1:{port}")
    assert [client.decision(account) for account in "abc"] == [NONE] * 3
    peer = Peer()
    with peers.running(peer, port):
        assert client.wait(20)
        assert becomes(lambda: bool(peer.followers))
        peer.cut()
        assert becomes(lambda: len(peer.followers) == 2)
        assert peer.fail_opens == [3]
        client.close()


def test_a_lookup_never_raises_whatever_it_is_given(peer: Peer, client_of: Start) -> None:
    client = client_of(peer.url)
    assert client.wait(20)
    assert client.decision(None) is NONE  # type: ignore[arg-type]
    assert client.decision(["a"]) is NONE  # type: ignore[arg-type]
    assert client.health().fail_opens == 1


def test_a_snapshot_that_is_not_whole_is_not_used(peer: Peer, client_of: Start) -> None:
    peer.decide(row("a", "suspend"), row("b", "verify"))
    peer.truncates = True
    client = client_of(peer.url)
    assert becomes(lambda: client.health().failures > 0)
    assert client.decision("a") is NONE
    peer.truncates = False
    assert becomes(lambda: client.decision("b").action == "verify")


@pytest.mark.parametrize("has_stream", [True, False])
def test_where_the_stream_does_not_pass_the_snapshot_is_asked_for(
    peer: Peer, client_of: Start, *, has_stream: bool
) -> None:
    peer.is_silent, peer.has_stream = has_stream, has_stream
    client = client_of(peer.url, silence_s=0.3)
    assert client.wait(20)
    peer.decide(row("a", "suspend"))
    assert becomes(lambda: client.decision("a").action == "suspend")
    assert becomes(lambda: ("/v1/decisions/snapshot", 304) in peer.requests)


def test_rows_of_a_newer_service_are_passed_over_and_the_rest_is_applied(peer: Peer, client_of: Start) -> None:
    peer.decide(row("a", "banish"), row("b", "throttle", limits={"requests_per_minute": "many"}), row("c", "suspend"))
    client = client_of(peer.url)
    assert client.wait(20)
    assert [client.decision(account).action for account in "abc"] == ["none", "none", "suspend"]
    assert client.health().failures == 2
    assert becomes(lambda: bool(peer.followers))
    peer.say(b'event: future\nid: e1-4\ndata: {"x": 1}\n\n: still here\n\n')
    peer.number = 4
    peer.decide(row("c", "none"))
    assert becomes(lambda: client.decision("c") is NONE)


def test_a_wrong_key_is_told_and_touches_nobody(peer: Peer) -> None:
    client = Client(peer.url, "sw_other", refresh_s=0.05)
    assert becomes(lambda: "check the key" in (client.health().last_error or ""))
    assert client.decision("a") is NONE
    client.close()


@pytest.mark.parametrize(("url", "key"), [("ftp://x", "k"), ("localhost:8080", "k"), ("http://x", "two words\n")])
def test_an_address_or_key_that_cannot_be_one_is_refused_at_once_and_not_repeated(url: str, key: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Client(url, key)
    assert key not in str(raised.value).split()


def test_many_threads_read_while_everything_changes(peer: Peer, client_of: Start) -> None:
    client = client_of(peer.url)
    assert becomes(lambda: bool(peer.followers))
    wrong: list[str] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            found = client.decision("a")
            if (found.action, found.limits is None) not in {("none", True), ("throttle", False), ("suspend", True)}:
                wrong.append(found.action)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for number in range(300):
        peer.decide(row("a", ("throttle", "suspend", "none")[number % 3]))
    reached = becomes(lambda: client.health().version == peer.version)
    stop.set()
    for reader in readers:
        reader.join()
    assert reached
    assert wrong == []


FORKED = """
import json, os, sys, time
from stillwatch.client import Client
client = Client(sys.argv[1], sys.argv[2], refresh_s=0.05)
assert client.wait(20)
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    deadline = time.monotonic() + 20
    print("ready", flush=True)
    while client.decision("late").action != "suspend" and time.monotonic() < deadline:
        time.sleep(0.01)
    os.write(writing, client.decision("late").action.encode())
    client.close()
    os._exit(0)
os.waitpid(child, 0)
deadline = time.monotonic() + 20
while client.decision("late").action != "suspend" and time.monotonic() < deadline:
    time.sleep(0.01)
print(os.read(reading, 100).decode(), client.decision("late").action, client.health().failures, flush=True)
client.close()
"""


def test_a_forked_worker_follows_by_itself_and_its_parent_goes_on_undisturbed(peer: Peer) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED, peer.url, peers.KEY]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout as output:
        assert output.readline() == "ready\n"
        assert becomes(lambda: len(peer.followers) >= 2)  # a stream each
        peer.decide(row("late", "suspend"))
        assert output.readline() == "suspend suspend 0\n"
    assert process.returncode == 0


def test_the_client_loads_nothing_but_the_standard_library(tmp_path: Path) -> None:
    code = "import sys, stillwatch.client; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    root = str(Path(sys.modules["stillwatch"].__file__ or "").parents[1])
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": root},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) - sys.stdlib_module_names - {"stillwatch", "__main__"} == set()


def test_a_saved_copy_serves_a_gateway_that_starts_without_the_service(
    peer: Peer, client_of: Start, tmp_path: Path
) -> None:
    file = tmp_path / "decisions.ndjson"
    peer.decide(row("a", "shape"), row("b", "none", shadow="verify"))
    first = client_of(peer.url, snapshot_file=file)
    assert becomes(file.exists)
    peer.decide(row("c", "suspend"))
    assert becomes(lambda: first.decision("c").action == "suspend")
    first.close()
    again = client_of("http://127.0.0.1:1", snapshot_file=file)
    for account in "abc":
        assert again.decision(account) == first.decision(account)
    assert again.health().version == peer.version
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("spoilt", ["cut", "not JSON", "others may write"])
def test_a_saved_copy_that_is_spoilt_or_open_to_others_is_not_read(
    peer: Peer, client_of: Start, tmp_path: Path, spoilt: str
) -> None:
    file = tmp_path / "decisions.ndjson"
    peer.decide(row("a", "suspend"), row("b", "suspend"))
    client = client_of(peer.url, snapshot_file=file)
    assert becomes(file.exists)
    client.close()
    if spoilt == "cut":
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    elif spoilt == "not JSON":
        file.write_text("{")
    else:
        file.chmod(0o666)
    assert client_of("http://127.0.0.1:1", snapshot_file=file).decision("a") is NONE


def test_a_crash_while_saving_leaves_the_copy_before(
    peer: Peer, client_of: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "decisions.ndjson"
    peer.decide(row("a", "suspend"))
    client = client_of(peer.url, snapshot_file=file)
    assert becomes(file.exists)
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", full)
    peer.decide(row("b", "suspend"))
    assert becomes(lambda: client.decision("b").action == "suspend")
    client.close()
    assert file.read_bytes() == before
    assert json.loads(before.splitlines()[0])["count"] == 1
