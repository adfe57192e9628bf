"""Traffic comes in: bodies become signals on disk before they are acknowledged, then part of the state."""

from stillwatch.server.intake.folding import fold, fold_everything, merge

__all__ = ["fold", "fold_everything", "merge"]
