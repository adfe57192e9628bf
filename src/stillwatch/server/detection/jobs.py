"""The jobs of detection: one process detects; every process looks at its own newcomers."""

from stillwatch.server import alerts, decisions
from stillwatch.server.detection.arrivals import Arrivals
from stillwatch.server.detection.detector import Detector
from stillwatch.server.detection.hands import Hands
from stillwatch.server.detection.newcomers import Newcomers
from stillwatch.server.jobs import Job
from stillwatch.server.service import Service

LOOK_S = 5.0  # between two looks at whether a detection is due, or asked for
ARRIVALS_S = 1.0  # between two looks at newcomers


def jobs(service: Service, hands: Hands | None = None) -> list[Job]:
    """The detection loop and the look at newcomers, whom an observer of intake sees from now on."""
    hands = hands or _standing_hands()
    newcomers = Newcomers()
    service.observers.append(newcomers.observe)
    detector = Detector(service, hands)
    arrivals = Arrivals(service, newcomers, hands.attach)
    every_s = min(LOOK_S, service.settings.detection.every_s)
    return [
        Job("detect", every_s, detector.turn, stop=detector.stop),
        Job("newcomers", ARRIVALS_S, arrivals.turn, is_shared=False),
    ]


def _standing_hands() -> Hands:
    """The parts of this service that decide and tell."""
    return Hands(decisions.reconcile, decisions.attach, alerts.tell)
