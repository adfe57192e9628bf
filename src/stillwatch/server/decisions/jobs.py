"""What comes round: every process follows what the others wrote, and one of them ends what has expired."""

from stillwatch.server.decisions import ledger
from stillwatch.server.jobs import Job
from stillwatch.server.service import Service

FOLLOW_EVERY_S = 1.0
EXPIRE_EVERY_S = 60.0  # for the records; what is told lapses by itself


def jobs(service: Service) -> list[Job]:
    """The jobs of this part."""

    def follow() -> None:
        service.snapshot.refresh(service.database)

    def expire() -> None:
        with service.database.write() as connection:
            ledger.expire(connection, now=service.now())

    return [
        Job("follow decisions", FOLLOW_EVERY_S, follow, is_shared=False),
        Job("expire decisions", EXPIRE_EVERY_S, expire),
    ]
