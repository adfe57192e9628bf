"""Traffic comes in: bodies become signals on disk before they are acknowledged, then part of the state."""

from stillwatch.server.intake.folding import fold

__all__ = ["fold"]
