"""The work of alerts that comes round."""

from functools import partial

from stillwatch.server.alerts.delivering import deliver
from stillwatch.server.alerts.targets import targets
from stillwatch.server.jobs import Job
from stillwatch.server.service import Service

EVERY_S = 5.0


def jobs(service: Service) -> list[Job]:
    """Send what is queued.

    Raises:
        SettingsError: an address or a secret cannot be used.
    """
    return [Job("deliver", EVERY_S, partial(deliver, service, targets(service.settings.alerts)))]
