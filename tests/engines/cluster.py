"""A real Spark standalone cluster on this machine: one master, workers of one core each, ended by their process ids."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOOPBACK = "127.0.0.1"
START_S = 120  # a busy machine needs a while to start a Java process


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster: its address, and the process ids of its workers."""

    master: str
    workers: tuple[int, ...]

    def kill(self, number: int) -> None:
        """End one worker at once, with what it runs."""
        os.kill(self.workers[number], signal.SIGKILL)


def missing() -> str | None:
    """What a cluster lacks on this machine, in words; null when it can be started."""
    try:
        import pyspark  # noqa: F401
    except ModuleNotFoundError:
        return "pyspark is not installed: make .venv/.spark"
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        return "no Java through JAVA_HOME or PATH: apt install openjdk-17-jre-headless"
    return None


@contextmanager
def cluster(folder: Path, *, workers: int = 2, worker_memory: str = "1g") -> Iterator[Cluster]:
    """Start a master and workers, wait until each is registered, and end them all."""
    import pyspark

    home = Path(pyspark.__file__).parent
    port = _free_port()
    master = f"spark://{LOOPBACK}:{port}"
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_NO_DAEMONIZE": "1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),  # functions of tests are found by name
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    ports = [*_ports(port), "--host", LOOPBACK]
    processes = []
    try:
        spark = [str(home / "bin" / "spark-class"), "org.apache.spark.deploy.master.Master"]
        processes.append(_started([*spark, *ports], folder, "master", environment, "New state: ALIVE"))
        for number in range(workers):
            worker = [str(home / "bin" / "spark-class"), "org.apache.spark.deploy.worker.Worker", master]
            limits = ["--cores", "1", "--memory", worker_memory, "--work-dir", str(folder / f"worker-{number}")]
            command = [*worker, *limits, *_ports(_free_port()), "--host", LOOPBACK]
            log = f"worker-{number}"
            processes.append(_started(command, folder, log, environment, "Successfully registered with master"))
        yield Cluster(master, tuple(process.pid for process in processes[1:]))
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def _ports(port: int) -> list[str]:
    return ["--port", str(port), "--webui-port", str(_free_port())]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])


def _started(
    command: list[str], folder: Path, name: str, environment: dict[str, str], ready: str
) -> "subprocess.Popen[str]":
    """The process, once its log says that it is ready; a thread goes on reading, so that it never blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder
    )
    is_ready, lines = threading.Event(), list[str]()

    def read() -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                lines.append(line)
                if ready in line:
                    is_ready.set()

    threading.Thread(target=read, daemon=True).start()
    if not is_ready.wait(START_S):
        process.kill()
        process.wait()
        raise RuntimeError(f"{name} of the Spark cluster did not start: {''.join(lines)[-2000:]}")
    return process
