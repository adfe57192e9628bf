"""The service as a process: it listens, says so, finishes what it began, and goes."""

import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, Depends
from fastapi.testclient import TestClient
from tests import processes
from uvicorn.protocols.http.h11_impl import H11Protocol

from stillwatch.errors import SettingsError
from stillwatch.server import Service, app, application, load_server_settings
from stillwatch.server.access import requires
from stillwatch.server.jobs import Job
from stillwatch.server.operate.serving import address_of, allow_files, listening, serve

WAIT_S = 180  # a busy machine takes its time


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_it_says_where_it_listens_and_ends_well_on_a_signal(
    serving: Callable[..., Any], tmp_path: Path, number: str
) -> None:
    with serving("--state", tmp_path / "state") as held:
        assert httpx2.get(f"{held.url}/healthz", timeout=WAIT_S).json() == {"status": "alive"}
        assert httpx2.get(f"{held.url}/readyz", timeout=WAIT_S).status_code == 200
        assert held.end(getattr(signal, number)) == 0
    told = held.log.read_text()
    assert "stillwatch keys make --name NAME --role admin" in told
    assert told.count("schema_changed") == 1
    assert "alembic" not in told, "whoever looks whether it is ready fills no log"


def test_a_key_made_while_it_runs_works_and_stops_when_it_is_revoked(
    serving: Callable[..., Any], run: Callable[..., Any], tmp_path: Path
) -> None:
    place = ("--state", tmp_path / "state")
    with serving(*place) as held:
        made = run("keys", "make", "--name", "prometheus", "--role", "admin", *place)
        headers = {"Authorization": f"Bearer {made.out.strip()}"}
        assert httpx2.get(f"{held.url}/metrics", headers=headers, timeout=WAIT_S).status_code == 200
        run("keys", "revoke", made.out.split("_")[1], *place)
        assert httpx2.get(f"{held.url}/metrics", headers=headers, timeout=WAIT_S).status_code == 401


