"""Work of the intake that comes round."""

from functools import partial

from stillwatch.server.intake.folding import fold
from stillwatch.server.intake.watching import Watch
from stillwatch.server.jobs import Job
from stillwatch.server.service import Service


def jobs(service: Service) -> list[Job]:
    """Segments are finished by the process that writes them, and folded by one process for all."""
    every_s = service.settings.intake.fold_every_s
    return [
        Job("rotate", every_s, service.journal.rotate, is_shared=False),
        Job("fold", every_s, partial(fold, service)),
        *([Job("watch", every_s, Watch(service).look)] if service.settings.intake.watch else []),
    ]
