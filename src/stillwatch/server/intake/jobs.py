"""Work of the intake that comes round."""

import importlib
from functools import partial

from stillwatch.errors import SettingsError
from stillwatch.server.intake import messages
from stillwatch.server.intake.folding import fold, merge
from stillwatch.server.intake.watching import Watch
from stillwatch.server.jobs import Job
from stillwatch.server.service import Service

RECONNECT_S = 5.0  # from one failure to the next try


def jobs(service: Service) -> list[Job]:
    """Segments are finished by the process that writes them, folded by one process for all, and merged by one."""
    every_s = service.settings.intake.fold_every_s
    return [
        Job("rotate", every_s, service.journal.rotate, is_shared=False),
        Job("fold", every_s, partial(fold, service)),
        Job("merge", every_s, partial(merge, service)),
        *([Job("watch", every_s, Watch(service).look)] if service.settings.intake.watch else []),
        *([_kafka(service)] if service.settings.intake.kafka_servers else []),
    ]


def _kafka(service: Service) -> Job:
    """A process of every group of processes follows the topic; the library is an extra, so it is imported by name.

    Raises:
        SettingsError: the format is none that a message may have.
    """
    kafka = importlib.import_module("stillwatch.server.intake.kafka")
    name, known = service.settings.intake.kafka_format, messages.format_names()
    if name and name not in known:
        raise SettingsError(f"[intake] kafka_format {name}: give one of {', '.join(known)}")
    return Job("kafka", RECONNECT_S, kafka.Topic(service).follow, is_shared=False)
