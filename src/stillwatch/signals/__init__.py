"""Exchanges become signals: one measurement of one exchange each, one file per signal."""

from stillwatch.signals.table import inputs, signal_modules, signals
from stillwatch.signals.words import bags

__all__ = ["bags", "inputs", "signal_modules", "signals"]