def test_a_key_for_another_folder_than_the_services_does_not_go_unnoticed(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    place = ("--state", tmp_path / "elsewhere")
    for command in (("list",), ("revoke", "0" * 12)):
        done = run("keys", *command, *place)
        assert (done.code, "holds no records. Give the --config or --state of the service." in done.err) == (2, True)
    assert not (tmp_path / "elsewhere").exists()
    told = [run("keys", "make", "--name", "n", "--role", "ingest", *place).err for _ in range(2)]
    assert ["This begins a new database" in each for each in told] == [True, False]


def test_a_port_in_use_is_one_clear_line(run: Callable[..., Any], tmp_path: Path) -> None:
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", port, "--state", tmp_path / "state")
    assert done.code == 2
    assert done.err == (
        f"stillwatch: cannot listen on 127.0.0.1, port {port}: something else listens there: stop it, or give another "
        "--port\n"
    )
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1024, 65536), (4500, 65536)),
        ((1024, 4096), (4096, 4096)),
        ((1024, resource.RLIM_INFINITY), (4500, resource.RLIM_INFINITY)),
        ((20000, 20000), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_it_may_open_as_many_files_as_it_takes_connections_where_the_system_allows_it(
    monkeypatch: pytest.MonkeyPatch, before: tuple[int, int], after: tuple[int, int] | None
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: before)
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    allow_files(4500)
    assert set_to == ([after] if after else [])


@pytest.mark.parametrize(("host", "port"), [("203.0.113.7", 0), ("no such host", 0)])
def test_an_address_that_cannot_be_used_is_refused(host: str, port: int) -> None:
    with pytest.raises(SettingsError, match="cannot listen on"):
        listening(host, port)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_address_of_ipv6_is_written_in_brackets() -> None:
    with listening("::1", 0) as held:
        assert address_of(held) == f"http://[::1]:{held.getsockname()[1]}"


def test_without_the_extra_one_line_says_how_to_install_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['fastapi'] = None; sys.argv = ['stillwatch', 'serve', '--state', sys.argv[1]]\n"
    code += "from stillwatch import cli; cli.main()"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "s"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'stillwatch[server]'" in done.stderr


class Part:
    """A part of the tests' own: a route, a job, and something held while jobs run."""

    router = APIRouter()

    def __init__(self) -> None:
        self.ran, self.told = threading.Event(), list[str]()

    def jobs(self, _service: Service) -> list[Job]:
        return [Job("count", 3600, self.ran.set)]

    def running(self, _service: Service) -> Any:
        import contextlib

        @contextlib.contextmanager
        def held() -> Any:
            self.told.append("opened")
            yield
            self.told.append("closed")

        return held()


def test_jobs_of_every_part_run_from_the_start_of_the_application_to_its_end(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Part()
    monkeypatch.setattr(app, "PARTS", (*app.PARTS, part))
    with TestClient(application(service, with_jobs=True)):
        assert part.ran.wait(WAIT_S)
        assert part.told == ["opened"]
        assert not service.stopping.is_set()
    assert part.told == ["opened", "closed"]
    assert service.stopping.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "count"]


def test_no_job_runs_where_none_is_wanted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part()
    monkeypatch.setattr(app, "PARTS", (*app.PARTS, part))
    with TestClient(application(service)) as client:
        assert client.get("/healthz").status_code == 200
    assert not part.ran.is_set()
    assert part.told == []


def serve_slowly() -> None:
    """Serve with a request and a job that go on until a file says so, and say when all is closed."""
    folder, router = Path(sys.argv[1]), APIRouter()

    def waits(name: str) -> dict[str, str]:
        (folder / f"{name}-began").touch()
        while not (folder / "go-on").exists():
            time.sleep(0.01)
        (folder / f"{name}-ended").touch()
        return {"done": name}

    class Counted(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            (folder / "own-protocol").touch()
            super().connection_made(transport)

    router.add_api_route("/v1/slow", lambda: waits("request"), dependencies=[Depends(requires("admin"))])
    part: Any = SimpleNamespace(
        router=router,
        jobs=lambda _service: [Job("slow", 3600, lambda: waits("job"))],
        http_protocol=lambda _service: Counted,
    )
    app.PARTS = (part, *app.PARTS)
    settings = load_server_settings(None, {"STILLWATCH_STORAGE_STATE": str(folder), "STILLWATCH_SERVER_PORT": "0"})
    serve(settings, tell=lambda _service, url: print(url, flush=True))  # noqa: T201 - the parent reads it
    print("closed", flush=True)  # noqa: T201


def eventually(what: Callable[[], bool]) -> None:
    """Wait for something to become true, for so long at most."""
    until = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def test_a_request_and_a_job_under_way_are_finished_before_it_ends(tmp_path: Path, run: Callable[..., Any]) -> None:
    key = run("keys", "make", "--name", "a", "--role", "admin", "--state", tmp_path).out.strip()
    main, words = f"{__name__}:serve_slowly", (tmp_path,)
    with processes.started(*words, main=main, errors=tmp_path / "errors") as process:
        url, replies = process.stdout.readline().strip(), list[httpx2.Response]()
        headers = {"Authorization": f"Bearer {key}"}
        asks = threading.Thread(
            target=lambda: replies.append(httpx2.get(f"{url}/v1/slow", headers=headers, timeout=WAIT_S))
        )
        asks.start()
        eventually(lambda: (tmp_path / "request-began").exists() and (tmp_path / "job-began").exists())
        process.send_signal(signal.SIGTERM)
        eventually(lambda: refuses(url))
        assert process.poll() is None
        (tmp_path / "go-on").touch()
        asks.join(WAIT_S)
        assert process.wait(WAIT_S) == 0
        assert process.stdout.read() == "closed\n"
    assert [reply.json() for reply in replies] == [{"done": "request"}]
    assert (tmp_path / "job-ended").exists()
    assert (tmp_path / "own-protocol").exists()


def refuses(url: str) -> bool:
    """Whether nobody listens there any more."""
    host, port = url.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return True
    return False
