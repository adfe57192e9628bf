"""A whole process of the service beside others: `python -m tests.server.intake.sharing STATE DATABASE`.

Every job runs as it does for an operator, shared by lease with the other processes; but leases of the dead end within
seconds, and folds and detections come often. Its first line of output is the port.
"""

import socket
import sys
from pathlib import Path

import uvicorn

from stillwatch.server import ServerSettings, application, jobs, opened
from stillwatch.server.settings import Detecting, Storing, Taking

LEASE_S = 3.0
DETECT_EVERY_S = 5.0


def main() -> None:
    jobs.LEASE_S = LEASE_S
    settings = ServerSettings(
        storage=Storing(state=Path(sys.argv[1]), database=sys.argv[2]),
        intake=Taking(fold_every_s=0.5),
        detection=Detecting(every_s=DETECT_EVERY_S, memory_limit="300MB", threads=1),
    )
    with opened(settings) as service, socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application(service, with_jobs=True), log_level="warning"))
        print(listening.getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
        server.run(sockets=[listening])


if __name__ == "__main__":
    main()
