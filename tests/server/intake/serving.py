"""A real process of the service on a port of its own choice: `python -m tests.server.intake.serving STATE DATABASE`.

It folds much more often than anybody would, so that a kill often meets a fold, and alone, so that it need not wait for
the lease of the process that was killed before it. Its first line of output is the port.
"""

import socket
import sys
from dataclasses import replace
from pathlib import Path

import uvicorn

from stillwatch.server import ServerSettings, application, opened
from stillwatch.server.intake.jobs import jobs
from stillwatch.server.jobs import Jobs
from stillwatch.server.settings import Detecting, Storing, Taking


def main() -> None:
    state, database = Path(sys.argv[1]), sys.argv[2]
    settings = ServerSettings(
        storage=Storing(state=state, database=database),
        intake=Taking(fold_every_s=0.2),
        detection=Detecting(memory_limit="300MB", threads=1),
    )
    with opened(settings) as service, socket.create_server(("127.0.0.1", 0)) as listening:
        alone = [replace(job, is_shared=False) for job in jobs(service)]
        work = Jobs(alone, service.database, holder=service.holder, now=service.now, log=service.log)
        work.start()
        server = uvicorn.Server(uvicorn.Config(application(service), log_level="warning"))
        print(listening.getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
        server.run(sockets=[listening])
        work.stop()


if __name__ == "__main__":
    main()
