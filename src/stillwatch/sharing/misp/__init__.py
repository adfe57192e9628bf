"""MISP: campaigns as events, and events back as the objects they were made from. Needs the extra `sharing`."""

from stillwatch.sharing.misp.received import Received, from_misp, received
from stillwatch.sharing.misp.written import misp_events, to_misp

__all__ = ["Received", "from_misp", "misp_events", "received", "to_misp"]
