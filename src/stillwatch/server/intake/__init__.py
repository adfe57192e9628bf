"""Traffic comes in: bodies become signals on disk before they are acknowledged, then part of the state."""

from stillwatch.server.intake.folding import fold
from stillwatch.server.intake.jobs import jobs
from stillwatch.server.intake.routes import router

__all__ = ["fold", "jobs", "router"]
